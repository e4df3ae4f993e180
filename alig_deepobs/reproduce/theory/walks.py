"""Walks of an optimizer on functions whose value and gradient are given in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

OptimizerFactory = Callable[..., Any]
"""Called as ``factory([parameter], **options)``; the optimizer's ``step`` takes ``loss=``."""

LossAndGradient = Callable[[Tensor], tuple[float, Tensor]]
"""A mini-batch loss and its gradient at ``w``; each call may draw another mini-batch."""

AT_REST = 1e-100
"""Below this distance ``f`` and ``f'^2`` underflow, and there is nothing left to see."""


@dataclass(frozen=True)
class Step:
    """One step: the point, the loss and the gradient there, the step size, and the next point."""

    w: Tensor
    loss: float
    gradient: Tensor
    gamma: float
    after: Tensor


def steps(
    factory: OptimizerFactory,
    start: Tensor,
    draw: LossAndGradient,
    count: int,
    **options: Any,
) -> Iterator[Step]:
    """Takes up to ``count`` steps; ends early where the gradient is (all but) zero.

    Args:
        factory: makes the optimizer.
        start: ``w_0``, float64.
        draw: the loss and the gradient at a point.
        count: steps.
        **options: of the optimizer.
    """
    parameter = start.clone().requires_grad_()
    optimizer = factory([parameter], **options)
    for _ in range(count):
        w = parameter.detach().clone()
        loss, gradient = draw(w)
        if float(gradient.norm()) < AT_REST:
            return
        parameter.grad = gradient.clone()
        optimizer.step(loss=loss)
        gamma = float(optimizer.step_size)
        yield Step(w, loss, gradient, gamma, parameter.detach().clone())


def iterates(
    factory: OptimizerFactory,
    start: float,
    function: Callable[[float], tuple[float, float]],
    count: int,
    rest: float = 1e-12,
    **options: Any,
) -> list[float]:
    """The points of a walk on a function of one variable, until ``|w| < rest``.

    Args:
        factory: makes the optimizer.
        start: ``w_0``.
        function: ``w`` -> value and derivative.
        count: steps at most.
        rest: where the walk ends.
        **options: of the optimizer.

    Example:
        >>> from alig_deepobs import AliG
        >>> iterates(AliG, 7.0, lambda w: ((w - 3) ** 2, 2 * (w - 3)), 3, eps=0.0)
        [7.0, 5.0, 4.0, 3.5]
    """

    def draw(w: Tensor) -> tuple[float, Tensor]:
        value, slope = function(w.item())
        return value, torch.tensor([slope], dtype=torch.float64)

    walk = [start]
    for step in steps(factory, torch.tensor([start], dtype=torch.float64), draw, count, **options):
        walk.append(step.after.item())
        if abs(walk[-1]) < rest or not math.isfinite(walk[-1]):
            break
    return walk
