"""Arguments of test problems that need more than a comparison."""

from __future__ import annotations

import logging
import math
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING

from alig_deepobs.errors import UsageError

if TYPE_CHECKING:
    import torch

    from alig_deepobs.testproblems.datasets.base import DataSet

logger = logging.getLogger(__name__)


def find_device(device: str | torch.device | None) -> torch.device:
    """The device of a name; None is the GPU if there is one, else the CPU.

    Raises:
        UsageError: PyTorch does not know it, or finds no GPU.
    """
    import torch  # not at the top: weight decays are checked before any framework is needed

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


def check_batch_size(batch_size: int) -> int:
    """The batch size as a plain integer.

    Raises:
        UsageError: it is none.
    """
    try:
        return operator.index(batch_size)
    except TypeError:
        raise UsageError(f"batch_size must be an integer, not {batch_size!r}") from None


def check_sizes(sizes: Mapping[str, int], problem: str) -> None:
    """Checks that the sizes of a network are positive.

    Raises:
        UsageError: one is not.
    """
    for name, size in sizes.items():
        if size < 1:
            raise UsageError(f"{problem}: {name} must be at least 1, not {size}")


def check_batch_fits(
    batch_size: int, data: DataSet, problem: str, drops_incomplete: bool = True
) -> None:
    """Checks that every part of the data has at least one mini-batch.

    Where incomplete mini-batches are not dropped, one of any size fits.

    Raises:
        UsageError: one has not, or the batch size is not positive.
    """
    for part in data.parts:
        size = data.size(part)
        if not drops_incomplete and batch_size >= 1:
            continue
        if not 1 <= batch_size <= size:
            raise batch_does_not_fit(problem, size, part, data.label, batch_size)


def batch_does_not_fit(
    problem: str, size: int, part: str, label: str, batch_size: int
) -> UsageError:  # fmt: skip
    """The error of a batch size that some set has too few examples for."""
    return UsageError(
        f"{problem}: batch_size must be from 1 to {size} (all examples of the {part} set of "
        f"{label}), not {batch_size}"
    )


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
