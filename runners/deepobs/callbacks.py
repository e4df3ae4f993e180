"""What a DeepOBS script may want to see while it trains: printed losses, TensorBoard."""

from __future__ import annotations

import logging
from typing import Any

from alig_deepobs.run import Evaluation, RunResult
from alig_deepobs.runners.callbacks import Callback

logger = logging.getLogger(__name__)


def _for_each(name: str) -> Any:
    def tell(self: Several, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, name)(*arguments)

    return tell


class Several(Callback):
    """Passes everything on to several callbacks."""

    def __init__(self, callbacks: list[Callback]) -> None:
        self.callbacks = callbacks

    started = _for_each("started")
    evaluated = _for_each("evaluated")
    ticked = _for_each("ticked")
    stepped = _for_each("stepped")
    finished = _for_each("finished")


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
        print(f"After {epoch} epochs: {'; '.join(texts)}")  # noqa: T201 - DeepOBS prints it too


class TensorBoard(Callback):
    """Logs the mini-batch losses to TensorBoard; where that is not installed, warns.

    Args:
        folder: for TensorBoard's files.
    """

    def __init__(self, folder: str) -> None:
        self.writer: Any = None
        self.logged = 0
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            logger.warning("--tb_log has no effect: pip install tensorboard")
        else:
            self.writer = SummaryWriter(folder)

    def stepped(self, epoch: int, step: int, loss: float) -> None:
        """Logs a mini-batch loss."""
        if self.writer is not None:
            self.writer.add_scalar("loss", loss, self.logged)
        self.logged += 1

    def finished(self, result: RunResult) -> None:
        """Closes the file."""
        if self.writer is not None:
            self.writer.close()
