"""What a run tells while it goes on."""

from __future__ import annotations

from alig_deepobs.run import Evaluation, RunResult


class Callback:
    """Hears of a run's progress; this one ignores everything. Subclass what you need."""

    def started(self, result: RunResult, steps_per_epoch: int) -> None:
        """The run is set up and about to be evaluated for the first time."""

    def evaluated(self, epoch: int, evaluations: dict[str, Evaluation]) -> None:
        """Every set was evaluated after so many epochs (0: before training)."""

    def ticked(self, epoch: int, step: int) -> None:
        """So many steps of this epoch are given to the device; called every few steps."""

    def stepped(self, epoch: int, step: int, loss: float) -> None:
        """A step whose loss is logged was taken; called at the end of each epoch."""

    def finished(self, result: RunResult) -> None:
        """The run is over, however it ended."""
