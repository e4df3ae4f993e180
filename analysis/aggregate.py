"""One number over several problems: interquartile means of normalised scores.

An average over problems needs a common scale, and every scale is a choice. The one here: 0 is the
network before training, 1 is the best optimizer of this comparison (the best mean of its seeds).
So scores of two comparisons with different optimizers cannot be compared with each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from alig_deepobs.analysis.intervals import RESAMPLES, Array, finite_array, stratified_interval
from alig_deepobs.analysis.statistics import Interval, common_problems
from alig_deepobs.errors import UsageError


def interquartile_mean(values: Sequence[float]) -> float:
    """The mean of the middle half: the lowest and the highest quarter are left out.

    Of n values, ``floor(n / 4)`` are left out at either end. Less sensitive to outliers than the
    mean, and it uses more of the data than the median.

    Args:
        values: finite numbers, at least one.

    Raises:
        UsageError: there is no value, or one is not finite.

    Source: Agarwal et al., NeurIPS 2021, section 4.3.

    Example:
        >>> interquartile_mean([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 800.0])
        4.5
    """
    array = finite_array(values)
    if not len(array):
        raise UsageError("an interquartile mean needs a value")
    from scipy import stats  # takes half a second, and a leaderboard does without

    return float(stats.trim_mean(array, 0.25))


def normalised_scores(
    finals: Mapping[str, Sequence[float]], start: float, higher_is_better: bool
) -> dict[str, list[float]]:
    """Final values of one problem on a scale from 0 (untrained) to 1 (best optimizer).

    A run that did not finish is given as NaN and scores 0, as does one that ended worse than the
    untrained network: a failure is not worse than no training at all, and not left out either.

    Args:
        finals: label -> final metric of each seed; NaN for a run that did not finish.
        start: the metric before training, mean over runs.
        higher_is_better: True for accuracies, False for losses.

    Returns:
        label -> scores; those of single lucky seeds may exceed 1.

    Raises:
        UsageError: no optimizer is better than the untrained network.

    Example:
        >>> normalised_scores({"A": [0.9, 0.9], "B": [0.5, float("nan")]}, 0.1, True)
        {'A': [1.0, 1.0], 'B': [0.5, 0.0]}
    """
    sign = 1.0 if higher_is_better else -1.0
    whole = [v for v in finals.values() if len(v) and all(map(math.isfinite, v))]
    gains = [sign * (math.fsum(values) / len(values) - start) for values in whole]
    best = max(gains, default=0.0)
    if best <= 0:
        raise UsageError("no optimizer is better than the untrained network on every seed")
    return {
        label: [
            max(0.0, sign * (value - start) / best) if math.isfinite(value) else 0.0
            for value in values
        ]
        for label, values in finals.items()
    }


def aggregate_scores(
    scores: Mapping[str, Mapping[str, Sequence[float]]],
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Interquartile mean of each optimizer over problems and seeds, with a bootstrap interval.

    Each problem counts the same: where the numbers of seeds differ, the values of a problem are
    weighted by repeating its quantiles, so that a problem with ten seeds does not outweigh one
    with three.

    Args:
        scores: label -> problem -> normalised score of each seed. Every optimizer must have the
            same problems: a mean over the problems where it did well is no mean.
        confidence: of the interval.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        label -> interval.

    Raises:
        UsageError: the optimizers have different problems.

    Example:
        >>> scores = {"A": {"p": [1.0, 1.0], "q": [0.8, 0.9]},
        ...           "B": {"p": [0.5, 0.6], "q": [0.9, 0.9]}}
        >>> {label: round(found.mean, 3) for label, found in aggregate_scores(scores).items()}
        {'A': 0.95, 'B': 0.75}
    """
    common_problems(scores, "an aggregate")
    return {
        label: stratified_interval(of, _pooled, confidence, resamples, seed)
        for label, of in scores.items()
    }


def _pooled(arrays: list[Array]) -> float:
    sizes = {len(array) for array in arrays}
    if len(sizes) > 1:
        common = max(sizes)
        places = (np.arange(common) + 0.5) / common
        arrays = [np.quantile(array, places, method="hazen") for array in arrays]
    # What `interquartile_mean` does, without the checks of scipy's function, which a bootstrap
    # would pay thousands of times.
    pooled = np.sort(np.concatenate(arrays))
    cut = len(pooled) // 4
    return float(pooled[cut : len(pooled) - cut].mean())
