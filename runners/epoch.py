"""The training epoch that is under way: what it has logged so far."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor

Sizes = tuple[float | Tensor, float | Tensor]
"""A step size after and before the cap."""


@dataclass
class Epoch:
    """What a training epoch has logged; tensors stay on the device until its end.

    Attributes:
        number: of the epoch, from 1.
        total: sum of the losses, weighted by the size of their mini-batches; shape ``()``.
        steps: steps taken.
        full_steps: the same, an incomplete mini-batch counted as a part.
        losses: of the logged steps, each of shape ``()``.
        sizes: step sizes of the logged steps, if the optimizer computes them.
        seconds: what the epoch took before it was taken up again.
    """

    number: int
    total: Tensor
    steps: int = 0
    full_steps: float = 0.0
    losses: list[Tensor] = field(default_factory=list)
    sizes: list[Sizes] = field(default_factory=list)
    seconds: float = 0.0

    def state_dict(self, seconds: float) -> dict[str, Any]:
        """Plain data and tensors.

        Args:
            seconds: what the epoch took so far.
        """
        return {**vars(self), "seconds": seconds}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], device: torch.device) -> Self:
        """The epoch that `state_dict` was taken of."""
        values = {item.name: _to(state[item.name], device) for item in dataclasses.fields(cls)}
        return cls(**values)


def _to(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, (list, tuple)):
        return type(value)(_to(item, device) for item in value)
    return value


def step_size_summary(sizes: Sequence[Sizes]) -> dict[str, float]:
    """Mean, median, extremes and the clipped share of an epoch's logged steps.

    Steps of a size that is not finite, with which a run diverges, are left out; empty if there are
    no others.
    """
    if sizes and isinstance(sizes[0][0], Tensor):
        pairs = torch.stack([torch.stack([torch.as_tensor(x) for x in pair]) for pair in sizes])
        rows = [(clipped, unclipped) for clipped, unclipped in pairs.tolist()]
    else:
        rows = [(float(clipped), float(unclipped)) for clipped, unclipped in sizes]
    rows = [row for row in rows if math.isfinite(row[0])]
    if not rows:
        return {}
    clipped = [row[0] for row in rows]
    return {
        "mean": statistics.fmean(clipped),
        "median": statistics.median(clipped),
        "min": min(clipped),
        "max": max(clipped),
        "clipped_fraction": statistics.fmean(row[0] < row[1] for row in rows),
    }
