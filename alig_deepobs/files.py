"""Writing files in one step, so that none is ever seen half-written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from alig_deepobs.errors import ResultError


def write_text_atomically(path: Path, text: str) -> None:
    """`write_bytes_atomically` for a text."""
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Writes a file in one step: it is there whole, or not at all.

    Raises:
        ResultError: the folder cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
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
            f"cannot write {path}: {error.strerror or error}; "
            "give a writable folder with --output_dir"
        ) from error


def check_writable(output_dir: str | Path) -> None:
    """Finds out before a long run whether its result can be written.

    Raises:
        ResultError: it cannot; the message says why.
    """
    folder = Path(output_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ResultError(
            f"output folder {folder} is not writable: {error.strerror or error}; "
            "give another one with --output_dir"
        ) from error
