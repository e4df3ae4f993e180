"""Single facts of the statistics that no example of a book shows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from alig_deepobs.analysis import (
    aggregate_scores,
    bootstrap_interval,
    cliques,
    compare_all,
    mean_interval,
    median_epoch,
    nemenyi_critical_difference,
    normalised_scores,
    paired_difference,
    paired_p_value,
    performance_profile,
    rank_optimizers,
    score_profile,
    stratified_interval,
)
from alig_deepobs.analysis.intervals import finite_array
from alig_deepobs.analysis.statistics import Interval
from alig_deepobs.errors import UsageError

SCORES = {
    "A": {"p": [0.9, 1.0, 1.1, 0.7], "q": [0.8, 0.2, 0.5, 0.6]},
    "B": {"p": [0.3, 0.4, 0.1, 0.2], "q": [0.9, 0.8, 0.95, 0.4]},
}


def mean_of(arrays):
    return float(np.concatenate(arrays).mean())


# --- Intervals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "excludes"),
    [
        (0.5, 1.0, True),
        (-1.0, -0.5, True),
        (-0.5, 0.5, False),
        (-1.0, 0.9, False),
        (0.0, 1.0, False),
    ],
)
def test_two_values_are_enough_to_exclude_zero(low, high, excludes):
    interval = Interval((low + high) / 2, low, high, 2)
    assert (interval.known, interval.excludes_zero) == (True, excludes)
    assert not Interval(0.7, math.nan, math.nan, 1).known


def test_confidence_reaches_the_paired_interval():
    a, b = {1: 3.0, 2: 5.0, 3: 4.5}, {1: 2.0, 2: 3.0, 3: 4.0}
    assert paired_difference(a, b, 0.5) == mean_interval([1.0, 2.0, 0.5], 0.5)
    assert paired_difference(a, b, 0.5).high < paired_difference(a, b).high


def test_median_of_an_even_number():
    assert median_epoch([2, 5]) == 3.5
    assert median_epoch([9, 2, 5, 4]) == 4.5


def test_bootstrap_of_few_values():
    one, two = bootstrap_interval([3.0]), bootstrap_interval([1.0, 3.0])
    assert (one.mean, one.n) == (3.0, 1)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert (two.low, two.mean, two.high, two.n) == (1.0, 2.0, 3.0, 2)
    assert bootstrap_interval([2.0, 2.0, 2.0]).n == 3
    assert bootstrap_interval([]).n == 0


def test_confidence_is_between_0_and_1():
    for confidence in (0.0, 1.0):
        with pytest.raises(UsageError, match="confidence"):
            finite_array([1.0], confidence)
    with pytest.raises(UsageError, match="confidence"):
        stratified_interval({"p": [1.0, 2.0]}, mean_of, confidence=95)
    assert finite_array([1, 2]).dtype == np.float64


def test_stratified_interval_by_enumeration():
    """Two seeds of two problems: the sum takes five values, with chances of 1, 4, 6, 4, 1 in 16."""
    strata = {"p": [0.0, 1.0], "q": [0.0, 1.0]}
    found = stratified_interval(strata, lambda of: float(sum(a.sum() for a in of)), 0.95)
    assert (found.low, found.mean, found.high, found.n) == (0.0, 2.0, 4.0, 4)
    found = stratified_interval(strata, lambda of: float(sum(a.sum() for a in of)), 0.8)
    assert (found.low, found.high) == (1.0, 3.0)
    found = stratified_interval(strata, lambda of: float(sum(a.sum() for a in of)), 0.2)
    assert (found.low, found.high) == (2.0, 2.0)


@pytest.mark.parametrize(
    "interval",
    [
        lambda **seed: bootstrap_interval([1.1, 2.5, 4.2, 9.7, 3.3, 6.6, 0.4], **seed),
        lambda **seed: stratified_interval(SCORES["A"], mean_of, **seed),
        lambda **seed: aggregate_scores(SCORES, **seed)["B"],
        lambda **seed: score_profile(SCORES, [0.45, 0.55, 0.75], **seed).low["A"],
    ],
    ids=["bootstrap", "stratified", "aggregate", "profile"],
)
def test_every_bootstrap_is_seeded_by_0(interval):
    assert interval() == interval(seed=0)
    if not isinstance(interval(), tuple):  # shares are too coarse to tell seeds apart
        assert interval() != interval(seed=1)
    assert interval(resamples=50) == interval(resamples=50)


# --- Paired tests ----------------------------------------------------------------------------

FIRST = {1: 1.0, 2: 5.5, 3: 9.2, 4: 14.1, 5: 20.3}
SECOND = {1: 0.7, 2: 5.3, 3: 8.8, 4: 13.4, 5: 19.8}


@pytest.mark.parametrize("method", ["t", "wilcoxon", "permutation"])
def test_the_test_of_a_pair_is_of_its_differences(method):
    """The pairs lie far apart, so a test of two samples would see nothing."""
    (pair,) = compare_all({"A": FIRST, "B": SECOND}, True, method)
    differences = [FIRST[seed] - SECOND[seed] for seed in FIRST]
    assert pair.p_value == pytest.approx(paired_p_value(differences, method), rel=1e-9)
    expected = {"t": stats.ttest_rel(list(FIRST.values()), list(SECOND.values())).pvalue}
    assert pair.p_value == pytest.approx(expected.get(method, 0.0625), rel=1e-9)


def test_differences_without_spread_are_tested_as_two_samples():
    a, b = {1: 0.9716, 2: 0.9602}, {1: 0.9688, 2: 0.9574}
    (pair,) = compare_all({"A": a, "B": b}, True)
    welch = stats.ttest_ind(list(a.values()), list(b.values()), equal_var=False).pvalue
    assert pair.p_value == pytest.approx(welch)
    for method in ("wilcoxon", "permutation"):
        (pair,) = compare_all({"A": a, "B": b}, True, method)
        assert pair.p_value == 0.5
    # Without any spread at all there is nothing to test but the signs.
    (pair,) = compare_all(
        {"A": dict.fromkeys(range(3), 1.0), "B": dict.fromkeys(range(3), 0.0)}, True
    )
    assert pair.p_value == 0.25


def test_the_same_on_every_seed_has_no_interval_of_two_samples():
    (pair,) = compare_all({"A": FIRST, "B": dict(FIRST)}, True)
    assert (pair.p_value, pair.difference.low, pair.difference.high) == (1.0, 0.0, 0.0)
    assert not pair.separated


def test_a_win_at_exactly_the_level():
    scores = {"A": FIRST, "B": SECOND}
    (pair,) = compare_all(scores, True)
    (same,) = compare_all(scores, True, level=pair.p_adjusted)
    assert same.winner == "A"
    (above,) = compare_all(scores, True, level=pair.p_adjusted * (1 - 1e-12))
    assert above.winner is None


def test_no_common_seed():
    (pair,) = compare_all({"A": {1: 1.0, 2: 2.0}, "B": {3: 1.0, 4: 2.0}}, True)
    assert math.isnan(pair.p_value)
    assert (pair.winner, pair.difference.n) == (None, 0)


def test_random_sign_patterns():
    """The observed pattern counts as one of 10,000, so no p-value is 0; and they are seeded."""
    assert paired_p_value([float(i) for i in range(1, 21)], "permutation") == 1 / 10_000
    values = [1.0, -2.0, 3.0, 2.5, -1.0] * 3
    assert paired_p_value(values, "permutation") == paired_p_value(values, "permutation")
    assert paired_p_value([1.0] * 14, "permutation") == 2 / 2**14


# --- Ranks -----------------------------------------------------------------------------------


def test_ranking_says_of_what_it_is():
    results = {name: {"p": value, "q": value} for name, value in (("A", 0.9), ("B", 0.7))}
    found = rank_optimizers(results, {"p": True, "q": True}, alpha=0.1)
    assert (found.n_problems, found.alpha) == (2, 0.1)
    assert found.critical_difference == nemenyi_critical_difference(2, 2, 0.1)
    assert found.critical_difference < nemenyi_critical_difference(2, 2)
    with pytest.raises(UsageError, match="two optimizers"):
        rank_optimizers({}, {})


def test_friedman_of_equal_optimizers_is_not_defined():
    same = {name: {"p": 0.5, "q": 0.5} for name in "ABC"}
    found = rank_optimizers(same, {"p": True, "q": True})
    assert math.isnan(found.friedman_statistic)
    assert math.isnan(found.friedman_p)
    assert found.average_ranks == {"A": 2.0, "B": 2.0, "C": 2.0}


def test_ranks_that_differ_by_the_critical_difference_are_told_apart():
    assert cliques({"A": 1.0, "B": 2.0}, 1.0) == ()
    assert cliques({"B": 2.0, "A": 1.0}, 1.25) == (("A", "B"),)


# --- Scores and profiles ---------------------------------------------------------------------


def test_nobody_better_than_untrained():
    for finals in ({"A": [math.nan]}, {"A": []}, {"A": [0.1, 0.1]}, {}):
        with pytest.raises(UsageError, match="untrained"):
            normalised_scores(finals, 0.1, True)
    assert normalised_scores({"A": [0.6], "B": [math.inf]}, 0.1, True)["B"] == [0.0]


def test_aggregate_of_few_values_by_hand():
    found = aggregate_scores({"A": {"p": [0.0, 1.0], "q": [2.0, 9.0]}})["A"]
    assert found.mean == 1.5  # of four values, one is left out at either end
    # p is stretched to 0, 1/4, 3/4, 1, the middles of four equal parts of its distribution.
    found = aggregate_scores({"A": {"p": [0.0, 1.0], "q": [10.0] * 4}})["A"]
    assert found.mean == (0.75 + 1 + 10 + 10) / 4
    assert found.n == 6
    with pytest.raises(UsageError, match=r"\(A: p, q; B: p\)"):
        aggregate_scores({"A": {"q": [1.0], "p": [1.0]}, "B": {"p": [1.0]}})


def test_profiles_of_nothing_are_refused():
    for costs in ({}, {"A": {}}):
        with pytest.raises(UsageError, match="performance profile"):
            performance_profile(costs)
    with pytest.raises(UsageError, match="every problem"):
        score_profile({"A": {"p": []}})
    with pytest.raises(UsageError, match="same problems"):
        score_profile({"A": {"p": [1.0]}, "B": {"q": [1.0]}})
    assert performance_profile({"A": {"p": 2.0}, "B": {"p": 1.0}}).low == {}


def test_score_profile_has_a_hundred_steps():
    profile = score_profile({"A": {"p": [0.25, 0.75]}}, resamples=10)
    assert profile.x == pytest.approx([i / 100 for i in range(101)])
    assert (profile.y["A"][24], profile.y["A"][25], profile.y["A"][75]) == (1.0, 0.5, 0.0)
    assert len(profile.low["A"]) == len(profile.high["A"]) == 101


def test_confidence_of_the_bands():
    scores = {"A": {"p": [0.0, 1.0]}}
    for confidence, ends in ((0.95, (0.0, 1.0)), (0.4, (0.5, 0.5))):
        profile = score_profile(scores, [0.5], confidence)
        assert (profile.low["A"], profile.high["A"]) == ((ends[0],), (ends[1],))
