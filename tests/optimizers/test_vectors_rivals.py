"""Numbers that the optimizers beside ALI-G have to reproduce; see ``vectors.toml``."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from alig_deepobs.optimizers._base import Method
from alig_deepobs.optimizers._loss_method import LossMethod
from alig_deepobs.optimizers.alig import AliG
from alig_deepobs.optimizers.alig_plus import AligPlus
from alig_deepobs.optimizers.bpgrad import BPGrad
from alig_deepobs.registry import load_object, needs_loss_of

VECTORS: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("vectors.toml").read_text(encoding="utf-8")
)["vector"]


def assert_near(actual, expected, rtol=1e-10):
    torch.testing.assert_close(
        torch.as_tensor(actual, dtype=torch.float64),
        torch.tensor(expected, dtype=torch.float64),
        rtol=rtol,
        atol=1e-12 if rtol < 1e-6 else 1e-8,  # float32's rounding of numbers near 1
    )


def check(vector, make, problem_q, problem_p):
    problem = problem_q() if vector["problem"] == "Q" else problem_p()
    optimizer = make(problem.parameters, **vector["options"])
    wants_loss = needs_loss_of(type(optimizer)) == "value"
    rtol = vector.get("rtol", 1e-10)
    assert len(vector["w"]) == 3
    for t, weights in enumerate(vector["w"]):
        loss = problem.backward() if vector["problem"] == "Q" else problem.feed(t)
        if "loss" in vector:
            assert_near(loss, vector["loss"][t], rtol)
        if vector.get("eps_hat"):  # in torch's form, that eps is a larger one in every step
            beta2 = optimizer.param_groups[0]["betas"][1]
            optimizer.param_groups[0]["eps"] = 1e-8 / math.sqrt(1 - beta2 ** (t + 1))
        if wants_loss:
            optimizer.step(loss=loss)
        else:
            optimizer.step()
        assert_near(problem.weights, weights, rtol)
        if "step" in vector:
            assert_near(optimizer.step_size, vector["step"][t], rtol)
        if "gamma" in vector:
            lr = vector["options"]["lr"]
            assert_near(optimizer.step_size, lr * vector["gamma"][t], rtol)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
@pytest.mark.parametrize("foreach", [None, False])
def test_vector(vector, foreach, problem_q, problem_p):
    factory = load_object(vector["optimizer"])
    check(vector, lambda p, **o: factory(p, foreach=foreach, **o), problem_q, problem_p)


@pytest.mark.parametrize(
    "vector",
    [v for v in VECTORS if issubclass(load_object(v["optimizer"]), LossMethod)],
    ids=lambda vector: vector["name"],
)
@pytest.mark.parametrize("foreach", [None, False])
def test_vector_with_scalars_of_the_device(vector, foreach, problem_q, problem_p, monkeypatch):
    """What an accelerator computes with, where the host must not read anything."""
    monkeypatch.setattr(LossMethod, "_on_host", False)
    factory = load_object(vector["optimizer"])
    check(vector, lambda p, **o: factory(p, foreach=foreach, **o), problem_q, problem_p)


def test_every_own_method_has_vectors():
    # ALI-G+ has its own below; Polyak, Aprox and SLS have none: they are tested by relations.
    without = {"AligPlus", "Polyak", "Aprox", "SLS"}
    with_vectors = {load_object(v["optimizer"]) for v in VECTORS}
    assert {method.__name__ for method in all_methods() - with_vectors} == without


def all_methods():
    import alig_deepobs.optimizers as package

    for path in Path(package.__file__).parent.glob("[a-z]*.py"):
        if path.stem != "lightning":  # a callback, which needs a package of its own
            load_object(f"alig_deepobs.optimizers.{path.stem}:__name__")
    found, classes = set(), [Method]
    while classes:
        below = classes.pop().__subclasses__()
        classes += below
        found |= {c for c in below if not c.__name__.startswith("_") and c is not LossMethod}
    return {c for c in found if c.__module__.startswith("alig_deepobs.")}


# --- ALI-G+ ----------------------------------------------------------------------------------

# Three examples with the losses (x w - y)^2 / 2 + c, one in each mini-batch. A line is
# (epoch, example, loss before the step, weights after it, step size, the same unclipped); the
# second table has what is known of the examples after an epoch: approximate optimal values, best
# losses, last moves. In all of them "best" is "latest", as in the authors' code.
INPUTS = [[1.0, 2.0, -1.0], [0.5, -1.0, 2.0], [2.0, 0.0, 1.0]]
TARGETS = [1.0, 0.0, -1.0]
OFFSETS = [0.5, 0.0, 0.2]
ALIG_PLUS = {
    (0.0, 0.0): (
        [
            (0, 0, 3.625, [1.24166666666022, -0.516666666679556, 0.258333333339778],
             0.0966666666640889, 0.0966666666640889),
            (0, 1, 1.36813368059287, [1.16289682539479, -0.359126984148691, -0.0567460317219504],
             0.0952380952314655, 0.0952380952314655),
            (0, 2, 5.54333616786587, [0.509087301581264, -0.359126984148691, -0.383650793628713],
             0.1, 0.103742979921402),
            (1, 2, 1.89928583760208, [0.244008938021796, -0.236172524528191, -0.566257105126842],
             0.1, 0.111769650253218),
            (2, 2, 0.978258308501242, [0.344314944063724, -0.190301949893342, -0.463961806535314],
             0.00367684988183836, 0.00367684988183836),
            (3, 2, 1.27187728789468, [0.343890867559696, -0.136588457564815, -0.443707026524723],
             0.0300626174938826, 0.0300626174938826),
        ],
        [
            ([0.0, 0.0, 0.0], [3.625, 1.36813368059287, 5.54333616786587], [0.0, 0.0, 0.0]),
            ([0.420369114179815, 0.0489651720683917, 0.94964291880104],
             [0.840738228359631, 0.0979303441367834, 1.89928583760208],
             [0.420369114179815, 0.0489651720683917, 0.94964291880104]),
            ([0.420369114179815, 0.0489651720683917, 0.94964291880104],
             [0.719174305031894, 0.506083260098979, 0.978258308501242],
             [0.420369114179815, 0.0489651720683917, 0.94964291880104]),
            ([0.542074148514222, 0.171086837835655, 1.11076010334786],
             [0.663779182848629, 0.293208503602918, 1.27187728789468],
             [0.121705034334407, 0.122121665767263, 0.161117184546822]),
        ],
    ),
    (0.9, 0.1): (
        [
            (0, 0, 3.625, [1.44949999998801, -0.0720000000247467, 0.0360000000123733],
             0.0966666666640889, 0.0966666666640889),
            (0, 1, 0.377363281287791, [1.55284404762134, 0.477388095171168, -0.474497618966451],
             0.0952380952140593, 0.0952380952140593),
            (0, 2, 6.7927721374996, [0.300129297590812, 0.89198207133936, -1.46988954752317],
             0.1, 0.103033625244825),
            (1, 2, 1.03317518824634, [-0.80137790657756, -0.753507435375832, 0.0448517590902838],
             0.1, 0.124004555428127),
            (2, 2, 0.20893721522316, [-0.495082372176662, -0.134984853375521, 0.324652006062503],
             0.0, -3.44235164730517),
            (3, 2, 0.564129169185197, [-0.24944019103637, 0.445453842040619, 0.439653421859991],
             0.0130562391239776, 0.0130562391239776),
        ],
        [
            ([0.0, 0.0, 0.0], [3.625, 0.377363281287791, 6.7927721374996], [0.0, 0.0, 0.0]),
            ([1.88070727548363, 3.54943421138153, 0.516587594123169],
             [3.76141455096727, 7.09886842276307, 1.03317518824634],
             [1.88070727548363, 3.54943421138153, 0.516587594123169]),
            ([1.88070727548363, 3.54943421138153, 0.516587594123169],
             [6.12212446051364, 4.96152973875093e-05, 0.20893721522316],
             [1.88070727548363, 3.54943421138153, 0.516587594123169]),
            ([2.28206942844801, 1.77471710569077, 0.540358381654183],
             [2.68343158141238, 0.055755664697565, 0.564129169185197],
             [0.401362152964372, 3.54943421138153, 0.0237707875310143]),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("on_host", [True, False])
@pytest.mark.parametrize(("momentum", "weight_decay"), ALIG_PLUS)
def test_alig_plus(momentum, weight_decay, on_host, monkeypatch):
    monkeypatch.setattr(LossMethod, "_on_host", on_host)
    steps, epochs = ALIG_PLUS[momentum, weight_decay]
    inputs, targets, offsets = (
        torch.tensor(x, dtype=torch.float64) for x in (INPUTS, TARGETS, OFFSETS)
    )
    a = torch.tensor([1.0, -1.0], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    optimizer = AligPlus(
        [a, b], 0.1, 3, 4, weight_decay=weight_decay, momentum=momentum, num_updates=2,
        alias_losses=True,
    )  # fmt: skip
    expected = {(line[0], line[1]): line[2:] for line in steps}
    for epoch in range(4):
        for z in range(3):
            loss = (inputs[z] @ torch.cat([a, b]) - targets[z]) ** 2 / 2 + offsets[z]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step(losses=loss.reshape(1), indices=torch.tensor([z]))
            if (epoch, z) in expected:
                value, weights, size, unclipped = expected[epoch, z]
                assert_near(loss.detach(), value)
                assert_near(torch.cat([a, b]).detach(), weights)
                assert_near(optimizer.step_size, size)
                assert_near(optimizer.step_size_unclipped, unclipped)
        optimizer.end_epoch()
        values, best, deltas = epochs[epoch]
        assert_near(optimizer.optimal_values, values)
        assert_near(optimizer.best_losses, best, 1e-9)
        assert_near(optimizer.state[next(iter(optimizer.state))]["deltas"], deltas)


def test_alig_plus_revision_of_the_optimal_values():
    weight = torch.zeros(1, dtype=torch.float64)
    optimizer = AligPlus([weight], 0.1, 4, 1)
    assert_near(optimizer.optimal_values, [0.0] * 4)
    tables = {
        "optimal_values": [0.0, 1.0, 1.0, 0.4],
        "deltas": [0.0, 0.5, 0.25, 0.9],
        "losses": [2.0, 1.0, 3.0, 0.4],
    }
    for name, values in tables.items():
        optimizer.state[weight][name] = torch.tensor(values, dtype=torch.float64)
    optimizer.end_epoch()
    assert_near(optimizer.optimal_values, [1.0, 0.75, 2.0, 0.0])
    assert_near(optimizer.state[weight]["deltas"], [1.0, 0.5, 1.0, 0.9])


def test_alig_plus_keeps_the_best_epoch_unless_told_to_alias():
    kept = {}
    for alias in (False, True):
        optimizer = AligPlus([torch.zeros(1)], 0.1, 2, 100, alias_losses=alias)
        for losses in ([3.0, 5.0], [1.0, 2.0], [9.0, 9.0]):
            optimizer.step(losses=torch.tensor(losses), indices=torch.arange(2))
            optimizer.end_epoch()
        kept[alias] = optimizer.best_losses.tolist()
    assert kept == {False: [1.0, 2.0], True: [9.0, 9.0]}


# --- Single facts ----------------------------------------------------------------------------


def test_bpgrad_without_momentum(problem_q):
    """By hand: s = 3 / (sqrt(17.25) + 1e-5), w = w - 0.1 s g; the authors' code does nothing."""
    problem = problem_q()
    BPGrad(problem.parameters, 0.1).step(loss=problem.backward())
    s = 3 / (math.sqrt(17.25) + 1e-5)
    assert_near(s, 0.722313379388368)
    assert_near(problem.weights, [1 - 0.1 * s, -1 + 0.4 * s, 2 - 0.05 * s])
    problem = problem_q()
    BPGrad(problem.parameters, 0.1, official=True).step(loss=problem.backward())
    assert_near(problem.weights, [1.0, -1.0, 2.0])


def test_l4_first_step_by_hand():
    (vector,) = [v for v in VECTORS if v["name"] == "L4Mom, Q, fraction = 0.15"]
    assert_near(vector["step"][0], 0.15 * (3 - 0.9 * 0.75 * 3) / 17.25)


def test_bundle_of_one_plane_is_alig(problem_q):
    """BORAT (Paren et al., JMLR 2022) with one linear model; it adds 1e-8 to its matrix."""
    problem = problem_q()
    optimizer = AliG(problem.parameters, max_lr=0.2, eps=0.0)
    for weights in (
        [0.82608695695022, -0.304347827800882, 1.91304347847511],
        [0.660869565560176, -0.0608695655601764, 1.81739130455135],
        [0.528695652448141, -0.0121739131120353, 1.72652173932379],
    ):
        optimizer.step(loss=problem.backward())
        assert_near(problem.weights, weights, 1e-8)
