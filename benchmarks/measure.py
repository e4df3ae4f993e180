"""Interleaved measurements: everything is timed in turn, and ratios are taken round by round.

A machine whose speed drifts, or that has other work, is then slow for all alike.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from alig_deepobs.runners.environment import host


@dataclass(frozen=True)
class Ratio:
    """One figure.

    Attributes:
        figure: what it belongs to.
        case: on what.
        what: what was measured.
        over: what it is divided by.
        ratio: median over the rounds.
        low, high: the quartiles.
        seconds: median time of what was measured.
        rounds: how many there were.
        goal: what the ratio should be, such as ``"<= 1.45"``; empty: it is for information.
    """

    figure: str
    case: str
    what: str
    over: str
    ratio: float
    low: float
    high: float
    seconds: float
    rounds: int
    goal: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None if there is none."""
        if not self.goal:
            return None
        sign, number = self.goal.split()
        return self.ratio <= float(number) if sign == "<=" else self.ratio >= float(number)


def times(
    functions: Mapping[str, Callable[[], Any]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    calls: int = 1,
) -> dict[str, list[float]]:
    """Seconds of a call of each function, in each round.

    Args:
        functions: by name; each is called once before, to warm up.
        rounds: how often.
        clock: `time.process_time` for work in one thread, which other programs do not disturb.
        calls: in a row, in each round.
    """
    for function in functions.values():
        function()
    found: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = clock()
            for _ in range(calls):
                function()
            found[name].append((clock() - start) / calls)
    return found


def ratio(
    figure: str, case: str, what: str, over: str, found: Mapping[str, list[float]], goal: str = "",
    factor: float = 1.0,
) -> Ratio:  # fmt: skip
    """The ratio of two of the measured functions, times a factor."""
    values = [factor * a / b for a, b in zip(found[what], found[over], strict=True)]
    low, middle, high = (
        statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    )  # fmt: skip
    return Ratio(
        figure, case, what, over, middle, low, high, statistics.median(found[what]), len(values),
        goal,
    )  # fmt: skip


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        **host(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "machine": platform.machine(),
    }
