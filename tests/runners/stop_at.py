"""An optimizer for tests of interruptions: SGD whose process dies once, in the middle of a run."""

from __future__ import annotations

import os
from pathlib import Path

import torch


class DiesOnce(torch.optim.SGD):
    """Kills its process in its 30th step, if no other process has done so before.

    Args:
        mark: a file that says that a process has.
    """

    def __init__(self, params, lr: float, mark: str) -> None:
        super().__init__(params, lr)
        self.mark = Path(mark)
        self.steps = 0

    def step(self, closure=None):
        self.steps += 1
        if self.steps == 30 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), 9)
        return super().step(closure)
