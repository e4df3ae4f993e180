"""Numbers at the edge: the same rule for every optimizer whose step depends on the loss."""

from __future__ import annotations

import math

import pytest
import torch
from optimizer_cases import OWN, Case, named
from torch import nn

from alig_deepobs import AliG, L2Ball
from alig_deepobs.optimizers.projection import l2_projection
from alig_deepobs.registry import NeedsLoss

BY_VALUE = [case for case in OWN if case.entry.needs_loss is NeedsLoss.VALUE]
TYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
GRADIENTS = [0.0, 1e-45, 1e-40, 1e-30, 1e-20, 1e-10, 1e-3, 1e4, 1e10, 1.5e19, 1e25, 1e37]
pytestmark = pytest.mark.filterwarnings("ignore::alig_deepobs.HealthWarning")


def weights(value, dtype, gradient, size=4):
    found = nn.Parameter(torch.full((size,), value, dtype=dtype))
    found.grad = torch.full((size,), gradient, dtype=torch.float64).to(dtype)
    return found


@named(BY_VALUE)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("foreach", [None, False])
def test_no_step_leaves_the_numbers(case: Case, dtype, foreach):
    for gradient in GRADIENTS:
        for loss in (1.0, 1e-30, 1e30):
            w = weights(1.0, dtype, gradient)
            # The second moments of Adam are squares, in its own type.
            if case.name == "momo_adam" and (dtype is torch.float16 or not 1e-4 < gradient < 1e10):
                continue
            if not torch.isfinite(w.grad).all() or loss > torch.finfo(dtype).max:
                continue
            optimizer = case.build([w], foreach=foreach)
            for _ in range(3):
                optimizer.step(loss=loss)
                size = optimizer.step_size
                assert math.isfinite(size), (gradient, loss)
            # A step of a size that the type holds may still lead far away, but not to nan.
            assert not w.isnan().any(), (gradient, loss, size)


@pytest.mark.parametrize(
    "options", [{}, {"foreach": True}, {"foreach": False}, {"capturable": True}]
)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize(
    ("dtype", "gradient"),
    [
        (torch.float32, 1e-20),
        (torch.float16, 1e-3),
        (torch.bfloat16, 1e-20),
    ],
)
def test_alig_counts_a_step_that_the_weights_cannot_hold(dtype, gradient, momentum, options):
    w = weights(1.0, dtype, gradient)
    optimizer = AliG([w], eps=0.0, momentum=momentum, **options)
    optimizer.step(loss=torch.tensor(1.0))
    assert torch.equal(w.data, torch.ones_like(w))
    assert optimizer.guarded_steps == {"zero_norm": 1, "below_f_min": 0, "non_finite": 0}
    assert optimizer.health().zero_norm == 1


def test_a_cap_that_the_weights_can_hold_is_taken():
    w = weights(1.0, torch.float16, 1e-3)
    optimizer = AliG([w], max_lr=10.0, eps=0.0)
    optimizer.step(loss=1.0)
    assert optimizer.step_size == 10.0
    assert sum(optimizer.guarded_steps.values()) == 0
    assert (w < 1).all()


@pytest.mark.parametrize("gradient", [1.5e19, 1e25, 3e38])
def test_large_gradients_are_finite(gradient):
    w = weights(1.0, torch.float32, gradient)
    optimizer = AliG([w])
    optimizer.step(loss=1.0)
    assert optimizer.step_size == pytest.approx(1 / (4 * gradient**2), rel=1e-6)
    assert sum(optimizer.guarded_steps.values()) == 0
    w.grad.fill_(math.inf)
    optimizer.step(loss=1.0)
    assert optimizer.guarded_steps["non_finite"] == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("value", [1e-37, 1e-25, 1e-15, 1.0, 1e15, 1e19, 1e30, 3e38])
@pytest.mark.parametrize("radius", [1e-30, 1e-10, 1.0, 1e10, 1e30])
def test_projection_of_any_weights(dtype, value, radius):
    w = torch.full((4,), value, dtype=dtype)
    before = w.double()
    l2_projection([w, torch.zeros(2)], radius)
    norm = before.norm()
    expected = before * min(1.0, radius / float(norm))
    tolerance = 2e-2 if dtype is torch.bfloat16 else 1e-5
    assert torch.allclose(w.double(), expected, rtol=tolerance, atol=0)


def test_projection_in_double_precision():
    w = torch.full((4,), 1e200, dtype=torch.float64)
    l2_projection([w], 2.0)
    assert torch.allclose(w, torch.ones_like(w))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_weights_that_are_not_finite_have_no_projection(bad):
    w = torch.tensor([1.0, bad, 2.0])
    l2_projection([w], 1.0)
    assert w[0] == 1.0
    assert w[2] == 2.0


def test_the_norm_of_large_weights():
    ball = L2Ball([torch.full((4,), 1e25)], 1.0)
    assert float(ball.norm()) == pytest.approx(2e25)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("adjusted", [False, True])
def test_the_quick_step_is_the_slow_one_at_the_edge(momentum, adjusted):
    """Step sizes from 1e-75 to 1e30, one after the other."""
    found = []
    for options in ({}, {"foreach": False}):
        w = weights(1.0, torch.float32, 0.0)
        arguments = {"momentum": momentum, "adjusted_momentum": adjusted, "eps": 0.0, **options}
        optimizer = AliG([w], **arguments)
        places = []
        for gradient, loss in ((1e-3, 1e-3), (1e4, 1e-30), (1e19, 1.0), (1.0, 0.1), (1e37, 1e-30),
                               (1e-15, 1e-15), (1.0, 0.0), (2.0, 1.0)):  # fmt: skip
            w.grad.fill_(gradient)
            optimizer.step(loss=loss)
            places.append(w.detach().clone())
        found.append(torch.stack(places))
    assert torch.allclose(*found, rtol=1e-4, equal_nan=True)
    if not adjusted:  # its velocity is a sum of gradients, and 1e37 is among them
        assert torch.isfinite(found[0]).all()
