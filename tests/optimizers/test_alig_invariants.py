"""Equalities that tie ALI-G to SGD, to itself in another guise, and its code paths together."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alig_deepobs import AliG, L2Ball

MOMENTA = {
    "plain": {},
    "standard": {"momentum": 0.9},
    "adjusted": {"momentum": 0.9, "adjusted_momentum": True},
}
TIGHT = {"rtol": 1e-10, "atol": 1e-12}


def polyak(task: Any, loss: torch.Tensor, eta: float, eps: float = 1e-5) -> float:
    square = sum(float(p.grad.double().pow(2).sum()) for p in task.parameters)
    return min(float(loss) / (square + eps), eta)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_adjusted_form_is_nesterov_with_a_changing_lr(make, regression, velocity, momentum):
    """Without momentum: plain SGD. gamma is computed here, not taken from the optimizer."""
    ours, theirs, eta = regression(torch.float64), regression(torch.float64), 0.3
    alig = make(ours.parameters, max_lr=eta, momentum=momentum, adjusted_momentum=momentum > 0)
    sgd = torch.optim.SGD(theirs.parameters, lr=1.0, momentum=momentum, nesterov=momentum > 0)
    steps = []
    for rows in ours.minibatches(30):
        alig.step(loss=ours.backward(rows))
        gamma = polyak(theirs, theirs.backward(rows), eta)
        sgd.param_groups[0]["lr"] = gamma
        sgd.step()
        steps.append(gamma)
        torch.testing.assert_close(ours.weights, theirs.weights, **TIGHT)
        assert alig.step_size == pytest.approx(gamma, rel=1e-10)
        if momentum:
            for p, q in zip(ours.parameters, theirs.parameters, strict=True):
                theirs_v = -sgd.state[q]["momentum_buffer"]
                torch.testing.assert_close(velocity(alig, p), theirs_v, **TIGHT)
    assert min(steps) < eta
    assert max(steps) == eta


@pytest.mark.parametrize("adjusted", [False, True])
def test_always_capped_is_nesterov(make, regression, adjusted):
    """With a constant step, both momentum forms and torch's Nesterov are the same method."""
    ours, theirs, eta = regression(torch.float64), regression(torch.float64), 0.01
    alig = make(ours.parameters, max_lr=eta, momentum=0.9, adjusted_momentum=adjusted)
    sgd = torch.optim.SGD(theirs.parameters, lr=eta, momentum=0.9, nesterov=True)
    for rows in ours.minibatches(30):
        alig.step(loss=ours.backward(rows))
        assert alig.step_size == eta
        theirs.backward(rows)
        sgd.step()
        torch.testing.assert_close(ours.weights, theirs.weights, **TIGHT)


def test_momentum_forms_differ_once_the_step_varies(make, regression):
    """So that the test above cannot hold because one form is missing."""
    tasks = [regression(torch.float64), regression(torch.float64)]
    optimizers = [
        make(task.parameters, max_lr=0.3, momentum=0.9, adjusted_momentum=adjusted)
        for task, adjusted in zip(tasks, (False, True), strict=True)
    ]
    for rows in tasks[0].minibatches(10):
        for task, optimizer in zip(tasks, optimizers, strict=True):
            optimizer.step(loss=task.backward(rows))
    assert float((tasks[0].weights - tasks[1].weights).norm()) > 1e-3


@pytest.mark.parametrize("momentum", MOMENTA)
def test_splitting_parameters_into_groups_changes_nothing(make, regression, momentum):
    options = {"max_lr": 0.3, **MOMENTA[momentum]}
    tasks = [regression(torch.float64) for _ in range(3)]
    flat = torch.nn.Parameter(tasks[2].weights)
    optimizers = [
        make(tasks[0].parameters, **options),
        make([{"params": [p]} for p in tasks[1].parameters], **options),
        make([flat], **options),  # all parameters as one tensor
    ]
    for rows in tasks[0].minibatches(20):
        for task, optimizer in zip(tasks[:2], optimizers[:2], strict=True):
            optimizer.step(loss=task.backward(rows))
        torch.nn.utils.vector_to_parameters(flat.detach(), tasks[2].parameters)
        loss = tasks[2].backward(rows)
        flat.grad = torch.cat([p.grad.flatten() for p in tasks[2].parameters])
        optimizers[2].step(loss=loss)
        torch.testing.assert_close(tasks[1].weights, tasks[0].weights, **TIGHT)
        torch.testing.assert_close(flat.detach(), tasks[0].weights, **TIGHT)
    assert optimizers[1].step_size == pytest.approx(optimizers[0].step_size, rel=1e-9)


