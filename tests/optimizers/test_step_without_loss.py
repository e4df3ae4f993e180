"""A step without a loss, as tools and habits bring it about, for every optimizer."""

from __future__ import annotations

import copy

import pytest
import torch
from optimizer_cases import (
    BY_LOSS,
    BY_VALUE,
    OWN,
    WITH_RATE,
    Convex,
    named,
)
from torch import nn
from torch.distributed.checkpoint import state_dict as dcp

from alig_deepobs import LossMeter, attach_loss

pytestmark = pytest.mark.filterwarnings("ignore::alig_deepobs.HealthWarning")


@named(OWN)
@pytest.mark.parametrize("given", ["nothing", "a closure that returns nothing"])
def test_without_gradient_and_loss_there_is_no_step(case, given):
    """Lightning's training_step may return None, to skip a batch."""
    problem, plain = Convex(), Convex()
    optimizer = case.build(problem.parameters)
    assert optimizer.step(*([] if given == "nothing" else [lambda: None])) is None
    assert torch.equal(problem.weights, plain.weights)
    trained = problem.steps(optimizer, case, 5)
    assert torch.equal(trained, plain.steps(case.build(plain.parameters), case, 5))


@named(WITH_RATE)
def test_with_rates_of_0_a_step_needs_no_loss(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    problem.loss().backward()
    optimizer.param_groups[0]["lr"] = 0.0
    before = problem.weights
    optimizer.step(closure=None)
    assert torch.equal(problem.weights, before)


@named(BY_LOSS)
def test_a_missing_loss_stays_an_error(case):
    problem = Convex()
    optimizer = case.build([{"params": [problem.a]}, {"params": [problem.b]}])
    problem.loss().backward()
    if "lr" in optimizer.param_groups[0]:
        optimizer.param_groups[0]["lr"] = 0.0  # the other group would move
    before = problem.weights
    with pytest.raises(TypeError, match=case.entry.load().__name__):
        optimizer.step()
    assert torch.equal(problem.weights, before)


class Model(nn.Module):
    def __init__(self, problem: Convex) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(problem.a), nn.Parameter(problem.b)
        problem.a, problem.b = self.a, self.b


@named(OWN)
@pytest.mark.parametrize("flat", [False, True], ids=["nested", "flat"])
def test_distributed_checkpoints(case, flat):
    """Asking for the state before the first step changes nothing; loading it goes on bit by bit."""
    options = dcp.StateDictOptions(flatten_optimizer_state_dict=flat)
    problem, resumed, plain = Convex(), Convex(), Convex()
    model, second = Model(problem), Model(resumed)
    optimizer = case.build(model.parameters())
    dcp.get_optimizer_state_dict(model, optimizer, options=options)
    trained = problem.steps(optimizer, case, 3)
    assert torch.equal(trained, plain.steps(case.build(plain.parameters), case, 3))

    optimizer.zero_grad()
    rates = [group.get("lr") for group in optimizer.param_groups]
    state = dcp.get_optimizer_state_dict(model, optimizer, options=options)
    assert [group.get("lr") for group in optimizer.param_groups] == rates
    second.load_state_dict(copy.deepcopy(model.state_dict()))
    other = case.build(second.parameters())
    dcp.set_optimizer_state_dict(second, other, copy.deepcopy(state), options=options)
    assert torch.equal(resumed.steps(other, case, 3), problem.steps(optimizer, case, 3))


@named(BY_VALUE)
def test_distributed_checkpoints_with_an_attached_meter(case):
    problem, plain = Convex(), Convex()
    model = Model(problem)
    optimizer = case.build(model.parameters())
    handle = attach_loss(optimizer, LossMeter())
    dcp.get_optimizer_state_dict(model, optimizer)
    handle.remove()
    trained = problem.steps(optimizer, case, 3)
    assert torch.equal(trained, plain.steps(case.build(plain.parameters), case, 3))


@named(BY_VALUE)
def test_an_empty_meter_leaves_the_question_to_the_optimizer(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    attach_loss(optimizer, LossMeter())
    assert optimizer.step() is None  # without gradient there is nothing to do
    problem.loss().backward()
    with pytest.raises(TypeError, match=r"attach_loss\(optimizer, meter\)"):
        optimizer.step()


@named(OWN)
def test_cleared_gradients_and_no_loss_are_no_step(case):
    """``zero_grad(set_to_none=False)`` leaves gradients of 0."""
    problem = Convex()
    optimizer = case.build(problem.parameters)
    problem.loss().backward()
    optimizer.zero_grad(set_to_none=False)
    before = problem.weights
    optimizer.step()
    assert torch.equal(problem.weights, before)
