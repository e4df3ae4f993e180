"""The errors that the command line turns into one line and an exit code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class AligDeepobsError(Exception):
    """An error whose message alone tells the user what is wrong and how to mend it.

    Attributes:
        exit_code: what the command line returns for it (1: a run failed, 2: wrong usage).
    """

    exit_code = 1


class UsageError(AligDeepobsError, ValueError):
    """The user asked for something that does not exist or does not make sense."""

    exit_code = 2


class RunError(AligDeepobsError):
    """A run broke while it was training.

    Attributes:
        result: what was measured until then, if anything was.
    """

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result


class DataError(AligDeepobsError):
    """A data file is missing, truncated, corrupt or not what its name says."""


class ResultError(AligDeepobsError):
    """A result file cannot be written or read."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """A `UsageError` for a name that is not in a list, with the nearest names.

    Args:
        kind: what the name stands for, for example ``"test problem"``.
        name: the name that was not found.
        known: all names that exist.

    Example:
        >>> str(unknown_name("optimizer", "adm", ["adam", "sgd"]))
        "unknown optimizer 'adm'; did you mean adam? (`alig-deepobs list` shows all)"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ";"
    return UsageError(f"unknown {kind} {name!r}{hint} (`alig-deepobs list` shows all)")
