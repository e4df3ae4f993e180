"""Reading members of a tar or zip archive by name, without unpacking it.

Members are read into memory, each one asked for by name. Nothing is written to the disk, so
nothing can land outside a folder, and nothing is left half-extracted when a read fails.
"""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from alig_deepobs.errors import DataError

_BROKEN = (
    EOFError, tarfile.ReadError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile,
    NotImplementedError,
)  # fmt: skip


def read_members(path: Path, names: Collection[str], hint: str) -> dict[str, bytes]:
    """The contents of members of a ``.tar.gz`` or ``.zip`` archive.

    Args:
        path: the archive.
        names: file names of the members, whatever folder of the archive they are in.
        hint: how to get a good archive, the end of every error message.

    Raises:
        DataError: the archive is missing, truncated or corrupt, lacks a member, or has one that
            points outside its folder or is no plain file.
    """
    kind, read = (".zip", _read_zip) if path.suffix == ".zip" else (".tar.gz", _read_tar)
    found: dict[str, bytes] = {}
    try:
        for name, content in read(path, names, hint):
            if name in found:
                raise _bad(path, f"holds {name} twice; expected one", hint)
            found[name] = content
    except FileNotFoundError:
        raise _bad(path, "no such file", hint) from None
    except _BROKEN as error:
        raise _bad(path, f"truncated or corrupt; expected a {kind} file ({error})", hint) from error
    except (OSError, RuntimeError) as error:  # a RuntimeError where a .zip file is encrypted
        raise _bad(path, f"cannot be read ({error})", hint) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise _bad(path, f"{', '.join(missing)} not in it", hint)
    return found


def _read_tar(path: Path, names: Collection[str], hint: str) -> Iterator[tuple[str, bytes]]:
    # As a stream: the archive is decompressed once, front to back.
    with gzip.open(path) as raw, tarfile.open(fileobj=raw, mode="r|") as archive:
        for member in archive:
            _check_inside(path, member, hint)
            name = PurePosixPath(member.name).name
            if name in names and member.isfile():
                stream = archive.extractfile(member)
                assert stream is not None  # it is a plain file
                content = stream.read()
                if len(content) != member.size:
                    raise _bad(path, f"truncated within {member.name}", hint)
                yield name, content
        while raw.read(1 << 20):  # gzip compares its checksum at the very end
            pass


def _read_zip(path: Path, names: Collection[str], hint: str) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = PurePosixPath(member.filename).name
            if name in names and not member.is_dir():
                yield name, archive.read(member)  # compares the checksum


def _check_inside(path: Path, member: tarfile.TarInfo, hint: str) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise _bad(path, f"member {member.name!r} points outside the folder", hint)
    if not (member.isfile() or member.isdir()):
        raise _bad(path, f"member {member.name!r} is a link or a device, not a file", hint)


def _bad(path: Path, what: str, hint: str) -> DataError:
    return DataError(f"{path}: {what}; {hint}")
