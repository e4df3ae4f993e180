"""Learning-rate schedules, decay on a plateau, and gradient clipping.

DeepOBS's schedule has factors of the base rate, from given epochs on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alig_deepobs.entries import NeedsLoss
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
        if not all(type(epoch) is int for epoch in self.epochs):
            raise UsageError(f"lr_sched_epochs must be whole numbers: {self.epochs}")
        if not all(type(factor) in (int, float) for factor in self.factors):
            raise UsageError(f"lr_sched_factors must be numbers: {self.factors}")
        if list(self.epochs) != sorted(set(self.epochs)) or not all(e > 0 for e in self.epochs):
            raise UsageError(f"lr_sched_epochs must be positive and increase: {self.epochs}")
        if not all(0 < factor < math.inf for factor in self.factors):
            raise UsageError(f"lr_sched_factors must be positive and finite: {self.factors}")

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


@dataclass(frozen=True)
class Decay:
    """A rate that falls in every epoch, and where validation does not improve.

    InferSent's rule, and that of ALI-G's paper on SNLI, is ``Decay(0.99, 0.2)``.

    Attributes:
        per_epoch: the rate is multiplied by this at the start of each epoch but the first.
        on_plateau: and by this after each epoch whose validation metric was not better than that
            of all epochs before; None: never.
    """

    per_epoch: float = 1.0
    on_plateau: float | None = None

    def __post_init__(self) -> None:
        for name, value in (
            ("lr_decay_per_epoch", self.per_epoch),
            ("lr_plateau_factor", self.on_plateau),
        ):
            if value is not None and not 0 < value <= 1:
                raise UsageError(f"{name} must be in (0, 1], not {value}")


def decay_of(training_params: Mapping[str, Any], split: str | None) -> Decay | None:
    """The decay among training parameters, None if there is none.

    Args:
        training_params: of the run.
        split: ``full`` or ``validation``.

    Raises:
        UsageError: a factor makes no sense, or there is no validation set to look at.
    """
    per_epoch = training_params.get("lr_decay_per_epoch")
    on_plateau = training_params.get("lr_plateau_factor")
    if per_epoch is None and on_plateau is None:
        return None
    if on_plateau is not None and split != "validation":
        raise UsageError(
            "lr_plateau_factor looks at the validation metric: run it with split 'validation'"
        )
    return Decay(1.0 if per_epoch is None else per_epoch, on_plateau)


class ScheduledRates:
    """The learning rates of an optimizer under a schedule.

    Args:
        optimizer: a torch optimizer; its groups' ``lr`` are the base rates.
        schedule: None: the rates have no schedule.
        decay: None: they do not decay.

    Raises:
        UsageError: there is a schedule or a decay, but the optimizer has no learning rate.
    """

    def __init__(
        self, optimizer: Any, schedule: Schedule | None, decay: Decay | None = None
    ) -> None:  # fmt: skip
        self.schedule = schedule or Schedule((), ())
        self.decay = decay or Decay()
        self.plateaus = 0
        self.best: float | None = None
        self.optimizer = optimizer
        changes = schedule is not None or decay is not None
        groups = optimizer.param_groups if changes else []
        if any(not math.isfinite(group.get("lr", math.inf)) for group in groups):
            raise UsageError(
                f"{type(optimizer).__name__} has no learning rate that a schedule could change: "
                "leave lr_sched_epochs, lr_sched_factors, lr_decay_per_epoch and "
                "lr_plateau_factor out"
            )
        self.base = [group["lr"] for group in groups]

    def set(self, finished_epochs: int) -> None:
        """Sets the rates for the epoch that comes after so many finished ones."""
        factor = self.schedule.factor(finished_epochs)
        factor *= self.decay.per_epoch**finished_epochs
        if self.decay.on_plateau is not None:
            factor *= self.decay.on_plateau**self.plateaus
        # An optimizer that has loaded a state has other groups.
        for base, group in zip(self.base, self.optimizer.param_groups, strict=False):
            group["lr"] = base * factor

    def note(self, metric: float) -> None:
        """Hears the validation metric after an epoch; higher is better."""
        if self.best is None or metric > self.best:
            self.best = metric
        else:
            self.plateaus += 1

    def state_dict(self) -> dict[str, Any]:
        """What `note` has heard."""
        return {"plateaus": self.plateaus, "best": self.best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state_dict` returned."""
        self.plateaus, self.best = state["plateaus"], state["best"]


def clip_norm_of(training_params: Mapping[str, Any], needs: NeedsLoss) -> float | None:
    """The norm that gradients are clipped to, None if they are not.

    Raises:
        UsageError: it is not positive, or the optimizer uses the loss: then a gradient that was
            scaled down is not the gradient of that loss, and the step would be too long.
    """
    norm: float | None = training_params.get("clip_norm")
    if norm is None:
        return None
    if not 0 < norm < math.inf:
        raise UsageError(f"clip_norm must be a positive number, not {norm}")
    if needs is not NeedsLoss.NOTHING:
        raise UsageError(
            "clip_norm cannot be used with an optimizer whose step depends on the loss: a clipped "
            "gradient does not belong to the loss; leave it out"
        )
    return norm
