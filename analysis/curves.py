"""Learning curves of a setting: what is drawn of several seeds, whoever draws it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alig_deepobs.analysis.frames import EvaluationSet, accuracy_curve, loss_curve
from alig_deepobs.analysis.groups import Group
from alig_deepobs.registry import ProblemEntry
from alig_deepobs.run import Outcome, RunResult


@dataclass(frozen=True)
class Panel:
    """One quantity over the epochs.

    Attributes:
        key: short name.
        title: what stands above the panel.
        curve: run -> values per epoch, in the unit of the results.
        headline: whether the problem's target belongs into this panel.
        scale: factor for drawing (100 for accuracies in percent).
    """

    key: str
    title: str
    curve: Callable[[RunResult], list[float]]
    headline: bool
    scale: float = 1.0

    def values(self, run: RunResult) -> list[float]:
        """The values to draw."""
        return [self.scale * value for value in self.curve(run)]


@dataclass(frozen=True)
class Band:
    """The seeds of one setting, epoch by epoch.

    All end where the first run ends, since a mean over survivors would flatter.

    Attributes:
        mean, median, low, high: over the seeds; lowest and highest.
        tails: what the longer runs did after that: (first epoch, values).
        ends: (epoch, value) at which runs diverged.
    """

    mean: tuple[float, ...]
    median: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    tails: tuple[tuple[int, tuple[float, ...]], ...]
    ends: tuple[tuple[int, float], ...]


def panels(runs: Sequence[RunResult], entry: ProblemEntry) -> list[Panel]:
    """Training loss, test loss and, where there is one, test accuracy."""
    kind = "" if any(run.schema_version == 0 for run in runs) else " (data term)"
    found = [_loss("train", entry, kind), _loss("test", entry, kind)]
    if any(run.test_accuracies for run in runs):
        found.append(_accuracy("test", entry))
    return found


def overview_panels(entry: ProblemEntry) -> list[Panel]:
    """The rows of DeepOBS's overview figure, in its order."""
    return [
        _loss("test", entry),
        _loss("train", entry),
        _accuracy("test", entry),
        _accuracy("train", entry),
    ]


def _loss(of: EvaluationSet, entry: ProblemEntry, kind: str = "") -> Panel:
    headline = of == "test" and not entry.higher_is_better
    title = f"{of.capitalize()} loss{kind}"
    return Panel(f"{of}_loss", title, lambda run: loss_curve(run, of), headline)


def _accuracy(of: EvaluationSet, entry: ProblemEntry) -> Panel:
    headline = of == "test" and entry.higher_is_better
    title = f"{of.capitalize()} accuracy in %"
    return Panel(f"{of}_accuracy", title, lambda run: accuracy_curve(run, of), headline, 100.0)


def band(group: Group, panel: Panel) -> Band:
    """What to draw of a setting."""
    curves = [panel.values(run) for run in group.runs]
    shared = min((len(curve) for curve in curves), default=0)
    at_epoch = [[curve[epoch] for curve in curves] for epoch in range(shared)]
    start = max(0, shared - 1)
    return Band(
        mean=tuple(math.fsum(values) / len(values) for values in at_epoch),
        median=tuple(statistics.median(values) for values in at_epoch),
        low=tuple(min(values) for values in at_epoch),
        high=tuple(max(values) for values in at_epoch),
        tails=tuple((start, tuple(curve[start:])) for curve in curves if len(curve) > shared),
        ends=tuple(
            (len(curve) - 1, curve[-1])
            for run, curve in zip(group.runs, curves, strict=True)
            if run.outcome is Outcome.DIVERGED and curve
        ),
    )


def zoom_range(
    curves: Sequence[Sequence[float]], target: float | None
) -> tuple[float, float, bool] | None:
    """A range that leaves out the climb from chance level, which would press the rest flat.

    It starts below nearly all later points (29 in 30) and below every end of a run.

    Returns:
        Lowest, highest, and whether something lies below; None where there are too few points.
    """
    # The first fifth of a run is the climb; runs of a few epochs keep all but epoch 0.
    later = sorted(value for curve in curves for value in curve[max(1, len(curve) // 5) :])
    if len(later) < 4:
        return None
    ends = [curve[-1] for curve in curves if curve]
    targets = [] if target is None else [target]
    low = min([later[len(later) // 30], *ends, *targets])
    high = max([later[-1], *targets])
    margin = 0.06 * (high - low) or 1.0
    below = min(min(curve) for curve in curves if curve) < low - margin
    return low - margin, high + margin, below
