"""The result files of a folder or an archive, one after the other.

Nothing is unpacked and nothing is unpickled: members are read into memory, one at a time, so no
name in an archive can reach a place on the disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from alig_deepobs.archives import read_archive
from alig_deepobs.errors import UsageError
from alig_deepobs.foreign import LARGEST_RECORD, read_regular

LARGEST = 2 * 1024 * 1024 * 1024
"""Bytes of all results of an archive; the official ones have 1.4 GB."""


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
        DataError: the archive is corrupt, too large, or neither a zip nor a tar file, or a member
            points outside its folder.
    """
    path = Path(path)
    if path.is_dir():
        yield from _of_folder(path)
    elif not path.is_file():
        raise UsageError(f"there is no folder or archive {path}")
    else:

        def most(name: str) -> int | None:
            return LARGEST_RECORD if _is_result(name) else None

        for name, raw in read_archive(path, most, LARGEST, "get it anew"):
            yield Member(name, raw)


def _of_folder(folder: Path) -> Iterator[Member]:
    for path in sorted(folder.rglob("*.json")):
        name = path.relative_to(folder).as_posix()
        # A setting folder itself may be given; its name is then outside the relative path.
        if _is_result(f"{folder.resolve().name}/{name}") and path.is_file():
            try:
                yield Member(str(path), read_regular(path))
            except OSError as error:
                yield Member(str(path), b"", f"cannot read {path}: {error.strerror or error}")


def _is_result(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return (
        len(parts) >= 2
        and parts[-1].endswith(".json")
        and not parts[-1].startswith(".")
        and parts[-2].startswith("num_epochs")
    )
