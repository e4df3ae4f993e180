"""Finding, downloading and checking the official files."""

from __future__ import annotations

import hashlib
import logging
import os
from enum import StrEnum
from pathlib import Path

from alig_deepobs.errors import DataError
from alig_deepobs.testproblems.datasets.idx import decompress
from alig_deepobs.testproblems.datasets.sources import RemoteFile, Source

logger = logging.getLogger(__name__)

CACHE_VARIABLE = "ALIG_DEEPOBS_CACHE"


class FileState(StrEnum):
    """What is known about a file on the disk."""

    OK = "ok"
    OK_CONTENT = "ok (content)"
    """Compressed differently, but the content is the official one."""
    UNVERIFIED = "unverified"
    """A sound gzip file whose digests are not the official ones."""
    CORRUPT = "corrupt"
    MISSING = "missing"

    @property
    def good(self) -> bool:
        """Whether this is the official content for certain."""
        return self in (FileState.OK, FileState.OK_CONTENT)


def cache_dir() -> Path:
    """The folder of downloaded files: ``$ALIG_DEEPOBS_CACHE``, or the system's cache folder."""
    override = os.environ.get(CACHE_VARIABLE)
    if override:
        return Path(override).expanduser()
    import pooch

    return Path(pooch.os_cache("alig-deepobs"))


def folder_of(source: Source, data_dir: str | None = None) -> Path:
    """The folder that the files of a data set are downloaded to."""
    return (cache_dir() if data_dir is None else Path(data_dir).expanduser()) / source.name


def find_file(source: Source, file: RemoteFile, data_dir: str | None = None) -> Path | None:
    """The path of a file on the disk, or None.

    A ``data_dir`` may hold the files in a folder named after the data set, or directly.
    """
    folder = folder_of(source, data_dir)
    folders = [folder] if data_dir is None else [folder, folder.parent]
    paths = (candidate / file.name for candidate in folders)
    return next((path for path in paths if path.is_file()), None)


def how_to_get(source: Source, data_dir: str | None = None) -> str:
    """The end of an error message: how to come by good files."""
    if data_dir is None:
        return (
            f"`alig-deepobs data fetch {source.name}` downloads it, "
            "or --data_dir names a folder that has it"
        )
    return (
        f"`alig-deepobs data fetch {source.name} --data_dir {data_dir}` downloads it, "
        "or --data_dir names another folder"
    )


def require(source: Source, data_dir: str | None = None, offline: bool = False) -> list[Path]:
    """The paths of all files of a data set; what is missing in the cache is downloaded.

    Args:
        source: the data set.
        data_dir: where to look; nothing is then downloaded. None for the cache.
        offline: never touch the network.

    Raises:
        DataError: a file is missing and must not, or could not, be downloaded.
    """
    paths = [find_file(source, file, data_dir) for file in source.files]
    if data_dir is not None or offline:
        missing = [file.name for file, path in zip(source.files, paths, strict=True) if not path]
        if missing:
            where = folder_of(source, data_dir)
            also = "" if data_dir is None else f" or {where.parent}"
            raise DataError(
                f"{source.label}: {', '.join(missing)} missing in {where}{also}"
                f"{' (offline)' if offline else ''}; {how_to_get(source, data_dir)}"
            )
    return [
        path or download(source, file, folder_of(source))
        for file, path in zip(source.files, paths, strict=True)
    ]


def fetch(source: Source, data_dir: str | None = None, offline: bool = False) -> list[Path]:
    """Makes sure that all files are there and sound; replaces corrupt ones.

    Args:
        source: the data set.
        data_dir: where to look and to put the files; None for the cache.
        offline: only look.

    Returns:
        The paths of the files.

    Raises:
        DataError: a file is not there, or corrupt, and cannot be downloaded.
    """
    paths = []
    for file in source.files:
        path, state = check_file(source, file, data_dir)
        if state is FileState.UNVERIFIED:
            # Sound, but not the official content: somebody may want it, so it is left alone.
            logger.warning("%s is not the official file; delete it to get that one", path)
        if path is None or state is FileState.CORRUPT:
            if offline:
                raise DataError(
                    f"{source.label}: {file.name} is {state} in {folder_of(source, data_dir)} "
                    f"(offline); {how_to_get(source, data_dir)}"
                )
            path = download(source, file, folder_of(source, data_dir))
        paths.append(path)
    return paths


def check_file(
    source: Source, file: RemoteFile, data_dir: str | None = None
) -> tuple[Path | None, FileState]:
    """Finds a file and compares its digests with the official ones."""
    path = find_file(source, file, data_dir)
    if path is None:
        return None, FileState.MISSING
    try:
        content, sha256 = decompress(path, hint="")
    except DataError:
        return path, FileState.CORRUPT
    if sha256 == file.sha256:
        return path, FileState.OK
    if hashlib.sha256(content).hexdigest() == file.content_sha256:
        return path, FileState.OK_CONTENT
    return path, FileState.UNVERIFIED


def download(source: Source, file: RemoteFile, folder: Path) -> Path:
    """Downloads a file from the first mirror that has it.

    Pooch downloads to a temporary name and renames the file when its digest is right, so a broken
    download leaves nothing behind.

    Raises:
        DataError: no mirror delivered it; the message has the reason of each.
    """
    import pooch

    reasons = []
    for mirror in source.mirrors:
        url = mirror + file.name
        try:
            return Path(pooch.retrieve(url, f"sha256:{file.sha256}", file.name, folder))
        except (OSError, ValueError) as error:  # requests' errors are OSErrors
            logger.info("%s: %s", url, error)
            reasons.append(f"{url} ({str(error).splitlines()[0] if str(error) else error!r})")
    raise DataError(
        f"{source.label}: {file.name} could not be downloaded to {folder} from "
        f"{' or '.join(reasons)}; --data_dir names a folder that has it, and --synthetic needs none"
    )
