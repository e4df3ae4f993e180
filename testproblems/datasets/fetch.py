"""Finding, downloading and checking the official files."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from alig_deepobs.errors import DataError
from alig_deepobs.testproblems.datasets.download import Downloader
from alig_deepobs.testproblems.datasets.sources import RemoteFile, Source
from alig_deepobs.testproblems.datasets.verify import FileState, verify

logger = logging.getLogger(__name__)

CACHE_VARIABLE = "ALIG_DEEPOBS_CACHE"

SHARED_FOLDERS = (Path("data_deepobs"), Path("/usr/share/datasets"))
"""Where others leave data: DeepOBS's preparation script (in the current folder), and Debian."""

Stamp = tuple[str, int, int]
Stamps = tuple[Stamp, ...]


def cache_dir() -> Path:
    """The folder of downloaded files: ``$ALIG_DEEPOBS_CACHE``, or the system's cache folder."""
    override = os.environ.get(CACHE_VARIABLE)
    if override:
        return Path(override).expanduser().absolute()
    return platformdirs.user_cache_path("alig-deepobs")


def folder_of(source: Source, data_dir: str | None = None) -> Path:
    """The folder that the files of a data set are downloaded to, or that the user brings."""
    name = source.folders[0] if source.own and source.folders else source.name
    return (cache_dir() if data_dir is None else Path(data_dir).expanduser()) / name


def places(source: Source, data_dir: str | None = None) -> list[Path]:
    """The folders in which the folder of a data set is looked for.

    The first one is the user's: the ``data_dir`` alone, or the cache. In the others, files count
    only if they are the official ones.
    """
    if data_dir is not None:
        return [Path(data_dir).expanduser()]
    return [cache_dir(), *(() if source.own else SHARED_FOLDERS)]


def find_file(source: Source, file: RemoteFile, data_dir: str | None = None) -> Path | None:
    """The path of a file on the disk, or None.

    A ``data_dir`` may hold the files in a folder named after the data set, or directly. Where the
    file itself is nowhere, a folder that has all of its members is as good.
    """
    users, *shared = places(source, data_dir)
    found = _find_in(users, source, file, directly=data_dir is not None)
    if found is not None:
        return found
    for place in shared:
        path = _find_in(place, source, file)
        if path is not None and _is_official(file, path, _stamps_in(file, path)):
            return path
    return None


def _find_in(place: Path, source: Source, file: RemoteFile, directly: bool = False) -> Path | None:
    names = [source.name, *source.folders]
    folders = [place / name for name in names]
    # An archive that was unpacked where it was downloaded to.
    folders += [outer / name for outer in folders for name in source.folders]
    folders += [place] if directly else []
    exists = Path.is_dir if file.is_folder else Path.is_file
    # Of a file whose content is known, a decompressed copy is as good.
    forms = [file.name, *([file.name.removesuffix(".gz")] if file.content_sha256 else [])]
    for folder in folders:
        for form in forms:
            if exists(folder / form):
                return folder / form
    for folder in folders:
        if file.members and all((folder / member.name).is_file() for member in file.members):
            return folder
    return None


@lru_cache
def _is_official(file: RemoteFile, path: Path, stamps: Stamps) -> bool:
    # Cached, because runs ask again and again; the stamps are part of the key.
    try:
        state = verify(file, path)
    except DataError:
        state = FileState.CORRUPT
    if not state.good:
        logger.warning(
            "%s is left alone: it is %s, not for certain the official %s; --data_dir %s takes it",
            path, state, file.name, path.parent,
        )  # fmt: skip
    return state.good


def stamp_of(path: Path) -> Stamp:
    """Path, size and time of the last change of a file: another stamp, another content."""
    status = path.stat()
    return str(path.absolute()), status.st_size, status.st_mtime_ns


def stamps_of(source: Source, paths: Iterable[Path]) -> Stamps:
    """The stamps of what `require` found, for the keys of caches."""
    pairs = zip(source.files, paths, strict=True)
    return tuple(stamp for file, path in pairs for stamp in _stamps_in(file, path))


def _stamps_in(file: RemoteFile, path: Path) -> Stamps:
    if not path.is_dir():
        return (stamp_of(path),)
    return tuple(stamp_of(path / member.name) for member in file.members)


