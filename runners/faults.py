"""What an error in the middle of a run means: how the run ended, why, and where."""

from __future__ import annotations

import contextlib
import logging
import traceback

import torch

from alig_deepobs.plugins import TRACEBACKS, failure, message
from alig_deepobs.run import Outcome


def outcome_of(error: BaseException) -> tuple[Outcome, str]:
    """How a run ended that an error broke, and the reason in one line."""
    if TRACEBACKS.isEnabledFor(logging.DEBUG):
        with contextlib.suppress(Exception):  # an error's class, too, is code of other people
            TRACEBACKS.debug("%s", "".join(traceback.format_exception(error)).rstrip())
    # torch has no class of its own for the CPU's memory.
    full = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator" in message(error)
    )
    return (Outcome.OUT_OF_MEMORY if full else Outcome.FAILED), failure(error)
