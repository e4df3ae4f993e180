import math

import pytest

from alig_deepobs.analysis import epochs_to_target, mean_interval, median_epoch, paired_difference
from alig_deepobs.errors import UsageError

# Darwin's maize: crossed minus self-fertilized height in eighths of an inch, 15 pairs, as printed
# in Fisher, The Design of Experiments (1935), section 17; t = 2.148.
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
T_14_DEGREES = 2.1447866879  # printed in every t table as 2.145


def test_interval_of_darwins_maize():
    interval = mean_interval([float(value) for value in DARWIN])
    assert interval.mean == pytest.approx(20.9333, abs=1e-4)
    half_width = (interval.high - interval.low) / 2
    # Fisher's t is the mean over its standard error.
    assert interval.mean / (half_width / T_14_DEGREES) == pytest.approx(2.148, abs=5e-4)
    assert interval.excludes_zero


@pytest.mark.parametrize(("n", "t"), [(2, 12.7062047), (3, 4.30265273), (5, 2.77644511)])
def test_half_width_is_t_table_times_standard_error(n, t):
    values = [float(value) for value in range(n)]
    mean = (n - 1) / 2
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
    interval = mean_interval(values)
    assert interval.high - interval.mean == pytest.approx(t * deviation / math.sqrt(n))
    assert interval.mean - interval.low == pytest.approx(t * deviation / math.sqrt(n))


def test_other_confidence():
    # t table: 0.99 two-sided, 2 degrees of freedom: 9.9248
    interval = mean_interval([1.0, 2.0, 3.0], confidence=0.99)
    assert interval.high == pytest.approx(2 + 9.92484 / math.sqrt(3), abs=1e-5)


def test_one_value_has_no_interval():
    interval = mean_interval([0.9])
    assert (interval.mean, interval.n, interval.known) == (0.9, 1, False)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert not interval.excludes_zero


def test_no_values():
    interval = mean_interval([])
    assert interval.n == 0
    assert math.isnan(interval.mean)


def test_identical_values_have_no_width():
    # 0.1 added three times and divided by 3 is not 0.1 in floating point.
    interval = mean_interval([0.1, 0.1, 0.1])
    assert (interval.mean, interval.low, interval.high) == (0.1, 0.1, 0.1)


def test_not_finite_is_refused():
    with pytest.raises(UsageError, match="finite"):
        mean_interval([1.0, math.nan])
    for confidence in (0.0, 1.0, 95):
        with pytest.raises(UsageError, match="confidence"):
            mean_interval([1.0], confidence)


def test_pairing_sees_what_means_do_not():
    a = {1: 1.0, 2: 11.0, 3: 21.01}
    b = {1: 0.0, 2: 10.0, 3: 20.0, 9: 5.0}
    difference = paired_difference(a, b)
    assert difference.n == 3
    assert difference.mean == pytest.approx(1.01 / 3 + 2 / 3)
    assert difference.excludes_zero
    assert mean_interval(list(a.values())).low < mean_interval(list(b.values())).high


def test_pairing_without_common_seeds():
    assert not paired_difference({1: 1.0}, {2: 1.0}).excludes_zero


def test_epochs_to_target():
    assert epochs_to_target([0.1, 0.9, 0.8, 0.95], 0.9, higher_is_better=True) == 1
    assert epochs_to_target([3.0, 2.0, 1.0], 1.0, higher_is_better=False) == 2
    assert epochs_to_target([3.0, 2.0], 1.0, higher_is_better=False) is None
    assert epochs_to_target([], 1.0, higher_is_better=False) is None
    assert epochs_to_target([0.95], 0.9, higher_is_better=True) == 0


def test_median_epoch_never_invents_a_number():
    assert median_epoch([3, 1, 2]) == 2
    assert median_epoch([3, None, 2]) == 3
    assert median_epoch([3, None, None]) is None
    assert median_epoch([1, 2, None, None]) is None
    assert median_epoch([]) is None
