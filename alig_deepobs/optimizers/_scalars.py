"""Arithmetic on numbers that are floats of the host or 0-d tensors of a device.

On the CPU plain numbers are several times faster than 0-d tensors; on an accelerator they would
make the host wait. So step sizes are computed by functions that take both. nan goes through all of
them, so a loss that is not a number is seen in the weights, as with torch's own optimizers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

Scalar = float | Tensor


LARGEST = torch.finfo(torch.float32).max
"""The largest step size, on the host as on a device: what is larger is none that can be taken."""


def quotient(numerator: Scalar, denominator: Scalar) -> Scalar:
    """The quotient, and 0 where the denominator is 0 or so small that float32 cannot hold it.

    Example:
        >>> quotient(3.0, 2.0), quotient(3.0, 0.0), quotient(0.0, 0.0), quotient(3.0, 1e-40)
        (1.5, 0.0, 0.0, 0.0)
        >>> quotient(torch.tensor(3.0), torch.tensor(0.0))
        tensor(0.)
    """
    if not isinstance(numerator, Tensor) and not isinstance(denominator, Tensor):
        if denominator == 0:
            return 0.0
        result = numerator / denominator
        return 0.0 if abs(result) > LARGEST and math.isfinite(numerator) else result
    ratio = torch.as_tensor(numerator / denominator)
    overflow = (ratio.abs() > LARGEST) & torch.isfinite(torch.as_tensor(numerator))
    return torch.where(overflow | (torch.as_tensor(denominator) == 0), 0.0, ratio)


def at_most(x: Scalar, cap: Scalar) -> Scalar:
    """The smaller one; nan if ``x`` is nan.

    Example:
        >>> at_most(3.0, 2.0), at_most(float("nan"), 2.0)
        (2.0, nan)
    """
    if isinstance(cap, Tensor):
        return torch.minimum(torch.as_tensor(x).to(cap), cap)
    if isinstance(x, Tensor):
        return x.clamp(max=cap)
    return min(x, cap)  # in this order, for nan is not less than anything


def at_least(x: Scalar, floor: Scalar) -> Scalar:
    """The larger one; nan if ``x`` is nan."""
    if isinstance(floor, Tensor):
        return torch.maximum(torch.as_tensor(x).to(floor), floor)
    if isinstance(x, Tensor):
        return x.clamp(min=floor)
    return max(x, floor)


def choose(condition: bool | Tensor, yes: Scalar, no: Scalar) -> Scalar:
    """``yes`` where the condition holds, else ``no``."""
    if isinstance(condition, Tensor):
        return torch.where(condition, yes, no)
    return yes if condition else no


def below(x: Scalar, part: float) -> Scalar:
    """``x`` lowered by a part of its size, whatever its sign (raised, if ``part`` is negative).

    Example:
        >>> below(2.0, 0.25), below(-2.0, 0.25)
        (1.5, -2.5)
    """
    return x - part * (x.abs() if isinstance(x, Tensor) else abs(x))
