"""Bootstrap intervals, for statistics that have no t interval and for samples that are not normal.

Every function is seeded: the same numbers give the same interval on every machine. A bootstrap
does not make a small sample larger: with fewer than about eight values its intervals are too
narrow (percentile intervals of a mean of five values cover about 83 % instead of 95 %), and the
Student t interval of `mean_interval` is the better choice.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from alig_deepobs.analysis.statistics import Interval
from alig_deepobs.errors import UsageError

Array = NDArray[np.float64]
Statistic = Callable[[Array], float]

RESAMPLES = 2000
"""Resamples of a bootstrap: the ends of a 95 % interval then wander by about 2 % of its width."""


def bootstrap_interval(
    values: Sequence[float],
    statistic: Statistic = np.mean,
    confidence: float = 0.95,
    method: Literal["BCa", "percentile"] = "BCa",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """A statistic and its bootstrap interval.

    BCa (bias-corrected and accelerated) corrects the percentile interval for the bias and the
    skewness of the statistic. Where it is not defined, because resampling does not change the
    statistic on one side, the percentile interval is returned.

    Args:
        values: finite numbers, one per seed.
        statistic: of one array; its value is the ``mean`` of the interval.
        confidence: between 0 and 1.
        method: ``BCa`` or ``percentile``.
        resamples: how many samples are drawn with replacement.
        seed: of the generator that draws them.

    Raises:
        UsageError: a value is not finite, or the confidence is not between 0 and 1.

    Source: Efron: Better bootstrap confidence intervals, JASA 82, 1987.

    Example:
        >>> interval = bootstrap_interval([1.0, 2.0, 3.0, 4.0, 10.0], np.median)
        >>> interval.mean, interval.low >= 1, interval.high <= 10
        (3.0, True, True)
        >>> bootstrap_interval([5.0]).known
        False
    """
    sample = finite_array(values, confidence)
    n = len(sample)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    point = float(statistic(sample))
    if n == 1:
        return Interval(point, math.nan, math.nan, 1)
    if sample.min() == sample.max():
        return Interval(point, point, point, n)
    found = None
    for name in (method, "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scipy says by a warning that BCa is not defined
            from scipy import stats  # takes half a second, and a leaderboard does without

            found = stats.bootstrap(
                (sample,),
                lambda draw: float(statistic(draw)),
                vectorized=False,
                confidence_level=confidence,
                method=name,
                n_resamples=resamples,
                rng=np.random.default_rng(seed),
            ).confidence_interval
        if math.isfinite(found.low) and math.isfinite(found.high):
            break
    assert found is not None
    return Interval(point, float(found.low), float(found.high), n)


def stratified_interval(
    strata: Mapping[str, Sequence[float]],
    statistic: Callable[[list[Array]], float],
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """A statistic over several problems and its percentile interval by the stratified bootstrap.

    Seeds are drawn with replacement within each problem; the problems stay as they are. So the
    interval says how sure the statistic is *on these problems*, not on problems like them.

    Args:
        strata: problem -> values, one per seed.
        statistic: of the list of arrays, in the order of the problems.
        confidence: between 0 and 1.
        resamples: how many times all problems are drawn anew.
        seed: of the generator.

    Returns:
        The interval; its ``n`` is the number of all values. It has no ends where a problem has
        fewer than two values.

    Raises:
        UsageError: a value is not finite, or there is no value.

    Source: Agarwal et al.: Deep Reinforcement Learning at the Edge of the Statistical Precipice,
    NeurIPS 2021, section 4.1.

    Example:
        >>> strata = {"a": [1.0, 2.0, 3.0], "b": [5.0, 6.0]}
        >>> interval = stratified_interval(strata, lambda of: float(np.concatenate(of).mean()))
        >>> interval.mean, interval.n
        (3.4, 5)
    """
    arrays = [finite_array(values, confidence) for values in strata.values()]
    n = sum(map(len, arrays))
    if not n or not all(map(len, arrays)):
        raise UsageError("a stratified interval needs a value of every problem")
    point = float(statistic(arrays))
    if min(map(len, arrays)) < 2:
        return Interval(point, math.nan, math.nan, n)
    generator = np.random.default_rng(seed)
    draws = [
        float(statistic([a[generator.integers(len(a), size=len(a))] for a in arrays]))
        for _ in range(resamples)
    ]
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(point, float(low), float(high), n)


def floats(values: Array) -> tuple[float, ...]:
    """An array of one dimension as plain numbers."""
    return tuple(values.tolist())


def finite_array(values: Sequence[float], confidence: float = 0.95) -> Array:
    """The values as an array, checked.

    Raises:
        UsageError: a value is not finite, or the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise UsageError(f"confidence must be between 0 and 1, not {confidence}")
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise UsageError("an interval needs finite values; leave diverged runs out and say so")
    return array
