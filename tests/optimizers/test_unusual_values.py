"""Values that are not float32, real or positive, for every optimizer."""

from __future__ import annotations

import math

import pytest
import torch
from optimizer_cases import (
    BY_VALUE,
    OWN,
    Convex,
    arguments,
    named,
)
from torch import nn

from alig_deepobs import AliG, registry
from alig_deepobs.registry import NeedsLoss
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import execute

pytestmark = pytest.mark.filterwarnings("ignore::alig_deepobs.HealthWarning")


@named(BY_VALUE)
def test_a_negative_loss_is_no_reason_to_climb(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    problem.loss().backward()
    before = problem.weights
    gradient = torch.cat([p.grad for p in problem.parameters])
    optimizer.step(loss=-3.0)
    assert float((problem.weights - before)[:3] @ gradient) <= 0
    assert optimizer.step_size >= 0


@named([case for case in BY_VALUE if not case.name.startswith("l4")])
def test_negative_losses_do_not_freeze(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    for shift in (0.0, -100.0, -100.0):
        optimizer.zero_grad()
        loss = problem.loss()
        loss.backward()
        optimizer.step(loss=float(loss) + shift)
    problem.steps(optimizer, case, 100)
    assert float(problem.loss().detach()) < 0.5 * float(Convex().loss())


@named([case for case in BY_VALUE if case.name.startswith("l4")])
def test_l4_descends_on_negative_losses(case):
    """Its bound is an estimate, so no sign is special."""
    problem = Convex()
    optimizer = case.build(problem.parameters)
    for _ in range(50):
        optimizer.zero_grad()
        loss = problem.loss() - 10
        loss.backward()
        optimizer.step(loss=loss)
        assert optimizer.step_size > 0
    assert float(problem.loss().detach()) < float(Convex().loss())


def test_sps_is_not_frozen_by_a_negative_loss():
    result = execute(RunSpec("two_d_branin", "sps", num_epochs=6, device="cpu"))
    assert result.outcome is Outcome.DONE
    assert len(set(result.test_losses)) == 7
    assert result.step_sizes[-1]["max"] > 0


@named(OWN)
def test_complex_parameters_are_pairs_of_real_ones(case):
    generator = torch.Generator().manual_seed(3)
    start = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    factors = torch.rand(4, 2, generator=generator, dtype=torch.float64) + 0.5
    pairs = start.clone().requires_grad_()
    whole = torch.view_as_complex(start.clone()).requires_grad_()
    for parameter in (pairs, whole):
        optimizer = case.build([parameter])

        def closure(backward=True, parameter=parameter, optimizer=optimizer):
            real = torch.view_as_real(parameter) if parameter.is_complex() else parameter
            loss = (factors * real.square()).sum()
            if backward:
                optimizer.zero_grad()
                loss.backward()
            return loss

        for _ in range(5):
            if case.entry.needs_loss is NeedsLoss.CLOSURE:
                optimizer.step(closure)
            else:
                optimizer.step(**arguments(case, closure().detach()))
        again = case.build([parameter])  # and the state can be loaded
        again.load_state_dict(optimizer.state_dict())
    result = torch.view_as_real(whole.detach())
    assert not torch.equal(result, start)
    torch.testing.assert_close(result, pairs.detach(), rtol=1e-12, atol=1e-12)


@named(OWN)
def test_gradients_of_another_precision(case):
    """torch's ``p.grad_dtype``; values that bfloat16 holds exactly."""
    ends = []
    for dtype in (torch.float32, torch.bfloat16):
        w = nn.Parameter(torch.tensor([1.0, 2.0, -4.0]))
        w.grad_dtype = dtype
        optimizer = case.build([w])
        for _ in range(2):
            w.grad = torch.tensor([0.5, -1.0, 2.0], dtype=dtype)
            if case.entry.needs_loss is NeedsLoss.CLOSURE:
                optimizer.step(lambda w=w: float(w.detach().square().sum()))
            else:
                optimizer.step(**arguments(case, 2.0))
        assert w.dtype is torch.float32
        ends.append(w.detach().clone())
    assert torch.equal(*ends)


@named(OWN)
def test_construction_under_the_meta_device(case):
    problem, plain = Convex(), Convex()
    with torch.device("meta"):
        optimizer = case.build(problem.parameters)
    assert torch.equal(
        problem.steps(optimizer, case, 3), plain.steps(case.build(plain.parameters), case, 3)
    )


@named(OWN)
def test_groups_and_states_can_be_compared(case):
    problem, other = Convex(), Convex()
    one, two = case.build(problem.parameters), case.build(other.parameters)
    for each, optimizer in ((problem, one), (other, two)):
        each.steps(optimizer, case, 2)
    assert one.state_dict()["param_groups"] == two.state_dict()["param_groups"]


@pytest.mark.parametrize("problem", ["digits_logreg", "quadratic_deep", "two_d_branin"])
def test_runs_do_not_depend_on_the_default_data_type(problem):
    spec = RunSpec(problem, "alig", num_epochs=1, device="cpu")
    plain = execute(spec)
    torch.set_default_dtype(torch.float64)
    try:
        other = execute(spec)
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert other.test_losses == plain.test_losses


@pytest.mark.parametrize("options", [{}, {"foreach": False}, {"momentum": 0.9}])
def test_long_steps_in_float16(options):
    """A step size that the weights' type cannot hold is a step of 0, and counted."""
    for dtype in (torch.float16, torch.float64):
        w = nn.Parameter(torch.ones(4, dtype=dtype))
        optimizer = AliG([w], **options)
        w.grad = torch.full((4,), 1e-4, dtype=dtype)
        optimizer.step(loss=2.3)
        fits = dtype == torch.float64
        assert optimizer.step_size == (pytest.approx(2.3 / (4e-8 + 1e-5)) if fits else 0.0)
        assert optimizer.guarded_steps["zero_norm"] == (0 if fits else 1)
        assert (w == 1.0).all() != fits


@pytest.mark.parametrize("name", ["alig", "polyak", "sps", "aprox", "momo", "l4mom", "alig_plus"])
@pytest.mark.parametrize("capturable", [False, True])
def test_steps_that_float16_cannot_hold_although_their_size_fits(name, capturable):
    w = nn.Parameter(torch.ones(2, dtype=torch.float16))
    options = {
        "alig": {"capturable": capturable}, "aprox": {"lr": math.inf}, "momo": {"lr": math.inf},
        "alig_plus": {"lr": 1e5, "data_size": 2, "epochs": 1},
        "sps": {"adapt_flag": "constant"},
    }.get(name, {})  # fmt: skip
    optimizer = registry.find_optimizer(name).load()([w], **options)
    w.grad = torch.tensor([1e2, -1e2], dtype=torch.float16)
    loss = torch.tensor(1e9)
    if name == "alig_plus":
        optimizer.step(losses=loss.repeat(2), indices=torch.arange(2))
    else:
        optimizer.step(loss=loss)
    assert (w == 1.0).all()
    assert optimizer.step_size == 0.0
    assert optimizer.health().zero_norm == 1


@pytest.mark.parametrize("options", [{}, {"use_fstar": True, "bias_correction": True}])
def test_inner_products_beyond_float32(options):
    w = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = registry.find_optimizer("momo").load()([w], lr=1.0, **options)
    for _ in range(3):
        w.grad = torch.tensor([-3e38, 3e38])
        optimizer.step(loss=1.0)
    assert w.isfinite().all()


def test_small_gradients_in_float16():
    """The square of the averaged gradient is less than float16 holds."""
    sizes = []
    for dtype in (torch.float16, torch.float32):
        w = nn.Parameter(torch.ones(4, dtype=dtype))
        w.grad = torch.full((4,), 6e-5, dtype=dtype)
        optimizer = registry.find_optimizer("l4mom").load()([w])
        optimizer.step(loss=1e-3)
        sizes.append(optimizer.step_size)
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)
