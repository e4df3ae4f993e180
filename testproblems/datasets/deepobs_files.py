"""The files that DeepOBS 1.1.2 reads: which they are, and writing decoded data sets as such."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alig_deepobs.testproblems.datasets.base import DataSet

Bytes = NDArray[np.uint8]

_IDX = tuple(
    f"{part}-{kind}-ubyte.gz"
    for part in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
)
FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "mnist": ("mnist", _IDX),
    "fmnist": ("fmnist", _IDX),
    "cifar10": ("cifar-10", ("data_batch_*.bin", "test_batch.bin")),
    "cifar100": ("cifar-100", ("train.bin", "test.bin")),
    "svhn": ("svhn", ("data_batch_*.bin", "test_batch.bin")),
    "tolstoi": ("tolstoi", ("train.npy", "test.npy")),
    "imagenet": ("imagenet", ("train-*", "validation-*")),
}
"""Data set -> folder in the ``data_dir``, and patterns of the files in it."""


def missing_for_deepobs(name: str, data_dir: str | Path) -> list[str]:
    """The files of a data set (patterns) that DeepOBS 1.1.2 would not find.

    Args:
        name: of the data set; one that DeepOBS draws itself needs no files.
        data_dir: its ``data_dir``.
    """
    folder, patterns = FILES.get(name, ("", ()))
    found = Path(data_dir) / folder
    return [f"{folder}/{pattern}" for pattern in patterns if not any(found.glob(pattern))]


def write_for_deepobs(data: DataSet, folder: Path) -> None:
    """Writes a data set into a ``data_dir`` of DeepOBS 1.1.2.

    So DeepOBS gets the same examples as our problems do, whatever they were read from: official
    files in any of the known folders, an archive, or a synthetic twin. Data sets that DeepOBS draws
    itself need no files, and none are written.

    Args:
        data: the decoded data, all of the training part in it.
        folder: the ``data_dir``; it must exist.

    Example:
        >>> import tempfile
        >>> from alig_deepobs.testproblems.datasets.images import mnist
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_for_deepobs(mnist(synthetic=True), Path(folder))
        ...     print(len(list(Path(folder, "mnist").iterdir())))
        4
    """
    if data.name not in FILES:
        return
    target = folder / FILES[data.name][0]
    target.mkdir(exist_ok=True)
    if data.name in ("mnist", "fmnist"):
        _write_idx(data, target)
    elif data.name == "tolstoi":
        _write_text(data, target)
    else:
        _write_records(data, target)


def _images_and_labels(data: DataSet, part: str) -> tuple[Bytes, Bytes]:
    images, labels = data.parts[part][:2]
    return images.numpy(), labels.numpy().astype(np.uint8)


def _write_idx(data: DataSet, folder: Path) -> None:
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = _images_and_labels(data, part)
        for kind, array in (("images-idx3", images[:, 0]), ("labels-idx1", labels)):
            header = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
            # Level 1: the files are read once.
            content = gzip.compress(header + array.tobytes(), compresslevel=1)
            (folder / f"{prefix}-{kind}-ubyte.gz").write_bytes(content)


def _write_records(data: DataSet, folder: Path) -> None:
    train, test = (_records(data, part) for part in ("train", "test"))
    if data.name == "cifar100":
        train.tofile(folder / "train.bin")
        test.tofile(folder / "test.bin")
        return
    first = 0 if data.name == "svhn" else 1
    for number, records in enumerate(np.array_split(train, 5), first):
        records.tofile(folder / f"data_batch_{number}.bin")
    test.tofile(folder / "test_batch.bin")


def _records(data: DataSet, part: str) -> Bytes:
    images, labels = _images_and_labels(data, part)
    columns = [labels[:, None]]
    if data.name == "svhn":  # pixel by pixel, as its converter does it
        images = images.transpose(0, 2, 3, 1)
    if data.name == "cifar100":  # the coarse label comes first; nobody reads it
        columns.insert(0, np.zeros_like(columns[0]))
    return np.concatenate([*columns, images.reshape(len(images), -1)], axis=1)


def _write_text(data: DataSet, folder: Path) -> None:
    for part in ("train", "test"):
        inputs, targets = (x.numpy() for x in data.parts[part])
        # DeepOBS reads whole pieces of 50 characters too, so nothing that it uses is missing.
        np.save(folder / f"{part}.npy", np.append(inputs.reshape(-1), targets[-1, -1]))
