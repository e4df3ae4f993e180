"""How long until a target is reached? Runs that never reach it are censored, not slow.

DeepOBS counts a run that misses the target as ``num_epochs + 1``. That turns "never" into a number,
and a longer run would turn it into another. Here a missed target is *censored*: all that is known
is that it was not reached until then. Kaplan and Meier's estimate deals with such times.

A run that diverged will never reach its target, however long one waits, so it is kept until the
longest time of the comparison; a run that was interrupted is censored where it stopped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from alig_deepobs.analysis.frames import headline_curve
from alig_deepobs.analysis.intervals import RESAMPLES, Array
from alig_deepobs.analysis.statistics import epochs_to_target
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import ProblemEntry
from alig_deepobs.run import RunResult


class TimeToTarget(NamedTuple):
    """When a run reached its target, or until when it is known not to have.

    Attributes:
        time: epochs or seconds.
        reached: False: censored at that time.
    """

    time: float
    reached: bool


@dataclass(frozen=True)
class SurvivalCurve:
    """Kaplan and Meier's estimate of the share of runs that have not reached the target.

    Attributes:
        times: at which the share drops, ascending; the first is 0.
        shares: share of runs that have not reached the target just after each time.
        horizon: longest time seen; nothing is known beyond.
    """

    times: tuple[float, ...]
    shares: tuple[float, ...]
    horizon: float

    def at(self, time: float) -> float:
        """The share that has not reached the target at a time; NaN beyond the horizon."""
        if time > self.horizon:
            return math.nan
        return self.shares[int(np.searchsorted(self.times, time, side="right")) - 1]

    @property
    def median(self) -> float | None:
        """The first time at which half of the runs have reached it, None if that never happens."""
        return next(
            (t for t, s in zip(self.times, self.shares, strict=True) if s <= 0.5 + 1e-12), None
        )


def epochs_until(
    result: RunResult, entry: ProblemEntry, target: float | None = None
) -> TimeToTarget:
    """Epochs until a run's headline metric first met the target at an evaluation.

    Args:
        result: the run.
        entry: its problem.
        target: by default the problem's.

    Raises:
        UsageError: there is no target.
    """
    curve, goal = headline_curve(result, entry), _target(entry, target)
    epoch = epochs_to_target(curve, goal, entry.higher_is_better)
    if epoch is not None:
        return TimeToTarget(float(epoch), True)
    stopped = not result.outcome.is_final
    return TimeToTarget(float(max(0, len(curve) - 1) if stopped else result.num_epochs), False)


def seconds_until(
    result: RunResult, entry: ProblemEntry, target: float | None = None
) -> TimeToTarget | None:
    """Training seconds (evaluation left out) until the target; None where no times are recorded.

    A run that diverged has no times after that, so it counts with its own mean epoch for the rest.

    Raises:
        UsageError: there is no target.
    """
    found = epochs_until(result, entry, target)
    times = result.training_seconds
    if found.time > 0 and not times:
        return None
    epochs = int(found.time)
    seconds = math.fsum(times[:epochs])
    if epochs > len(times):
        seconds += (epochs - len(times)) * math.fsum(times) / len(times)
    return TimeToTarget(seconds, found.reached)


def survival_curve(times: Sequence[TimeToTarget]) -> SurvivalCurve:
    """Kaplan and Meier's estimate.

    Args:
        times: one per run, at least one.

    Raises:
        UsageError: there is no run.

    Source: Kaplan, Meier: Nonparametric estimation from incomplete observations, JASA 53, 1958.

    Example:
        >>> runs = [TimeToTarget(3, True), TimeToTarget(5, False), TimeToTarget(7, True)]
        >>> curve = survival_curve(runs)
        >>> [round(share, 3) for share in curve.shares], curve.median
        ([1.0, 0.667, 0.0], 7.0)
    """
    if not times:
        raise UsageError("a survival curve needs a run")
    steps, share = [(0.0, 1.0)], 1.0
    for moment in sorted({t.time for t in times if t.reached}):
        at_risk = sum(t.time >= moment for t in times)
        share *= 1 - sum(t.reached and t.time == moment for t in times) / at_risk
        steps.append((float(moment), share))
    if len(steps) > 1 and steps[1][0] == 0.0:
        del steps[0]  # reached before training
    return SurvivalCurve(
        tuple(moment for moment, _ in steps),
        tuple(share for _, share in steps),
        float(max(t.time for t in times)),
    )


def median_interval(
    times: Sequence[TimeToTarget],
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float | None, float, float]:
    """The median time to the target with a bootstrap interval over runs.

    Returns:
        Median (None: half of the runs never got there), low and high end; an end is infinite where
        the resampled median is "never".

    Raises:
        UsageError: there is no run.

    Example:
        >>> median_interval([TimeToTarget(t, True) for t in (4, 5, 6, 7, 8)])[0]
        6.0
        >>> median_interval([TimeToTarget(4, True), TimeToTarget(9, False)])
        (4.0, 4.0, inf)
    """
    median = survival_curve(times).median
    generator = np.random.default_rng(seed)
    draws = []
    for _ in range(resamples):
        chosen = generator.integers(len(times), size=len(times))
        found = survival_curve([times[i] for i in chosen]).median
        draws.append(math.inf if found is None else found)
    ends: Array = np.quantile(
        draws, [(1 - confidence) / 2, (1 + confidence) / 2], method="inverted_cdf"
    )
    return median, float(ends[0]), float(ends[1])


def _target(entry: ProblemEntry, target: float | None) -> float:
    goal = entry.target if target is None else target
    if goal is None:
        raise UsageError(f"{entry.name} has no target; give one")
    return goal
