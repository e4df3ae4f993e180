"""Data sets that are drawn or written down, not read from files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from alig_deepobs.testproblems.datasets.base import Batch, DataSet, content_digest
from alig_deepobs.testproblems.datasets.copy_task import table
from alig_deepobs.testproblems.datasets.sources import SOURCES, DataSource, label_of

DIM = 100
NOISE_LEVEL = 0.6
# DeepOBS's: 1.1.2 has no validation set, the 1.2 beta draws extra points for it.
SEEDS = {"train": 42, "test": 43, "valid": 44}


def quadratic(*, synthetic: bool = False) -> DataSet:
    """Normal points in 100 dimensions, standard deviation 0.6; 1,000 for each part.

    Args:
        synthetic: only the first 256 points of each part.
    """
    size = 256 if synthetic else 1000
    points = {
        part: np.random.RandomState(seed).normal(0.0, NOISE_LEVEL, (size, DIM)).astype(np.float32)
        for part, seed in SEEDS.items()
    }
    parts = {part: (torch.from_numpy(x),) for part, x in points.items()}
    return _generated("quadratic", points.values(), parts, synthetic)


def two_d(*, synthetic: bool = False) -> DataSet:
    """10,000 standard normal pairs for training; the test set is all zeros.

    Zeros take the noise away: the test loss is the function itself.

    Args:
        synthetic: only the first 512 pairs.
    """
    rng = np.random.RandomState(42)
    x = rng.normal(0.0, 1.0, 10_000).astype(np.float32)  # all of x first, as DeepOBS draws it
    y = rng.normal(0.0, 1.0, 10_000).astype(np.float32)
    if synthetic:
        x, y = x[:512], y[:512]
    zeros = torch.zeros(len(x))
    parts = {"train": (torch.from_numpy(x), torch.from_numpy(y)), "test": (zeros, zeros)}
    return _generated("two_d", (x, y), parts, synthetic)


def repeat_copy(*, synthetic: bool = False) -> DataSet:
    """The table of all sequences of the repeat-copy task, for training and for evaluation.

    Args:
        synthetic: the same; there is nothing to download that a twin could stand in for.
    """
    arrays = table()
    rows = tuple(torch.from_numpy(array) for array in arrays)
    return _generated("repeat_copy", arrays, {"train": rows, "test": rows}, synthetic)


def _generated(
    name: str, arrays: Iterable[NDArray[np.generic]], parts: Mapping[str, Batch], synthetic: bool
) -> DataSet:
    origin: DataSource = "synthetic" if synthetic else "generated"
    label = label_of(SOURCES[name].label, origin)
    return DataSet(name, label, content_digest(arrays), origin, parts)
