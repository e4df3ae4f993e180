"""What every registered optimizer has to do, from one table."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from optimizer_cases import CASES, FACTS_OF_OPTIMIZERS, OWN, Convex, named, switch
from torch import Tensor
from torch.optim import lr_scheduler

from alig_deepobs import registry
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import NeedsLoss
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import execute
from alig_deepobs.runners.objective import build_optimizer
from alig_deepobs.runners.schedule import Schedule, ScheduledRates


@named(CASES)
def test_solves_a_convex_problem(case):
    problem = Convex()
    start = float(problem.loss().detach())
    optimizer = case.build(problem.parameters)
    problem.steps(optimizer, case, 600)
    switch(optimizer, "eval")
    assert float(problem.loss().detach()) < 1e-3 * start


@named(CASES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_precisions(case, dtype):
    problem = Convex(dtype)
    start = float(problem.loss().detach())
    weights = problem.steps(case.build(problem.parameters), case, 20)
    assert problem.a.dtype == dtype
    assert torch.isfinite(weights).all()
    assert float(problem.loss().detach()) < start
    if case.name == "prodigy":  # it multiplies 1e-6 up to its step size, and the rounding with it
        return
    reference = Convex(torch.float64)
    exact = reference.steps(case.build(reference.parameters), case, 20)
    error = {torch.float64: 1e-12, torch.float32: 2e-3, torch.bfloat16: 0.5}[dtype]
    torch.testing.assert_close(weights.double(), exact, rtol=0, atol=error)


@named(CASES)
def test_two_groups_with_equal_options_are_one(case):
    one, two = Convex(), Convex()
    whole = one.steps(case.build(one.parameters), case, 10)
    groups = [{"params": [two.a]}, {"params": [two.b]}]
    split = two.steps(case.build(groups), case, 10)
    torch.testing.assert_close(split, whole, rtol=1e-12, atol=1e-12)


@named(CASES)
def test_resumed_run_equals_the_uninterrupted_one_bit_for_bit(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    problem.steps(optimizer, case, 5)
    file = io.BytesIO()
    torch.save({"problem": [*problem.parameters], "state": optimizer.state_dict()}, file)
    whole = problem.steps(optimizer, case, 5)

    file.seek(0)
    saved = torch.load(file, weights_only=True)
    resumed = Convex()
    with torch.no_grad():
        for p, value in zip(resumed.parameters, saved["problem"], strict=True):
            p.copy_(value)
    second = case.build(resumed.parameters)
    second.load_state_dict(saved["state"])
    assert torch.equal(resumed.steps(second, case, 5), whole)


@named(CASES)
@pytest.mark.parametrize("by", ["deepcopy", "pickle"])
def test_a_copy_goes_its_own_way(case, by):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    problem.steps(optimizer, case, 3)
    both = (problem, optimizer)
    other, twin = copy.deepcopy(both) if by == "deepcopy" else pickle.loads(pickle.dumps(both))
    frozen = problem.weights
    copied = other.steps(twin, case, 3)
    assert torch.equal(problem.weights, frozen)
    assert torch.equal(problem.steps(optimizer, case, 3), copied)


@named(CASES)
def test_schedulers_change_the_rate(case):
    """Under a rate of 0 the first step leaves the weights where they are."""
    problem = Convex()
    optimizer = case.build(problem.parameters)
    if not all(group.get("lr", float("inf")) < float("inf") for group in optimizer.param_groups):
        with pytest.raises(UsageError, match="has no learning rate that a schedule could change"):
            ScheduledRates(optimizer, Schedule((1,), (0.1,)))
        return
    rate = optimizer.param_groups[0]["lr"]
    scheduler = lr_scheduler.LambdaLR(optimizer, lambda step: float(step > 0))
    before = problem.weights
    assert torch.equal(problem.steps(optimizer, case, 1), before)
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == rate
    assert not torch.equal(problem.steps(optimizer, case, 1), before)


@named(CASES)
def test_parameters_without_gradient_are_left_alone(case):
    problem, plain = Convex(), Convex()
    with_idle = problem.steps(case.build([problem.idle, *problem.parameters]), case, 10)
    assert float(problem.idle.detach()) == 7.0
    without = plain.steps(case.build(plain.parameters), case, 10)
    torch.testing.assert_close(with_idle, without, rtol=1e-12, atol=1e-12)


# torch 2.13's fused SGD breaks on momentum that starts late.
@named([case for case in CASES if case.name not in ("momentum", "nesterov")])
def test_a_gradient_that_comes_late(case):
    problem = Convex()
    optimizer = case.build([problem.idle, *problem.parameters])
    problem.steps(optimizer, case, 3)
    loss = problem.loss
    problem.loss = lambda: loss() + (problem.idle[0] - 6.5) ** 2 / 2
    weights = problem.steps(optimizer, case, 3)
    assert torch.isfinite(weights).all()
    assert float(problem.idle.detach()) < 7.0


@named(OWN)
def test_no_gradient_at_all(case):
    problem = Convex()
    before = problem.weights
    optimizer = case.build(problem.parameters)
    arguments: dict[NeedsLoss, dict[str, Any]] = {
        NeedsLoss.NOTHING: {},
        NeedsLoss.VALUE: {"loss": 3.0},
        NeedsLoss.PER_EXAMPLE: {"losses": torch.ones(1), "indices": torch.tensor([0])},
        NeedsLoss.CLOSURE: {"closure": lambda: 3.0},
    }
    optimizer.step(**arguments[case.entry.needs_loss])
    assert torch.equal(problem.weights, before)


@named([case for case in OWN if case.entry.needs_loss is NeedsLoss.VALUE])
def test_gradient_of_zero(case):
    """0 / 0 is a step of 0, not nan."""
    problem = Convex()
    before = problem.weights
    optimizer = case.build(problem.parameters)
    for loss in (0.0, 0.0, 3.0):
        for p in problem.parameters:
            p.grad = torch.zeros_like(p)
        optimizer.step(loss=loss)
        assert torch.equal(problem.weights, before)


@named(OWN)
def test_foreach_equals_loop(case, regression):
    ends = []
    for foreach in (True, False):
        task = regression(torch.float64)
        optimizer = case.build(task.parameters, foreach=foreach)
        assert optimizer.param_groups[0]["foreach"] is foreach
        for rows in task.minibatches(12):
            if case.entry.needs_loss is NeedsLoss.CLOSURE:
                optimizer.step(lambda rows=rows, task=task: task.backward(rows))
                continue
            loss = task.backward(rows)
            arguments = {
                NeedsLoss.NOTHING: {},
                NeedsLoss.VALUE: {"loss": loss},
                NeedsLoss.PER_EXAMPLE: {"losses": loss[None], "indices": torch.tensor([1])},
            }
            optimizer.step(**arguments[case.entry.needs_loss])
        ends.append(task.weights)
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-12, atol=1e-13)


@named(OWN)
def test_sparse_gradients_are_refused(case):
    weight = torch.ones(3, 2, requires_grad=True)
    torch.nn.functional.embedding(torch.tensor([1]), weight, sparse=True).sum().backward()
    optimizer = case.build([weight])
    one, arguments = torch.ones(1), {}
    if case.entry.needs_loss is NeedsLoss.PER_EXAMPLE:
        arguments = {"losses": one, "indices": torch.tensor([0])}
    elif case.entry.needs_loss is not NeedsLoss.NOTHING:
        arguments = {"closure": lambda: one}
    with pytest.raises(RuntimeError, match="does not support sparse gradients"):
        optimizer.step(**arguments)


@named([case for case in OWN if case.entry.needs_loss is not NeedsLoss.NOTHING])
def test_a_step_without_a_loss_says_what_to_write(case):
    problem = Convex()
    problem.loss().backward()
    optimizer = case.build(problem.parameters)
    with pytest.raises(TypeError, match=r"optimizer\.step\("):
        optimizer.step()
    if case.entry.needs_loss is NeedsLoss.VALUE:
        with pytest.raises(ValueError, match="must be one number"):
            optimizer.step(loss=torch.ones(3))


@named([case for case in OWN if case.entry.needs_loss is NeedsLoss.VALUE])
def test_closure_and_loss_are_the_same(case):
    problem, other = Convex(), Convex()
    by_loss = problem.steps(case.build(problem.parameters), case, 3)
    optimizer = case.build(other.parameters)

    def closure():
        optimizer.zero_grad()
        loss = other.loss()
        loss.backward()
        return loss

    for _ in range(3):
        assert isinstance(optimizer.step(closure), Tensor)
    assert torch.equal(other.weights, by_loss)


REFUSED = {
    name: {key: tuple(v) if isinstance(v, list) else v for key, v in bad.items()}
    for name, bad in FACTS_OF_OPTIMIZERS["refused"].items()
}


def test_every_own_method_checks_its_arguments():
    assert set(REFUSED) == {case.name for case in OWN}


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [(name, key, value) for name, bad in REFUSED.items() for key, value in bad.items()],
)
def test_bad_arguments_are_named(name, argument, value):
    entry = registry.find_optimizer(name)
    params, parameter = entry.complete({argument: value}), torch.nn.Parameter(torch.ones(2))
    with pytest.raises(UsageError, match=rf"^{name}: .*\b{argument}\b"):
        build_optimizer(entry.load(), entry, [parameter], params)


@named(CASES)
def test_trains_through_the_runner(case):
    """With the defaults of its entry, for one epoch."""
    result = execute(RunSpec("digits_logreg", case.name, num_epochs=1, device="cpu"))
    assert result.outcome is Outcome.DONE
    assert result.train_data_losses[1] < result.train_data_losses[0]
    assert result.optimizer_name == case.entry.label
    computes_its_step = case.entry.needs_loss is not NeedsLoss.NOTHING
    assert bool(result.step_sizes) == computes_its_step


def test_labels_are_folders_of_their_own():
    labels = [entry.label for entry in registry.optimizers().values()]
    assert len(set(labels)) == len(labels)
