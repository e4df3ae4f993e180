"""Members of a tar or zip archive, read into memory one after the other.

Nothing is written to the disk, so nothing can land outside a folder, and nothing is read beyond
the sizes that the caller allows.
"""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

from alig_deepobs.errors import DataError
from alig_deepobs.foreign import Readable, bounded, open_regular

MOST_MEMBERS = 100_000
_LONGEST_HEADER = 1 << 20
"""Bytes of the longest name or list of attributes in a tar archive."""
_ZIP = b"PK"
_GZIP = b"\x1f\x8b"


def read_archive(
    path: Path, most: Callable[[str], int | None], total: int, hint: str
) -> Iterator[tuple[str, bytes]]:
    """The members of a ``.zip``, ``.tar.gz`` or ``.tar`` that are asked for, in its order.

    Args:
        path: the archive.
        most: name of a member -> how many bytes it may have; None: it is not read.
        total: bytes of all members together, and of what is decompressed to find them.
        hint: how to get a good archive, the end of every error message.

    Yields:
        The name of each member and its content.

    Raises:
        DataError: the archive is missing, truncated or corrupt, or one of its members points
            outside its folder, is a link or a device, or is asked for and too large.
    """
    try:
        with open_regular(path) as raw:
            start = raw.read(2)
            raw.seek(0)
            if start == _ZIP:
                yield from _of_zip(raw, most, total)
            elif start == _GZIP:
                with gzip.open(raw) as stream:
                    yield from _of_tar(_Limited(stream, total), most)
            else:
                yield from _of_tar(_Limited(raw, total), most)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; {hint}") from None
    except _RefusedError as error:
        raise DataError(f"{path}: {error}; {hint}") from None
    except Exception as error:  # the standard library's readers raise whatever they stumble over
        kind = ".zip" if path.suffix == ".zip" else ".tar.gz"
        raise DataError(
            f"{path}: truncated or corrupt; expected a {kind} file "
            f"({str(error) or type(error).__name__}); {hint}"
        ) from error


def read_members(path: Path, sizes: Mapping[str, int], hint: str) -> dict[str, bytes]:
    """The contents of members of a ``.tar.gz`` or ``.zip`` archive.

    Args:
        path: the archive.
        sizes: file name of each member, whatever folder of the archive it is in -> bytes that it
            may have.
        hint: how to get a good archive, the end of every error message.

    Raises:
        DataError: the archive is missing, truncated or corrupt, lacks a member, has one twice, or
            has one that is too large, points outside its folder or is no plain file.
    """

    def most(name: str) -> int | None:
        return sizes.get(PurePosixPath(name).name)

    # A few more files may be beside them, such as a description.
    total = 2 * sum(sizes.values()) + (1 << 24)
    found: dict[str, bytes] = {}
    for path_inside, content in read_archive(path, most, total, hint):
        name = PurePosixPath(path_inside).name
        if name in found:
            raise DataError(f"{path}: holds {name} twice; expected one; {hint}")
        found[name] = content
    missing = [name for name in sizes if name not in found]
    if missing:
        raise DataError(f"{path}: {', '.join(missing)} not in it; {hint}")
    return found


class _RefusedError(Exception):
    """What an archive holds that is not read."""


class _Limited:
    """A stream of which not more than so many bytes are read."""

    def __init__(self, stream: Readable, left: int) -> None:
        self.stream = stream
        self.left = left

    def read(self, size: int) -> bytes:
        """The next bytes."""
        piece = self.stream.read(size)
        self.left -= len(piece)
        if self.left < 0:
            raise _RefusedError("more in it than such an archive has")
        return piece


class _Header(tarfile.TarInfo):
    """A header of a tar archive that claims no impossible size."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> Self:
        """Reads the header; see `tarfile.TarInfo.frombuf`."""
        header = super().frombuf(buf, encoding, errors)
        # What is no file is read into memory by tarfile itself: long names, attributes.
        if header.size < 0 or (not header.isfile() and header.size > _LONGEST_HEADER):
            raise tarfile.ReadError(f"a header claims {header.size} bytes")
        return header


def _of_tar(stream: _Limited, most: Callable[[str], int | None]) -> Iterator[tuple[str, bytes]]:
    # As a stream: the archive is decompressed once, front to back.
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as archive:  # type: ignore[call-overload]
        for number, member in enumerate(archive):
            _check_place(number, member.name)
            if not (member.isfile() or member.isdir()) or member.issparse():
                raise _RefusedError(f"member {member.name!r} is a link or a device, not a file")
            if not 0 <= member.size <= stream.left:  # tarfile would skip it block by block
                raise _too_large(member.name, stream.left)
            largest = most(member.name)
            if largest is None or member.isdir():
                continue
            if member.size > largest:
                raise _too_large(member.name, largest)
            content = archive.extractfile(member)
            assert content is not None  # it is a plain file
            read = bounded(content, largest)
            if len(read) != member.size:
                raise EOFError(f"truncated within {member.name}")
            yield member.name, read
    while stream.read(1 << 20):  # gzip compares its checksum at the very end
        pass


def _of_zip(
    raw: IO[bytes], most: Callable[[str], int | None], total: int
) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(raw) as archive:
        for number, member in enumerate(archive.infolist()):
            _check_place(number, member.filename)
            largest = most(member.filename)
            if largest is None or member.is_dir():
                continue
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _RefusedError(f"member {member.filename!r} is compressed in an unusual way")
            largest = min(largest, total)
            if member.file_size > largest:
                raise _too_large(member.filename, largest)
            with archive.open(member) as stream:  # compares the checksum at its end
                read = bounded(stream, largest)
            total -= len(read)
            yield member.filename, read


def _check_place(number: int, name: str) -> None:
    if number >= MOST_MEMBERS:
        raise _RefusedError(f"more than {MOST_MEMBERS:,} members")
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise _RefusedError(f"member {name!r} points outside the folder")


def _too_large(name: str, largest: int) -> _RefusedError:
    return _RefusedError(f"{name} has more than {largest:,} bytes; expected at most that")
