"""What a DeepOBS script may want to see while it trains: printed losses, TensorBoard."""

from __future__ import annotations

import logging
from typing import Any

from alig_deepobs.results import RunResult
from alig_deepobs.runners.watch import Evaluation, Watcher

logger = logging.getLogger(__name__)


def watcher_for(print_train_iter: bool, tensorboard_dir: str | None) -> Watcher:
    """The watcher that a script asked for.

    Args:
        print_train_iter: print every logged mini-batch loss.
        tensorboard_dir: folder for TensorBoard's files; None: no TensorBoard. Where the package is
            not installed, a warning is logged and the run goes on.
    """
    watchers: list[Watcher] = [PrintEvaluations(print_train_iter)]
    if tensorboard_dir is not None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            logger.warning("--tb_log has no effect: pip install tensorboard")
        else:
            watchers.append(_TensorBoard(SummaryWriter(tensorboard_dir)))
    return _Several(watchers)


class PrintEvaluations(Watcher):
    """Prints a line per evaluation, and the logged mini-batch losses if wanted."""

    def __init__(self, steps: bool) -> None:
        self.steps = steps

    def stepped(self, epoch: int, step: int, loss: float) -> None:
        """Prints a mini-batch loss."""
        if self.steps:
            print(f"Epoch {epoch - 1}, step {step}: loss {loss:g}")  # noqa: T201 - asked for

    def evaluated(self, epoch: int, evaluations: dict[str, Evaluation]) -> None:
        """Prints an evaluation."""
        parts = [
            f"{part} loss {metrics.loss:g}"
            + (f", accuracy {metrics.accuracy:.4f}" if metrics.accuracy is not None else "")
            for part, metrics in evaluations.items()
        ]
        print(f"After {epoch} epochs: {'; '.join(parts)}")  # noqa: T201 - DeepOBS prints it too


class _TensorBoard(Watcher):
    def __init__(self, writer: Any) -> None:
        self.writer = writer
        self.logged = 0

    def stepped(self, epoch: int, step: int, loss: float) -> None:
        self.writer.add_scalar("loss", loss, self.logged)
        self.logged += 1

    def finished(self, result: RunResult) -> None:
        self.writer.close()


class _Several(Watcher):
    """Passes everything on to several watchers."""

    def __init__(self, watchers: list[Watcher]) -> None:
        self.watchers = watchers

    def started(self, result: RunResult, steps_per_epoch: int) -> None:
        for watcher in self.watchers:
            watcher.started(result, steps_per_epoch)

    def evaluated(self, epoch: int, evaluations: dict[str, Evaluation]) -> None:
        for watcher in self.watchers:
            watcher.evaluated(epoch, evaluations)

    def ticked(self, epoch: int, step: int) -> None:
        for watcher in self.watchers:
            watcher.ticked(epoch, step)

    def stepped(self, epoch: int, step: int, loss: float) -> None:
        for watcher in self.watchers:
            watcher.stepped(epoch, step, loss)

    def finished(self, result: RunResult) -> None:
        for watcher in self.watchers:
            watcher.finished(result)
