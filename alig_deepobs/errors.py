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


def unknown_name(
    kind: str, name: str, known: Iterable[str], command: str = "alig-deepobs list"
) -> UsageError:
    """A `UsageError` for a name that is not in a list, with the nearest names.

    Args:
        kind: what the name stands for, for example ``"test problem"``.
        name: the name that was not found.
        known: all names that exist.
        command: shows them.

    Example:
        >>> str(unknown_name("optimizer", "adm", ["adam", "sgd"]))
        "unknown optimizer 'adm'; did you mean adam? (`alig-deepobs list` shows all)"
    """
    names = sorted(known)
    return UsageError(f"unknown {kind} {name!r}{_near(name, names)} (`{command}` shows all)")


def check_text(kind: str, name: Any) -> None:
    """Refuses a class, or anything else, where its name is wanted.

    Args:
        kind: what the name stands for, for example ``"optimizer"``.
        name: what was given.

    Raises:
        UsageError: it is no text.
    """
    if isinstance(name, str):
        return
    found = name if isinstance(name, type) else type(name)
    path = f"{found.__module__}:{found.__qualname__}"
    instead = f", {path!r}" if isinstance(name, type) else f"; this is a {path}"
    raise UsageError(f"{kind}s are given by name, or by path, 'package.module:Class'{instead}")


def unknown_choice(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """A `UsageError` for a name that is not in a short list, with the nearest names and the list.

    Example:
        >>> str(unknown_choice("target", "fig6", ["fig1", "fig2", "table1"]))
        "unknown target 'fig6'; did you mean fig2 or fig1? (all: fig1, fig2, table1)"
    """
    names = list(known)
    return UsageError(f"unknown {kind} {name!r}{_near(name, names)} (all: {', '.join(names)})")


def _near(name: str, names: list[str]) -> str:
    spelled = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), spelled, n=3, cutoff=0.5)
    near = [spelled[known] for known in near]
    return f"; did you mean {' or '.join(near)}?" if near else ""


def no_weight_decay(name: str) -> str:
    """What an optimizer says to ``weight_decay`` if its step cannot have one.

    Args:
        name: of the optimizer.
    """
    return (
        f"{name} takes no weight_decay: an L2 term lifts the smallest loss, which the step size "
        "relies on. Keep the weights in a ball instead: AliG(..., projection_fn=L2Ball(parameters, "
        "max_norm)) in PyTorch, max_norm=... in TensorFlow, Keras and on the command line; with "
        "other optimizers call the ball after each step"
    )
