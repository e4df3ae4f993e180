"""Steps that happen differently than an optimizer assumes, for every optimizer."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
import torch.distributed as dist
from optimizer_cases import (
    BY_LOSS,
    OWN,
    WITH_RATE,
    Convex,
    arguments,
    named,
)
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.optim import lr_scheduler

from alig_deepobs import AliG, LossMeter, attach_loss, reduce_loss

pytestmark = pytest.mark.filterwarnings("ignore::alig_deepobs.HealthWarning")


def test_an_unused_last_parameter_does_not_hide_a_skipped_step():
    used, unused = (nn.Parameter(torch.tensor([2.0])) for _ in range(2))
    optimizer, meter = AliG([used, unused]), LossMeter()
    attach_loss(optimizer, meter)
    for factor in (1000.0, 1.0):  # the first step is skipped, as by a GradScaler
        optimizer.zero_grad()
        loss = factor * used.square().sum()
        loss.backward()
        meter.add(loss)
    assert meter.mean() == 4.0


def test_a_loss_that_is_divided_in_place_was_added_whole():
    meter = LossMeter()
    loss = torch.tensor([8.0], requires_grad=True).sum()
    meter.add(loss)
    loss /= 4
    assert meter.mean() == 8.0


def test_the_meter_takes_what_step_takes():
    meter = LossMeter()
    for loss in (np.float16(60000.0), np.array([60000.0], np.float16), torch.tensor([6e4])):
        meter.add(loss)
    mean = meter.mean()
    assert isinstance(mean, Tensor)
    assert (mean.shape, mean.item()) == ((), 60000.0)
    with pytest.raises(ValueError, match="one number, not a tensor of shape"):
        meter.add(torch.ones(2))


def test_a_number_cannot_be_reduced():
    with pytest.raises(TypeError, match="reduce_loss needs the loss as a tensor, not as float"):
        reduce_loss(1.0)


def test_clip_norm_belongs_to_the_state(problem_q):
    """It counts where it is written in the group, or loaded."""
    problems = [problem_q() for _ in range(3)]
    clipped = AliG(problems[0].parameters, clip_norm=0.1)
    loaded, changed = (AliG(problem.parameters) for problem in problems[1:])
    loaded.load_state_dict(clipped.state_dict())
    changed.param_groups[0]["clip_norm"] = 0.1
    ends = []
    for problem, optimizer in zip(problems, (clipped, loaded, changed), strict=True):
        problem.backward()
        optimizer.step(loss=1.0)
        ends.append(torch.cat([p.detach().flatten() for p in problem.parameters]))
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])


@named(OWN)
def test_sharded_and_ordinary_parameters_together(case, tmp_path):
    problem, plain = Convex(), Convex()
    expected = plain.steps(case.build(plain.parameters), case, 3)
    dist.init_process_group("gloo", init_method=f"file:{tmp_path}/ranks", rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        whole = problem.a
        problem.a = distribute_tensor(whole.detach(), mesh, [Shard(0)]).requires_grad_()
        ordinary = problem.loss

        def loss() -> Tensor:
            shards = problem.a
            problem.a = shards.full_tensor()
            try:
                return ordinary()
            finally:
                problem.a = shards

        problem.loss = loss
        optimizer = case.build(problem.parameters)
        for _ in range(3):
            problem.step(optimizer, case)
        found = torch.cat([problem.a.full_tensor(), problem.b, problem.idle]).detach()
    finally:
        dist.destroy_process_group()
    torch.testing.assert_close(found, expected)


@named(BY_LOSS)
def test_clipped_gradients_are_noticed_once(case, recwarn):
    weights = [torch.ones(3, requires_grad=True), torch.ones(2, requires_grad=True)]
    optimizer = case.build(weights)
    generator = torch.Generator().manual_seed(0)
    warnings.simplefilter("always")
    for _ in range(60):
        for p in weights:
            p.grad = torch.randn(p.shape, generator=generator)
        nn.utils.clip_grad_norm_(weights, 0.5)
        optimizer.step(**arguments(case, torch.tensor(0.1)))
    said = [str(w.message) for w in recwarn if "clipped before the step" in str(w.message)]
    assert len(said) == 1
    assert said[0].startswith(case.entry.load().__name__)
    assert optimizer.health().same_norm >= 20


@named(BY_LOSS)
def test_whole_gradients_are_not_taken_for_clipped_ones(case, recwarn):
    warnings.simplefilter("always")
    task = Convex()
    task.steps(case.build(task.parameters), case, 60)
    assert not [w for w in recwarn if "clipped before" in str(w.message)]


@pytest.mark.parametrize("momentum", [{}, {"momentum": 0.9}, {"momentum": 0.9, "adjusted": True}])
def test_clip_norm_takes_the_step_size_of_the_whole_gradient(make_fast, problem_q, momentum):
    """gamma from |g| = sqrt(17.25), the update from g of norm 1: by hand, and by a plain loop."""
    options = {("adjusted_momentum" if k == "adjusted" else k): v for k, v in momentum.items()}
    problem, mu = problem_q(), momentum.get("momentum", 0.0)
    optimizer = make_fast(problem.parameters, max_lr=0.5, clip_norm=1.0, **options)
    w, v = problem.weights, torch.zeros(3, dtype=torch.float64)
    for _ in range(5):
        loss = problem.backward()
        g = torch.cat([p.grad for p in problem.parameters])
        gamma = min(float(loss) / (float(g @ g) + 1e-5), 0.5)
        clipped = g * min(1.0, 1 / float(g.norm()))
        if "adjusted" in momentum:
            v = mu * v - clipped
            w = w + gamma * (mu * v - clipped)
        else:
            v = mu * v - gamma * clipped
            w = w - gamma * clipped + mu * v
        optimizer.step(loss=loss)
        assert optimizer.step_size == pytest.approx(gamma, rel=1e-12)
        torch.testing.assert_close(problem.weights, w, rtol=1e-12, atol=1e-13)
        w = problem.weights
    assert torch.equal(problem.a.grad, g[:2])  # gradients stay as they were


def test_clip_norm_on_the_device(problem_q):
    weights = []
    for capturable in (False, True):
        problem = problem_q()
        optimizer = AliG(problem.parameters, 0.5, 0.9, clip_norm=1.0, capturable=capturable)
        for _ in range(5):
            optimizer.step(loss=problem.backward())
        weights.append(problem.weights)
    torch.testing.assert_close(*weights, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("clip_norm", [0.0, -1.0, math.nan])
def test_clip_norm_is_checked(clip_norm):
    with pytest.raises(ValueError, match="clip_norm must be positive"):
        AliG([torch.ones(1)], clip_norm=clip_norm)


@named(WITH_RATE)
def test_a_negative_rate_is_refused(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    scheduler = lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 - 2 * step)
    problem.step(optimizer, case)
    scheduler.step()
    before = problem.weights
    with pytest.raises(ValueError, match=rf"{case.entry.load().__name__}: .* became -"):
        problem.step(optimizer, case)
    assert torch.equal(problem.weights, before)


@named(WITH_RATE)
def test_a_schedule_without_a_cap_is_said_once(case, recwarn):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    if case not in BY_LOSS or case.name == "bpgrad":
        return  # their rate cannot be infinite
    optimizer.param_groups[0]["lr"] = math.inf
    scheduler = lr_scheduler.StepLR(optimizer, 1)
    warnings.simplefilter("always")
    for _ in range(3):
        if case.name not in ("dfw", "alig_plus"):  # inf * 0 there
            problem.step(optimizer, case)
        else:
            optimizer._check_schedule(optimizer._watch())
        scheduler.step()
    assert len([w for w in recwarn if "a scheduler has nothing to change" in str(w.message)]) == 1


@named([c for c in BY_LOSS if {"momentum", "betas"} & set(c.build([torch.ones(1)]).defaults)])
def test_cycled_momentum_is_said_once(case, recwarn):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    if "lr" not in optimizer.param_groups[0]:
        return
    scheduler = lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=10)
    warnings.simplefilter("always")
    for _ in range(5):
        problem.step(optimizer, case)
        scheduler.step()
    said = [str(w.message) for w in recwarn if "cycle_momentum=False" in str(w.message)]
    assert len(said) == 1
