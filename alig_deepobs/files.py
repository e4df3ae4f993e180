"""Writing files in one step, so that none is ever seen half-written."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from alig_deepobs.errors import ResultError


def write_text_atomically(path: Path, text: str) -> None:
    """`write_bytes_atomically` for a text."""
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Writes a file in one step: it is there whole, or not at all.

    A pipe or a terminal, which no file may replace, is written to as it is.

    Raises:
        ResultError: the folder cannot be made or written, or nobody reads the pipe.
    """
    try:
        if _is_stream(path):
            with open(path, "ab", opener=_open_stream) as stream:
                stream.write(content)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f".{own_mark()}.", suffix=".part"
        )
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            # mkstemp makes files for the owner alone; results are as public as their folder.
            umask = os.umask(0)
            os.umask(umask)
            Path(temporary).chmod(0o666 & ~umask)
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise ResultError(
            f"cannot write {path}: {error.strerror or error}; give a path in a writable folder"
        ) from error


def _is_stream(path: Path) -> bool:
    """Whether what is written there goes elsewhere, as in ``/dev/stdout``; no stranger's link."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    is_link = stat.S_ISLNK(mode) and path.parent == Path("/dev")
    return is_link or stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def _open_stream(name: str, flags: int) -> int:
    # Not waiting for somebody who reads, but for the one who does.
    number = os.open(name, flags & ~os.O_CREAT | getattr(os, "O_NONBLOCK", 0))
    if hasattr(os, "set_blocking"):
        os.set_blocking(number, True)
    return number


def remove_with_folder(path: Path) -> None:
    """Removes a file, if it is there, and its folder, if it was the last one in it."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()


def check_writable(output_dir: str | Path) -> None:
    """Finds out before a long run whether its result can be written.

    Raises:
        ResultError: it cannot; the message says why.
    """
    folder = Path(output_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(b"x")  # a disk that is full has room for an empty file
            stream.flush()
    except OSError as error:
        raise ResultError(
            f"output folder {folder} is not writable: {error.strerror or error}; "
            "give another one with --output_dir"
        ) from error


def own_mark() -> str:
    """What names of temporary files and folders have in them: whose they are."""
    return f"{_host()}-{os.getpid()}"


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "", socket.gethostname())[:40] or "here"


def is_leftover(name: str) -> bool:
    """Whether a temporary file or folder belongs to a process of this machine that has died."""
    found = re.search(rf"(?:^|[.-]){_host()}-(\d+)[.-]", name)
    if found is None:
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's
        return False
    return False


def clear_leftovers(folder: Path) -> None:
    """Removes what processes that were killed have left half-written in a folder and below it."""
    for path in files_below(folder):
        if path.name.endswith(".part") and is_leftover(path.name):
            with contextlib.suppress(OSError):
                path.unlink()


def clear_temporary_folders() -> None:
    """Removes our folders among the system's temporary ones whose process was killed."""
    for path in Path(tempfile.gettempdir()).glob("alig-deepobs-*"):
        if is_leftover(path.name):
            shutil.rmtree(path, ignore_errors=True)


def files_below(folder: Path) -> Iterator[Path]:
    """All files in a folder and below it; links are followed, and each folder is visited once."""
    seen: set[tuple[int, int]] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        with contextlib.suppress(OSError):
            here = Path(root).stat()
            if (here.st_dev, here.st_ino) in seen:
                folders.clear()
                continue
            seen.add((here.st_dev, here.st_ino))
        for name in names:
            yield Path(root, name)


def is_regular(path: Path) -> bool:
    """Whether a path is a file that ends, as pipes and devices need not, perhaps through a link."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
