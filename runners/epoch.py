"""The training epoch that is under way: what it has logged so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
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