def how_to_get(source: Source, data_dir: str | None = None) -> str:
    """The end of an error message: how to come by good files."""
    if source.own:
        belong = "belongs" if len(source.files) == 1 else "belong"
        home = f" from {source.home}" if source.home else ""
        return (
            f"bring your own copy{home}: {' and '.join(file.name for file in source.files)} "
            f"{belong} into {folder_of(source, data_dir)}; --data_dir names another place, and "
            "--synthetic needs no files"
        )
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
    if data_dir is not None or offline or source.own:
        missing = [file.name for file, path in zip(source.files, paths, strict=True) if not path]
        if missing:
            where = folder_of(source, data_dir)
            also = "" if data_dir is None else f" or {where.parent}"
            also += _pickled(source, data_dir)
            raise DataError(
                f"{source.label}: {', '.join(missing)} missing in {where}{also}"
                f"{' (offline)' if offline else ''}; {how_to_get(source, data_dir)}"
            )
    return [
        path or download(source, file, folder_of(source))
        for file, path in zip(source.files, paths, strict=True)
    ]


def _pickled(source: Source, data_dir: str | None) -> str:
    """The note that a version of the data is there which is not read."""
    found = [place for place in places(source, data_dir) if (place / source.pickled).is_dir()]
    if not (source.pickled and found):
        return ""
    return f" ({source.pickled} there holds pickles, which can run code and are not read)"


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
            if offline or source.own:
                raise DataError(
                    f"{source.label}: {file.name} is {FileState.MISSING if path is None else state}"
                    f" in {folder_of(source, data_dir)}{' (offline)' if offline else ''}; "
                    f"{how_to_get(source, data_dir)}"
                )
            path = download(source, file, folder_of(source, data_dir))
        paths.append(path)
    return paths


def check_file(
    source: Source, file: RemoteFile, data_dir: str | None = None
) -> tuple[Path | None, FileState]:
    """Finds a file and compares its digests with the official ones."""
    path = find_file(source, file, data_dir)
    if source.own:
        return path, FileState.OWN
    if path is None:
        return None, FileState.MISSING
    try:
        return path, verify(file, path)
    except DataError:
        return path, FileState.CORRUPT


def short_reason(error: Exception) -> str:
    """The innermost reason of an error: requests wraps what went wrong three layers deep."""
    reason: Any = error
    while True:
        wrapped = [arg for arg in getattr(reason, "args", ()) if isinstance(arg, Exception)]
        inner = getattr(reason, "reason", None) or next(iter(wrapped), None)
        if inner is None:
            break
        reason = inner
    lines = str(reason).splitlines()
    return lines[0].rpartition(": ")[2] if lines else repr(reason)


def download(source: Source, file: RemoteFile, folder: Path) -> Path:
    """Downloads a file from the first mirror that has it.

    Pooch downloads to a temporary name and renames the file when its digest is right, so a broken
    download leaves nothing behind. Nothing beyond the known size of the file is read. Of several
    processes that want the file one downloads it.

    Raises:
        DataError: no mirror delivered it; the message has the reason of each.
    """
    import pooch

    reasons = []
    for mirror in source.mirrors:
        url = mirror + file.name
        try:
            with _alone_in(folder):
                return Path(
                    pooch.retrieve(
                        url, f"sha256:{file.sha256}", file.name, folder,
                        downloader=Downloader(file.size),
                    )
                )  # fmt: skip
        except (OSError, ValueError) as error:  # requests' errors are OSErrors
            logger.info("%s: %s", url, error)
            reasons.append(f"{url} ({short_reason(error)})")
    raise DataError(
        f"{source.label}: {file.name} could not be downloaded to {folder} from "
        f"{' or '.join(reasons)}; --data_dir names a folder that has it, and --synthetic needs none"
    )


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Waits until no other process downloads to a folder, and clears what a killed one has left."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / ".download.lock"
    with FileLock(lock):
        try:
            for path in folder.glob("tmp????????"):  # pooch's name for what is not complete
                path.unlink()
            yield
        finally:
            lock.unlink(missing_ok=True)
