"""AliG among torch's tools: checkpoints, copies, schedulers, parameter groups and hooks."""

from __future__ import annotations

import copy
import io
import math
import pickle

import pytest
import torch
from torch.optim import lr_scheduler

from alig_deepobs import AliG, L2Ball

MOMENTA = {
    "plain": {},
    "standard": {"momentum": 0.9},
    "adjusted": {"momentum": 0.9, "adjusted_momentum": True},
}


def saved(state: dict) -> dict:
    """Through a file, read back without executing pickled code."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


# --- Checkpoints and copies ----------------------------------------------------------------


@pytest.mark.parametrize("momentum", MOMENTA)
@pytest.mark.parametrize("max_lr", [None, 0.3])
def test_resumed_run_equals_the_uninterrupted_one(make_fast, regression, momentum, max_lr):
    options = {"max_lr": max_lr, **MOMENTA[momentum]}
    task = regression()
    rows = task.minibatches(20)
    optimizer = make_fast(task.parameters, **options)
    for batch in rows[:10]:
        optimizer.step(loss=task.backward(batch))
    weights, state = copy.deepcopy(task.net.state_dict()), saved(optimizer.state_dict())
    for batch in rows[10:]:
        optimizer.step(loss=task.backward(batch))

    resumed = regression(seed=99)  # other weights, which the checkpoint replaces
    resumed.inputs, resumed.targets = task.inputs, task.targets
    second = make_fast(resumed.parameters, max_lr=123.0, **MOMENTA[momentum])
    resumed.net.load_state_dict(weights)
    second.load_state_dict(state)
    assert second.param_groups[0]["lr"] == (math.inf if max_lr is None else max_lr)
    for batch in rows[10:]:
        second.step(loss=resumed.backward(batch))
    assert torch.equal(resumed.weights, task.weights)


def test_buffers_are_torch_momentum_buffers_in_a_unit_that_the_group_names(make_fast, problem_p):
    """A checkpoint of torch's SGD has the same names, so tools that read one read the other."""
    problem = problem_p()
    optimizer = make_fast(problem.parameters, max_lr=0.2, momentum=0.9)
    optimizer.step(loss=problem.feed(0))
    saved_state = optimizer.state_dict()
    state = saved_state["state"]
    gamma = 3 / 17.25001 / saved_state["param_groups"][0]["velocity_scale"]
    torch.testing.assert_close(
        state[0]["momentum_buffer"], gamma * torch.tensor([1.0, -4.0], dtype=torch.float64)
    )
    torch.testing.assert_close(
        state[1]["momentum_buffer"], gamma * torch.tensor([0.5], dtype=torch.float64)
    )


@pytest.mark.parametrize("momentum", MOMENTA)
@pytest.mark.parametrize("by", ["deepcopy", "pickle"])
def test_copy_of_model_and_optimizer_goes_its_own_way(make_fast, regression, momentum, by):
    task = regression()
    options = {"max_lr": 0.3, "projection_fn": L2Ball(task.parameters, 1.5)}
    optimizer = make_fast(task.parameters, **options, **MOMENTA[momentum])
    for batch in task.minibatches(3):
        optimizer.step(loss=task.backward(batch))
    other, twin = (
        copy.deepcopy((task, optimizer))
        if by == "deepcopy"
        else pickle.loads(pickle.dumps((task, optimizer)))
    )
    frozen = task.weights
    for batch in task.minibatches(5):
        twin.step(loss=other.backward(batch))
        assert float(other.weights.norm()) <= 1.5 * (1 + 1e-5)  # its own ball
    assert torch.equal(task.weights, frozen)
    for batch in task.minibatches(5):
        optimizer.step(loss=task.backward(batch))
    assert torch.equal(task.weights, other.weights)
    assert twin.guarded_steps == optimizer.guarded_steps


def test_copy_works_before_the_first_step(make_fast, problem_p):
    problem = problem_p()
    other, twin = copy.deepcopy((problem, make_fast(problem.parameters, momentum=0.9)))
    twin.step(loss=other.feed(0))
    assert not torch.equal(other.weights, problem.weights)


