"""Logistic regression."""

from __future__ import annotations

from torch import nn

from alig_deepobs.testproblems.models.init import build_filled


def logreg(inputs: int, classes: int) -> nn.Module:
    """One dense layer, all weights zero at the start, as in DeepOBS.

    Example:
        >>> sum(p.numel() for p in logreg(784, 10).parameters())
        7850
    """
    return build_filled(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(inputs, classes)), nn.init.zeros_
    )
