"""Data sets in MNIST's format."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import torch

from alig_deepobs.errors import DataError
from alig_deepobs.testproblems.datasets.base import DataSet, held_out
from alig_deepobs.testproblems.datasets.fetch import Stamps, how_to_get, require, stamps_of
from alig_deepobs.testproblems.datasets.idx import (
    IdxFile,
    check_counts,
    read_images,
    read_labels,
)
from alig_deepobs.testproblems.datasets.sources import (
    FMNIST,
    MNIST,
    SOURCES,
    DataSource,
    Source,
    label_of,
)
from alig_deepobs.testproblems.datasets.twins import image_twin
from alig_deepobs.testproblems.datasets.verify import warn_unofficial

TRAIN_SIZE = 60_000
TRAIN_EVAL_SIZE = 10_000
VALID_SIZE = 10_000


def mnist(
    *, synthetic: bool = False, data_dir: str | None = None, offline: bool = False
) -> DataSet:
    """MNIST: handwritten digits, 28 x 28 pixels, 60,000 for training and 10,000 for testing.

    Args:
        synthetic: make up the small synthetic twin instead; reads and writes nothing.
        data_dir: folder with the official files; None for the cache.
        offline: never touch the network.

    Raises:
        DataError: a file is missing or broken.
    """
    return load_images(MNIST, synthetic=synthetic, data_dir=data_dir, offline=offline)


def fmnist(
    *, synthetic: bool = False, data_dir: str | None = None, offline: bool = False
) -> DataSet:
    """Fashion-MNIST: pictures of clothing, all else as in `mnist`."""
    return load_images(FMNIST, synthetic=synthetic, data_dir=data_dir, offline=offline)


def load_images(
    source: Source, *, synthetic: bool = False, data_dir: str | None = None, offline: bool = False
) -> DataSet:
    """A data set of 28 x 28 images in ten classes; arguments and errors as in `mnist`."""
    if synthetic:
        return image_twin(source, classes=10, channels=1, side=28, cells=7, scale=255.0)
    paths = require(source, data_dir, offline)
    # The stamps are part of the key, so a replaced file is read.
    hint = how_to_get(source, data_dir)
    data = _read_images(source, tuple(paths), stamps_of(source, paths), hint)
    if data.source == "unverified":
        warn_unofficial(paths[0].parent, source.label)
    return data


@lru_cache(maxsize=4)
def _read_images(source: Source, paths: tuple[Path, ...], stamps: Stamps, hint: str) -> DataSet:
    # Cached because a grid of runs in one process would decode the same files again and again.
    train_images, train_labels, test_images, test_labels = paths
    files = [
        *_read_pair(train_images, train_labels, hint),
        *_read_pair(test_images, test_labels, hint),
    ]
    origin: DataSource = "official"
    for path, file, official in zip(paths, files, source.files, strict=True):
        if file.sha256 != official.sha256 and file.content_sha256 != official.content_sha256:
            _check_not_another(source, path, file, hint)
            origin = "unverified"
    tensors = [torch.from_numpy(file.array) for file in files]
    digests = "".join(file.content_sha256 for file in files)
    return DataSet(
        name=source.name,
        label=label_of(source.label, origin),
        version=hashlib.sha256(digests.encode()).hexdigest(),
        source=origin,
        parts={
            "train": (tensors[0].unsqueeze(1), tensors[1].long()),
            "test": (tensors[2].unsqueeze(1), tensors[3].long()),
        },
        scale=255.0,
        train_eval_size=TRAIN_EVAL_SIZE,
        held_out=held_out(len(tensors[0]), VALID_SIZE, TRAIN_SIZE),
    )


def _read_pair(images: Path, labels: Path, hint: str) -> tuple[IdxFile, IdxFile]:
    pair = read_images(images, hint), read_labels(labels, hint)
    check_counts(*pair, images, hint)
    return pair


def _check_not_another(source: Source, path: Path, file: IdxFile, hint: str) -> None:
    # MNIST and Fashion-MNIST give their files the same names, so they are easily mixed up.
    for other in SOURCES.values():
        for official in other.files:
            if file.sha256 == official.sha256 or file.content_sha256 == official.content_sha256:
                raise DataError(
                    f"{path}: holds {official.name} of {other.label}; expected {path.name} of "
                    f"{source.label}; {hint}"
                )