def test_guards_are_still_counted_after_loading(make_fast, problem_p):
    problem = problem_p()
    optimizer = make_fast(problem.parameters, max_lr=0.2, momentum=0.9)
    optimizer.step(loss=problem.feed(0))
    second = make_fast(problem.parameters, max_lr=0.2, momentum=0.9)
    second.load_state_dict(saved(optimizer.state_dict()))
    before = second.guarded_steps["non_finite"]
    second.step(loss=math.nan)
    assert second.guarded_steps["non_finite"] == before + 1


def test_repr_shows_the_cap(make_fast, problem_p):
    assert "lr: 0.25" in repr(make_fast(problem_p().parameters, max_lr=0.25))


# --- Schedulers ----------------------------------------------------------------------------


def run_schedule(make_fast, problem, scheduler_of, max_lr, steps):
    """Constant gradients and a huge loss, so that the cap alone decides."""
    optimizer = make_fast(problem.parameters, max_lr=max_lr)
    scheduler = scheduler_of(optimizer)
    sizes = []
    for _ in range(steps):
        problem.feed(0)
        optimizer.step(loss=1e6)
        sizes.append(optimizer.step_size)
        scheduler.step()
    return sizes, optimizer


def test_step_lr_lowers_the_cap(make_fast, problem_p):
    sizes, optimizer = run_schedule(
        make_fast, problem_p(), lambda o: lr_scheduler.StepLR(o, step_size=2, gamma=0.1), 0.2, 6
    )
    assert sizes == pytest.approx([0.2, 0.2, 0.02, 0.02, 0.002, 0.002], rel=1e-9)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0002)


def test_cosine_annealing_lowers_the_cap(make_fast, problem_p):
    sizes, _ = run_schedule(
        make_fast, problem_p(), lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=10), 0.2, 10
    )
    expected = [0.1 * (1 + math.cos(math.pi * t / 10)) for t in range(10)]
    assert sizes == pytest.approx(expected, rel=1e-9)


def test_cap_lowered_to_zero_stops(make_fast, problem_p):
    """What a cosine schedule ends with."""
    problem = problem_p()
    optimizer = make_fast(problem.parameters, max_lr=0.2)
    optimizer.param_groups[0]["lr"] = 0.0
    before = problem.weights
    optimizer.step(loss=problem.feed(0))
    assert torch.equal(problem.weights, before)
    assert optimizer.step_size == 0.0
    assert sum(optimizer.guarded_steps.values()) == 0


def test_no_cap_stays_no_cap_under_step_lr(make_fast, problem_p):
    sizes, optimizer = run_schedule(
        make_fast, problem_p(), lambda o: lr_scheduler.StepLR(o, step_size=1, gamma=0.1), None, 4
    )
    assert sizes == pytest.approx([1e6 / 17.25001] * 4, rel=1e-9)
    assert optimizer.param_groups[0]["lr"] == math.inf


def test_lambda_lr_scales_each_group(make_fast, problem_p):
    problem = problem_p()
    optimizer = make_fast(
        [{"params": [problem.a], "max_lr": 0.1}, {"params": [problem.b], "lr": 0.4}]
    )
    scheduler = lr_scheduler.LambdaLR(optimizer, [lambda t: 1.0, lambda t: 0.5**t])
    problem.feed(0)
    for t in range(3):
        optimizer.step(loss=1e6)
        assert optimizer.step_size == pytest.approx((0.1 + 0.4 * 0.5**t) / 2, rel=1e-9)
        scheduler.step()


# --- Parameter groups ------------------------------------------------------------------------


@pytest.mark.parametrize("momentum", MOMENTA)
def test_group_added_later_takes_part(make_fast, problem_p, momentum):
    """Also with momentum: the buffers of a late group come with it."""
    problem = problem_p()
    optimizer = make_fast([problem.a], max_lr=0.2, **MOMENTA[momentum])
    optimizer.add_param_group({"params": [problem.b], "max_lr": 0.05})
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.05]
    before = problem.weights
    optimizer.step(loss=problem.feed(0))
    gamma = 3 / 17.25001
    assert optimizer.step_size_unclipped == pytest.approx(gamma, rel=1e-12)
    assert optimizer.step_size == pytest.approx((gamma + 0.05) / 2, rel=1e-12)
    long = 1.0 if momentum == "plain" else 1.9
    expected = before - long * torch.tensor([gamma, gamma, 0.05]) * torch.tensor([1, -4, 0.5])
    torch.testing.assert_close(problem.weights, expected.double(), rtol=1e-6, atol=0)


