"""Files of 32 x 32 images: binary records of CIFAR's form, and MATLAB files of SVHN's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alig_deepobs.errors import DataError
from alig_deepobs.foreign import read_regular
from alig_deepobs.testproblems.datasets.mat_process import VARIABLES, read_variables

Records = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images of shape ``(n, 3, 32, 32)`` and their labels, ``(n,)``."""

PIXELS = 3 * 32 * 32


LARGEST = 1 << 30
"""Bytes of the largest file that is read as a whole where its size is not known."""


def read_file(path: Path, hint: str, most: int = LARGEST) -> bytes:
    """The content of a file.

    Args:
        path: the file.
        hint: how to get a good one, the end of every error message.
        most: bytes that it may have.

    Raises:
        DataError: it is missing, cannot be read, is no ordinary file, or is larger.
    """
    try:
        return read_regular(path, most)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; {hint}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); {hint}") from error


def parse(
    content: bytes,
    where: str,
    hint: str,
    *,
    classes: int,
    label_bytes: int = 1,
    channels_last: bool = False,
    most: int | None = None,
) -> Records:
    """Decodes records.

    Args:
        content: the bytes of a file.
        where: the name of the file in error messages.
        hint: how to get a good file, the end of every error message.
        classes: labels are from 0 to ``classes - 1``.
        label_bytes: bytes in front of an image; the last one is the label.
        channels_last: whether the bytes of a pixel stand together.
        most: the largest number of records that makes sense.

    Raises:
        DataError: the length is no multiple of a record's, there is no record or there are too
            many, or a label is out of range.
    """
    record = label_bytes + PIXELS
    if len(content) % record:
        raise DataError(
            f"{where}: {len(content)} bytes; expected a multiple of {record}, the length of a "
            f"record ({label_bytes} for the label, {PIXELS} for the image); {hint}"
        )
    count = len(content) // record
    if count == 0:
        raise DataError(f"{where}: empty; expected at least one record; {hint}")
    if most is not None and count > most:
        raise DataError(
            f"{where}: {count} records; expected at most {most} (a converter that appends to "
            f"existing files was run twice?); {hint}"
        )
    table = np.frombuffer(content, np.uint8).reshape(count, record)
    labels = table[:, label_bytes - 1].astype(np.int64)
    check_labels(labels, classes, where, hint)
    pixels = table[:, label_bytes:]
    if channels_last:
        images = pixels.reshape(count, 32, 32, 3).transpose(0, 3, 1, 2)
    else:
        images = pixels.reshape(count, 3, 32, 32)
    return images.copy(order="C"), labels  # writable, which PyTorch asks for


def read_mat(path: Path, hint: str, official: bool) -> Records:
    """Reads a ``.mat`` file of SVHN; label 10, the digit zero, becomes 0.

    Args:
        path: the file.
        hint: how to get a good one, the end of every error message.
        official: whether its digest is the official one. Any other is read in a process of its own.

    Raises:
        DataError: the file is missing, truncated, corrupt or holds something else.
    """
    try:
        if official:
            from scipy.io import loadmat

            content = loadmat(path, variable_names=VARIABLES)
        else:
            content = read_variables(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; {hint}") from None
    except Exception as error:  # SciPy raises whatever a broken file makes it stumble over
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"{path}: truncated or corrupt; expected a MATLAB 5 file ({reason}); {hint}"
        ) from error
    images, labels = content.get("X"), content.get("y")
    if images is None or labels is None:
        raise DataError(f"{path}: expected the variables X (images) and y (labels); {hint}")
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[:3] != (32, 32, 3):
        raise DataError(
            f"{path}: X has type {images.dtype} and shape {images.shape}; expected uint8 and "
            f"(32, 32, 3, images); {hint}"
        )
    count = images.shape[3]
    if labels.size != count or count == 0 or labels.dtype.kind not in "ui":
        raise DataError(
            f"{path}: {labels.size} labels of type {labels.dtype} for {count} images; expected "
            f"one integer label per image, and at least one image; {hint}"
        )
    digits = labels.astype(np.int64).reshape(-1)
    digits[digits == 10] = 0
    check_labels(digits, 10, str(path), hint)
    return np.ascontiguousarray(images.transpose(3, 2, 0, 1)), digits


def check_labels(labels: NDArray[np.int64], classes: int, where: str, hint: str) -> None:
    """Checks that labels are from 0 to ``classes - 1``.

    Raises:
        DataError: one is not; the message has its position.
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise DataError(
            f"{where}: label {labels[wrong[0]]} at record {wrong[0]}; expected labels from 0 to "
            f"{classes - 1}; {hint}"
        )


def join(parts: list[Records]) -> Records:
    """All records of several files, in the order of the files."""
    return np.concatenate([images for images, _ in parts]), np.concatenate([y for _, y in parts])
