"""What is in a file on the disk: official, sound or broken content."""

from __future__ import annotations

import hashlib
import logging
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from alig_deepobs.archives import read_members
from alig_deepobs.errors import DataError
from alig_deepobs.foreign import open_regular
from alig_deepobs.testproblems.datasets.idx import decompress
from alig_deepobs.testproblems.datasets.records import read_file, read_mat
from alig_deepobs.testproblems.datasets.sources import RemoteFile
from alig_deepobs.testproblems.datasets.tolstoi_files import decode

logger = logging.getLogger(__name__)


class FileState(StrEnum):
    """What is known about a file on the disk."""

    OK = "ok"
    OK_CONTENT = "ok (content)"
    """Compressed differently, or unpacked, but the content is the official one."""
    UNVERIFIED = "unverified"
    """A sound file whose digests are not the official ones."""
    CORRUPT = "corrupt"
    MISSING = "missing"
    OWN = "bring your own"
    """Nothing is known about it: the user brings it."""

    @property
    def good(self) -> bool:
        """Whether this is the official content for certain, or there is none."""
        return self in (FileState.OK, FileState.OK_CONTENT, FileState.OWN)


def verify(file: RemoteFile, path: Path) -> FileState:
    """Compares digests with the official ones.

    Args:
        file: what the file should be.
        path: where it is, or the folder that has its members.

    Raises:
        DataError: it is missing, unreadable, truncated or corrupt.
    """
    if path.is_dir():
        return _verify_members(
            file,
            {m.name: read_file(path / m.name, hint="", most=10 * m.size) for m in file.members},
        )
    if file_digest(path) == file.sha256:
        return FileState.OK
    if file.name.endswith((".tar.gz", ".zip")):
        sizes = {member.name: member.size for member in file.members}
        return _verify_members(file, read_members(path, sizes, hint=""))
    if file.name.endswith(".gz"):
        content, _ = decompress(path, hint="")
        official = hashlib.sha256(content).hexdigest() == file.content_sha256
        return FileState.OK_CONTENT if official else FileState.UNVERIFIED
    if file.name.endswith(".mat"):
        read_mat(path, hint="", official=False)
    else:
        decode(read_file(path, hint="", most=10 * file.size), str(path), hint="")
    return FileState.UNVERIFIED


def file_digest(path: Path, hint: str = "") -> str:
    """SHA-256 of a file, hexadecimal.

    Raises:
        DataError: it is missing, cannot be read, or is no ordinary file.
    """
    try:
        with open_regular(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); {hint}") from error


def _verify_members(file: RemoteFile, contents: dict[str, bytes]) -> FileState:
    state = FileState.OK_CONTENT
    for member in file.members:
        content = contents[member.name]
        if not content or len(content) % member.unit:
            raise DataError(f"{member.name}: {len(content)} bytes")
        if hashlib.sha256(content).hexdigest() != member.sha256:
            state = FileState.UNVERIFIED
    return state


@lru_cache
def warn_unofficial(path: Path, label: str) -> None:
    """Logs, once in a process, that files are not those that the label names."""
    logger.warning("the files in %s are not the official ones of %s", path, label)
