"""What ties the optimizers to each other and to other packages: equalities and invariances."""

from __future__ import annotations

import math

import pytest
import torch

from alig_deepobs.optimizers.alig import AliG
from alig_deepobs.optimizers.alig_plus import AligPlus
from alig_deepobs.optimizers.aprox import Aprox
from alig_deepobs.optimizers.bpgrad import BPGrad
from alig_deepobs.optimizers.dfw import DFW
from alig_deepobs.optimizers.l4 import L4Adam, L4Mom
from alig_deepobs.optimizers.momo import Momo, MomoAdam
from alig_deepobs.optimizers.polyak import Polyak
from alig_deepobs.optimizers.sls import SLS
from alig_deepobs.optimizers.sps import SPS
from alig_deepobs.optimizers.yogi import Yogi

TIGHT = {"rtol": 1e-11, "atol": 1e-12}


@pytest.fixture
def trajectory(regression):
    """The weights after each of 30 steps on mini-batches of a small network."""

    def run(make, scale=1.0, groups=lambda parameters: parameters):
        task = regression(torch.float64)
        optimizer = make(groups(task.parameters))
        weights = []
        for rows in task.minibatches(30):
            loss = task.backward(rows)
            for p in task.parameters:
                p.grad *= scale
            of_momo = type(optimizer).__module__.startswith("momo")
            if of_momo or getattr(optimizer, "needs_loss", None) == "value":
                optimizer.step(loss=loss * scale)
            else:
                optimizer.step()
            weights.append(task.weights)
        return torch.stack(weights)

    return run


def assert_equal(one, two):
    torch.testing.assert_close(one, two, **TIGHT)
    assert not torch.equal(one[0], one[-1])


# --- Equal to ALI-G --------------------------------------------------------------------------


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("lr", [0.05, 0.5])
@pytest.mark.parametrize("eps", [0.0, 1e-5, 0.1])
def test_dfw_without_weight_decay_is_alig(trajectory, momentum, lr, eps):
    dfw = trajectory(lambda p: DFW(p, lr, momentum, eps=eps))
    alig = trajectory(lambda p: AliG(p, lr, momentum, eps=eps / lr))
    assert_equal(dfw, alig)


@pytest.mark.parametrize("cap", [None, 0.05])
def test_sps_max_with_c_1_is_alig(trajectory, cap):
    sps = trajectory(lambda p: SPS(p, c=1.0, eta_max=cap, adapt_flag="constant", eps=1e-5))
    assert_equal(sps, trajectory(lambda p: AliG(p, cap, eps=1e-5)))


@pytest.mark.parametrize("lr", [0.05, 10.0])
def test_momo_without_averages_is_alig(trajectory, lr):
    momo = trajectory(lambda p: Momo(p, lr, beta=0.0))
    assert_equal(momo, trajectory(lambda p: AliG(p, lr, eps=0.0)))


def test_polyak_is_uncapped_alig(trajectory):
    polyak = trajectory(lambda p: Polyak(p, f_star=0.1))
    assert_equal(polyak, trajectory(lambda p: AliG(p, eps=0.0, f_min=0.1)))


def test_aprox_is_alig_under_a_falling_cap(trajectory, regression):
    assert_equal(
        trajectory(lambda p: Aprox(p, 0.05, power=0.0)),
        trajectory(lambda p: AliG(p, 0.05, eps=0.0)),
    )
    task = regression(torch.float64)
    optimizer = AliG(task.parameters, 1.0, eps=0.0)
    weights, capped = [], 0
    for k, rows in enumerate(task.minibatches(30), 1):
        optimizer.param_groups[0]["lr"] = 2.0 * k**-0.5
        optimizer.step(loss=task.backward(rows))
        capped += optimizer.step_size < optimizer.step_size_unclipped
        weights.append(task.weights)
    assert 0 < capped < 30
    assert_equal(trajectory(lambda p: Aprox(p, 2.0, power=0.5)), torch.stack(weights))


