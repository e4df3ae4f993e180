"""Who is better? Paired comparisons of optimizers, corrected for their number.

**The rule for calling a win** (leaderboard and report use it): two optimizers differ if the
two-sided paired t test over their common seeds gives a p-value of at most `WIN_LEVEL`, after Holm's
correction over the family of tests that the question asks for: *all pairs* for "which is best?"
(the best row is found by looking at the same numbers, so a comparison with it is as extreme as the
most extreme of all pairs), the reference against each other one for "is mine better?".

The level is 2.5 %, not the customary 5 %: the t test assumes normal differences, and the stricter
level keeps the share of ties called a win under 5 % where they are not quite that;
`tools/simulate_statistics.py` has the figures. No test helps where an optimizer fails rarely: a
failure in one of five seeds is missing from five seeds every third time, and what is left looks
certain.

Runs with one seed share initial weights and batch order; that is why they are paired.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import special

from alig_deepobs.analysis.intervals import finite_array
from alig_deepobs.analysis.statistics import Interval, paired_difference
from alig_deepobs.errors import UsageError

WIN_LEVEL = 0.025
"""Two-sided level, after Holm's correction, at which a difference is called a win."""

TestMethod = Literal["t", "wilcoxon", "permutation"]

_EXACT_UP_TO = 14  # pairs; 2^14 sign patterns are enumerated, more are sampled


POWER = 0.8
"""Chance of a win that `seeds_to_tell` asks for."""

_MOST_SEEDS = 10**6


@dataclass(frozen=True)
class PairedComparison:
    """Two optimizers on one problem.

    Attributes:
        first, second: their labels.
        difference: first minus second, paired over the common seeds, with the 95 % t interval
            (of this pair alone, without correction).
        p_value: two-sided, of this pair alone; NaN with fewer than two common seeds.
        p_adjusted: after Holm's correction over all pairs compared together.
        winner: label of the better one if they differ at the level asked for, else None.
        seeds_to_tell: how many seeds it would take to tell them apart if the difference is what it
            seems (`seeds_to_tell`); infinite for no difference, NaN where it cannot be said.
    """

    first: str
    second: str
    difference: Interval
    p_value: float
    p_adjusted: float
    winner: str | None
    seeds_to_tell: float

    @property
    def separated(self) -> bool:
        """Whether they are told apart."""
        return self.winner is not None


def compare_all(
    scores: Mapping[str, Mapping[int, float]],
    higher_is_better: bool,
    method: TestMethod = "t",
    level: float = WIN_LEVEL,
) -> list[PairedComparison]:
    """Compares every pair of optimizers, corrected for the number of pairs: which is best?

    Args:
        scores: label -> seed -> final metric. Seeds may differ; a pair is compared over those
            that both have. Leave diverged runs out, and say so.
        higher_is_better: True for accuracies, False for losses.
        method: see `paired_p_value`.
        level: of the corrected p-value at which the better one is named the winner.

    Returns:
        One comparison per pair, in the order of the labels.

    Raises:
        UsageError: a value is not finite.

    Example:
        >>> scores = {"A": {1: 0.90, 2: 0.91, 3: 0.92}, "B": {1: 0.80, 2: 0.81, 3: 0.815}}
        >>> (pair,) = compare_all(scores, higher_is_better=True)
        >>> pair.winner, round(pair.difference.mean, 3)
        ('A', 0.102)
    """
    pairs = list(itertools.combinations(scores, 2))
    return compare_pairs(scores, pairs, higher_is_better, method, level)


def compare_pairs(
    scores: Mapping[str, Mapping[int, float]],
    pairs: Sequence[tuple[str, str]],
    higher_is_better: bool,
    method: TestMethod = "t",
    level: float = WIN_LEVEL,
) -> list[PairedComparison]:
    """Compares some pairs of optimizers, corrected for their number.

    Choose the pairs before the results are known: a reference against each other one, say.

    Args:
        scores: see `compare_all`.
        pairs: labels.
        higher_is_better: True for accuracies, False for losses.
        method: see `paired_p_value`.
        level: of the corrected p-value at which the better one is named the winner.

    Returns:
        One comparison per pair, in their order.

    Raises:
        UsageError: a value is not finite.
    """
    tested = [_tested(scores[a], scores[b], method) for a, b in pairs]
    corrected = holm([p for _, p in tested])
    tests = sum(not math.isnan(p) for p in corrected)
    found = []
    for (a, b), (interval, p), adjusted in zip(pairs, tested, corrected, strict=True):
        better = a if (interval.mean > 0) == higher_is_better else b
        common = scores[a].keys() & scores[b].keys()
        seeds = seeds_to_tell([scores[a][seed] - scores[b][seed] for seed in common], tests, level)
        winner = better if adjusted <= level else None
        found.append(PairedComparison(a, b, interval, p, adjusted, winner, seeds))
    return found


