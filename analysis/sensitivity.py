"""How much does the result depend on the main hyper-parameter?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from alig_deepobs.errors import UsageError

TOLERANCE = 0.05
"""A value counts as good if it is within 5 % of the best one of its grid."""


@dataclass(frozen=True)
class GoodRange:
    """An unbroken range of good values of a hyper-parameter among those that were tried.

    Attributes:
        values: the values of the range, ascending; empty where none is good. Infinity stands for
            no cap.
        best: the best of them.
        best_result: its result.
        n_good: good values in the whole grid, also those outside the range.
        n: values in the grid.
        open_low, open_high: whether the range touches the end of the grid, so that it may be wider.
            Nothing lies beyond no cap.
    """

    values: tuple[float, ...]
    best: float
    best_result: float
    n_good: int
    n: int
    open_low: bool
    open_high: bool

    @property
    def low(self) -> float:
        """The lowest value of the range."""
        return self.values[0]

    @property
    def high(self) -> float:
        """The highest value of the range."""
        return self.values[-1]

    @property
    def decades(self) -> float:
        """From the lowest to the highest finite value, in powers of ten; 0 where there is one."""
        finite = [value for value in self.values if math.isfinite(value)]
        return math.log10(finite[-1] / finite[0]) if finite else 0.0

    @property
    def width(self) -> tuple[float, bool, int]:
        """What ranges are compared by: decades, then no cap at their end, then good values."""
        return round(self.decades, 6), math.inf in self.values, self.n_good

    def __str__(self) -> str:
        if not self.values:
            return f"none of {self.n} values"
        finite = [value for value in self.values if math.isfinite(value)]
        count = f"{self.n_good} of {self.n} values"
        if not finite:
            return f"only without a cap ({count})"
        ends = " to ".join(f"{value:g}" for value in dict.fromkeys((finite[0], finite[-1])))
        without = " and without a cap" if len(finite) < len(self.values) else ""
        size = f"{self.decades:.2g} decade{'' if round(self.decades, 6) == 1 else 's'}"
        ends_open = self.open_low + self.open_high
        note = ("", ", open at one end", ", open at both ends")[ends_open]
        return f"{ends}{without} ({size}, {count}{note})"


def relative_performance(
    results: Mapping[float, float], higher_is_better: bool
) -> dict[float, float]:
    """Each result relative to the best of the grid: 1 is the best, 0 a failure.

    Accuracies: value / best. Losses: best / value. A loss needs a natural zero for that: on a
    problem whose smallest loss is far from 0 the ratio flatters all values.

    Args:
        results: value of the hyper-parameter -> final metric; NaN for a run that did not finish.
        higher_is_better: True for accuracies, False for losses.

    Returns:
        value of the hyper-parameter -> relative performance, ascending.

    Raises:
        UsageError: no run finished, or a result is negative.

    Example:
        >>> relative_performance({0.1: 2.0, 0.01: 4.0, 1.0: float("nan")}, higher_is_better=False)
        {0.01: 0.5, 0.1: 1.0, 1.0: 0.0}
    """
    finite = [value for value in results.values() if math.isfinite(value)]
    if not finite:
        raise UsageError("no run of the grid finished")
    if min(finite) < 0:
        raise UsageError("relative performance is not defined for negative results")
    best = max(finite) if higher_is_better else min(finite)
    return {at: _ratio(results[at], best, higher_is_better) for at in sorted(results)}


def good_range(
    results: Mapping[float, float], higher_is_better: bool, tolerance: float = TOLERANCE
) -> GoodRange:
    """The range of a hyper-parameter in which the result stays within a tolerance of the best.

    Args:
        results: value of the hyper-parameter (positive) -> final metric, mean over seeds where
            there are several; NaN for a run that did not finish. Of one seed per value the best is
            partly luck, and the range is a little too narrow.
        higher_is_better: True for accuracies, False for losses.
        tolerance: 0.05: relative performance of at least 0.95.

    Raises:
        UsageError: no run finished, a result is negative, or a hyper-parameter not positive.

    Example:
        >>> grid = {0.001: 0.80, 0.01: 0.90, 0.1: 0.92, 1.0: 0.10}
        >>> found = good_range(grid, higher_is_better=True)
        >>> found.best, found.low, found.high, round(found.decades, 6), found.open_low
        (0.1, 0.01, 0.1, 1.0, False)
    """
    if any(not at > 0 or not math.isfinite(at) for at in results):
        raise UsageError("a range in decades needs positive values of the hyper-parameter")
    relative = relative_performance(results, higher_is_better)
    grid = list(relative)
    good = [relative[at] >= 1 - tolerance for at in grid]
    centre = max(range(len(grid)), key=lambda i: relative[grid[i]])
    (run,) = (run for run in _runs_of(good) if centre in run)
    return _range(results, grid, good, run, centre)


def widest_range(results: Mapping[float, float], limit: float) -> GoodRange:
    """The widest range of a hyper-parameter in which the result is at most a limit.

    Args:
        results: value of the hyper-parameter (positive; infinity: no cap) -> final objective;
            infinity or NaN for a run that did not finish.
        limit: the highest result that is good.

    Example:
        >>> found = widest_range({0.1: 9.0, 1.0: 0.2, 10.0: 0.3, 100.0: math.inf}, limit=1.0)
        >>> str(found), found.best
        ('1 to 10 (1 decade, 2 of 4 values)', 1.0)
    """
    grid = sorted(results)
    good = [math.isfinite(results[at]) and results[at] <= limit for at in grid]
    ranges = [
        _range(results, grid, good, run, min(run, key=lambda i: results[grid[i]]))
        for run in _runs_of(good)
    ]
    nothing = GoodRange((), math.nan, math.nan, 0, len(grid), False, False)
    return max(ranges, key=lambda found: found.width, default=nothing)


def _runs_of(good: Sequence[bool]) -> list[range]:
    """The unbroken runs of good places.

    Example:
        >>> _runs_of([True, True, False, True])
        [range(0, 2), range(3, 4)]
    """
    groups = [
        list(places) for is_good, places in groupby(range(len(good)), good.__getitem__) if is_good
    ]
    return [range(places[0], places[-1] + 1) for places in groups]


def _range(
    results: Mapping[float, float],
    grid: Sequence[float],
    good: Sequence[bool],
    run: range,
    best: int,
) -> GoodRange:
    return GoodRange(
        values=tuple(grid[i] for i in run),
        best=grid[best],
        best_result=results[grid[best]],
        n_good=sum(good),
        n=len(grid),
        open_low=run.start == 0,
        open_high=run.stop == len(grid) and math.isfinite(grid[-1]),
    )


def _ratio(value: float, best: float, higher_is_better: bool) -> float:
    if not math.isfinite(value):
        return 0.0
    if value == best:
        return 1.0
    return value / best if higher_is_better else best / value