def test_alig_plus_in_its_first_period_is_alig(regression):
    """As long as all approximate optimal values are 0."""
    task, other = regression(torch.float64), regression(torch.float64)
    plus = AligPlus(task.parameters, 0.1, data_size=4, epochs=10, momentum=0.9)
    alig = AliG(other.parameters, 0.1, momentum=0.9, eps=1e-9)
    for rows in task.minibatches(20):
        loss = task.backward(rows)
        plus.step(losses=loss.expand(2), indices=torch.tensor([0, 3]))
        alig.step(loss=other.backward(rows))
        torch.testing.assert_close(task.weights, other.weights, **TIGHT)


# --- Equal to Adam ---------------------------------------------------------------------------


def test_momo_adam_under_a_binding_cap_is_adam(trajectory):
    momo = trajectory(lambda p: MomoAdam(p, 1e-4))
    assert_equal(momo, trajectory(lambda p: torch.optim.Adam(p, 1e-4)))
    decayed = trajectory(lambda p: MomoAdam(p, 1e-4, weight_decay=0.1, divide=False))
    assert_equal(decayed, trajectory(lambda p: torch.optim.AdamW(p, 1e-4, weight_decay=0.1)))


def test_yogi_is_adam_while_the_second_moment_grows(problem_q):
    one, two = problem_q(), problem_q()
    yogi = Yogi(one.parameters, 0.1, betas=(0.9, 0.5), eps=0.0)
    adam = torch.optim.Adam(two.parameters, 0.1, betas=(0.9, 0.5), eps=0.0)
    for problem, optimizer in ((one, yogi), (two, adam)):
        problem.backward()
        optimizer.step()
    torch.testing.assert_close(one.weights, two.weights, **TIGHT)


# --- Invariances -----------------------------------------------------------------------------

METHODS = {
    "dfw": lambda p: DFW(p, 0.1, 0.9, 0.01),
    "bpgrad": lambda p: BPGrad(p, 0.1, 0.9, 0.01),
    "l4adam": lambda p: L4Adam(p, weight_decay=0.01),
    "l4mom": lambda p: L4Mom(p, weight_decay=0.01),
    "sps": lambda p: SPS(p, 10, c=0.5),
    "momo": lambda p: Momo(p, 1.0, weight_decay=0.01, use_fstar=True),
    "momo_adam": lambda p: MomoAdam(p, 0.1, weight_decay=0.01),
    "polyak": lambda p: Polyak(p),
    "aprox": lambda p: Aprox(p, 1.0),
}


@pytest.mark.parametrize("name", METHODS)
def test_splitting_into_groups_changes_nothing(trajectory, name):
    def split(parameters):
        return [{"params": [p]} for p in parameters]

    # The estimate of the lower bound is made once per group, so MoMo's is another one.
    make = METHODS[name]
    if name == "momo":
        make = lambda p: Momo(p, 1.0, weight_decay=0.01)  # noqa: E731
    assert_equal(trajectory(make), trajectory(make, groups=split))


@pytest.mark.parametrize("name", ["dfw", "l4adam", "l4mom", "sps", "momo", "momo_adam", "bpgrad"])
def test_splitting_a_tensor_changes_nothing(name, problem_q):
    whole, parts = problem_q(), problem_q()
    first, second = (
        torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in (1.0, -1.0)
    )
    one, two = METHODS[name](whole.parameters), METHODS[name]([first, second, parts.b])
    for _ in range(5):
        one.step(loss=whole.backward())
        first.grad = second.grad = parts.b.grad = None
        loss = 0.5 * (first[0] ** 2 + 4 * second[0] ** 2 + parts.b[0] ** 2 / 4)
        loss.backward()
        two.step(loss=loss)
    torch.testing.assert_close(torch.cat([first, second, parts.b]).detach(), whole.weights, **TIGHT)


