"""How much does the result depend on the main hyper-parameter?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from alig_deepobs.errors import UsageError

TOLERANCE = 0.05
"""A value counts as good if it is within 5 % of the best one of its grid."""


@dataclass(frozen=True)
class GoodRange:
    """The values of a hyper-parameter around the best one that do nearly as well.

    Attributes:
        best: the best value of the hyper-parameter.
        best_result: its result.
        low, high: ends of the unbroken range of good values around it.
        decades: ``log10(high / low)``; 0 where only the best is good.
        n_good: good values in the whole grid, also those outside the range.
        n: values in the grid.
        open_low, open_high: whether the range touches the end of the grid, so that it may be wider.
    """

    best: float
    best_result: float
    low: float
    high: float
    decades: float
    n_good: int
    n: int
    open_low: bool
    open_high: bool


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
    first = last = centre
    while first > 0 and good[first - 1]:
        first -= 1
    while last + 1 < len(grid) and good[last + 1]:
        last += 1
    return GoodRange(
        best=grid[centre],
        best_result=results[grid[centre]],
        low=grid[first],
        high=grid[last],
        decades=math.log10(grid[last] / grid[first]),
        n_good=sum(good),
        n=len(grid),
        open_low=first == 0,
        open_high=last == len(grid) - 1,
    )


def _ratio(value: float, best: float, higher_is_better: bool) -> float:
    if not math.isfinite(value):
        return 0.0
    if value == best:
        return 1.0
    return value / best if higher_is_better else best / value
