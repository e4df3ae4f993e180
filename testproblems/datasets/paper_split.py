"""The split of the ALI-G paper into training and validation examples."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SPLIT_SEED = 1234


def paper_split(total: int, valid_size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The paper's split of ``total`` examples; it is the same for every seed of a run.

    The authors' code draws all examples without replacement from NumPy's legacy generator, permutes
    what was drawn, and cuts it. A generator of its own draws the same numbers and leaves NumPy's
    global state alone.

    Args:
        total: number of examples.
        valid_size: how many of them are held out.

    Returns:
        The indices of the training examples, ``(total - valid_size,)``, and of the validation
        examples, ``(valid_size,)``, in the order in which they were drawn.

    Raises:
        ValueError: ``valid_size`` is not from 0 to ``total``.

    Example:
        >>> train, valid = paper_split(50_000, 5_000)
        >>> train[:3].tolist(), valid[:3].tolist()
        ([20259, 48853, 20844], [13042, 6109, 46700])
    """
    if not 0 <= valid_size <= total:
        raise ValueError(f"valid_size must be from 0 to {total}, not {valid_size}")
    rng = np.random.RandomState(SPLIT_SEED)
    drawn = rng.permutation(rng.choice(total, size=total, replace=False))
    return drawn[: total - valid_size], drawn[total - valid_size :]


def paper_held_out(total: int, valid_size: int, official_size: int) -> Tensor:
    """The validation examples of `paper_split`, for `DataSet.held_out`.

    Of a file that is smaller than the official one at most a quarter is held out.

    Args:
        total: number of training examples that there are.
        valid_size: the paper's number of validation examples.
        official_size: number of training examples of the official file.
    """
    if total < official_size:
        valid_size = min(valid_size, total // 4)
    return torch.from_numpy(paper_split(total, valid_size)[1])