def seeds_to_tell(
    differences: Sequence[float], tests: int = 1, level: float = WIN_LEVEL, power: float = POWER
) -> float:
    """How many seeds it would take to tell apart what differs by as much as it seems to.

    The smallest n with ``|d| >= (t(1 - level / (2 tests), n - 1) + t(power, n - 1)) s / sqrt(n)``:
    mean ``d`` and standard deviation ``s`` of the paired differences, quantiles ``t`` of Student's
    distribution with n - 1 degrees of freedom, and the first step of Holm's correction. The paired
    t test then calls a win with about the chance ``power``. From few differences ``s`` is known
    roughly, and so is the answer: from five, within a factor of three or so.

    Args:
        differences: one per common seed.
        tests: size of the family that Holm's correction is over.
        level: at which a win is called.
        power: wanted chance of a win.

    Returns:
        The number; infinite for no difference or more than a million, NaN for fewer than two
        differences.

    Example:
        >>> seeds_to_tell([0.5, -0.1, 0.3, 0.4, -0.2])
        31.0
        >>> seeds_to_tell([0.0, 0.0]), seeds_to_tell([1.0])
        (inf, nan)
    """
    values = finite_array(differences)
    if len(values) < 2:
        return math.nan
    mean, alpha = abs(float(values.mean())), level / max(1, tests)
    if _without_spread(values):
        # The sign-flip test decides then, and cannot give less than 2 / 2^n.
        return math.inf if mean == 0 else float(math.ceil(1 - math.log2(alpha)))
    ratio = mean / float(np.std(values, ddof=1))

    def enough(n: int) -> bool:
        quantiles = special.stdtrit(n - 1, 1 - alpha / 2) + special.stdtrit(n - 1, power)
        return bool(ratio * math.sqrt(n) >= quantiles)

    if not enough(_MOST_SEEDS):
        return math.inf
    return float(bisect.bisect_left(range(_MOST_SEEDS), True, lo=2, key=enough))


def paired_p_value(differences: Sequence[float], method: TestMethod = "t") -> float:
    """Two-sided p-value that paired differences have no common direction.

    * ``t``: Student's paired t test; assumes roughly normal differences. Differences without any
      spread prove nothing about it (accuracies of small test sets repeat), so there the
      permutation test is used; `compare_all`, which knows the values, takes Welch's t test of
      the two samples instead.
    * ``wilcoxon``: Wilcoxon's signed-rank test; assumes symmetric differences.
    * ``permutation``: the sign-flip test of the mean, exact up to 14 pairs, from 9,999 random
      sign patterns beyond; assumes symmetric differences.

    The last two cannot give less than ``2 / 2^n``: with five seeds they never reach 5 %.

    Args:
        differences: finite numbers, one per common seed.
        method: the test.

    Returns:
        The p-value; 1.0 where all differences are 0, NaN for fewer than two of them.

    Raises:
        UsageError: a difference is not finite, or there is no such method.

    Example:
        >>> paired_p_value([1.0, 2.0, 3.0, 4.0, 5.0], "permutation")
        0.0625
    """
    values = finite_array(differences)
    if method not in ("t", "wilcoxon", "permutation"):
        raise UsageError(f"method must be t, wilcoxon or permutation, not {method!r}")
    if len(values) < 2:
        return math.nan
    if not values.any():
        return 1.0
    if method == "wilcoxon":
        from scipy import stats  # takes half a second, and a leaderboard does without

        return float(stats.wilcoxon(values).pvalue)
    if method == "t" and not _without_spread(values):
        statistic = np.mean(values) / (np.std(values, ddof=1) / math.sqrt(len(values)))
        return float(2 * special.stdtr(len(values) - 1, -abs(statistic)))
    return _sign_flip_p_value(values)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: controls the chance of any false win among all comparisons.

    Args:
        p_values: of the comparisons; NaN (no test possible) stays NaN and does not count.

    Returns:
        The adjusted p-values, in the same order.

    Source: Holm: A simple sequentially rejective multiple test procedure, Scand. J. Stat. 6, 1979.

    Example:
        >>> [round(p, 6) for p in holm([0.01, 0.04, 0.03, 0.005])]
        [0.03, 0.06, 0.06, 0.02]
    """
    known = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for place, i in enumerate(sorted(known, key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(known) - place) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def _tested(
    a: Mapping[int, float], b: Mapping[int, float], method: TestMethod
) -> tuple[Interval, float]:  # fmt: skip
    """The interval of the difference of two optimizers, and the p-value that belongs to it."""
    paired = paired_difference(a, b)
    seeds = sorted(a.keys() & b.keys())
    first, second = (finite_array([of[seed] for seed in seeds]) for of in (a, b))
    if not _needs_welch(first, second):
        return paired, paired_p_value((first - second).tolist(), method)
    from scipy import stats

    found = stats.ttest_ind(first, second, equal_var=False)
    ends = found.confidence_interval(0.95)
    p = found.pvalue if method == "t" else paired_p_value((first - second).tolist(), method)
    return replace(paired, low=float(ends.low), high=float(ends.high)), float(p)


def _needs_welch(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether all differences are equal, and not 0, though the values are not.

    Pairing would promise a certainty that repeated values of a small test set cannot give.
    """
    spread_out = len(first) > 1 and (np.ptp(first) > 0 or np.ptp(second) > 0)
    differences = first - second
    return bool(spread_out and differences.any() and _without_spread(differences))


def _without_spread(values: np.ndarray) -> bool:
    return bool(np.ptp(values) <= 1e-9 * np.abs(values).max())


def _sign_flip_p_value(values: np.ndarray) -> float:
    n = len(values)
    if n <= _EXACT_UP_TO:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=n)))
        extra = 0
    else:
        signs = np.random.default_rng(0).choice((-1.0, 1.0), size=(9999, n))
        extra = 1  # the observed pattern is one of the possible ones, too
    sums = np.abs(signs @ values)
    # Equal sums in another order differ by rounding.
    as_extreme = int((sums >= abs(values.sum()) * (1 - 1e-12)).sum())
    return (as_extreme + extra) / (len(signs) + extra)
