"""How AliG takes its arguments, its loss and its closure, and when it refuses to step."""

from __future__ import annotations

import math
import warnings

import pytest
import torch

from alig_deepobs import AliG, l2_projection
from alig_deepobs.optimizers.alig_reference import ReferenceAliG

NAN, INF = math.nan, math.inf
MOMENTA = {
    "plain": {},
    "standard": {"momentum": 0.9},
    "adjusted": {"momentum": 0.9, "adjusted_momentum": True},
}


@pytest.fixture
def problem(problem_p):
    problem = problem_p()
    problem.feed(0)
    return problem


# --- Arguments -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_lr", 0.0),
        ("max_lr", -1.0),
        ("max_lr", NAN),
        ("lr", 0.0),
        ("lr", -0.5),
        ("momentum", -0.1),
        ("momentum", 1.0),
        ("momentum", 1.5),
        ("momentum", NAN),
        ("eps", -1e-5),
        ("eps", NAN),
    ],
)
def test_bad_argument_is_named(name, value, make_fast, problem):
    with pytest.raises(ValueError, match=name):
        make_fast(problem.parameters, **{name: value})


@pytest.mark.parametrize(("name", "value"), [("max_lr", -1.0), ("lr", 0.0), ("momentum", 1.0)])
def test_bad_group_option_is_named(name, value, make_fast, problem):
    with pytest.raises(ValueError, match=name):
        make_fast([{"params": problem.parameters, name: value}])


def test_cap_may_be_given_only_once(make_fast, problem):
    with pytest.raises(ValueError, match="max_lr"):
        make_fast(problem.parameters, max_lr=0.1, lr=0.1)


def test_misspelt_option_is_refused(make_fast, problem):
    with pytest.raises(TypeError):
        make_fast(problem.parameters, max_lrr=0.1)


def test_foreach_and_fused_exclude_each_other(problem):
    with pytest.raises(RuntimeError, match="fused"):
        AliG(problem.parameters, foreach=True, fused=True)


def test_empty_parameter_list_is_refused(make_fast):
    with pytest.raises(ValueError, match="empty"):
        make_fast([])


def test_positional_arguments_follow_the_authors_order(make, problem):
    calls = []
    optimizer = make(problem.parameters, 0.1, 0.9, lambda: calls.append(1), 1e-3, True)
    assert calls == [1]
    optimizer.step(loss=3.0)
    gamma = 0.1
    assert optimizer.step_size == pytest.approx(gamma)
    assert optimizer.step_size_unclipped == pytest.approx(3 / (17.25 + 1e-3), rel=1e-12)
    expected = torch.tensor([1 - 1.9 * gamma, -1 + 4 * 1.9 * gamma, 2 - 0.5 * 1.9 * gamma])
    torch.testing.assert_close(problem.weights, expected.double())


@pytest.mark.parametrize("options", [{"lr": 0.2}, {"max_lr": 0.2}])
def test_group_holds_the_cap_as_lr(options, make_fast, problem):
    optimizer = make_fast(problem.parameters, momentum=0.5, **options)
    assert optimizer.param_groups[0]["lr"] == 0.2
    assert optimizer.param_groups[0]["momentum"] == 0.5


@pytest.mark.parametrize("cap", [1, torch.tensor(1.0)], ids=["int", "tensor"])
@pytest.mark.parametrize("momentum", [0, 0.9])
def test_cap_may_be_any_kind_of_number(make_fast, problem, cap, momentum):
    optimizer = make_fast(problem.parameters, max_lr=cap, momentum=momentum)
    optimizer.step(loss=100)
    assert optimizer.step_size == 1.0
    assert float(problem.b.detach()) == pytest.approx(2 - 0.5 * (1 + momentum), rel=1e-12)


@pytest.mark.parametrize("options", [{}, {"max_lr": None}, {"lr": None}, {"max_lr": INF}])
def test_no_cap_is_an_infinite_lr(options, make_fast, problem):
    optimizer = make_fast(problem.parameters, **options)
    assert optimizer.param_groups[0]["lr"] == INF
    optimizer.step(loss=1e6)
    assert optimizer.step_size == pytest.approx(1e6 / 17.25001, rel=1e-12)


