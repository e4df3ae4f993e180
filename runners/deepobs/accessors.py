"""DeepOBS's form of a module-wide setting: a function that gets it, and one that sets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def accessors(
    value: Any, kind: Callable[[Any], Any] = lambda given: given
) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    """Makes the two functions.

    Args:
        value: of the setting, to begin with.
        kind: makes of a given value what is kept, and of that what is handed out.
    """
    kept = [kind(value)]

    def get() -> Any:
        return kind(kept[0])

    def set_(value: Any) -> None:
        kept[0] = kind(value)

    return get, set_


def one_of(name: str, first: str, second: str) -> Callable[[Any], Any]:
    """A ``kind`` of two values; others are ValueErrors, as in DeepOBS."""

    def check(value: Any) -> Any:
        if value not in (first, second):
            raise ValueError(f"{name} must be {first!r} or {second!r}, not {value!r}")
        return value

    return check
