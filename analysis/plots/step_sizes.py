"""Step-size trace: what an optimizer that computes its step size chose, epoch by epoch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alig_deepobs.analysis.plots.style import (
    Style,
    add_legend,
    clipped,
    log_axis,
    new_figure,
    save_figure,
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


def plot_step_sizes(traces: Mapping[str, Trace], path: str | Path, title: str = "") -> Path:
    """Draws step sizes (above) and the share of clipped steps (below) over the epochs.

    The line is the mean step of an epoch, the dots its median, the band reaches from the
    smallest to the largest step.

    Args:
        traces: label -> `step_size_trace` of its runs.
        path: the file to write, PNG, PDF or SVG by its ending.
        title: above the figure.

    Raises:
        UsageError: there is no trace.
        ResultError: the file cannot be written.
    """
    return save_figure(draw_step_sizes(traces, styles(traces), title), path)


def draw_step_sizes(
    traces: Mapping[str, Trace], looks: Mapping[str, Style], title: str = "", legend: bool = True
) -> Figure:
    """The figure of `plot_step_sizes`."""
    if not traces:
        raise UsageError("none of these runs recorded step sizes")
    figure = new_figure(5.6, 4.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.2])
    drawn: list[float] = []
    for label, trace in traces.items():
        look, epochs = looks[label], range(1, len(trace.mean) + 1)
        every = max(1, len(epochs) // 8)
        upper.fill_between(epochs, trace.low, trace.high, color=look.color, alpha=0.15, linewidth=0)
        upper.plot(epochs, trace.mean, color=look.color, linestyle=look.line, linewidth=1.6)
        upper.plot(
            epochs, trace.median, color=look.color, linestyle="none",
            marker=look.marker, markersize=4.5, markevery=every,
        )  # fmt: skip
        lower.plot(
            epochs, [100 * share for share in trace.clipped], color=look.color, linestyle=look.line,
            linewidth=1.6, marker=look.marker, markersize=4, markevery=every,
        )  # fmt: skip
        drawn += [value for value in (*trace.low, *trace.high, *trace.mean) if value > 0]
    tidy(upper, title, "", "step size")
    tidy(lower, "", "epoch", "at the cap, %")
    log_axis(upper, "y", drawn)
    lower.set_ylim(-5, 105)
    lower.set_yticks([0, 50, 100])
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    if legend:
        handles = [looks[label].handle(clipped(label)) for label in traces]
        add_legend(
            figure, handles, "line: mean step; marks: median step; band: smallest to largest step"
        )
    return figure
