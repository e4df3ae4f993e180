import math

import numpy as np
import pytest

from alig_deepobs.analysis import (
    aggregate_scores,
    interquartile_mean,
    normalised_scores,
    performance_profile,
    score_profile,
)
from alig_deepobs.analysis.formats import format_interval
from alig_deepobs.errors import UsageError

NAN = math.nan


def test_interquartile_mean_by_hand():
    assert interquartile_mean([5.0]) == 5.0
    assert interquartile_mean([1.0, 2.0, 9.0]) == 4.0  # a quarter of three is less than one value
    assert interquartile_mean([-100.0, 1.0, 3.0, 100.0]) == 2.0
    values = np.random.default_rng(0).normal(size=40)
    assert interquartile_mean(values.tolist()) == pytest.approx(np.sort(values)[10:30].mean())
    with pytest.raises(UsageError):
        interquartile_mean([])


def test_normalised_scores():
    scores = normalised_scores({"A": [1.0, 3.0], "B": [6.0, NAN], "C": [20.0, 11.0]}, 10.0, False)
    # A's mean loss is 2, so a gain of 8 is 1; B diverged once; C ended worse than it started.
    assert scores == {"A": [1.125, 0.875], "B": [0.5, 0.0], "C": [0.0, 0.0]}
    with pytest.raises(UsageError, match="untrained"):
        normalised_scores({"A": [11.0]}, 10.0, False)


def test_a_lucky_survivor_does_not_set_the_scale():
    scores = normalised_scores({"A": [0.5, 0.5], "B": [0.9, NAN]}, 0.1, True)
    assert scores["A"] == [1.0, 1.0]
    assert scores["B"] == pytest.approx([2.0, 0.0])


def test_every_problem_counts_the_same():
    scores = {"A": {"p": [1.0] * 12, "q": [0.0] * 3}}
    # Twelve ones and three zeros, weighted alike, are half and half: the middle half is, too.
    assert aggregate_scores(scores)["A"].mean == pytest.approx(0.5)


def test_one_seed_of_each_problem_has_no_interval():
    found = aggregate_scores({"A": {"p": [1.0], "q": [0.5]}})["A"]
    assert not found.known
    assert format_interval(found) == "0.7500 (n=2, no interval)"


def test_aggregate_interval_covers_and_needs_equal_problems():
    generator = np.random.default_rng(3)
    hits = 0
    for _ in range(30):
        scores = {"A": {p: generator.normal(0.7, 0.1, size=10).tolist() for p in "pqrs"}}
        interval = aggregate_scores(scores, resamples=150)["A"]
        hits += interval.low <= 0.7 <= interval.high
    assert hits >= 25
    with pytest.raises(UsageError, match="same problems"):
        aggregate_scores({"A": {"p": [1.0]}, "B": {"q": [1.0]}})


def test_profile_of_dolan_and_more_by_hand():
    costs = {
        "A": {"p": 10.0, "q": 10.0, "r": 10.0, "s": math.inf},
        "B": {"p": 20.0, "q": 5.0, "r": 40.0, "s": math.inf},
    }
    profile = performance_profile(costs)
    assert profile.x == (1.0, 2.0, 4.0)
    # s is solved by nobody, so nobody gets beyond three quarters.
    assert profile.y == {"A": (0.5, 0.75, 0.75), "B": (0.25, 0.5, 0.75)}


def test_a_missed_target_is_never_a_slow_success():
    profile = performance_profile({"A": {"p": 1.0}, "B": {"p": math.inf}})
    assert profile.y["B"] == (0.0,)
    with pytest.raises(UsageError, match="positive"):
        performance_profile({"A": {"p": 0.0}})
    with pytest.raises(UsageError, match="same problems"):
        performance_profile({"A": {"p": 1.0}, "B": {"q": 1.0}})


def test_score_profile_by_hand():
    scores = {"A": {"p": [0.25, 0.75], "q": [0.5]}}
    profile = score_profile(scores, [0.0, 0.3, 0.5, 0.9], resamples=500)
    assert profile.y["A"] == (1.0, 0.75, 0.25, 0.0)
    # Drawing two of {0.25, 0.75}: none, one or both exceed 0.3; q always does.
    assert (profile.low["A"][1], profile.high["A"][1]) == (0.5, 1.0)
    assert (profile.low["A"][0], profile.high["A"][3]) == (1.0, 0.0)
    assert score_profile(scores, resamples=0).low == {}
