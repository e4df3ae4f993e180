"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from alig_deepobs.errors import DataError
from alig_deepobs.testproblems.datasets.base import DataSet, content_of
from alig_deepobs.testproblems.datasets.sources import DataSource, label_of

TEST_SIZE = 352  # 11 mini-batches of 32
VALID_SIZE = 256


def digits(*, synthetic: bool = False) -> DataSet:
    """1,797 images of 8 x 8 pixels with 17 grey levels: 1,445 for training, 352 for testing.

    The file is ordered by writer, so a fixed permutation comes before the split.

    Args:
        synthetic: only the first 512 training and 256 test images.
    """
    pixels, labels = _load()
    order = np.random.RandomState(42).permutation(len(labels))
    images = pixels[order].astype(np.uint8).reshape(-1, 1, 8, 8)
    labels = labels[order].astype(np.int64)
    train = slice(0, 512 if synthetic else len(labels) - TEST_SIZE)
    test = slice(len(labels) - TEST_SIZE, len(labels) - TEST_SIZE + 256 if synthetic else None)
    valid_size = 128 if synthetic else VALID_SIZE
    parts = {
        name: (torch.from_numpy(images[part]), torch.from_numpy(labels[part]))
        for name, part in (("train", train), ("test", test))
    }
    size = len(parts["train"][0])
    source: DataSource = "synthetic" if synthetic else "bundled"
    return DataSet(
        name="digits",
        label=label_of("Digits" if synthetic else "Digits (scikit-learn)", source),
        version=content_of(parts),
        source=source,
        parts=parts,
        scale=16.0,
        held_out=torch.arange(size - valid_size, size),
    )


def _load() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What ``sklearn.datasets.load_digits`` returns, without importing scikit-learn.

    The import takes as long as that of PyTorch; the file is a table of numbers.
    """
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise DataError("scikit-learn, which brings the digits, is not installed: pip install .")
    path = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
    table = np.loadtxt(path, delimiter=",")
    return table[:, :-1], table[:, -1]
