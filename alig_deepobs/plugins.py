"""Code of other people: imported only when it is asked for, and its failures told from our own."""

from __future__ import annotations

import contextlib
import dis
import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from alig_deepobs.errors import AligDeepobsError, UsageError

FOLDER_VARIABLE = "ALIG_DEEPOBS_PLUGIN_FOLDER"
"""Where the command line was called: the folder in which `load_object` looks last."""

_SAFE = "PYTHONSAFEPATH"
TRACEBACKS = logging.getLogger("alig_deepobs.tracebacks")
"""Hears, at the level of debugging, where errors of other people's code in a run came from."""

_RAISE = dis.opmap["RAISE_VARARGS"]
_LIBRARIES = {
    "torch", "numpy", "tensorflow", "keras", "tf_keras", "click", "rich", "pandas", "scipy",
    "sklearn", "matplotlib", "pooch", "filelock", "deepobs",
} | sys.stdlib_module_names  # fmt: skip
_LONGEST = 2000
"""Characters of the message of an error that are kept."""


class Interrupted(KeyboardInterrupt):
    """A signal has ended the command.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.number = number


def load_object(path: str) -> Any:
    """Imports ``package.module:name``.

    Where the command line was called, it may also be a module of the folder that it was called in.
    The folder is searched now, and at no other time.

    Raises:
        UsageError: the module or the name does not exist, or importing it fails.
    """
    module_name, colon, attribute = path.partition(":")
    if not (colon and module_name and attribute) or "/" in path or "\0" in path:
        raise UsageError(f"{path!r} is not an import path of the form package.module:Class")
    with calling(f"importing {path!r}"), searched(module_name):
        try:
            found: Any = importlib.import_module(module_name)
            for part in attribute.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError, ValueError) as error:
            raise UsageError(f"cannot import {path!r}: {error}{_place(error)}") from error
    return found


@contextlib.contextmanager
def searched(module_name: str) -> Iterator[None]:
    """Adds the folder of the command line to the search path, if it alone may have the module."""
    folder = os.environ.get(FOLDER_VARIABLE)
    top = module_name.partition(".")[0]
    if not folder or not top or top in sys.modules or find_spec(top) is not None:
        yield
        return
    sys.path.append(folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


@contextlib.contextmanager
def without_folder() -> Iterator[None]:
    """Processes of Python that are started meanwhile do not find modules of the current folder."""
    before = os.environ.get(_SAFE)
    os.environ[_SAFE] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_SAFE, None)


@contextlib.contextmanager
def calling(what: str, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Calls code of other people: whatever it raises is its failure, and the caller stays in place.

    Args:
        what: is done, for messages.
        passing: errors that are the caller's business.

    Raises:
        UsageError: it failed; the message has the file and the line.
    """
    try:
        with staying():
            yield
    except AligDeepobsError:
        raise
    except BaseException as error:
        if isinstance(error, passing) or is_interrupt(error):
            raise
        raise UsageError(f"{what} failed: {failure(error)}") from error


@contextlib.contextmanager
def staying() -> Iterator[None]:
    """Comes back to the folder of the process, wherever code of other people has gone."""
    try:
        here: Path | int = Path.cwd()
    except FileNotFoundError:  # somebody has removed it, which is no matter of a run
        here = os.open(os.curdir, os.O_RDONLY)
        os.chdir(os.sep)  # libraries ask where they are
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.chdir(here)
        if isinstance(here, int):
            os.close(here)


def is_interrupt(error: BaseException) -> bool:
    """Whether an error is a signal, such as that of Ctrl-C, and not one that code has raised.

    Python raises a signal's error between two instructions of whatever is running.
    """
    if not isinstance(error, KeyboardInterrupt):
        return False
    if isinstance(error, Interrupted):
        return True
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return False  # what is no error of the handler, ours, comes from elsewhere
    last = traceback_of(error)
    if last is None:
        return True
    while last.tb_next is not None:
        last = last.tb_next
    return last.tb_frame.f_code.co_code[last.tb_lasti] != _RAISE


def traceback_of(error: BaseException) -> TracebackType | None:
    """The traceback of an error, whatever its class says that it is."""
    found: TracebackType | None = vars(BaseException)["__traceback__"].__get__(error)
    return found


def last_module(error: BaseException) -> str:
    """Name of the module that has raised an error."""
    frames = [frame for frame, _ in traceback.walk_tb(traceback_of(error))]
    return str(frames[-1].f_globals.get("__name__", "")) if frames else ""


def passed(error: BaseException, owner: object) -> bool:
    """Whether an error came out of a method of an object."""
    return any(
        frame.f_locals.get("self") is owner for frame, _ in traceback.walk_tb(traceback_of(error))
    )


def failure(error: BaseException) -> str:
    """The kind, the message, the file and the line of an error in code of other people."""
    text = message(error)
    return f"{type(error).__name__}{': ' if text else ''}{text}{_place(error)}"


def message(error: BaseException) -> str:
    """The message of an error in one line of a bounded length, whatever its class does."""
    try:
        text = " ".join(str(error).split())
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    except BaseException:  # noqa: BLE001 - its __str__ is code of other people, too
        return "its message cannot be read"


def is_of_others(error: BaseException) -> bool:
    """Whether an error went through code of other people."""
    return bool(_place(error))


def _place(error: BaseException) -> str:
    """Where the code of other people was; empty where there is none of it."""
    # Libraries that it has called say less.
    others = _LIBRARIES | {__package__}
    places = [
        (Path(frame.f_code.co_filename), line)
        for frame, line in traceback.walk_tb(traceback_of(error))
        if frame.f_globals.get("__name__", "").partition(".")[0] not in others
    ]
    if isinstance(error, SyntaxError) and isinstance(error.filename, str):
        places.append((Path(error.filename), error.lineno or 0))
    if not places:
        return ""
    path, line = places[-1]
    return f" ({'/'.join(path.parts[-2:])}, line {line})"
