"""Step-size trace: what an optimizer that computes its step size chose, epoch by epoch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alig_deepobs.analysis.plots.lines import Line, draw_line
from alig_deepobs.analysis.plots.look import own_look
from alig_deepobs.analysis.plots.style import (
    PAGE_INCHES,
    Style,
    add_legend,
    log_axis,
    new_figure,
    styles,
    tidy,
)
from alig_deepobs.errors import UsageError
from alig_deepobs.run import RunResult


@dataclass(frozen=True)
class Trace:
    """Step sizes of the runs of one setting, one value per epoch.

    Attributes:
        mean, median: median over the seeds of the mean and the median of an epoch's steps.
        low, high: the smallest and the largest step of an epoch over all seeds.
        clipped: mean share of steps at the cap.
        cap: the cap, None if there is none.
    """

    mean: tuple[float, ...]
    median: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    clipped: tuple[float, ...]
    cap: float | None


def step_size_trace(runs: Sequence[RunResult]) -> Trace | None:
    """The trace of the runs of one setting; None where they recorded no step sizes."""
    recorded = [run.step_sizes for run in runs if run.step_sizes]
    if not recorded:
        return None
    epochs = range(min(map(len, recorded)))

    def over_seeds(key: str) -> list[list[float]]:
        return [[float(run[epoch].get(key, math.nan)) for run in recorded] for epoch in epochs]

    return Trace(
        mean=tuple(map(statistics.median, over_seeds("mean"))),
        median=tuple(map(statistics.median, over_seeds("median"))),
        low=tuple(map(min, over_seeds("min"))),
        high=tuple(map(max, over_seeds("max"))),
        clipped=tuple(map(statistics.fmean, over_seeds("clipped_fraction"))),
        cap=runs[0].learning_rate,
    )


@own_look()
def draw_step_sizes(
    traces: Mapping[str, Trace],
    style: Mapping[str, Style] | None = None,
    title: str = "",
    legend: bool = True,
) -> Figure:
    """Draws step sizes (above) and the share of clipped steps (below) over the epochs.

    The line is the mean step of an epoch, the band reaches from the smallest to the largest step.

    Args:
        traces: label -> `step_size_trace` of its runs.
        style: of each label; by default `styles` of them.
        title: above the figure.
        legend: whether the figure has one.

    Raises:
        UsageError: there is no trace.
    """
    if not traces:
        raise UsageError("none of these runs recorded step sizes")
    style = styles(traces) if style is None else style
    figure = new_figure(*((4.6, 4.6) if legend else (PAGE_INCHES[0], 3.4)))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.2])
    tidy(upper, title, "", "step size")
    tidy(lower, "", "epoch", "at the cap, %")
    for label, trace in traces.items():
        epochs = range(1, len(trace.mean) + 1)
        notes = [f"median {value:.4g}" for value in trace.median]
        draw_line(
            upper, label, Line(epochs, trace.mean, trace.low, trace.high, notes), style[label]
        )
        share = [100 * value for value in trace.clipped]
        draw_line(lower, f"{label}, % at the cap", Line(epochs, share), style[label])
    values = [v for trace in traces.values() for v in (*trace.low, *trace.high, *trace.mean)]
    log_axis(upper, "y", [value for value in values if value > 0])
    lower.set_ylim(-5, 105)
    lower.set_yticks([0, 50, 100])
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    if legend:
        handles = [style[label].handle(label) for label in traces]
        add_legend(figure, handles, "line: mean step; band: smallest to largest step")
    return figure