@pytest.mark.parametrize("momentum", ["plain", "standard"])
@pytest.mark.parametrize("scale", [1e-10, 2.0**-7, 3.7, 1e10])
def test_uncapped_iterates_ignore_the_scale_of_the_loss(make, regression, momentum, scale):
    tasks = [regression(torch.float64), regression(torch.float64)]
    optimizers = [make(task.parameters, eps=0.0, **MOMENTA[momentum]) for task in tasks]
    for rows in tasks[0].minibatches(15):
        optimizers[0].step(loss=tasks[0].backward(rows))
        loss = tasks[1].backward(rows)
        for parameter in tasks[1].parameters:
            parameter.grad *= scale
        optimizers[1].step(loss=scale * loss)
        torch.testing.assert_close(tasks[1].weights, tasks[0].weights, rtol=1e-8, atol=1e-10)
        ratio = optimizers[1].step_size / optimizers[0].step_size
        assert ratio == pytest.approx(1 / scale, rel=1e-6)


def test_capped_iterates_do_depend_on_the_scale(make, regression):
    tasks = [regression(torch.float64), regression(torch.float64)]
    optimizers = [make(task.parameters, max_lr=0.01, eps=0.0) for task in tasks]
    for scale, task, optimizer in zip((1.0, 2.0), tasks, optimizers, strict=True):
        loss = task.backward()
        for parameter in task.parameters:
            parameter.grad *= scale
        optimizer.step(loss=scale * loss)
    assert not torch.allclose(tasks[0].weights, tasks[1].weights, rtol=1e-6)


@pytest.mark.parametrize("momentum", MOMENTA)
def test_projection_runs_at_construction_and_once_per_step(make, regression, momentum):
    task, radius, norms = regression(torch.float64), 1.5, []
    direction = task.weights / task.weights.norm()
    ball = L2Ball(task.parameters, radius)

    def projection() -> None:
        norms.append(float(task.weights.norm()))
        ball()

    groups = [{"params": task.parameters[:1]}, {"params": task.parameters[1:]}]
    optimizer = make(groups, max_lr=0.3, projection_fn=projection, **MOMENTA[momentum])
    assert len(norms) == 1
    torch.testing.assert_close(task.weights, radius * direction, **TIGHT)
    for count, rows in enumerate(task.minibatches(20), start=2):
        optimizer.step(loss=task.backward(rows))
        assert len(norms) == count
        assert float(task.weights.norm()) <= radius * (1 + 1e-6)
    assert max(norms[1:]) > radius, "the constraint never mattered, so the test showed nothing"


def test_projection_sees_all_groups_updated(make, problem_q):
    problem, seen = problem_q(), []
    groups = [{"params": [problem.a]}, {"params": [problem.b]}]
    optimizer = make(groups, projection_fn=lambda: seen.append(problem.weights))
    optimizer.step(loss=problem.backward())
    assert len(seen) == 2
    torch.testing.assert_close(seen[1], problem.weights, rtol=0, atol=0)
    assert (seen[1] != seen[0]).all()


def test_projection_leaves_the_momentum_alone(make, problem_p, velocity):
    free, bound = problem_p(), problem_p()
    options = {"max_lr": 0.2, "momentum": 0.9}
    free_optimizer = make(free.parameters, **options)
    bound_optimizer = make(bound.parameters, projection_fn=L2Ball(bound.parameters, 0.5), **options)
    for t in range(3):  # prescribed gradients: the velocities may not notice the weights
        free_optimizer.step(loss=free.feed(t))
        bound_optimizer.step(loss=bound.feed(t))
    assert not torch.allclose(free.weights, bound.weights)
    for p, q in zip(free.parameters, bound.parameters, strict=True):
        assert torch.equal(velocity(free_optimizer, p), velocity(bound_optimizer, q))


