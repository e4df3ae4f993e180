"""The result files of a folder or an archive, one after the other.

Nothing is unpacked and nothing is unpickled: members are read into memory, one at a time, so no
name in an archive can reach a place on the disk.
"""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from alig_deepobs.errors import DataError, UsageError

LARGEST = 512 * 1024 * 1024
"""Bytes of the largest member that is read; a result is far smaller, a zip bomb is not."""


class Member(NamedTuple):
    """A file and its content.

    Attributes:
        name: its path inside the folder or archive, with slashes.
        raw: its bytes.
        problem: why it could not be read, else empty.
    """

    name: str
    raw: bytes
    problem: str = ""


def result_members(path: str | Path) -> Iterator[Member]:
    """The result files in a folder, a ``.zip`` or a ``.tar.gz``, in the order found.

    Result files are those that end in ``.json`` and lie in a setting folder, whose name starts
    with ``num_epochs``.

    Args:
        path: the folder or archive.

    Raises:
        UsageError: there is nothing at that path.
        DataError: the archive is corrupt, or neither a zip nor a tar file.
    """
    path = Path(path)
    if path.is_dir():
        yield from _of_folder(path)
    elif not path.is_file():
        raise UsageError(f"there is no folder or archive {path}")
    elif zipfile.is_zipfile(path):
        yield from _of_zip(path)
    else:
        yield from _of_tar(path)


def _of_folder(folder: Path) -> Iterator[Member]:
    for path in sorted(folder.rglob("*.json")):
        name = path.relative_to(folder).as_posix()
        # A setting folder itself may be given; its name is then outside the relative path.
        if _is_result(f"{folder.resolve().name}/{name}") and path.is_file():
            try:
                yield Member(str(path), path.read_bytes())
            except OSError as error:
                yield Member(str(path), b"", f"cannot read {path}: {error.strerror or error}")


def _of_zip(path: Path) -> Iterator[Member]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir() and _is_result(info.filename):
                    _check_size(path, info.filename, info.file_size)
                    yield Member(info.filename, archive.read(info))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise DataError(f"{path} is truncated or corrupt: {error}; get it anew") from error


def _of_tar(path: Path) -> Iterator[Member]:
    try:
        with tarfile.open(path, "r|*") as archive:
            for info in archive:
                if info.isfile() and _is_result(info.name):
                    _check_size(path, info.name, info.size)
                    stream = archive.extractfile(info)
                    assert stream is not None  # it is a plain file
                    yield Member(info.name, stream.read())
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(
            f"{path} is neither a .zip nor a .tar.gz file, or truncated: {error}; get it anew"
        ) from error


def _is_result(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return (
        len(parts) >= 2
        and parts[-1].endswith(".json")
        and not parts[-1].startswith(".")
        and parts[-2].startswith("num_epochs")
    )


def _check_size(path: Path, name: str, size: int) -> None:
    if size > LARGEST:
        raise DataError(f"{path}: {name} has {size / 1e6:.0f} MB, which no result has")
