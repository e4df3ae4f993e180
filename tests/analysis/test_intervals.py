import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest

from alig_deepobs.analysis import bootstrap_interval, mean_interval, stratified_interval
from alig_deepobs.errors import UsageError

# Efron, Tibshirani, An Introduction to the Bootstrap (1993), table 2.1: survival of mice in days.
TREATED = [94.0, 197.0, 16.0, 38.0, 99.0, 141.0, 23.0]


def exact_percentiles(values, statistic):
    """The whole bootstrap distribution, by enumeration."""
    draws = sorted(statistic(draw) for draw in itertools.product(values, repeat=len(values)))
    return draws[int(0.025 * len(draws))], draws[int(0.975 * len(draws)) - 1]


def bca_by_hand(values, resamples=40_000):
    """Efron's formulas, written out for the mean, with another random generator."""
    values = np.array(values)
    generator = np.random.RandomState(1)
    draws = values[generator.randint(len(values), size=(resamples, len(values)))].mean(axis=1)
    normal = NormalDist()
    z0 = normal.inv_cdf((np.mean(draws < values.mean()) + np.mean(draws <= values.mean())) / 2)
    without = np.array([np.delete(values, i).mean() for i in range(len(values))])
    gaps = without.mean() - without
    a = (gaps**3).sum() / (6 * (gaps**2).sum() ** 1.5)
    ends = []
    for alpha in (0.025, 0.975):
        z = normal.inv_cdf(alpha)
        ends.append(np.quantile(draws, normal.cdf(z0 + (z0 + z) / (1 - a * (z0 + z)))))
    return ends


def test_percentile_interval_by_enumeration():
    values = [1.0, 2.0, 4.0, 8.0, 16.0]
    low, high = exact_percentiles(values, lambda draw: sum(draw) / 5)
    found = bootstrap_interval(values, method="percentile", resamples=20_000)
    assert found.low == pytest.approx(low, abs=0.25)
    assert found.high == pytest.approx(high, abs=0.25)


def test_bca_by_hand():
    found = bootstrap_interval(TREATED, resamples=20_000)
    low, high = bca_by_hand(TREATED)
    assert found.mean == pytest.approx(86.857, abs=1e-3)  # the book prints 86.86
    assert found.low == pytest.approx(low, abs=1.5)
    assert found.high == pytest.approx(high, abs=1.5)


def test_seeded():
    assert bootstrap_interval(TREATED) == bootstrap_interval(TREATED)
    assert bootstrap_interval(TREATED, seed=1) != bootstrap_interval(TREATED)


def test_coverage_is_as_the_module_says():
    """Percentile intervals of five values are too narrow, t intervals are not."""
    generator = np.random.default_rng(0)
    hits = {"t": 0, "percentile": 0}
    for _ in range(300):
        values = generator.normal(size=5).tolist()
        t = mean_interval(values)
        percentile = bootstrap_interval(values, method="percentile", resamples=300)
        hits["t"] += t.low <= 0 <= t.high
        hits["percentile"] += percentile.low <= 0 <= percentile.high
    assert 0.91 < hits["t"] / 300 < 0.985
    assert 0.76 < hits["percentile"] / 300 < 0.90


def test_degenerate_samples():
    assert math.isnan(bootstrap_interval([]).mean)
    assert not bootstrap_interval([1.0]).known
    constant = bootstrap_interval([2.0, 2.0, 2.0])
    assert (constant.low, constant.high) == (2.0, 2.0)
    # BCa is not defined for a statistic that resampling hardly moves; percentiles are.
    most = bootstrap_interval([0.0, 0.0, 0.0, 0.0, 0.0, 1.0], np.max)
    assert (most.low, most.high) == (0.0, 1.0)
    with pytest.raises(UsageError, match="finite"):
        bootstrap_interval([1.0, math.nan])
    with pytest.raises(UsageError, match="confidence"):
        bootstrap_interval([1.0], confidence=95)


def test_strata_are_kept_apart():
    # Each stratum is constant, so no resample can change the mean, though the strata differ a lot.
    found = stratified_interval(
        {"a": [0.0, 0.0, 0.0], "b": [10.0, 10.0]},
        lambda arrays: float(np.concatenate(arrays).mean()),
    )
    assert found.mean == found.low == found.high == 4.0
    assert found.n == 5


def test_one_seed_has_no_stratified_interval():
    found = stratified_interval(
        {"a": [1.0], "b": [2.0, 3.0]}, lambda arrays: float(arrays[0].mean())
    )
    assert not math.isfinite(found.low)
    with pytest.raises(UsageError, match="every problem"):
        stratified_interval({"a": [], "b": [1.0]}, lambda arrays: 0.0)
