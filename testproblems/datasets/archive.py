"""Members of an archive by name, without unpacking it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from alig_deepobs.archives import read_archive
from alig_deepobs.errors import DataError


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
