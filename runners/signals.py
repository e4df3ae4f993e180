"""Signals that wait until a run can be left and taken up again."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""What ends a command: Ctrl-C; Slurm, docker and ``timeout``; a terminal that is closed."""
_WARNING = tuple(getattr(signal, name) for name in ("SIGUSR2",) if hasattr(signal, name))
"""What Slurm sends ahead of the end, if submitit has asked for it."""
STOP = getattr(signal, "SIGUSR2", signal.SIGTERM)
"""What a study sends to its own processes, and nobody else does, to end their runs."""
_ECHO = 1.0
"""Seconds within which a second SIGTERM or SIGHUP is the first one once more."""


_waiting_since: list[float] = []
"""When the first of the signals came that wait until a run can be left."""


def arrival() -> float:
    """When the signal came that is handled now (`time.monotonic`), which may have waited."""
    return _waiting_since[0] if _waiting_since else time.monotonic()


def is_echo(number: int, first: float) -> bool:
    """Whether a signal is one that has come already, and no second wish.

    ``timeout``, shells and terminals send theirs to a process and to its group.

    Args:
        number: of the signal.
        first: when the first one came (`time.monotonic`).
    """
    return number != signal.SIGINT and time.monotonic() - first < _ECHO


@contextmanager
def held() -> Iterator[None]:
    """Within it signals wait, and in a process that is started there, until it lets them in."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows, where a process is ended without them
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*ENDING, STOP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def let_in(number: int) -> Iterator[None]:
    """Lets a signal in that is held otherwise, also one that has come before."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})


def ignore_ending() -> None:
    """For a process of a study: what ends a command reaches all its processes, and one decides."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def end_with(parent: int) -> None:
    """Ends this process as soon as its parent is gone: nobody would write its results."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Deferred:
    """Within it a signal that would break into a step waits for `check`.

    Whoever handles the signal then does so; a signal without a handler of Python is left alone. A
    second signal does not wait, unless it is an echo (`is_echo`). Outside the main thread, which
    gets no signals, nothing changes.

    Attributes:
        received: the signals that wait.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        self._handlers: dict[int, Callable[[int, Any], Any]] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (*ENDING, *_WARNING):
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if kind is None:
            self.check()

    def check(self) -> None:
        """Hands over the signals that wait, if there are any; their handler raises an interrupt."""
        received, self.received = self.received, []
        try:
            for number in received[:-1]:
                with suppress(KeyboardInterrupt):
                    self._handlers[number](number, None)
            for number in received[-1:]:
                self._handlers[number](number, None)
        finally:
            _waiting_since.clear()

    def _receive(self, number: int, _: Any) -> None:
        if not self.received:
            _waiting_since[:] = [time.monotonic()]
        elif is_echo(number, arrival()):
            return
        self.received.append(number)
        if len(self.received) > 1:
            self.check()
