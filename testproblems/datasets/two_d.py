"""Normal pairs for the problems of two variables."""

from __future__ import annotations

import numpy as np
import torch

from alig_deepobs.testproblems.datasets.base import DataSet, content_digest
from alig_deepobs.testproblems.datasets.sources import DataSource, label_of


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
    source: DataSource = "synthetic" if synthetic else "generated"
    return DataSet(
        name="two_d",
        label=label_of("2D noise", source),
        version=content_digest((x, y)),
        source=source,
        parts={"train": (torch.from_numpy(x), torch.from_numpy(y)), "test": (zeros, zeros)},
    )
