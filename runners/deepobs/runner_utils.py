"""``deepobs.pytorch.runners.runner_utils``: DeepOBS's schedules."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from alig_deepobs.errors import UsageError
from alig_deepobs.results import float_text as float2str

__all__ = ["float2str", "make_lr_schedule"]


def make_lr_schedule(
    optimizer: Any,
    lr_sched_epochs: Sequence[int] | None = None,
    lr_sched_factors: Sequence[float] | None = None,
) -> Any:
    """A scheduler whose factors are relative to the first learning rate.

    Args:
        optimizer: a torch optimizer.
        lr_sched_epochs: epochs at which the rate changes, ascending; None for no change.
        lr_sched_factors: what the first rate is multiplied by from there on.

    Returns:
        A ``LambdaLR``.

    Raises:
        UsageError: only one of the two is given, or they do not fit together.

    Example:
        >>> sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
        >>> schedule = make_lr_schedule(sgd, [2, 4], [0.1, 0.01])
        >>> [round(schedule.lr_lambdas[0](epoch), 3) for epoch in range(5)]
        [1.0, 1.0, 0.1, 0.1, 0.01]
    """
    if (lr_sched_epochs is None) != (lr_sched_factors is None):
        raise UsageError("give both lr_sched_epochs and lr_sched_factors, or neither")
    epochs, factors = list(lr_sched_epochs or []), list(lr_sched_factors or [])
    if len(epochs) != len(factors) or any(a >= b for a, b in pairwise(epochs)):
        raise UsageError(
            f"lr_sched_epochs must ascend and have one factor each: {epochs}, {factors}"
        )

    def factor(epoch: int) -> float:
        begun = [f for start, f in zip(epochs, factors, strict=True) if start <= epoch]
        return begun[-1] if begun else 1.0

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
