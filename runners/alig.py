"""DeepOBS's style of a run: ``python -m alig_deepobs.runners.alig mnist_mlp --max_lr 0.1``."""

from __future__ import annotations

from alig_deepobs.optimizers.alig import AliG
from alig_deepobs.runners.deepobs.runners import LearningRateScheduleRunner

HYPERPARAMETERS = {
    "max_lr": {"type": float, "default": 0.1},
    "momentum": {"type": float, "default": 0.9},
}


def main() -> None:
    """Reads DeepOBS's command line and runs ALI-G once."""
    LearningRateScheduleRunner(AliG, HYPERPARAMETERS).run()


if __name__ == "__main__":
    main()