@settings(max_examples=40, deadline=None)
@given(
    losses=st.lists(st.floats(0, 1e4), min_size=1, max_size=4),
    caps=st.lists(st.one_of(st.none(), st.floats(1e-3, 1e3)), min_size=2, max_size=2),
    scale=st.floats(1e-3, 1e3),
    eps=st.sampled_from([0.0, 1e-5, 1.0]),
)
def test_step_size_stays_between_zero_and_the_cap(make, problem_p, losses, caps, scale, eps):
    problem = problem_p()
    groups = [{"params": [p], "max_lr": c} for p, c in zip(problem.parameters, caps, strict=True)]
    optimizer = make(groups, eps=eps)
    for loss in losses:
        problem.set_gradients([scale, 0.0], [scale])
        before = problem.weights
        optimizer.step(loss=loss)
        moved = before - problem.weights
        sizes = []
        for cap, index in zip(caps, (0, 2), strict=True):
            gamma = min(loss / (2 * scale**2 + eps), math.inf if cap is None else cap)
            rounding = 1e-14 * float(before.abs().max() + 1)
            assert float(moved[index]) == pytest.approx(gamma * scale, rel=1e-9, abs=rounding)
            sizes.append(gamma)
        assert optimizer.step_size == pytest.approx(sum(sizes) / 2, rel=1e-9)


# --- Code paths and precisions -----------------------------------------------------------------


