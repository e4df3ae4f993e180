"""DeepOBS's learning-rate schedule: factors of the base rate, from given epochs on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alig_deepobs.errors import UsageError


@dataclass(frozen=True)
class Schedule:
    """A piecewise constant schedule.

    Attributes:
        epochs: after so many finished epochs the rate changes; positive, increasing.
        factors: what the *base* rate is multiplied by from then on; positive.

    Example:
        >>> schedule = Schedule((50, 100), (0.1, 0.01))
        >>> [schedule.factor(finished) for finished in (0, 49, 50, 100)]
        [1.0, 1.0, 0.1, 0.01]
    """

    epochs: tuple[int, ...]
    factors: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.epochs) != len(self.factors):
            raise UsageError(
                f"lr_sched_epochs has {len(self.epochs)} entries and lr_sched_factors "
                f"{len(self.factors)}: give one factor for each epoch"
            )
        if list(self.epochs) != sorted(set(self.epochs)) or not all(e > 0 for e in self.epochs):
            raise UsageError(f"lr_sched_epochs must be positive and increase: {self.epochs}")
        if not all(factor > 0 for factor in self.factors):
            raise UsageError(f"lr_sched_factors must be positive: {self.factors}")

    def factor(self, finished_epochs: int) -> float:
        """The factor of the epoch that comes after so many finished ones."""
        reached = [
            f for e, f in zip(self.epochs, self.factors, strict=True) if e <= finished_epochs
        ]
        return reached[-1] if reached else 1.0


def schedule_of(training_params: Mapping[str, Any]) -> Schedule | None:
    """The schedule among training parameters, None if there is none.

    Raises:
        UsageError: only one of ``lr_sched_epochs`` and ``lr_sched_factors`` is given, or they make
            no sense.
    """
    epochs: Sequence[int] | None = training_params.get("lr_sched_epochs")
    factors: Sequence[float] | None = training_params.get("lr_sched_factors")
    if epochs is None and factors is None:
        return None
    if epochs is None or factors is None:
        raise UsageError("lr_sched_epochs and lr_sched_factors go together: give both or neither")
    return Schedule(tuple(epochs), tuple(factors))


class ScheduledRates:
    """The learning rates of an optimizer under a schedule.

    Args:
        optimizer: a torch optimizer; its groups' ``lr`` are the base rates.
        schedule: None: the rates stay as they are.

    Raises:
        UsageError: there is a schedule, but the optimizer has no learning rate.
    """

    def __init__(self, optimizer: Any, schedule: Schedule | None) -> None:
        self.schedule = schedule
        self.groups = optimizer.param_groups if schedule is not None else []
        if any("lr" not in group for group in self.groups):
            raise UsageError(
                f"{type(optimizer).__name__} has no learning rate that a schedule could change: "
                "leave lr_sched_epochs and lr_sched_factors out"
            )
        self.base = [group["lr"] for group in self.groups]

    def set(self, finished_epochs: int) -> None:
        """Sets the rates for the epoch that comes after so many finished ones."""
        if self.schedule is not None:
            factor = self.schedule.factor(finished_epochs)
            for group, base in zip(self.groups, self.base, strict=True):
                group["lr"] = base * factor
