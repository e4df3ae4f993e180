"""Arguments of test problems that need more than a comparison."""

from __future__ import annotations

import logging
import math

import torch

from alig_deepobs.errors import UsageError

logger = logging.getLogger(__name__)


def find_device(device: str | torch.device | None) -> torch.device:
    """The device of a name; None is the GPU if there is one, else the CPU.

    Raises:
        UsageError: PyTorch does not know it, or finds no GPU.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"unknown device {device!r}: {reason}") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device {device!r} was asked for, but PyTorch finds no GPU")
    return found


def check_weight_decay(weight_decay: float | None, problem: str, has_l2: bool) -> float | None:
    """The L2 factor that is in force: None where none was given or the problem has no L2 term.

    Raises:
        UsageError: the factor is negative or not finite.
    """
    if weight_decay is None:
        return None
    if not (math.isfinite(weight_decay) and weight_decay >= 0):
        raise UsageError(f"weight_decay must be a number from 0 on, not {weight_decay!r}")
    if not has_l2:
        logger.warning("weight_decay=%g is ignored: %s has no L2 term", weight_decay, problem)
        return None
    return float(weight_decay)