@pytest.mark.parametrize("momentum", MOMENTA)
@pytest.mark.parametrize(
    ("dtype", "capturable"),
    [(torch.float32, False), (torch.float32, True), (torch.float64, False)],
)
def test_code_paths_agree(paths, regression, momentum, dtype, capturable):
    """Over 30 steps, some of them clipped and some not, on a network with a projection."""
    results, clipped = {}, set()
    for name, build in paths.items():
        task = regression(dtype)
        extra: dict[str, Any] = {"projection_fn": L2Ball(task.parameters, 3.0)}
        if name != "reference":
            extra["capturable"] = capturable
        optimizer = build(task.parameters, max_lr=0.5, **extra, **MOMENTA[momentum])
        for rows in task.minibatches(30):
            optimizer.step(loss=task.backward(rows))
            clipped.add(optimizer.step_size == pytest.approx(0.5, rel=1e-6))
        results[name] = task.weights
    assert clipped == {True, False}
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else TIGHT
    for name, weights in results.items():
        torch.testing.assert_close(
            weights, results["reference"], **tolerance, msg=lambda m, name=name: f"{name}: {m}"
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("momentum", MOMENTA)
def test_dtype_is_kept(make, problem_q, velocity, may_refuse, dtype, momentum):
    """Two steps agree with float64 to the precision of the parameters."""
    problem, exact = problem_q(dtype), problem_q()
    optimizer = make(problem.parameters, max_lr=0.2, **MOMENTA[momentum])
    other = make(exact.parameters, max_lr=0.2, **MOMENTA[momentum])
    for _ in range(2):
        with may_refuse(optimizer):
            optimizer.step(loss=problem.backward())
        other.step(loss=exact.backward())
    for parameter in problem.parameters:
        assert parameter.dtype == dtype
        if momentum != "plain":
            assert velocity(optimizer, parameter).dtype == dtype
    precision = 8 * torch.finfo(dtype).eps
    torch.testing.assert_close(
        problem.weights.double(), exact.weights, rtol=precision, atol=precision
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("momentum", MOMENTA)
@pytest.mark.parametrize("path", ["loop", "foreach", "fused", "default"])
@pytest.mark.parametrize("capturable", [False, True])
def test_every_entry_of_a_long_half_precision_tensor_moves(
    paths, may_refuse, dtype, momentum, path, capturable
):
    """Vectorized kernels treat all but the last few entries differently from short tensors.

    The fused SGD kernel of torch 2.13 leaves 16-bit weights on the CPU as they are there.
    """
    build = paths.get(path, AliG)
    parameter = torch.zeros(5001, dtype=dtype, requires_grad=True)
    optimizer = build([parameter], max_lr=0.01, capturable=capturable, **MOMENTA[momentum])
    v, w = 0.0, 0.0
    for _ in range(3):
        parameter.grad = torch.ones_like(parameter)
        with may_refuse(optimizer):
            optimizer.step(loss=torch.tensor(1e4))
        if momentum == "plain":
            w -= 0.01
        else:  # the cap binds in every step, so both forms are one
            v = 0.9 * v - 0.01
            w += 0.9 * v - 0.01
    torch.testing.assert_close(
        parameter.detach().float(), torch.full((5001,), w), rtol=2e-2, atol=0
    )


@pytest.mark.parametrize("momentum", ["standard", "adjusted"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tiny_steps_reach_the_momentum_in_full(make, velocity, momentum, dtype):
    """Huge gradients give tiny step sizes; 1 - (1 - gamma) would lose their digits."""
    parameter = torch.zeros(3, dtype=dtype, requires_grad=True)
    optimizer = make([parameter], eps=0.0, **MOMENTA[momentum])
    g = torch.tensor([1e9, -2e9, 2e9], dtype=dtype)
    parameter.grad = g.clone()
    optimizer.step(loss=9.0)  # gamma = 1e-18
    assert optimizer.step_size == pytest.approx(1e-18, rel=1e-6)
    scale = 1e-18 if momentum == "standard" else 1.0
    torch.testing.assert_close(velocity(optimizer, parameter), -scale * g, rtol=1e-6, atol=0)
    torch.testing.assert_close(parameter.detach(), -1.9e-18 * g, rtol=1e-6, atol=0)


def test_half_precision_norm_is_accumulated_in_float32(make, may_refuse):
    """bfloat16 holds neither the squared norm nor the norm of this gradient."""
    n = 5001
    parameter = torch.zeros(n, dtype=torch.bfloat16, requires_grad=True)
    optimizer = make([parameter], eps=1e-5)
    parameter.grad = torch.ones(n, dtype=torch.bfloat16)
    with may_refuse(optimizer):
        optimizer.step(loss=torch.tensor(0.7))
    assert optimizer.step_size_unclipped == pytest.approx(0.7 / (n + 1e-5), rel=1e-5)
    expected = torch.full((n,), -0.7 / n)
    torch.testing.assert_close(parameter.detach().float(), expected, rtol=8e-3, atol=0)


@pytest.mark.parametrize("momentum", MOMENTA)
def test_parameters_of_different_dtypes_work_together(make, may_refuse, momentum):
    wide = torch.ones(3, dtype=torch.float64, requires_grad=True)
    narrow = torch.ones(2, dtype=torch.bfloat16, requires_grad=True)
    optimizer = make([wide, narrow], max_lr=10.0, **MOMENTA[momentum])
    wide.grad, narrow.grad = torch.full_like(wide, 2.0), torch.full_like(narrow, 2.0)
    with may_refuse(optimizer):
        optimizer.step(loss=5.0)
    gamma = 5 / (20 + 1e-5)
    assert optimizer.step_size == pytest.approx(gamma, rel=1e-6)
    long = 1.0 if momentum == "plain" else 1.9
    expected = torch.full((5,), 1 - long * 2 * gamma, dtype=torch.float64)
    torch.testing.assert_close(wide.detach(), expected[:3], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(narrow.detach().double(), expected[:2], rtol=2e-2, atol=4e-3)


@pytest.mark.parametrize("layout", ["transposed", "channels last", "strided"])
@pytest.mark.parametrize("momentum", MOMENTA)
@pytest.mark.parametrize("path", ["loop", "foreach", "fused", "default"])
def test_memory_layout_does_not_matter(paths, may_refuse, path, layout, momentum):
    make = paths.get(path, AliG)
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(4, 3, 5, 6, generator=generator, dtype=torch.float64)
    gradients = [
        torch.randn(4, 3, 5, 6, generator=generator, dtype=torch.float64) for _ in range(3)
    ]
    arrange: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "transposed": lambda x: x.transpose(0, 3).contiguous().transpose(0, 3),
        "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
        "strided": lambda x: torch.stack([x, x], dim=-1)[..., 0],
    }
    plain, other = values.clone().requires_grad_(), arrange[layout](values).detach()
    other.requires_grad_()
    optimizers = [make([p], max_lr=0.01, **MOMENTA[momentum]) for p in (plain, other)]
    for gradient in gradients:
        plain.grad = gradient.clone()
        other.grad = gradient.clone()  # another layout than its parameter
        optimizers[0].step(loss=1.0)
        with may_refuse(optimizers[1]):
            optimizers[1].step(loss=1.0)
    torch.testing.assert_close(other.detach(), plain.detach(), **TIGHT)


def test_default_path_is_one_of_the_tested(regression, paths):
    default, loop = regression(torch.float64), regression(torch.float64)
    optimizers = [AliG(default.parameters, max_lr=0.3), paths["loop"](loop.parameters, max_lr=0.3)]
    for rows in default.minibatches(10):
        for task, optimizer in zip((default, loop), optimizers, strict=True):
            optimizer.step(loss=task.backward(rows))
    torch.testing.assert_close(default.weights, loop.weights, **TIGHT)
    assert len(list(chain(*(g["params"] for g in optimizers[0].param_groups)))) == 4
