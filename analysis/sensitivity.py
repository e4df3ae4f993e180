"""How much does the result depend on the main hyper-parameter?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from alig_deepobs.errors import UsageError
from alig_deepobs.words import counted

TOLERANCE = 0.05
"""A value counts as good if it is within 5 % of the best one of its grid."""


@dataclass(frozen=True)
class GoodRange:
    """An unbroken range of good values of a hyper-parameter among those that were tried.

    Attributes:
        values: the good values, ascending; infinity stands for no cap. Empty: none is good.
        best: the one with the best result; NaN where none is good.
        good: number of good values anywhere, also outside the range.
        tried: number of values that were tried.
        open_low, open_high: whether the range touches the end of what was tried, so that it may be
            wider. Beyond no cap there is nothing.
    """

    values: tuple[float, ...]
    best: float
    good: int
    tried: int
    open_low: bool = False
    open_high: bool = False

    @property
    def _finite(self) -> list[float]:
        return [value for value in self.values if math.isfinite(value)]

    @property
    def low(self) -> float:
        """The lowest good value."""
        return min(self.values, default=math.nan)

    @property
    def high(self) -> float:
        """The highest good value."""
        return max(self.values, default=math.nan)

    @property
    def decades(self) -> float:
        """From the lowest to the highest finite value, as a number of powers of ten."""
        finite = self._finite
        return math.log10(finite[-1] / finite[0]) if finite else 0.0

    @property
    def rank(self) -> tuple[float, float, int]:
        """What ranges are compared by: decades, then the end without a cap, then good values."""
        return round(self.decades, 6), math.inf in self.values, self.good

    def ends_text(self) -> str:
        """Its ends, marked where they are open."""
        low, high = value_text(self.low), value_text(self.high)
        return f"{'≤ ' * self.open_low}{low} … {'≥ ' * self.open_high}{high}"

    def __str__(self) -> str:
        if not self.values:
            return f"none of {counted(self.tried, 'value')}"
        finite = self._finite
        if not finite:
            return f"only without a cap ({self.good} of {counted(self.tried, 'value')})"
        text = f"{finite[0]:g}" if len(finite) == 1 else f"{finite[0]:g} to {finite[-1]:g}"
        without = " and without a cap" if math.inf in self.values else ""
        ends = ("", ", open at one end", ", open at both ends")[self.open_low + self.open_high]
        decades = f"{self.decades:.2g} decade{'' if self.decades == 1 else 's'}"
        return f"{text}{without} ({decades}, {self.good} of {counted(self.tried, 'value')}{ends})"


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
    ranges = _unbroken(relative, lambda result: result >= 1 - tolerance)
    return next(found for found in ranges if relative[found.best] == 1)


def widest_range(results: Mapping[float, float], limit: float) -> GoodRange:
    """The widest unbroken range of values whose result is at most a limit.

    Args:
        results: value of the hyper-parameter (positive; infinity: no cap) -> result, the lower the
            better; infinite for a run that did not finish.
        limit: the highest result that is good.

    Example:
        >>> str(widest_range({0.1: 9.0, 1.0: 0.2, 10.0: 0.3, 100.0: math.inf}, 1.0))
        '1 to 10 (1 decade, 2 of 4 values)'
    """
    # The best is that with the highest share of the limit left.
    left = {at: -results[at] for at in sorted(results)}
    ranges = _unbroken(left, lambda result: -limit <= result and result > -math.inf)
    return max(ranges, key=lambda found: found.rank, default=GoodRange((), math.nan, 0, len(left)))


def value_text(value: Any) -> str:
    """A hyper-parameter value in few characters.

    Example:
        >>> value_text(0.001), value_text(1e-05), value_text(None), value_text(0.015848931925)
        ('0.001', '1e-5', '∞', '0.016')
    """
    if value is None:
        return "∞"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value and not 1e-3 <= abs(value) < 1e4:
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.2g}" if abs(value) < 100 else f"{value:g}"


def _unbroken(quality: Mapping[float, float], good: Callable[[float], bool]) -> list[GoodRange]:
    """The unbroken ranges of good values; ``quality`` is ascending by value, higher is better."""
    tried = list(quality)
    number = sum(map(good, quality.values()))
    ranges = []
    for is_good, members in groupby(tried, key=lambda at: good(quality[at])):
        if is_good:
            values = tuple(members)
            ranges.append(
                GoodRange(
                    values,
                    best=max(values, key=lambda at: quality[at]),
                    good=number,
                    tried=len(tried),
                    open_low=values[0] == tried[0],
                    open_high=values[-1] == tried[-1] < math.inf,
                )
            )
    return ranges


def _ratio(value: float, best: float, higher_is_better: bool) -> float:
    if not math.isfinite(value):
        return 0.0
    if value == best:
        return 1.0
    return value / best if higher_is_better else best / value
