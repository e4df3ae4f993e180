"""What a DeepOBS script may want to see while it trains: printed losses."""

from __future__ import annotations

from alig_deepobs.run import Evaluation
from alig_deepobs.runners.callbacks import Callback


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
