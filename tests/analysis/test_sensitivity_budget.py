import itertools
import math

import numpy as np
import pytest

from alig_deepobs.analysis import budget_curve, good_range, relative_performance, widest_range
from alig_deepobs.analysis.frames import final_headline
from alig_deepobs.baselines import published_grid
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import find_testproblem

NAN = math.nan

# Read off the published runs by hand: problem, optimizer, whether it has accuracies; rates
# within 5 % of the best, ends of the unbroken range, decades.
PUBLISHED = [
    ("quadratic_deep", "sgd", False, 6, 0.0025118864315, 0.025118864315, 1.0),
    ("quadratic_deep", "adam", False, 11, 0.0063095734448, 0.25118864315, 1.6),
    ("mnist_vae", "sgd", False, 4, 0.0015848931925, 0.0063095734448, 0.6),
    ("fmnist_2c2d", "momentum", True, 15, 1e-05, 0.0063095734448, 2.8),
    ("tolstoi_char_rnn", "momentum", True, 11, 0.0025118864315, 0.25118864315, 2.0),
]


@pytest.mark.parametrize(
    ("problem", "optimizer", "higher", "good", "low", "high", "decades"), PUBLISHED
)
def test_published_ranges(problem, optimizer, higher, good, low, high, decades):
    entry, runs = find_testproblem(problem), published_grid(problem, optimizer)
    grid = {run.learning_rate: final_headline(run, entry) for run in runs}
    found = good_range(grid, higher)
    assert (found.tried, found.good) == (36, good)
    assert (found.low, found.high) == (low, high)
    assert found.decades == pytest.approx(decades, abs=1e-6)
    assert found.open_low == (low == 1e-5)


def test_range_stops_at_a_gap():
    grid = {1.0: 0.90, 2.0: 0.50, 4.0: 0.91, 8.0: 0.90, 16.0: NAN}
    found = good_range(grid, higher_is_better=True)
    assert (found.best, found.low, found.high, found.good) == (4.0, 4.0, 8.0, 3)
    assert (found.open_low, found.open_high) == (False, False)


@pytest.mark.parametrize(
    ("cells", "limit", "text"),
    [
        ([(0.1, 5.0), (1.0, 0.5), (10.0, 0.6), (100.0, 9.0)], 1.0,
         "1 to 10 (1 decade, 2 of 4 values)"),
        ([(0.1, 0.5), (1.0, 0.5), (10.0, 9.0)], 1.0,
         "0.1 to 1 (1 decade, 2 of 3 values, open at one end)"),
        ([(0.1, 0.5), (1.0, 9.0), (10.0, 0.5), (100.0, 0.5), (1e3, 9.0)], 1.0,
         "10 to 100 (1 decade, 3 of 5 values)"),
        ([(1.0, 9.0), (10.0, 0.5), (1e3, 0.5), (math.inf, 0.5)], 1.0,
         "10 to 1000 and without a cap (2 decades, 3 of 4 values)"),
        ([(1.0, 9.0), (math.inf, 0.5)], 1.0, "only without a cap (1 of 2 values)"),
        ([(1.0, 9.0), (10.0, math.inf)], 1.0, "none of 2 values"),
        ([(1.0, math.inf)], math.inf, "none of 1 value"),
    ],
)  # fmt: skip
def test_widest_ranges(cells, limit, text):
    assert str(widest_range(dict(cells), limit)) == text


def test_relative_performance():
    assert relative_performance({1.0: 0.0, 2.0: 3.0}, False) == {1.0: 1.0, 2.0: 0.0}
    with pytest.raises(UsageError, match="no run"):
        relative_performance({1.0: NAN}, True)
    with pytest.raises(UsageError, match="negative"):
        relative_performance({1.0: -1.0}, False)
    with pytest.raises(UsageError, match="positive"):
        good_range({0.0: 1.0}, False)


def by_enumeration(results, chosen_by, k, sign, failed):
    """The expected result of the best of k, over every subset."""
    values = [failed if math.isnan(r) else r for r in results]
    keys = [
        -math.inf if math.isnan(r) else sign * c for r, c in zip(results, chosen_by, strict=True)
    ]
    subsets = list(itertools.combinations(range(len(values)), k))
    return sum(values[max(s, key=keys.__getitem__)] for s in subsets) / len(subsets)


def test_budget_by_enumeration():
    results = [0.9, 0.3, NAN, 0.7, 0.8, 0.5]
    valid = [0.6, 0.4, 0.9, 0.8, 0.7, 0.1]  # chooses another one than the test set would
    curve = budget_curve(results, True, failed=0.1, chosen_by=valid, resamples=0)
    for k, value in zip(curve.budgets, curve.expected, strict=True):
        assert value == pytest.approx(by_enumeration(results, valid, k, 1, 0.1))
    assert curve.expected[-1] == pytest.approx(0.7)  # validation prefers the 0.7
    assert curve.chosen_on == "validation"


def test_budget_of_losses():
    results = [5.0, 2.0, NAN, 9.0]
    curve = budget_curve(results, False, failed=50.0, resamples=0)
    for k, value in zip(curve.budgets, curve.expected, strict=True):
        assert value == pytest.approx(by_enumeration(results, results, k, -1, 50.0))
    assert curve.chosen_on == "test"


def test_budget_band():
    results = np.random.default_rng(0).uniform(size=30).tolist()
    curve = budget_curve(results, True, failed=0.0)
    assert all(low <= e + 1e-9 for low, e in zip(curve.low, curve.expected, strict=True))
    assert all(e <= h + 1e-9 for e, h in zip(curve.expected[:10], curve.high[:10], strict=True))
    # One setting at random: the band is that of a mean of 30 values.
    width = curve.high[0] - curve.low[0]
    assert width == pytest.approx(2 * 1.96 * np.std(results) / math.sqrt(30), rel=0.1)
    with pytest.raises(UsageError):
        budget_curve([], True, failed=0.0)