@pytest.mark.parametrize("scale", [1e-3, 7.0])
@pytest.mark.parametrize(
    "make",
    [
        lambda p: L4Mom(p, eps=0.0),
        lambda p: Polyak(p),
        lambda p: SPS(p, c=0.5, adapt_flag="constant", eps=0.0),
        lambda p: AliG(p, eps=0.0),
        lambda p: Momo(p, math.inf),
    ],
    ids=["l4mom", "polyak", "sps", "alig_inf", "momo"],
)
def test_scale_of_the_loss_does_not_matter(trajectory, make, scale):
    one, two = trajectory(make), trajectory(make, scale)
    torch.testing.assert_close(one, two, rtol=1e-8, atol=1e-9)


def test_scale_matters_where_it_should(trajectory):
    """So that the test above can fail."""
    make = lambda p: SPS(p, c=0.5, eta_max=0.05, adapt_flag="constant")  # noqa: E731
    assert not torch.allclose(trajectory(make), trajectory(make, 7.0), rtol=1e-3)


@pytest.mark.parametrize("make", [METHODS["dfw"], METHODS["aprox"], METHODS["momo"]])
def test_step_sizes_are_between_0_and_the_cap(regression, make):
    task = regression(torch.float64)
    optimizer = make(task.parameters)
    for rows in task.minibatches(20):
        optimizer.step(loss=task.backward(rows))
        assert 0 <= optimizer.step_size <= optimizer.param_groups[0]["lr"]
        assert optimizer.step_size <= optimizer.step_size_unclipped


def test_negative_losses():
    """What each method makes of a loss below its bound."""
    sizes = {}
    for name, make in METHODS.items():
        w = torch.ones(2, dtype=torch.float64, requires_grad=True)
        w.grad = torch.ones(2, dtype=torch.float64)
        optimizer = make([w])
        optimizer.step(loss=-10.0)
        sizes[name] = optimizer.step_size
    assert {name for name, size in sizes.items() if size == 0} == {
        "dfw", "sps", "momo", "momo_adam", "polyak", "aprox", "bpgrad",
    }  # fmt: skip
    assert min(sizes.values()) >= 0  # L4 estimates the bound


def test_a_loss_that_is_not_a_number_shows_in_the_weights():
    for make in METHODS.values():
        w = torch.ones(2, requires_grad=True)
        w.grad = torch.ones(2)
        make([w]).step(loss=float("nan"))
        assert torch.isnan(w).all()


# --- Line search -----------------------------------------------------------------------------


@pytest.mark.parametrize("cheap", [True, False])
def test_line_search_is_armijos(regression, cheap):
    """The accepted step size fulfils the condition, and the one tried before it does not."""
    task = regression(torch.float64)
    optimizer = SLS(task.parameters, n_batches_per_epoch=4, init_step_size=3.0)
    backtracked = 0
    for rows in task.minibatches(20):
        calls = []

        def cheap_closure(backward=True, rows=rows, calls=calls):
            calls.append(backward)
            assert torch.is_grad_enabled() == backward
            if backward:
                return task.backward(rows)
            return torch.nn.functional.mse_loss(task.net(task.inputs[rows]), task.targets[rows])

        def plain_closure(rows=rows):
            optimizer.zero_grad()
            return task.backward(rows)

        start = task.weights
        loss = task.backward(rows)
        grad = torch.cat([p.grad.flatten() for p in task.parameters]).clone()
        previous = optimizer.param_groups[0]["previous_step_size"]
        optimizer.step(cheap_closure if cheap else plain_closure)
        if cheap:
            assert calls == [True] + [False] * (len(calls) - 1)
        size = optimizer.step_size
        torch.testing.assert_close(task.weights, start - size * grad, **TIGHT)
        first = min(10.0, previous * 2 ** (1 / 4))
        tries = math.log(size / first) / math.log(0.9)
        assert tries == pytest.approx(round(tries), abs=1e-6)

        def fulfilled(size, rows=rows, start=start, grad=grad, loss=loss):
            at = regression(torch.float64)
            torch.nn.utils.vector_to_parameters(start - size * grad, at.parameters)
            return float(at.backward(rows)) <= float(loss) - 0.1 * size * float(grad @ grad)

        assert fulfilled(size)
        if size < first:
            backtracked += 1
            assert not fulfilled(size / 0.9)
    assert 0 < backtracked < 20


