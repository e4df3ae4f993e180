"""The format of MNIST's files: gzip around a big-endian header and bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alig_deepobs.errors import DataError
from alig_deepobs.testproblems.datasets.records import read_file

# 0x08 for bytes, then the number of dimensions.
LABELS_MAGIC = 0x0801
IMAGES_MAGIC = 0x0803

LARGEST = 1 << 28
"""Bytes of the largest file that is read, decompressed: over five times those of MNIST's."""


@dataclass(frozen=True)
class IdxFile:
    """A decoded file.

    Attributes:
        array: bytes of shape ``(n,)`` or ``(n, rows, columns)``.
        sha256: digest of the file as it is.
        content_sha256: digest of the decompressed content.
    """

    array: NDArray[np.uint8]
    sha256: str
    content_sha256: str


def read_images(path: Path, hint: str, shape: tuple[int, int] = (28, 28)) -> IdxFile:
    """Reads images, bytes of shape ``(n, rows, columns)``.

    Args:
        path: the file.
        hint: how to get a good one, the end of every error message.
        shape: the rows and columns that the images must have.

    Raises:
        DataError: the file is missing, truncated, corrupt or holds something else.
    """
    file = _read(path, IMAGES_MAGIC, "images", hint)
    if file.array.shape[1:] != shape:
        found = " x ".join(map(str, file.array.shape[1:]))
        raise _bad(path, f"images of {found} pixels; expected {shape[0]} x {shape[1]}", hint)
    return file


def read_labels(path: Path, hint: str, classes: int = 10) -> IdxFile:
    """Reads labels, bytes of shape ``(n,)``; arguments and errors as in `read_images`."""
    file = _read(path, LABELS_MAGIC, "labels", hint)
    highest = int(file.array.max())
    if highest >= classes:
        raise _bad(path, f"label {highest}; expected labels from 0 to {classes - 1}", hint)
    return file


def check_counts(images: IdxFile, labels: IdxFile, images_path: Path, hint: str) -> None:
    """Checks that there is one label per image.

    Raises:
        DataError: their numbers differ.
    """
    if len(images.array) != len(labels.array):
        raise _bad(
            images_path,
            f"{len(images.array)} images, but its labels file has {len(labels.array)} labels; "
            "expected one label per image",
            hint,
        )


def decompress(path: Path, hint: str, most: int = LARGEST) -> tuple[bytes, str]:
    """The decompressed content of a gzip file, and the digest of the file itself.

    Args:
        path: the file; one whose name does not end in ``.gz`` is taken as it is.
        hint: how to get a good one, the end of every error message.
        most: bytes after which decompressing ends; the content has one more if there are more.

    Raises:
        DataError: the file is missing, unreadable, truncated or corrupt.
    """
    raw = read_file(path, hint, LARGEST)
    if path.suffix != ".gz":
        return raw[: most + 1], hashlib.sha256(raw).hexdigest()
    pieces, left = [], most + 1
    try:
        with gzip.open(io.BytesIO(raw)) as stream:
            while left and (piece := stream.read(min(left, 1 << 20))):
                pieces.append(piece)
                left -= len(piece)
    except EOFError as error:
        raise _bad(path, f"the gzip file is truncated after {len(raw)} bytes", hint) from error
    except (OSError, zlib.error, struct.error) as error:
        raise _bad(path, f"corrupt; expected a gzip file ({error})", hint) from error
    return b"".join(pieces), hashlib.sha256(raw).hexdigest()


def _read(path: Path, magic: int, what: str, hint: str) -> IdxFile:
    dims = magic & 0xFF
    start = 4 + 4 * dims
    header, _ = decompress(path, hint, start)
    if len(header) < start:
        raise _bad(path, f"{len(header)} bytes; expected a header of {start} bytes", hint)
    found, *shape = struct.unpack_from(f">{1 + dims}I", header)
    if found != magic:
        raise _bad(path, f"magic number {found}; expected {magic} (idx file of {what})", hint)
    expected = start + math.prod(shape)
    if expected > LARGEST:
        raise _bad(path, f"{expected} bytes by its header; expected at most {LARGEST}", hint)
    content, sha256 = decompress(path, hint, expected)
    if len(content) != expected:
        more = "or more " if len(content) > expected else ""
        raise _bad(
            path,
            f"{len(content)} {more}decompressed bytes; expected {expected}, by its header",
            hint,
        )
    if expected == start:
        raise _bad(path, f"no {what}; expected at least one", hint)
    # The copy makes the array writable, which PyTorch asks for.
    array = np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()
    return IdxFile(array, sha256, hashlib.sha256(content).hexdigest())


def _bad(path: Path, what: str, hint: str) -> DataError:
    return DataError(f"{path}: {what}; {hint}")
