"""Average ranks over problems: Friedman's test, and Nemenyi's critical difference.

Ranks need no common scale of the problems, and throw away by how much one is better. With k
optimizers on N problems the test is rough for small N; below about five problems it says little.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from alig_deepobs.analysis.statistics import common_problems
from alig_deepobs.errors import UsageError


@dataclass(frozen=True)
class Ranking:
    """What a critical-difference diagram shows.

    Attributes:
        average_ranks: label -> mean rank over problems, best (lowest) first.
        n_problems: number of problems.
        friedman_statistic, friedman_p: Friedman's test that all optimizers rank alike; NaN for
            fewer than three optimizers, for which it is not defined.
        critical_difference: Nemenyi's: average ranks that differ by less are not told apart.
        cliques: largest groups of optimizers that are not told apart, two members at least; each
            is a bar of the diagram.
        alpha: the level.
    """

    average_ranks: dict[str, float]
    n_problems: int
    friedman_statistic: float
    friedman_p: float
    critical_difference: float
    cliques: tuple[tuple[str, ...], ...]
    alpha: float


def rank_optimizers(
    results: Mapping[str, Mapping[str, float]],
    higher_is_better: Mapping[str, bool],
    alpha: float = 0.05,
) -> Ranking:
    """Ranks optimizers on every problem and compares their average ranks.

    Args:
        results: label -> problem -> result (mean over seeds). NaN or infinite (it diverged) ranks
            last; equal results share the mean of their ranks.
        higher_is_better: problem -> direction of its metric.
        alpha: level of the critical difference.

    Raises:
        UsageError: fewer than two optimizers or problems, or different problems.

    Source: Demšar: Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006.

    Example:
        >>> table = {"A": {"p": 0.9, "q": 0.8}, "B": {"p": 0.7, "q": 0.8}}
        >>> rank_optimizers(table, {"p": True, "q": True}).average_ranks
        {'A': 1.25, 'B': 1.75}
    """
    problems = common_problems(results, "a ranking") if results else []
    if len(results) < 2 or len(problems) < 2:
        raise UsageError("average ranks need two optimizers and two problems at least")
    signs = np.array([-1.0 if higher_is_better[problem] else 1.0 for problem in problems])
    table = np.array([[of[problem] for problem in problems] for of in results.values()]) * signs
    table[~np.isfinite(table)] = math.inf
    from scipy import stats  # takes half a second, and a leaderboard does without

    ranks = stats.rankdata(table, axis=0)
    averages = dict(zip(results, ranks.mean(axis=1).tolist(), strict=True))
    averages = dict(sorted(averages.items(), key=lambda item: item[1]))
    statistic, p = math.nan, math.nan
    if len(results) > 2 and np.ptp(ranks):
        found = stats.friedmanchisquare(*ranks)
        statistic, p = float(found.statistic), float(found.pvalue)
    difference = nemenyi_critical_difference(len(results), len(problems), alpha)
    return Ranking(
        averages, len(problems), statistic, p, difference, cliques(averages, difference), alpha
    )


def nemenyi_critical_difference(k: int, n: int, alpha: float = 0.05) -> float:
    """How far average ranks must lie apart: ``q_alpha sqrt(k (k + 1) / (6 n))``.

    ``q_alpha`` is the quantile of the studentized range of k values divided by the root of 2.

    Args:
        k: optimizers.
        n: problems.
        alpha: level.

    Example:
        >>> round(nemenyi_critical_difference(4, 14), 2)  # Demšar's example prints 1.25
        1.25
    """
    from scipy import stats  # takes half a second, and a leaderboard does without

    q = float(stats.studentized_range.ppf(1 - alpha, k, np.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * n))


def cliques(average_ranks: Mapping[str, float], difference: float) -> tuple[tuple[str, ...], ...]:
    """The largest groups whose average ranks lie within a difference.

    Example:
        >>> cliques({"A": 1.0, "B": 1.5, "C": 2.2, "D": 4.0}, 1.0)
        (('A', 'B'), ('B', 'C'))
    """
    ordered = sorted(average_ranks, key=lambda label: average_ranks[label])
    groups: list[tuple[str, ...]] = []
    for i, first in enumerate(ordered):
        limit = average_ranks[first] + difference
        group = tuple(label for label in ordered[i:] if average_ranks[label] < limit)
        if len(group) > 1 and not any(set(group) <= set(known) for known in groups):
            groups.append(group)
    return tuple(groups)