# --- Other packages --------------------------------------------------------------------------

MOMO_OPTIONS = [
    {"lr": 1.0},
    {"lr": 0.05, "weight_decay": 0.1},
    {"lr": 1.0, "bias_correction": True},
    {"lr": 1.0, "use_fstar": True},
    {"lr": 1.0, "lb": 0.1, "beta": 0.5},
    {"lr": 0.5, "use_fstar": True, "bias_correction": True, "weight_decay": 0.01},
]


@pytest.mark.parametrize("options", MOMO_OPTIONS, ids=str)
def test_momo_agrees_with_its_authors_package(trajectory, options):
    package = pytest.importorskip("momo")
    theirs = trajectory(lambda p: package.Momo(p, **options))
    # With bias correction, their inner products are kept in float32.
    tolerance = 1e-6 if options.get("bias_correction") else 1e-10
    torch.testing.assert_close(
        trajectory(lambda p: Momo(p, **options)), theirs, rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.1},
        {"lr": 1e-2, "weight_decay": 0.1},
        {"lr": 0.1, "divide": False, "weight_decay": 0.1},
        {"lr": 0.1, "use_fstar": True},
        {"lr": 0.1, "betas": (0.5, 0.9), "lb": 0.05},
    ],
    ids=str,
)
def test_momo_adam_agrees_with_its_authors_package(trajectory, options):
    package = pytest.importorskip("momo")
    theirs = trajectory(lambda p: package.MomoAdam(p, **options))
    # Their inner products are kept in float32.
    torch.testing.assert_close(
        trajectory(lambda p: MomoAdam(p, **options)), theirs, rtol=1e-5, atol=1e-6
    )


def test_schedule_free_sgd_is_what_its_paper_says(problem_q):
    """y = (1 - beta) z + beta x;  z = z - lr grad f(y);  x = x + (z - x) / (t + 1)."""
    package = pytest.importorskip("schedulefree")
    problem = problem_q()
    z = x = problem.weights
    optimizer = package.SGDScheduleFree(problem.parameters, lr=0.1, momentum=0.9)
    for t in range(10):
        y = 0.1 * z + 0.9 * x
        z = z - 0.1 * y * torch.tensor([1.0, 4.0, 0.25], dtype=torch.float64)
        x = x + (z - x) / (t + 1)
        optimizer.train()
        torch.testing.assert_close(problem.weights, y, **TIGHT)
        problem.backward()
        optimizer.step()
        optimizer.eval()
        torch.testing.assert_close(problem.weights, x, **TIGHT)


def test_prodigy_is_what_its_paper_says(problem_q):
    """Algorithm 4 of the paper, with d the estimated distance to the solution."""
    package = pytest.importorskip("prodigyopt")
    problem = problem_q()
    start = x = problem.weights
    beta1, beta2, eps = 0.9, 0.999, 1e-8
    beta3 = math.sqrt(beta2)
    d, r = 1e-6, 0.0
    s, m, v = (torch.zeros_like(x) for _ in range(3))
    optimizer = package.Prodigy(problem.parameters, lr=1.0, d_coef=2.0)
    for _ in range(30):
        g = x * torch.tensor([1.0, 4.0, 0.25], dtype=torch.float64)
        r = beta3 * r + d * d * float(g @ (start - x))
        s = beta3 * s + d * d * g
        m = beta1 * m + (1 - beta1) * d * g
        v = beta2 * v + (1 - beta2) * d * d * g * g
        old, d = d, max(d, 2.0 * r / float(s.abs().sum()))
        x = x - old * m / (v.sqrt() + d * eps)
        problem.backward()
        optimizer.step()
        torch.testing.assert_close(problem.weights, x, rtol=1e-9, atol=1e-10)
    assert d > 1e-3
