"""Intervals for a handful of seeds.

All intervals are Student t intervals of a mean, those of accuracies on the logit scale. They assume
that the mean over seeds is roughly normal. With three to ten seeds this cannot be checked, and for
results with two humps (some seeds fail, some succeed) it is wrong; then look at the single seeds.
`tools/simulate_statistics.py` says how often each covers the mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from scipy import special

from alig_deepobs.errors import UsageError


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval, in the unit of the values.

    Attributes:
        mean: mean of the values; NaN if there are none.
        low, high: ends of the interval; NaN where `known` is False.
        n: number of values.
    """

    mean: float
    low: float
    high: float
    n: int

    @property
    def known(self) -> bool:
        """Whether there is an interval: it takes two values, or two of each stratum."""
        return self.n >= 2 and not math.isnan(self.low)

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0; False where there is none."""
        return self.known and (self.low > 0 or self.high < 0)


NO_INTERVAL = Interval(math.nan, math.nan, math.nan, 0)
"""Of no values."""


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean and Student t interval of the mean.

    The interval is ``mean ± t s / sqrt(n)`` with the sample standard deviation ``s`` (ddof 1) and
    the quantile ``t`` of Student's distribution with ``n - 1`` degrees of freedom. It assumes
    independent values and a roughly normal mean. One value has no interval: its ends are NaN.

    Args:
        values: finite numbers, one per seed.
        confidence: between 0 and 1.

    Raises:
        UsageError: a value is not finite, or the confidence is not between 0 and 1.

    Example:
        >>> interval = mean_interval([1.0, 2.0, 3.0])
        >>> f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
        '2.00 [-0.48, 4.48]'
        >>> mean_interval([1.0])
        Interval(mean=1.0, low=nan, high=nan, n=1)
    """
    if not 0 < confidence < 1:
        raise UsageError(f"confidence must be between 0 and 1, not {confidence}")
    if not all(math.isfinite(value) for value in values):
        raise UsageError("an interval needs finite values; leave diverged runs out and say so")
    n = len(values)
    if n == 0:
        return NO_INTERVAL
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, math.nan, math.nan, 1)
    if min(values) == max(values):
        # Rounding in the mean must not make a spread where there is none.
        return Interval(values[0], values[0], values[0], n)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    half_width = float(special.stdtrit(n - 1, (1 + confidence) / 2)) * math.sqrt(variance / n)
    return Interval(mean, mean - half_width, mean + half_width, n)


def share_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean of accuracies (or other shares) and an interval that stays between 0 and 1.

    The Student t interval is taken over to the logit scale by the delta method: its half width
    ``h`` becomes ``h / (m (1 - m))`` around ``logit(m)``. For a mean far from both ends this is
    the t interval; near an end it is skewed, and covers better.

    Args:
        values: between 0 and 1, one per seed.
        confidence: between 0 and 1.

    Raises:
        UsageError: a value is no share, or the confidence is not between 0 and 1.

    Example:
        >>> found = share_interval([0.99, 0.92, 0.87])
        >>> f"{found.mean:.4f} [{found.low:.4f}, {found.high:.4f}]"
        '0.9267 [0.5825, 0.9913]'
        >>> round(mean_interval([0.99, 0.92, 0.87]).high, 4)
        1.0764
    """
    if not all(0 <= value <= 1 for value in values):
        raise UsageError("an interval of accuracies needs values between 0 and 1")
    found = mean_interval(values, confidence)
    if not found.low < found.high:  # none, or without width
        return found
    half_width = (found.high - found.mean) / (found.mean * (1 - found.mean))
    centre = float(special.logit(found.mean))
    low, high = (float(special.expit(centre + sign * half_width)) for sign in (-1, 1))
    return replace(found, low=low, high=high)


def paired_difference(
    a: Mapping[int, float], b: Mapping[int, float], confidence: float = 0.95
) -> Interval:
    """Interval of the mean of ``a - b`` over the seeds that both have.

    Runs with one seed share their initial weights and batch order, so the difference per seed
    varies less than the runs do. The same assumption as in `mean_interval` holds, now for the
    differences.

    Args:
        a: seed -> value.
        b: seed -> value.
        confidence: between 0 and 1.

    Raises:
        UsageError: a value is not finite.

    Example:
        >>> paired_difference({1: 3.0, 2: 5.0, 3: 4.0}, {1: 2.0, 2: 3.0, 4: 0.0}).n
        2
    """
    common = sorted(a.keys() & b.keys())
    return mean_interval([a[seed] - b[seed] for seed in common], confidence)


def common_problems(by_label: Mapping[str, Mapping[str, object]], what: str) -> list[str]:
    """The problems of a comparison over several, in which no optimizer may lack one.

    Args:
        by_label: label -> problem -> whatever is compared.
        what: needs them, for the message.

    Raises:
        UsageError: the optimizers have different problems, or there is none.
    """
    problems = {label: sorted(of) for label, of in by_label.items()}
    if len(set(map(tuple, problems.values()))) != 1 or not next(iter(problems.values())):
        texts = "; ".join(f"{label}: {', '.join(of)}" for label, of in problems.items())
        raise UsageError(f"{what} needs every optimizer on the same problems ({texts})")
    return next(iter(problems.values()))


def epochs_to_target(curve: Sequence[float], target: float, higher_is_better: bool) -> int | None:
    """The first epoch at which a curve is at least as good as the target.

    Args:
        curve: one value before training (epoch 0) and one after each epoch.
        target: in the unit of the curve.
        higher_is_better: True for accuracies, False for losses.

    Returns:
        The epoch, or None if the target is never met. "Never" is not turned into a number.

    Example:
        >>> epochs_to_target([0.1, 0.6, 0.9], 0.6, higher_is_better=True)
        1
        >>> epochs_to_target([2.3, 1.1], 0.5, higher_is_better=False) is None
        True
    """
    for epoch, value in enumerate(curve):
        if (value >= target) if higher_is_better else (value <= target):
            return epoch
    return None


def median_epoch(epochs: Sequence[int | None]) -> float | None:
    """The median of epochs to a target, where None ("never") is later than every epoch.

    Returns:
        The median in epochs, or None if it falls on a run that never got there.

    Example:
        >>> median_epoch([10, None, 12]), median_epoch([10, None])
        (12.0, None)
    """
    if not epochs:
        return None
    ordered = sorted(math.inf if epoch is None else float(epoch) for epoch in epochs)
    half = len(ordered) // 2
    median = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
    return median if math.isfinite(median) else None
