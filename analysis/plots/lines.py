"""Figures of plain lines: performance profiles, budget curves, sensitivity curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

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


@dataclass(frozen=True)
class Line:
    """One method in a figure: x and y, and a band around y where there is one.

    A y that is not finite is a run that diverged; it is marked at the edge of the figure.
    """

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Axis:
    """What stands at an axis, whether it is logarithmic, and its ends where they are fixed."""

    label: str
    log: bool = False
    ends: tuple[float, float] | None = None


def plot_lines(
    lines: Mapping[str, Line],
    path: str | Path,
    *,
    x: Axis,
    y: Axis,
    title: str = "",
    steps: bool = False,
    higher_is_better: bool = False,
) -> Path:
    """Draws one line for each method.

    Args:
        lines: label -> line.
        path: the file to write, PNG, PDF or SVG by its ending.
        x: what the lines run over.
        y: what they show.
        title: above the figure.
        steps: draw stairs, for shares and counts, which jump.
        higher_is_better: diverged points are marked at the bad end of the y axis.

    Raises:
        UsageError: there is no line.
        ResultError: the file cannot be written.
    """
    figure = draw_lines(
        lines, styles(lines), x=x, y=y, title=title, steps=steps, higher_is_better=higher_is_better
    )
    return save_figure(figure, path)


def draw_lines(
    lines: Mapping[str, Line],
    looks: Mapping[str, Style],
    *,
    x: Axis,
    y: Axis,
    title: str = "",
    steps: bool = False,
    higher_is_better: bool = False,
    legend: bool = True,
) -> Figure:
    """The figure of `plot_lines`."""
    if not lines:
        raise UsageError("there is nothing to draw")
    figure = new_figure(5.2, 3.9 if legend else 3.3)
    axes = figure.subplots()
    failed: list[tuple[float, float, Style]] = []
    for label, line in lines.items():
        look = looks[label]
        good = [i for i, value in enumerate(line.y) if math.isfinite(value)]
        # A step apart, so that the crosses of two methods do not hide each other.
        height = (0.99 - 0.05 * len({id(mark[2]) for mark in failed})) % 1.0
        edge = 1 - height if higher_is_better else height
        failed += [(line.x[i], edge, look) for i in range(len(line.y)) if i not in set(good)]
        if line.low and line.high:
            axes.fill_between(
                [line.x[i] for i in good], [line.low[i] for i in good],
                [line.high[i] for i in good], color=look.color, alpha=0.15, linewidth=0,
            )  # fmt: skip
        axes.plot(
            [line.x[i] for i in good], [line.y[i] for i in good], color=look.color,
            linestyle=look.line, linewidth=1.6, marker=look.marker, markersize=4.5,
            markevery=max(1, len(good) // 8), drawstyle="steps-post" if steps else "default",
        )  # fmt: skip
    tidy(axes, title, x.label, y.label)
    if x.log:
        log_axis(axes, "x", [value for line in lines.values() for value in line.x])
    if y.log:
        log_axis(
            axes, "y", [v for line in lines.values() for v in (*line.y, *line.low, *line.high)]
        )
    if y.ends is not None:
        axes.set_ylim(*y.ends)
    for place, edge, look in failed:
        axes.plot(
            [place], [edge], transform=axes.get_xaxis_transform(), color=look.color,
            linestyle="none", marker="x", markersize=6, markeredgewidth=1.8, clip_on=False,
        )  # fmt: skip
    if legend:
        note = "×: diverged" if failed else ""
        add_legend(figure, [looks[label].handle(clipped(label)) for label in lines], note)
    return figure
