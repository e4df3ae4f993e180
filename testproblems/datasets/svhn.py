"""SVHN: house numbers photographed from the street."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from alig_deepobs.testproblems.datasets.base import DataSet, content_digest, held_out
from alig_deepobs.testproblems.datasets.fetch import Stamps, how_to_get, require, stamps_of
from alig_deepobs.testproblems.datasets.paper_split import paper_held_out
from alig_deepobs.testproblems.datasets.records import (
    Records,
    join,
    parse,
    read_file,
    read_mat,
)
from alig_deepobs.testproblems.datasets.sources import (
    SVHN,
    SVHN_EXTRA,
    DataSource,
    RemoteFile,
    Source,
    label_of,
)
from alig_deepobs.testproblems.datasets.twins import TWIN_SIZES, image_twin
from alig_deepobs.testproblems.datasets.verify import file_digest, warn_unofficial

# DeepOBS's converter stops after five files of 12,800 of the 73,257 training images.
TRAIN_SIZE = 64_000
TRAIN_EVAL_SIZE = 26_032
VALID_SIZE = 26_032
# The ALI-G paper trains on all of them but 6,000, and on the extra images.
OFFICIAL_TRAIN_SIZE = 73_257
PAPER_VALID_SIZE = 6_000


def svhn(
    *,
    synthetic: bool = False,
    data_dir: str | None = None,
    offline: bool = False,
    twin_sizes: tuple[int, int] = TWIN_SIZES,
    train_size: int | None = TRAIN_SIZE,
) -> DataSet:
    """SVHN: 32 x 32 photographs of digits, 64,000 for training and 26,032 for testing.

    Args:
        synthetic: make up the small synthetic twin instead.
        data_dir: folder with the official ``.mat`` files, or with the ``.bin`` files that
            DeepOBS makes of them; None for the cache.
        offline: never touch the network.
        twin_sizes: training and test images of the twin.
        train_size: how many of the 73,257 training images are used, from the first on; None for
            all. The default is what DeepOBS 1.1.2 uses.

    Raises:
        DataError: a file is missing or broken.
    """
    if synthetic:
        return image_twin(SVHN, classes=10, sizes=twin_sizes)
    return _load(SVHN, data_dir, offline, train_size)


def svhn_extra(
    *,
    synthetic: bool = False,
    data_dir: str | None = None,
    offline: bool = False,
    twin_sizes: tuple[int, int] = TWIN_SIZES,
) -> DataSet:
    """SVHN with its extra images: 604,388 for training and 26,032 for testing, the paper's split.

    The 73,257 training images come first, then the 531,131 extra ones, which are easier. 6,000 of
    the former can be held out, drawn as in the code of the ALI-G paper. Decoded, the images take
    1.9 GB of the device's memory (and while they are read, about 4 GB of the computer's).

    Arguments and errors are those of `svhn`; there must be the three official ``.mat`` files.
    """
    if synthetic:
        data = image_twin(SVHN_EXTRA, classes=10, scale=255.0, sizes=twin_sizes)
        valid = paper_held_out(data.size("train"), PAPER_VALID_SIZE, OFFICIAL_TRAIN_SIZE)
        return replace(data, held_out=valid)
    return _load(SVHN_EXTRA, data_dir, offline)


def _load(
    source: Source, data_dir: str | None, offline: bool, train_size: int | None = None
) -> DataSet:
    paths = tuple(require(source, data_dir, offline))
    hint = how_to_get(source, data_dir)
    data = _read(source, paths, stamps_of(source, paths), hint, train_size)
    if data.source == "unverified":
        warn_unofficial(paths[-1].parent, source.label)
    return data


@lru_cache(maxsize=1)
def _read(
    source: Source, paths: tuple[Path, ...], stamps: Stamps, hint: str, train_size: int | None
) -> DataSet:
    found = [_read_file(file, path, hint) for file, path in zip(source.files, paths, strict=True)]
    train, test, *extra = (records for records, _ in found)
    origin: DataSource = "official" if all(good for _, good in found) else "unverified"
    arrays: list[NDArray[Any]] = [*(x[:train_size] for x in join([train, *extra])), *test]
    tensors = [torch.from_numpy(x) for x in arrays]
    if extra:  # the paper holds out none of the extra images
        valid = paper_held_out(len(train[1]), PAPER_VALID_SIZE, OFFICIAL_TRAIN_SIZE)
    else:
        valid = held_out(len(arrays[0]), VALID_SIZE, TRAIN_SIZE)
    return DataSet(
        name=source.name,
        label=label_of(source.label, origin),
        version=content_digest(arrays),
        source=origin,
        parts={"train": (tensors[0], tensors[1]), "test": (tensors[2], tensors[3])},
        scale=255.0 if extra else 1.0,
        train_eval_size=TRAIN_EVAL_SIZE,
        held_out=valid,
    )


def _read_file(file: RemoteFile, path: Path, hint: str) -> tuple[Records, bool]:
    """The images of a file, and whether they are the official ones for certain."""
    if path.is_dir():
        files = [
            parse(
                read_file(path / member.name, hint), str(path / member.name), hint,
                classes=10, channels_last=True, most=member.size // member.unit,
            )
            for member in file.members
        ]  # fmt: skip
        return join(files), False
    official = file_digest(path, hint) == file.sha256
    return read_mat(path, hint, official), official
