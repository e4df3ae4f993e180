"""What an error in the middle of a run means: how the run ended, why, and where."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

import torch

import alig_deepobs
from alig_deepobs.run import Outcome


def outcome_of(error: BaseException) -> tuple[Outcome, str]:
    """How a run ended that an error broke, and the reason in one line."""
    text = " ".join(str(error).split())
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if _is_out_of_memory(error):
        return Outcome.OUT_OF_MEMORY, reason
    place = place_of(error)
    return Outcome.FAILED, f"{reason} ({place})" if place else reason


def place_of(error: BaseException) -> str:
    """File and line of the user's code that an error comes from, such as ``mine.py, line 12``.

    The innermost frame that belongs neither to Python, nor to an installed package, nor to this
    one; empty if there is none.
    """
    others = _libraries()
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        # There is no file of <string> and <frozen ...>.
        if path.is_file() and not any(map(path.resolve().is_relative_to, others)):
            return f"{path.name}, line {frame.lineno}"
    return ""


def _libraries() -> set[Path]:
    """The folders whose files are not the user's; the rooms of this package may be links."""
    home = Path(alig_deepobs.__file__).parent
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [home, *home.iterdir(), *map(Path, map(sysconfig.get_path, names))]
    return {folder.resolve() for folder in folders}


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # torch has no class of its own for the CPU's memory.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
