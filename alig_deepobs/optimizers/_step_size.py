"""ALI-G's step size, once with numbers of the host and once with tensors of the device.

    gamma = min((loss - f_min) / (|g|^2 + eps), max_lr)

and 0 where that makes no sense: where ``loss <= f_min``, where the denominator is 0 (or so small
that float32 cannot hold the quotient), and where loss or squared norm is not finite. On the CPU
plain numbers are several times faster than 0-d tensors; on an accelerator they would make the host
wait.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from alig_deepobs.optimizers._scalars import LARGEST

GUARDS = ("zero_norm", "below_f_min", "non_finite")


class HostStep(NamedTuple):
    """A step size known to the host."""

    unclipped: float
    skip: bool
    guard: int | None
    """Index into `GUARDS` of the guard that set the step size to 0, None if none did."""

    def clipped(self, cap: float | Tensor) -> float:
        """The step size under a cap."""
        return min(self.unclipped, float(cap))


class DeviceStep(NamedTuple):
    """A step size that only the device knows; all 0-d tensors."""

    unclipped: Tensor
    skip: Tensor
    guards: Tensor
    """Boolean tensor of shape (3,): which of `GUARDS` set the step size to 0."""

    def clipped(self, cap: float | Tensor) -> Tensor:
        """The step size under a cap."""
        if isinstance(cap, Tensor):
            # A schedule that goes below 0 must not turn descent into ascent.
            return torch.minimum(self.unclipped, cap.to(self.unclipped).clamp(min=0.0))
        return self.unclipped.clamp(max=cap)


def host_step(loss: float, squared_norm: float, eps: float, f_min: float) -> HostStep:
    """The step size before the cap, from numbers.

    Example:
        >>> host_step(3.0, 17.25, 0.0, 0.0).unclipped  # doctest: +ELLIPSIS
        0.1739130434782...
        >>> GUARDS[host_step(-1.0, 17.25, 0.0, 0.0).guard]
        'below_f_min'
    """
    gap = loss - f_min
    if not (math.isfinite(gap) and math.isfinite(squared_norm)):
        return HostStep(0.0, True, 2)
    if gap <= 0:
        return HostStep(0.0, False, 1)
    denominator = squared_norm + eps
    unclipped = gap / denominator if denominator > 0 else math.inf
    if unclipped > LARGEST:
        return HostStep(0.0, False, 0)
    return HostStep(unclipped, False, None)


def device_step(
    loss: Tensor, squared_norm: Tensor, eps: float, f_min: float, largest: float | Tensor = LARGEST
) -> DeviceStep:
    """The step size before the cap, from 0-d tensors; the host reads nothing."""
    gap = loss - f_min if f_min else loss
    unclipped = gap / (squared_norm + eps)
    finite = torch.isfinite(gap + squared_norm)
    positive = gap > 0
    usable = finite & positive & (unclipped <= largest)
    guards = torch.stack((finite & positive & ~usable, finite & ~positive, ~finite))
    return DeviceStep(torch.where(usable, unclipped, 0.0), ~finite, guards)


def clip_factor(squared_norm: float | Tensor, clip_norm: float) -> float | Tensor:
    """What a gradient must be multiplied by, so that its norm is at most ``clip_norm``.

    Example:
        >>> clip_factor(16.0, 1.0), clip_factor(0.25, 1.0)
        (0.25, 1.0)
    """
    if isinstance(squared_norm, Tensor):
        return (clip_norm / squared_norm.sqrt()).clamp(max=1.0)
    return min(1.0, clip_norm / math.sqrt(squared_norm)) if squared_norm > 0 else 1.0
