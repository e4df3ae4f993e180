"""Writes decoded data sets as the files that DeepOBS 1.1.2 reads."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alig_deepobs.testproblems.datasets.base import DataSet

Bytes = NDArray[np.uint8]


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
    if data.name in ("mnist", "fmnist"):
        _write_idx(data, _made(folder / data.name))
    elif data.name == "tolstoi":
        _write_text(data, _made(folder / data.name))
    elif data.name in _RECORD_FOLDERS:
        _write_records(data, _made(folder / _RECORD_FOLDERS[data.name]))


_RECORD_FOLDERS = {"cifar10": "cifar-10", "cifar100": "cifar-100", "svhn": "svhn"}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


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