def test_step_asks_for_the_loss_value(make_fast, problem):
    assert AliG.needs_loss == "value"
    assert make_fast(problem.parameters).needs_loss == "value"


def test_named_parameters_are_accepted(make_fast, regression):
    task = regression()
    optimizer = make_fast(task.net.named_parameters(), max_lr=0.1)
    before = task.weights
    optimizer.step(loss=task.backward())
    assert not torch.equal(task.weights, before)


@pytest.mark.filterwarnings("ignore:Converting a tensor")
def test_authors_usage_runs_unchanged(make, regression):
    """A projection lambda over ``model.parameters()`` and a closure that returns a ready float."""
    task, radius = regression(torch.float64), 1.5
    model = task.net
    optimizer = make(
        model.parameters(),
        max_lr=0.1,
        momentum=0.9,
        projection_fn=lambda: l2_projection(model.parameters(), radius),
    )
    assert float(task.weights.norm()) == pytest.approx(radius, rel=1e-12)
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(task.inputs), task.targets)
        loss.backward()
        optimizer.step(lambda loss=loss: float(loss))
        losses.append(float(loss))
        assert float(task.weights.norm()) <= radius * (1 + 1e-6)
    assert losses[-1] < 0.9 * losses[0]


# --- Loss and closure ------------------------------------------------------------------------


def test_missing_loss_shows_both_correct_forms(make_fast, problem):
    optimizer, before = make_fast(problem.parameters, max_lr=0.2), problem.weights
    for arguments in ((), (lambda: None,)):
        with pytest.raises(TypeError) as caught:
            optimizer.step(*arguments)
        assert "optimizer.step(loss=loss)" in str(caught.value)
        assert "closure" in str(caught.value) or "lambda" in str(caught.value)
    assert torch.equal(problem.weights, before)


def test_closure_runs_once_with_gradients_enabled(make, problem):
    calls = []

    def closure():
        calls.append(torch.is_grad_enabled())
        return problem.backward()

    with torch.no_grad():
        value = make(problem.parameters, max_lr=0.2).step(closure)
    assert calls == [True]
    assert float(value) == 3.0


def test_closure_runs_before_the_gradients_are_read(make, problem):
    problem.set_gradients([100.0, 100.0], [100.0])
    optimizer = make(problem.parameters)
    optimizer.step(problem.backward)
    assert optimizer.step_size == pytest.approx(3 / 17.25001, rel=1e-12)


def test_loss_wins_over_the_closure_which_runs_all_the_same(make, problem):
    calls = []
    optimizer = make(problem.parameters)
    optimizer.step(lambda: calls.append(torch.is_grad_enabled()) or 100.0, loss=3.0)
    assert calls == [True]
    assert optimizer.step_size == pytest.approx(3 / 17.25001, rel=1e-12)


def test_loss_suffices_when_the_closure_returns_none(make, problem):
    """Lightning's manual optimization passes a closure that does nothing next to the loss."""
    optimizer = make(problem.parameters)
    optimizer.step(lambda: None, loss=3.0)
    assert optimizer.step_size == pytest.approx(3 / 17.25001, rel=1e-12)


def test_step_returns_the_value_in_the_form_received(make, problem):
    optimizer = make(problem.parameters, max_lr=0.2)
    loss = torch.tensor(3.0, dtype=torch.float64)
    assert optimizer.step(loss=loss) is loss
    assert optimizer.step(lambda: loss) is loss
    assert optimizer.step(loss=2.5) == 2.5
    assert optimizer.step(lambda: 2.5) == 2.5
    assert optimizer.step(lambda: 1.5, loss=2.5) == 1.5


@pytest.mark.parametrize(
    "loss",
    [3, 3.0, torch.tensor(3.0), torch.tensor([3.0]), torch.tensor(3.0, dtype=torch.float64)],
    ids=["int", "float", "0-d", "one element", "float64"],
)
def test_loss_may_be_any_single_number(loss, make, drive, problem):
    optimizer = make(problem.parameters, max_lr=0.2)
    drive(optimizer, lambda: loss)
    assert optimizer.step_size == pytest.approx(3 / 17.25001, rel=1e-12)


