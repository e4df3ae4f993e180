"""Normal points for the noisy quadratic problem."""

from __future__ import annotations

import numpy as np
import torch

from alig_deepobs.testproblems.datasets.base import DataSet, content_digest
from alig_deepobs.testproblems.datasets.sources import DataSource, label_of

DIM = 100
NOISE_LEVEL = 0.6
# DeepOBS's: 1.1.2 has no validation set, the 1.2 beta draws extra points for it.
SEEDS = {"train": 42, "test": 43, "valid": 44}


def quadratic(*, synthetic: bool = False) -> DataSet:
    """1,000 points in 100 dimensions, standard deviation 0.6, for each part.

    Args:
        synthetic: only the first 256 points of each part.
    """
    size = 256 if synthetic else 1000
    points = {
        part: np.random.RandomState(seed).normal(0.0, NOISE_LEVEL, (size, DIM)).astype(np.float32)
        for part, seed in SEEDS.items()
    }
    source: DataSource = "synthetic" if synthetic else "generated"
    return DataSet(
        name="quadratic",
        label=label_of("Quadratic", source),
        version=content_digest(points.values()),
        source=source,
        parts={part: (torch.from_numpy(x),) for part, x in points.items()},
    )
