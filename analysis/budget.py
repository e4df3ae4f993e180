"""What does tuning buy? The expected result as a function of the number of settings tried.

An optimizer that wins with 36 tries may lose with three. The curve here answers: if somebody tries
k settings of this grid at random and keeps the one that looks best, how good is it on average?
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alig_deepobs.analysis.intervals import RESAMPLES, Array, floats
from alig_deepobs.errors import UsageError


@dataclass(frozen=True)
class BudgetCurve:
    """The expected result of the chosen setting, per budget.

    Attributes:
        budgets: numbers of settings tried, from 1.
        expected: expected final metric of the chosen setting.
        low, high: pointwise 95 % bootstrap band over the settings of the grid; empty without one.
        chosen_on: what the choice was made on.
    """

    budgets: tuple[int, ...]
    expected: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    chosen_on: str


def budget_curve(
    results: Sequence[float],
    higher_is_better: bool,
    failed: float,
    chosen_by: Sequence[float] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> BudgetCurve:
    """Expected result of the best of k settings drawn at random without replacement, exactly.

    With the n settings sorted by what they are chosen by, best first, the i-th (from 0) is the
    best of a random set of k with probability ``C(n-1-i, k-1) / C(n, k)``; the expectation of its
    result follows. A run that failed is never preferred to one that did not.

    The band comes from resampling the settings of the grid, so it shows how much the curve
    depends on the grid's values. It gets too narrow towards the whole grid, where all resamples
    share their best setting.

    Args:
        results: final test metric of each setting; NaN for a run that did not finish.
        higher_is_better: True for accuracies, False for losses.
        failed: what a failed run counts as, for example the metric before training.
        chosen_by: validation metric of each setting, with the same direction; None: the choice is
            made on the results themselves, which flatters (the curve says so).
        resamples: of the band; 0 for none.
        seed: of the band.

    Raises:
        UsageError: there is no setting, or the lengths differ.

    Source: the exact form of Dodge et al.: Show Your Work, EMNLP 2019, who draw with replacement;
    without replacement: Tang et al.: Showing Your Work Doesn't Always Work, ACL 2020.

    Example:
        >>> curve = budget_curve([0.9, 0.5, float("nan")], True, failed=0.1, resamples=0)
        >>> [round(value, 4) for value in curve.expected]
        [0.5, 0.7667, 0.9]
    """
    tests = np.asarray(results, dtype=np.float64)
    keys = tests if chosen_by is None else np.asarray(chosen_by, dtype=np.float64)
    if not len(tests) or len(keys) != len(tests):
        raise UsageError("a budget curve needs settings, and a validation result of each")
    broken = ~np.isfinite(tests) | ~np.isfinite(keys)
    tests = np.where(broken, failed, tests)
    keys = np.where(broken, -math.inf, keys if higher_is_better else -keys)
    weights = _weights(len(tests))
    expected = weights @ tests[np.argsort(-keys, kind="stable")]
    low = high = np.empty(0)
    if resamples:
        generator = np.random.default_rng(seed)
        drawn = generator.integers(len(tests), size=(resamples, len(tests)))
        order = np.argsort(-keys[drawn], axis=1, kind="stable")
        curves = np.take_along_axis(tests[drawn], order, axis=1) @ weights.T
        low, high = np.quantile(curves, [0.025, 0.975], axis=0)
    return BudgetCurve(
        budgets=tuple(range(1, len(tests) + 1)),
        expected=floats(expected),
        low=floats(low),
        high=floats(high),
        chosen_on="test" if chosen_by is None else "validation",
    )


def _weights(n: int) -> Array:
    """Row k - 1: probability of each place to be the best of k drawn."""
    return np.array(
        [[math.comb(n - 1 - i, k - 1) / math.comb(n, k) for i in range(n)] for k in range(1, n + 1)]
    )
