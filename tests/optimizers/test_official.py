"""Scripts and checkpoints of ALI-G's authors: what their experiment scripts do to the optimizer."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch.optim import lr_scheduler

from alig_deepobs import AliG, l2_projection


class TheirAliG(torch.optim.Optimizer):
    """The layout of the authors' optimizer: groups with ``max_lr``, velocities, closures only."""

    def __init__(self, params, max_lr=None, momentum=0.0, adjusted=False):
        self.adjusted = adjusted
        super().__init__(params, {"max_lr": max_lr, "momentum": momentum})
        for group in self.param_groups:
            for p in group["params"] if momentum else ():
                self.state[p]["momentum_buffer"] = torch.zeros_like(p)

    @torch.no_grad()
    def step(self, closure):
        loss = closure()
        grads = [p.grad for group in self.param_groups for p in group["params"]]
        unclipped = loss / (sum(float(g.square().sum()) for g in grads) + 1e-5)
        for group in self.param_groups:
            cap, mu = group["max_lr"], group["momentum"]
            gamma = unclipped if cap is None else min(unclipped, cap)
            for p in group["params"]:
                p.sub_(gamma * p.grad)
                if mu:
                    v = self.state[p]["momentum_buffer"]
                    v.mul_(mu).sub_(p.grad if self.adjusted else gamma * p.grad)
                    p.add_(v * (gamma * mu if self.adjusted else mu))


def train(make, task, epochs=4, decay_at=(2,), check=None):
    """The authors' experiment: caps in groups, a decay by hand, sizes kept for the log."""
    model, radius = task.net, 4.0
    optimizer = make(model.parameters())
    l2_projection(model.parameters(), radius)
    optimizer.step_size = optimizer.param_groups[0]["max_lr"]  # for the log's first line
    optimizer.step_size_unclipped = None
    log = []
    for epoch in range(epochs):
        for rows in task.minibatches(4):
            loss = torch.nn.functional.mse_loss(model(task.inputs[rows]), task.targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step(lambda loss=loss: float(loss))
            l2_projection(model.parameters(), radius)
        if epoch + 1 in decay_at:
            for group in optimizer.param_groups:
                group["max_lr"] *= 0.1
        log.append(optimizer.param_groups[0]["max_lr"])
    return task.weights, log, optimizer


@pytest.mark.filterwarnings("ignore:Converting a tensor")
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("max_lr", [0.05, 1.0])
def test_their_experiment_runs_unchanged(regression, momentum, max_lr):
    theirs = train(lambda p: TheirAliG(p, max_lr, momentum), regression(torch.float64))
    ours = train(lambda p: AliG(p, max_lr, momentum), regression(torch.float64))
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-10, atol=1e-12)
    assert ours[1] == theirs[1]
    assert ours[1][-1] == pytest.approx(0.1 * max_lr)


def test_sizes_may_be_set_and_mean_nothing(problem_q):
    problem = problem_q()
    optimizer = AliG(problem.parameters, max_lr=0.1)
    optimizer.step_size = 0.25
    optimizer.step_size_unclipped = 0.5
    assert (optimizer.step_size, optimizer.step_size_unclipped) == (0.25, 0.5)
    optimizer.step(loss=problem.backward())
    assert optimizer.step_size == 0.1
    assert optimizer.step_size_unclipped == pytest.approx(3 / 17.25001)


@pytest.mark.parametrize("adjusted", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("max_lr", [None, 0.1])
def test_their_checkpoint_goes_on(problem_q, max_lr, momentum, adjusted):
    problem, other = problem_q(), problem_q()
    theirs = TheirAliG(problem.parameters, max_lr, momentum, adjusted)
    for _ in range(3):
        loss = problem.backward()
        theirs.step(lambda loss=loss: float(loss))
    ours = AliG(other.parameters, 9.0, 0.1, adjusted_momentum=adjusted)
    ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
    assert ours.param_groups[0]["lr"] == (math.inf if max_lr is None else max_lr)
    assert ours.param_groups[0]["momentum"] == momentum
    with torch.no_grad():
        for p, q in zip(other.parameters, problem.parameters, strict=True):
            p.copy_(q)
    for _ in range(3):
        loss = problem.backward()
        theirs.step(lambda loss=loss: float(loss))
        ours.step(loss=other.backward())
    torch.testing.assert_close(other.weights, problem.weights, rtol=1e-10, atol=1e-12)


# --- One cap under two keys ----------------------------------------------------------------------


def size_after(optimizer, problem) -> float:
    problem.feed(0)
    optimizer.step(loss=1e6)
    return optimizer.step_size


def test_either_key_may_be_changed(problem_p):
    problem = problem_p()
    optimizer = AliG(problem.parameters, max_lr=0.2)
    group = optimizer.param_groups[0]
    assert group["max_lr"] == group["lr"] == 0.2
    group["max_lr"] = 0.05
    assert size_after(optimizer, problem) == group["lr"] == 0.05
    group["lr"] = 0.01
    assert size_after(optimizer, problem) == group["max_lr"] == 0.01
    group["max_lr"] = None
    assert size_after(optimizer, problem) == pytest.approx(1e6 / 17.25001)
    assert group["lr"] == math.inf


def test_a_changed_cap_is_part_of_the_state(problem_p):
    problem = problem_p()
    optimizer = AliG(problem.parameters, max_lr=0.2)
    optimizer.param_groups[0]["max_lr"] = 0.05
    again = AliG(problem.parameters)
    again.load_state_dict(optimizer.state_dict())
    assert size_after(again, problem) == 0.05


def test_a_state_with_two_caps_means_the_rate(problem_p):
    """As tools leave it that set ``lr`` to 0 for a moment."""
    problem = problem_p()
    state = AliG(problem.parameters, max_lr=0.2).state_dict()
    state["param_groups"][0]["max_lr"] = 0.0
    again = AliG(problem.parameters)
    again.load_state_dict(state)
    assert size_after(again, problem) == 0.2


def test_the_peak_of_one_cycle_is_no_cap(problem_p):
    problem = problem_p()
    optimizer = AliG(problem.parameters, max_lr=0.2)
    scheduler = lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10, cycle_momentum=False)
    sizes = []
    for _ in range(10):
        sizes.append(size_after(optimizer, problem))
        scheduler.step()
        if len(sizes) == 9:
            break
    assert sizes[0] == pytest.approx(1.0 / 25)
    assert max(sizes) == pytest.approx(1.0, rel=1e-2)
    assert optimizer.param_groups[0]["max_lr"] == 1.0
    again = AliG(optimizer.param_groups)
    assert again.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"] < 1.0


def test_two_different_caps_are_an_error(problem_p):
    problem = problem_p()
    with pytest.raises(ValueError, match="both max_lr and lr"):
        AliG([{"params": problem.parameters, "max_lr": 0.1, "lr": 0.2}])
    AliG([{"params": problem.parameters, "max_lr": 0.1, "lr": 0.1}])


def test_groups_added_and_copied_keep_their_caps(problem_p):
    problem = problem_p()
    optimizer = AliG([problem.a], max_lr=0.2)
    optimizer.param_groups[0]["max_lr"] = 0.1
    optimizer.add_param_group({"params": [problem.b], "max_lr": 0.3})
    problem, twin = copy.deepcopy((problem, optimizer))
    assert [group["lr"] for group in twin.param_groups] == [0.1, 0.3]
    twin.param_groups[1]["max_lr"] = 0.5
    assert size_after(twin, problem) == pytest.approx(0.3)  # the mean of 0.1 and 0.5
