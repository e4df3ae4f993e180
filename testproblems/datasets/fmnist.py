"""Fashion-MNIST."""

from __future__ import annotations

from alig_deepobs.testproblems.datasets.base import DataSet
from alig_deepobs.testproblems.datasets.images import load_images
from alig_deepobs.testproblems.datasets.sources import FMNIST


def fmnist(
    *, synthetic: bool = False, data_dir: str | None = None, offline: bool = False
) -> DataSet:
    """Fashion-MNIST: pictures of clothing, 60,000 for training and 10,000 for testing.

    Args:
        synthetic: make up the small synthetic twin instead.
        data_dir: folder with the official files; None for the cache.
        offline: never touch the network.

    Raises:
        DataError: a file is missing or broken.
    """
    return load_images(FMNIST, synthetic=synthetic, data_dir=data_dir, offline=offline)
