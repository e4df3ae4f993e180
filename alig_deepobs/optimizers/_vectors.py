"""Arithmetic on lists of tensors: once as a loop, once with torch's multi-tensor kernels.

`Loop` says what is meant; `Foreach` does the same faster. An optimizer is written once, in terms
of these operations. A trailing underscore means that the first argument is changed in place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from alig_deepobs.optimizers._scalars import Scalar

Tensors = list[Tensor]


def _smallest_root(dtype: torch.dtype) -> float:
    facts = torch.finfo(dtype)
    return math.sqrt(facts.smallest_normal * facts.eps)


class Loop:
    """One tensor after the other."""

    @staticmethod
    def add_(xs: Tensors, ys: Tensors, factor: Scalar = 1.0) -> None:
        """``x + factor * y``."""
        for x, y in zip(xs, ys, strict=True):
            x.add_(y * factor.to(y.device) if isinstance(factor, Tensor) else y * factor)

    @staticmethod
    def mul_(xs: Tensors, factor: Scalar) -> None:
        """``factor * x``."""
        for x in xs:
            x.mul_(factor)

    @staticmethod
    def average_(xs: Tensors, ys: Tensors, beta: float) -> None:
        """``beta x + (1 - beta) y``."""
        for x, y in zip(xs, ys, strict=True):
            x.mul_(beta).add_(y, alpha=1 - beta)

    @staticmethod
    def average_square_(xs: Tensors, ys: Tensors, beta: float) -> None:
        """``beta x + (1 - beta) y^2``."""
        for x, y in zip(xs, ys, strict=True):
            x.mul_(beta).addcmul_(y, y, value=1 - beta)

    @staticmethod
    def times(xs: Tensors, factor: float) -> Tensors:
        """``factor * x``."""
        return [x * factor for x in xs]

    @staticmethod
    def sum(xs: Tensors, ys: Tensors, factor: float) -> Tensors:
        """``x + factor * y``, in new tensors."""
        return [x + y * factor for x, y in zip(xs, ys, strict=True)]

    @staticmethod
    def divide(xs: Tensors, ys: Tensors) -> Tensors:
        """``x / y``."""
        return [x / y for x, y in zip(xs, ys, strict=True)]

    @staticmethod
    def roots(xs: Tensors, corrections: Sequence[float], eps: float) -> Tensors:
        """``sqrt(x / correction) + eps``, with one correction for each tensor; never 0.

        The root of 0, of a square that was too small for its type, is the smallest that the type
        has: ``eps`` may be too small for it, too.
        """
        return [
            (x / c).sqrt().clamp_min(_smallest_root(x.dtype)) + eps
            for x, c in zip(xs, corrections, strict=True)
        ]

    @staticmethod
    def roots_with(xs: Tensors, eps: float) -> Tensors:
        """``sqrt(x + eps)``."""
        return [(x + eps).sqrt() for x in xs]

    @staticmethod
    def approach_square_(xs: Tensors, ys: Tensors, rate: float) -> None:
        """``x - rate sign(x - y^2) y^2``."""
        for x, y in zip(xs, ys, strict=True):
            square = y * y
            x.sub_((x - square).sign() * square * rate)


class Foreach(Loop):
    """All tensors at once."""

    @staticmethod
    def add_(xs: Tensors, ys: Tensors, factor: Scalar = 1.0) -> None:
        """``x + factor * y``."""
        # As alpha, a factor must fit into the data type, and that of float16 ends at 65504.
        if isinstance(factor, Tensor) or any(x.dtype is torch.float16 for x in xs):
            torch._foreach_add_(xs, torch._foreach_mul(ys, factor))
        else:
            torch._foreach_add_(xs, ys, alpha=factor)

    @staticmethod
    def mul_(xs: Tensors, factor: Scalar) -> None:
        """``factor * x``."""
        torch._foreach_mul_(xs, factor)

    @staticmethod
    def average_(xs: Tensors, ys: Tensors, beta: float) -> None:
        """``beta x + (1 - beta) y``."""
        torch._foreach_lerp_(xs, ys, 1 - beta)

    @staticmethod
    def average_square_(xs: Tensors, ys: Tensors, beta: float) -> None:
        """``beta x + (1 - beta) y^2``."""
        torch._foreach_mul_(xs, beta)
        torch._foreach_addcmul_(xs, ys, ys, value=1 - beta)

    @staticmethod
    def times(xs: Tensors, factor: float) -> Tensors:
        """``factor * x``."""
        return list(torch._foreach_mul(xs, factor))

    @staticmethod
    def sum(xs: Tensors, ys: Tensors, factor: float) -> Tensors:
        """``x + factor * y``, in new tensors."""
        return list(torch._foreach_add(xs, ys, alpha=factor))

    @staticmethod
    def divide(xs: Tensors, ys: Tensors) -> Tensors:
        """``x / y``."""
        return list(torch._foreach_div(xs, ys))

    @staticmethod
    def roots(xs: Tensors, corrections: Sequence[float], eps: float) -> Tensors:
        """``sqrt(x / correction) + eps``, with one correction for each tensor; never 0."""
        result = list(torch._foreach_div(xs, list(corrections)))
        torch._foreach_sqrt_(result)
        if len({x.dtype for x in xs}) == 1:
            torch._foreach_clamp_min_(result, _smallest_root(xs[0].dtype))
        else:
            for x in result:
                x.clamp_min_(_smallest_root(x.dtype))
        torch._foreach_add_(result, eps)
        return result

    @staticmethod
    def roots_with(xs: Tensors, eps: float) -> Tensors:
        """``sqrt(x + eps)``."""
        result = list(torch._foreach_add(xs, eps))
        torch._foreach_sqrt_(result)
        return result

    @staticmethod
    def approach_square_(xs: Tensors, ys: Tensors, rate: float) -> None:
        """``x - rate sign(x - y^2) y^2``."""
        squares = list(torch._foreach_mul(ys, ys))
        change = cast("Tensors", torch._foreach_sub(xs, squares))
        torch._foreach_sign_(change)
        torch._foreach_mul_(change, squares)
        torch._foreach_add_(xs, change, alpha=-rate)
