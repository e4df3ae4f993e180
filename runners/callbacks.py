"""What a run tells while it goes on."""

from __future__ import annotations

from collections.abc import Sequence

from alig_deepobs.run import Evaluation, RunResult
from alig_deepobs.words import counted


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


class Several(Callback):
    """Passes everything on to several callbacks."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = callbacks

    def started(self, result: RunResult, steps_per_epoch: int) -> None:
        """See `Callback.started`."""
        for callback in self.callbacks:
            callback.started(result, steps_per_epoch)

    def evaluated(self, epoch: int, evaluations: dict[str, Evaluation]) -> None:
        """See `Callback.evaluated`."""
        for callback in self.callbacks:
            callback.evaluated(epoch, evaluations)

    def ticked(self, epoch: int, step: int) -> None:
        """See `Callback.ticked`."""
        for callback in self.callbacks:
            callback.ticked(epoch, step)

    def stepped(self, epoch: int, step: int, loss: float) -> None:
        """See `Callback.stepped`."""
        for callback in self.callbacks:
            callback.stepped(epoch, step, loss)

    def finished(self, result: RunResult) -> None:
        """See `Callback.finished`."""
        for callback in self.callbacks:
            callback.finished(result)


class PrintSteps(Callback):
    """DeepOBS's ``print_train_iter``: prints the logged mini-batch losses."""

    def stepped(self, epoch: int, step: int, loss: float) -> None:
        """Prints a mini-batch loss."""
        print(f"Epoch {epoch - 1}, step {step}: loss {loss:g}")  # noqa: T201 - asked for


class PrintEvaluations(Callback):
    """Prints a line per evaluation."""

    def evaluated(self, epoch: int, evaluations: dict[str, Evaluation]) -> None:
        """Prints an evaluation."""
        texts = [
            f"{name} loss {metrics.loss:g}"
            + (f", accuracy {metrics.accuracy:.4f}" if metrics.accuracy is not None else "")
            for name, metrics in evaluations.items()
        ]
        after = counted(epoch, "epoch")
        print(f"After {after}: {'; '.join(texts)}")  # noqa: T201 - DeepOBS prints it too
