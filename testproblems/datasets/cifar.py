"""CIFAR-10 and CIFAR-100, from their binary versions."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import torch

from alig_deepobs.archives import read_members
from alig_deepobs.testproblems.datasets.base import Batch, DataSet, held_out
from alig_deepobs.testproblems.datasets.fetch import Stamps, how_to_get, require, stamps_of
from alig_deepobs.testproblems.datasets.records import Records, join, parse, read_file
from alig_deepobs.testproblems.datasets.sources import (
    CIFAR10,
    CIFAR100,
    DataSource,
    Source,
    label_of,
)
from alig_deepobs.testproblems.datasets.twins import TWIN_SIZES, image_twin
from alig_deepobs.testproblems.datasets.verify import warn_unofficial

TRAIN_SIZE = 50_000
TRAIN_EVAL_SIZE = 10_000
VALID_SIZE = 10_000


def cifar10(
    *,
    synthetic: bool = False,
    data_dir: str | None = None,
    offline: bool = False,
    twin_sizes: tuple[int, int] = TWIN_SIZES,
) -> DataSet:
    """CIFAR-10: 32 x 32 pictures in 10 classes, 50,000 for training and 10,000 for testing.

    Args:
        synthetic: make up the small synthetic twin instead.
        data_dir: folder with the official archive, or with its ``.bin`` files; None for the cache.
        offline: never touch the network.
        twin_sizes: training and test images of the twin.

    Raises:
        DataError: a file is missing or broken.
    """
    if synthetic:
        return image_twin(CIFAR10, classes=10, sizes=twin_sizes)
    return _load(CIFAR10, data_dir, offline)


def cifar100(
    *,
    synthetic: bool = False,
    data_dir: str | None = None,
    offline: bool = False,
    twin_sizes: tuple[int, int] = TWIN_SIZES,
) -> DataSet:
    """CIFAR-100: the same as `cifar10`, with 100 classes (the "fine" labels)."""
    if synthetic:
        return image_twin(CIFAR100, classes=100, sizes=twin_sizes)
    return _load(CIFAR100, data_dir, offline)


def _load(source: Source, data_dir: str | None, offline: bool) -> DataSet:
    paths = require(source, data_dir, offline)
    data = _read(source, paths[0], stamps_of(source, paths), how_to_get(source, data_dir))
    if data.source == "unverified":
        warn_unofficial(paths[0], source.label)
    return data


@lru_cache(maxsize=2)
def _read(source: Source, path: Path, stamps: Stamps, hint: str) -> DataSet:
    # Cached because a grid of runs in one process would decode the same files again and again;
    # the stamps are part of the key, so that a replaced file is read.
    members = source.files[0].members
    names = [member.name for member in members]
    if path.is_dir():
        contents = {m.name: read_file(path / m.name, hint, m.size) for m in members}
    else:
        contents = read_members(path, {member.name: member.size for member in members}, hint)
    digests = {name: hashlib.sha256(contents[name]).hexdigest() for name in names}
    official = all(digests[member.name] == member.sha256 for member in members)
    origin: DataSource = "official" if official else "unverified"
    classes, label_bytes = (10, 1) if source is CIFAR10 else (100, 2)

    def records(name: str) -> Records:
        where = str(path / name)
        return parse(contents[name], where, hint, classes=classes, label_bytes=label_bytes)

    # The test file is the last one.
    train = _tensors(join([records(name) for name in names[:-1]]))
    return DataSet(
        name=source.name,
        label=label_of(source.label, origin),
        version=hashlib.sha256("".join(digests.values()).encode()).hexdigest(),
        source=origin,
        parts={"train": train, "test": _tensors(records(names[-1]))},
        train_eval_size=TRAIN_EVAL_SIZE,
        held_out=held_out(len(train[0]), VALID_SIZE, TRAIN_SIZE),
    )


def _tensors(records: Records) -> Batch:
    return torch.from_numpy(records[0]), torch.from_numpy(records[1])