@pytest.mark.parametrize("loss", [torch.ones(2), torch.ones(3, 1), torch.ones(0)])
def test_unreduced_loss_is_refused_with_a_hint(loss, make_fast, drive, problem):
    optimizer, before = make_fast(problem.parameters), problem.weights
    with pytest.raises(ValueError, match=r"(?i)reduc"):
        drive(optimizer, lambda: loss)
    assert torch.equal(problem.weights, before)


def test_loss_with_a_graph_is_detached(make_fast, drive, problem_q, velocity):
    problem = problem_q()
    optimizer = make_fast(problem.parameters, max_lr=0.2, momentum=0.9)

    def backward():
        problem.backward()
        return problem.loss()  # still part of a graph

    drive(optimizer, backward)
    for parameter in problem.parameters:
        assert parameter.is_leaf
        assert parameter.requires_grad
        assert not velocity(optimizer, parameter).requires_grad
    assert isinstance(optimizer.step_size, float)
    assert isinstance(optimizer.step_size_unclipped, float)


def test_capturable_needs_a_tensor_loss(make_fast, problem_p):
    problem = problem_p(torch.float32)
    problem.feed(0)
    optimizer = make_fast(problem.parameters, capturable=True)
    before = problem.weights
    with pytest.raises((ValueError, RuntimeError), match=r"(?i)tensor|capturable"):
        optimizer.step(loss=3.0)
    assert torch.equal(problem.weights, before)
    optimizer.step(loss=torch.tensor(3.0))
    assert optimizer.step_size == pytest.approx(3 / 17.25001, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("given", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_capturable_takes_a_loss_of_any_precision(
    make_fast, problem_p, may_refuse, dtype, given, momentum
):
    """Under autocast, loss and parameters differ in type."""
    problem = problem_p(dtype)
    optimizer = make_fast(problem.parameters, capturable=True, momentum=momentum)
    problem.feed(0)
    with may_refuse(optimizer):
        optimizer.step(loss=torch.tensor(3.0, dtype=given))
    assert optimizer.step_size == pytest.approx(3 / 17.25001, rel=1e-5)
    gamma = (1 + momentum) * 3 / 17.25001
    expected = torch.tensor([1 - gamma, -1 + 4 * gamma, 2 - gamma / 2])
    torch.testing.assert_close(problem.weights.float(), expected, rtol=1e-2, atol=4e-3)


def test_sparse_gradient_is_refused(make_fast):
    table = torch.nn.Embedding(10, 3, sparse=True)
    loss = table(torch.tensor([1, 2])).pow(2).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match=r"(?i)sparse"):
        make_fast(table.parameters(), max_lr=0.1).step(loss=loss)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("adjusted", [False, True])
def test_gradients_are_only_read(make, regression, momentum, adjusted):
    """The kernel of torch that divides by a gradient scale writes its quotient back."""
    task = regression()
    options = {"max_lr": 0.05, "momentum": momentum, "adjusted_momentum": adjusted}
    optimizer = make(task.parameters, **options)
    for _ in range(3):
        loss = task.backward()
        holders = [p.grad for p in task.parameters]
        copies = [g.clone() for g in holders]
        optimizer.step(loss=loss)
        for parameter, holder, copy in zip(task.parameters, holders, copies, strict=True):
            assert parameter.grad is holder
            assert torch.equal(holder, copy)


@pytest.mark.parametrize("momentum", MOMENTA)
def test_gradients_after_a_capturable_step(make_fast, regression, momentum):
    """Only the fused kernels with standard momentum may write to them: gamma g, as documented."""
    task = regression()
    optimizer = make_fast(task.parameters, max_lr=0.05, capturable=True, **MOMENTA[momentum])
    for _ in range(3):
        loss = task.backward()
        copies = [p.grad.clone() for p in task.parameters]
        optimizer.step(loss=loss)
        group = optimizer.param_groups[0]
        written = group["fused"] and momentum == "standard"
        for parameter, copy in zip(task.parameters, copies, strict=True):
            if written:
                torch.testing.assert_close(parameter.grad, optimizer.step_size * copy)
            else:
                assert torch.equal(parameter.grad, copy)


def test_loss_tensor_is_only_read(make, problem):
    optimizer = make(problem.parameters, max_lr=0.1, momentum=0.9, f_min=0.5)
    loss = torch.tensor(3.0, dtype=torch.float64)
    optimizer.step(loss=loss)
    optimizer.step(loss=loss)
    assert loss.item() == 3.0


# --- Guards ----------------------------------------------------------------------------------

GUARDS = ("zero_norm", "below_f_min", "non_finite")


def test_counters_start_at_zero(make, problem):
    optimizer = make(problem.parameters, max_lr=0.2)
    assert dict(optimizer.guarded_steps) == dict.fromkeys(GUARDS, 0)
    optimizer.step(loss=3.0)
    assert dict(optimizer.guarded_steps) == dict.fromkeys(GUARDS, 0)
    assert all(type(count) is int for count in optimizer.guarded_steps.values())


@pytest.mark.parametrize("momentum", MOMENTA)
@pytest.mark.parametrize("max_lr", [None, 0.2])
@pytest.mark.parametrize(
    ("loss", "grad", "options", "guard"),
    [
        (3.0, 0.0, {"eps": 0.0}, "zero_norm"),
        (-3.0, 1.0, {}, "below_f_min"),
        (0.0, 1.0, {}, "below_f_min"),
        (1.0, 1.0, {"f_min": 1.0}, "below_f_min"),
        (0.5, 1.0, {"f_min": 1.0}, "below_f_min"),
        (NAN, 1.0, {}, "non_finite"),
        (INF, 1.0, {}, "non_finite"),
        (-INF, 1.0, {}, "non_finite"),
        (3.0, NAN, {}, "non_finite"),
        (3.0, INF, {}, "non_finite"),
    ],
)
def test_guard_sets_the_step_to_zero(
    make, problem_p, velocity, momentum, max_lr, loss, grad, options, guard
):
    options = {**options, **MOMENTA[momentum]}
    problem = problem_p()
    optimizer = make(problem.parameters, max_lr=max_lr, **options)
    problem.feed(0)
    optimizer.step(loss=3.0)
    before = problem.weights
    buffers = []
    if momentum != "plain":
        buffers = [velocity(optimizer, p).clone() for p in problem.parameters]

    # A single bad entry in one tensor has to stop the update of both.
    problem.set_gradients([0.0, grad], [0.0])
    optimizer.step(loss=loss)
    assert optimizer.step_size == 0.0
    assert optimizer.guarded_steps == {**dict.fromkeys(GUARDS, 0), guard: 1}

    mu = 0.9
    g = torch.tensor([0.0, grad, 0.0], dtype=torch.float64)
    if momentum == "plain":
        assert torch.equal(problem.weights, before)
        return
    old, new = torch.cat(buffers), torch.cat([velocity(optimizer, p) for p in problem.parameters])
    if guard == "non_finite":
        assert torch.equal(problem.weights, before)
        assert torch.equal(new, old)
    elif momentum == "standard":  # a normal step with gamma = 0 coasts
        torch.testing.assert_close(new, mu * old, rtol=1e-12, atol=0)
        torch.testing.assert_close(problem.weights, before + mu * new, rtol=1e-12, atol=0)
    else:
        torch.testing.assert_close(new, mu * old - g, rtol=1e-12, atol=0)
        assert torch.equal(problem.weights, before)


@pytest.mark.parametrize("momentum", MOMENTA)
@pytest.mark.parametrize("as_tensor", [False, True])
def test_run_goes_on_after_a_bad_batch_as_if_nothing_had_been(make, problem_p, momentum, as_tensor):
    clean, disturbed = problem_p(), problem_p()
    pairs = [(p, make(p.parameters, max_lr=0.2, **MOMENTA[momentum])) for p in (clean, disturbed)]

    def bad_batch() -> None:
        disturbed.set_gradients([NAN, 1.0], [INF])
        pairs[1][1].step(loss=torch.tensor(NAN) if as_tensor else NAN)

    bad_batch()  # also before there is any momentum
    for t in range(3):
        for problem, optimizer in pairs:
            optimizer.step(loss=problem.feed(t))
        bad_batch()
    assert torch.equal(clean.weights, disturbed.weights)
    assert pairs[1][1].guarded_steps["non_finite"] == 4


def test_counters_add_up(make, problem):
    optimizer = make(problem.parameters, max_lr=0.2)
    for loss in (3.0, -1.0, NAN, 0.0, 2.0, INF, -5.0):
        optimizer.step(loss=loss)
    assert optimizer.guarded_steps == {"zero_norm": 0, "below_f_min": 3, "non_finite": 2}


def test_zero_gradient_and_zero_loss_without_eps_is_no_nan(make, problem):
    """The authors' code computes 0 / 0 here; the paper's convention is 0."""
    problem.set_gradients([0.0, 0.0], [0.0])
    for max_lr in (None, 0.2):
        optimizer, before = make(problem.parameters, max_lr=max_lr, eps=0.0), problem.weights
        optimizer.step(loss=0.0)
        assert torch.equal(problem.weights, before)
        assert optimizer.step_size == 0.0
        assert sum(optimizer.guarded_steps.values()) >= 1


def test_zero_gradient_with_eps_is_a_normal_step(make, problem):
    problem.set_gradients([0.0, 0.0], [0.0])
    optimizer, before = make(problem.parameters), problem.weights
    optimizer.step(loss=3.0)
    assert optimizer.step_size_unclipped == pytest.approx(3e5, rel=1e-12)
    assert torch.equal(problem.weights, before)
    assert sum(optimizer.guarded_steps.values()) == 0


@pytest.mark.parametrize("eps", [1e-5, 0.0])
def test_without_any_gradient_nothing_moves(make, problem, eps):
    problem.set_gradients(None, None)
    for loss in (3.0, torch.tensor(3.0)):
        for momentum in MOMENTA.values():
            optimizer = make(problem.parameters, max_lr=0.2, eps=eps, **momentum)
            before = problem.weights
            assert optimizer.step(loss=loss) is loss
            assert torch.equal(problem.weights, before)


@pytest.mark.parametrize("f_min", [-10.0, 0.5, 1.0])
def test_f_min_is_subtracted_from_the_loss(make, drive, problem, f_min):
    optimizer = make(problem.parameters, f_min=f_min)
    drive(optimizer, lambda: 3.0)
    assert optimizer.step_size_unclipped == pytest.approx((3 - f_min) / 17.25001, rel=1e-12)
    assert optimizer.step_size == optimizer.step_size_unclipped


def test_negative_f_min_allows_negative_losses(make, problem):
    optimizer = make(problem.parameters, f_min=-10.0)
    optimizer.step(loss=-3.0)
    assert optimizer.step_size == pytest.approx(7 / 17.25001, rel=1e-12)
    assert sum(optimizer.guarded_steps.values()) == 0


def test_guards_raise_no_warnings(problem):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for build in (AliG, ReferenceAliG):
            optimizer = build(problem.parameters, eps=0.0)
            for loss in (NAN, INF, -1.0, 0.0):
                optimizer.step(loss=loss)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("foreach", [None, False, True])
def test_a_step_of_size_0_moves_nothing_even_if_the_velocity_overflows(dtype, foreach):
    """The adjusted form adds gradients up as they are, and 0 * inf is nan."""
    p = torch.ones(2, dtype=dtype, requires_grad=True)
    optimizer = AliG([p], max_lr=1.0, momentum=0.9, adjusted_momentum=True, foreach=foreach)
    for _ in range(4):
        p.grad = torch.full_like(p, 0.6 * torch.finfo(dtype).max)
        optimizer.step(loss=0.0)
    assert optimizer.state[p]["momentum_buffer"].isfinite().all()
    assert torch.equal(p.detach(), torch.ones(2, dtype=dtype))


@pytest.mark.parametrize("capturable", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("foreach", [None, False, True])
def test_a_tiny_step_stays_one_even_if_the_velocity_overflows(dtype, foreach, capturable):
    p = torch.ones(2, dtype=dtype, requires_grad=True)
    optimizer = AliG(
        [p], momentum=0.9, adjusted_momentum=True, foreach=foreach, capturable=capturable
    )
    for loss in (0.0, 1e-30, 1e-3, 1.0):
        p.grad = torch.full_like(p, 0.9 * torch.finfo(dtype).max)
        optimizer.step(loss=torch.tensor(loss))
    assert p.isfinite().all()
    assert (p <= 1.0).all()
    assert (p > -1.0).all()
