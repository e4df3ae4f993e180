"""Performance profiles: on how many problems is an optimizer within a factor of the best?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alig_deepobs.analysis.intervals import RESAMPLES, Array, floats
from alig_deepobs.analysis.statistics import common_problems
from alig_deepobs.errors import UsageError


@dataclass(frozen=True)
class Profile:
    """A step function per optimizer.

    Attributes:
        x: ratios to the best (from 1) or score thresholds, ascending.
        y: label -> share at each x, between 0 and 1.
        low, high: label -> ends of the bootstrap band at each x; empty without one.
    """

    x: tuple[float, ...]
    y: dict[str, tuple[float, ...]]
    low: dict[str, tuple[float, ...]]
    high: dict[str, tuple[float, ...]]


def performance_profile(costs: Mapping[str, Mapping[str, float]]) -> Profile:
    """Dolan and Moré's performance profile.

    For each problem the costs (epochs or seconds to the target) are divided by the best one. The
    profile at x is the share of problems on which an optimizer is within the factor x of the
    best. A target that is never reached costs infinity, so its ratio is never within any factor:
    the curve ends below 1. A problem that nobody solves counts for nobody.

    A ratio to the best changes for all when the best optimizer is left out, so a profile ranks only
    first places safely (Gould, Scott: A note on performance profiles, ACM TOMS 43, 2016).

    Args:
        costs: label -> problem -> cost, positive; infinite where the target was missed.

    Returns:
        The profile, a step at every ratio that occurs; without bands.

    Raises:
        UsageError: the optimizers have different problems, or a cost is not positive.

    Source: Dolan, Moré: Benchmarking optimization software with performance profiles, Math.
    Program. 91, 2002.

    Example:
        >>> profile = performance_profile({
        ...     "A": {"p": 10.0, "q": 30.0}, "B": {"p": 20.0, "q": float("inf")}})
        >>> profile.x, profile.y
        ((1.0, 2.0), {'A': (1.0, 1.0), 'B': (0.0, 0.5)})
    """
    names = common_problems(costs, "a performance profile")
    if any(not cost > 0 for of in costs.values() for cost in of.values()):
        raise UsageError("a performance profile needs positive costs, infinite for a missed target")
    best = {name: min(of[name] for of in costs.values()) for name in names}
    ratios = {
        label: sorted(
            of[name] / best[name] if math.isfinite(of[name]) else math.inf for name in names
        )
        for label, of in costs.items()
    }
    x = sorted({1.0, *(r for of in ratios.values() for r in of if math.isfinite(r))})
    y = {
        label: tuple(sum(r <= at for r in of) / len(names) for at in x)
        for label, of in ratios.items()
    }
    return Profile(tuple(x), y, {}, {})


def score_profile(
    scores: Mapping[str, Mapping[str, Sequence[float]]],
    thresholds: Sequence[float] | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Profile:
    """The share of runs that score more than a threshold, averaged over problems.

    Args:
        scores: label -> problem -> normalised score of each seed (`normalised_scores`).
        thresholds: by default 0 to 1 in hundredths.
        confidence: of the pointwise bands, by the stratified bootstrap over seeds. A problem with
            one seed adds nothing to their width.
        resamples: of the bootstrap; 0 for no bands.
        seed: of the bootstrap.

    Raises:
        UsageError: the optimizers have different problems, or one has no run of a problem.

    Source: Agarwal et al., NeurIPS 2021, section 4.2.

    Example:
        >>> profile = score_profile({"A": {"p": [0.2, 0.9], "q": [1.0]}}, [0.0, 0.5], resamples=0)
        >>> profile.y
        {'A': (1.0, 0.75)}
    """
    common_problems(scores, "a score profile")
    if not all(len(values) for of in scores.values() for values in of.values()):
        raise UsageError("a score profile needs a run of every problem")
    x = np.linspace(0, 1, 101) if thresholds is None else np.asarray(thresholds, dtype=np.float64)
    generator = np.random.default_rng(seed)
    y, low, high = {}, {}, {}
    for label, of in scores.items():
        above = [np.asarray(values)[:, None] > x for values in of.values()]
        y[label] = floats(np.mean([rows.mean(axis=0) for rows in above], axis=0))
        if resamples:
            draws = np.mean([_resampled(rows, resamples, generator) for rows in above], axis=0)
            ends = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
            low[label], high[label] = floats(ends[0]), floats(ends[1])
    return Profile(floats(x), y, low, high)


def _resampled(rows: np.ndarray, resamples: int, generator: np.random.Generator) -> Array:
    """Means of rows drawn with replacement, one line per resample."""
    counts = generator.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=resamples)
    shares: Array = counts @ rows / len(rows)
    return shares