def test_group_added_later_inherits_the_defaults(make_fast, problem_p):
    problem = problem_p()
    optimizer = make_fast([problem.a], max_lr=0.2, momentum=0.5)
    optimizer.add_param_group({"params": [problem.b]})
    assert optimizer.param_groups[1]["lr"] == 0.2
    assert optimizer.param_groups[1]["momentum"] == 0.5


def test_group_may_lift_the_cap(make_fast, problem_p):
    problem = problem_p()
    optimizer = make_fast([problem.a], max_lr=1e-3)
    optimizer.add_param_group({"params": [problem.b], "max_lr": None})
    assert optimizer.param_groups[1]["lr"] == math.inf


def test_momentum_may_differ_between_groups(make_fast, problem_p):
    """A group without momentum keeps no buffers that could disturb the other one."""
    problem = problem_p()
    groups = [{"params": [problem.a], "momentum": 0.9}, {"params": [problem.b], "momentum": 0.0}]
    optimizer = make_fast(groups, max_lr=0.2)
    gamma = 3 / 17.25001
    optimizer.step(loss=problem.feed(0))
    assert float(problem.b.detach()) == pytest.approx(2 - gamma * 0.5, rel=1e-12)
    assert float(problem.a.detach()[0]) == pytest.approx(1 - 1.9 * gamma, rel=1e-12)


@pytest.mark.parametrize("momentum", MOMENTA)
def test_parameter_without_gradient_keeps_its_weights_and_velocity(
    make_fast, problem_p, velocity, momentum
):
    problem = problem_p()
    optimizer = make_fast(problem.parameters, max_lr=0.2, **MOMENTA[momentum])
    optimizer.step(loss=problem.feed(0))
    b = problem.b.detach().clone()
    old = velocity(optimizer, problem.b).clone() if momentum != "plain" else None
    problem.set_gradients([1.0, -4.0], None)
    optimizer.step(loss=3.0)
    assert optimizer.step_size_unclipped == pytest.approx(3 / 17.00001, rel=1e-12)
    assert torch.equal(problem.b.detach(), b)
    if old is not None:
        assert torch.equal(velocity(optimizer, problem.b), old)


def test_frozen_parameter_stays(make_fast, regression):
    task = regression(torch.float64)
    task.net[0].weight.requires_grad_(False)
    frozen = task.net[0].weight.clone()
    optimizer = make_fast(task.parameters, max_lr=0.3, momentum=0.9)
    first = float(task.backward())
    for _ in range(20):
        optimizer.step(loss=task.backward())
    assert torch.equal(task.net[0].weight, frozen)
    assert float(task.backward()) < first


# --- Hooks -----------------------------------------------------------------------------------


def test_step_hooks_run_around_the_step(make_fast, problem_p):
    problem, order = problem_p(), []
    optimizer = make_fast(problem.parameters, max_lr=0.2)
    start = problem.weights
    optimizer.register_step_pre_hook(
        lambda o, args, kwargs: order.append(("pre", torch.equal(problem.weights, start)))
    )
    optimizer.register_step_post_hook(
        lambda o, args, kwargs: order.append(("post", torch.equal(problem.weights, start)))
    )
    optimizer.step(loss=problem.feed(0))
    assert order == [("pre", True), ("post", False)]


def test_pre_hook_may_replace_the_loss(make_fast, problem_p):
    problem = problem_p()
    optimizer = make_fast(problem.parameters)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: (args, {"loss": 1.5}))
    problem.feed(0)
    optimizer.step()
    assert optimizer.step_size == pytest.approx(1.5 / 17.25001, rel=1e-12)


def test_zero_grad_clears(make_fast, problem_p):
    problem = problem_p()
    problem.feed(0)
    make_fast(problem.parameters).zero_grad()
    assert problem.a.grad is None


def test_is_a_torch_optimizer(problem_p):
    assert isinstance(AliG(problem_p().parameters), torch.optim.Optimizer)
