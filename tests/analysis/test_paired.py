"""Paired tests, and the rule for calling a win: planted winners are found, planted ties are not."""

import math

import numpy as np
import pytest
from scipy import stats

from alig_deepobs.analysis import WIN_LEVEL, compare_all, holm, leaderboard, paired_p_value
from alig_deepobs.errors import UsageError

# Darwin's maize (Fisher, The Design of Experiments, 1935): t = 2.148, p = 0.0497 by the t test,
# 0.0526 by Fisher's enumeration of all sign patterns (section 21: 1,726 of 32,768, two-sided).
DARWIN = [49.0, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def test_darwins_maize():
    assert paired_p_value(DARWIN) == pytest.approx(0.0497, abs=5e-5)
    # Wilcoxon: the signed ranks of the negative differences sum to 24; exact p of scipy's table.
    assert paired_p_value(DARWIN, "wilcoxon") == pytest.approx(
        stats.wilcoxon(DARWIN, method="exact").pvalue
    )
    # Fifteen pairs are beyond the exact enumeration: 9,999 random patterns come close to it.
    assert paired_p_value(DARWIN, "permutation") == pytest.approx(1726 / 32768, abs=0.007)


def test_sign_flips_are_exact():
    fourteen = DARWIN[:14]
    generator = np.arange(2**14)
    signs = 1 - 2 * ((generator[:, None] >> np.arange(14)) & 1)
    as_extreme = np.mean(np.abs(signs @ np.array(fourteen)) >= abs(sum(fourteen)))
    assert paired_p_value(fourteen, "permutation") == pytest.approx(as_extreme)
    assert paired_p_value([1.0, 1.0, 1.0], "permutation") == 0.25


def test_t_test_by_its_formula():
    values = np.array(DARWIN)
    t = values.mean() / (values.std(ddof=1) / math.sqrt(len(values)))
    assert t == pytest.approx(2.148, abs=5e-4)
    assert paired_p_value(DARWIN) == pytest.approx(2 * stats.t.sf(t, 14))


def test_no_difference_and_no_test():
    assert paired_p_value([0.0, 0.0, 0.0]) == 1.0
    assert math.isnan(paired_p_value([1.0]))
    assert math.isnan(paired_p_value([]))
    with pytest.raises(UsageError, match="finite"):
        paired_p_value([1.0, math.inf])
    with pytest.raises(UsageError, match="wilcoxon"):
        paired_p_value([1.0, 2.0], "z")


def test_holm_of_a_worked_example():
    # Holm by hand: 4 x 0.005, then max(0.02, 3 x 0.011), then max(., 2 x 0.02), then 0.04.
    assert holm([0.02, 0.005, 0.04, 0.011]) == pytest.approx([0.04, 0.02, 0.04, 0.033])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    adjusted = holm([0.01, math.nan, 0.02])
    assert adjusted[0] == 0.02
    assert math.isnan(adjusted[1])
    assert holm([]) == []


def test_equal_gaps_in_a_small_test_set_are_no_proof():
    # Two seeds, both one test image apart: without the guard p would be 0.
    a, b = {1: 0.9716, 2: 0.9602}, {1: 0.9688, 2: 0.9574}
    (pair,) = compare_all({"A": a, "B": b}, higher_is_better=True)
    assert pair.winner is None
    assert pair.p_value > 0.3
    # The same gap between samples that lie far apart is one.
    far = {seed: value + 0.5 for seed, value in a.items()} | {3: 1.465}
    (pair,) = compare_all({"A": far, "B": {**a, 3: 0.965}}, higher_is_better=True)
    assert pair.winner == "A"


def test_direction_and_missing_seeds():
    low, high = {1: 1.0, 2: 1.1, 3: 1.05}, {1: 2.0, 2: 2.2, 3: 2.05, 4: 9.0}
    (pair,) = compare_all({"low": low, "high": high}, higher_is_better=False)
    assert (pair.winner, pair.difference.n) == ("low", 3)
    (pair,) = compare_all({"low": low, "high": high}, higher_is_better=True)
    assert pair.winner == "high"
    (pair,) = compare_all({"A": {1: 1.0}, "B": {1: 2.0}}, higher_is_better=True)
    assert pair.winner is None
    assert math.isnan(pair.p_adjusted)


def _normal(generator, k, n):
    return generator.normal(size=n) + generator.normal(size=(k, n))


def _skewed(generator, k, n):
    """Equal means, unequal shapes: one optimizer has a skewness of 1 and the larger spread."""
    values = 0.3 * generator.normal(size=(k, n))
    values[0] = (generator.gamma(4, size=n) - 4) / 2
    return values


def _few_images(generator, k, n):
    """Accuracies of a test set of 352 images."""
    return np.round(352 * generator.normal(0.97, 0.004, size=(k, n))) / 352


@pytest.mark.parametrize("make", [_normal, _skewed, _few_images])
@pytest.mark.parametrize(("k", "n"), [(2, 3), (2, 10), (4, 3), (4, 10)])
def test_planted_ties_are_not_called_wins(make, k, n):
    generator = np.random.default_rng(1000 * k + n)
    wins = 0
    for _ in range(200):
        values = make(generator, k, n)
        scores = {f"O{i}": dict(enumerate(row)) for i, row in enumerate(values.tolist())}
        wins += any(pair.winner for pair in compare_all(scores, higher_is_better=True))
    assert wins / 200 < 0.05


def test_the_leaderboard_calls_no_tie_a_win(make_run, accuracy_problem):
    generator = np.random.default_rng(7)
    wins = 0
    for _ in range(200):
        finals = 0.9 + 0.01 * _normal(generator, 4, 5)
        runs = [
            make_run(f"O{i}", seed, float(finals[i, seed])) for i in range(4) for seed in range(5)
        ]
        wins += any(row.separated for row in leaderboard(runs, accuracy_problem).rows)
    assert wins / 200 < 0.05


@pytest.mark.parametrize("n", [3, 5, 10])
def test_a_planted_winner_is_found(n):
    """A gap of some standard deviations: the fewer the seeds, the more it takes."""
    gap = {3: 20.0, 5: 6.0, 10: 3.0}[n]
    generator = np.random.default_rng(n)
    found = 0
    for _ in range(100):
        values = _normal(generator, 4, n)
        values[2] += gap
        scores = {f"O{i}": dict(enumerate(row)) for i, row in enumerate(values.tolist())}
        pairs = compare_all(scores, higher_is_better=True)
        found += sum(pair.winner == "O2" for pair in pairs) == 3
    assert found >= 80


def test_the_level_is_the_documented_one():
    assert WIN_LEVEL == 0.025
