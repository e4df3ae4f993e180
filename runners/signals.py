"""Signals that wait until a run can be left and taken up again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""What ends a command: Ctrl-C; Slurm, docker and ``timeout``; a terminal that is closed."""
_WARNING = tuple(getattr(signal, name) for name in ("SIGUSR2",) if hasattr(signal, name))
"""What Slurm sends ahead of the end, if submitit has asked for it."""


class Deferred:
    """Within it a signal that would break into a step waits for `check`.

    Whoever handles the signal then does so; a signal without a handler of Python is left alone. A
    second signal does not wait. Outside the main thread, which gets no signals, nothing changes.

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
        for number in received[:-1]:
            with suppress(KeyboardInterrupt):
                self._handlers[number](number, None)
        for number in received[-1:]:
            self._handlers[number](number, None)

    def _receive(self, number: int, _: Any) -> None:
        self.received.append(number)
        if len(self.received) > 1:
            self.check()
