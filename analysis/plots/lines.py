"""Figures of plain lines: performance profiles, budget curves, sensitivity curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

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

# About that many markers on a line; more would hide the line style.
_MARKERS_A_LINE = 8


@dataclass(frozen=True)
class Line:
    """One optimizer in a figure: x and y, and a band around y where there is one.

    A y that is not finite is a run that diverged; it is marked at the edge of the figure. The notes
    are what the page adds to the numbers of a point.
    """

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Axis:
    """What stands at an axis, whether it is logarithmic, and its ends where they are fixed."""

    label: str
    log: bool = False
    ends: tuple[float, float] | None = None


@own_look()
def draw_lines(
    lines: Mapping[str, Line],
    *,
    x: Axis,
    y: Axis,
    title: str = "",
    steps: bool = False,
    higher_is_better: bool = False,
    style: Mapping[str, Style] | None = None,
    legend: bool = True,
) -> Figure:
    """Draws one line for each optimizer.

    Args:
        lines: label -> line.
        x: what the lines run over.
        y: what they show.
        title: above the figure.
        steps: draw stairs, for shares and counts, which jump.
        higher_is_better: diverged points are marked at the bad end of the y axis.
        style: of each label; by default `styles` of them.
        legend: whether the figure has one.

    Raises:
        UsageError: there is no line.
    """
    if not lines:
        raise UsageError("there is nothing to draw")
    style = styles(lines) if style is None else style
    figure = new_figure(*((5.2, 3.9) if legend else PAGE_INCHES))
    axes = figure.subplots()
    tidy(axes, title, x.label, y.label)
    crosses = 0
    for label, line in lines.items():
        good = [i for i, value in enumerate(line.y) if math.isfinite(value)]
        draw_line(axes, label, _at(line, good), style[label], steps)
        failed = [line.x[i] for i in range(len(line.y)) if i not in set(good)]
        if failed:
            # A step apart, so that the crosses of two optimizers do not hide each other.
            edge = (0.01 + 0.05 * crosses) % 1.0
            crosses += 1
            (mark,) = axes.plot(
                failed, [edge if higher_is_better else 1 - edge] * len(failed), "x",
                transform=axes.get_xaxis_transform(), color=style[label].color, markersize=6,
                markeredgewidth=1.8, clip_on=False,
            )  # fmt: skip
            mark.set_gid(series_id(style[label]))
    places = [value for line in lines.values() for value in line.x]
    if x.log:
        log_axis(axes, "x", places)
    elif all(float(value).is_integer() for value in places):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if y.log:
        values = [v for line in lines.values() for v in (*line.y, *line.low, *line.high)]
        log_axis(axes, "y", values)
    if y.ends is not None:
        axes.set_ylim(*y.ends)
    if legend:
        note = "×: diverged" if crosses else ""
        add_legend(figure, [style[label].handle(label) for label in lines], note)
    return figure


def draw_line(axes: Axes, label: str, line: Line, style: Style, steps: bool = False) -> None:
    """Draws line, band and markers of one optimizer; every marker knows its numbers."""
    drawn = axes.plot(
        line.x, line.y, color=style.color, linestyle=style.line, linewidth=1.6,
        drawstyle="steps-post" if steps else "default",
    )  # fmt: skip
    parts: list[Artist] = [*drawn]
    if line.low and line.high:
        parts.append(
            axes.fill_between(
                line.x, line.low, line.high, color=style.color, alpha=0.16, linewidth=0
            )
        )
    marked = range(0, len(line.x), max(1, len(line.x) // _MARKERS_A_LINE))
    if marked:
        points = axes.scatter(
            [line.x[i] for i in marked], [line.y[i] for i in marked],
            marker=style.marker, s=4.5**2, color=style.color, zorder=drawn[0].get_zorder(),
        )  # fmt: skip
        # Links are what matplotlib lets every single point carry; only the page makes use of it.
        # Where there is one point it must be told twice.
        points.set_urls([_numbers(label, line, i) for i in marked] * (1 + (len(marked) == 1)))
        parts.append(points)
    for part in parts:
        part.set_gid(series_id(style))


def series_id(style: Style) -> str:
    """The identifier of everything that a figure shows of one optimizer."""
    return f"series-{style.number}"


def _at(line: Line, places: Sequence[int]) -> Line:
    """The line at some of its points."""

    def at(values: Sequence[float]) -> list[float]:
        return [values[i] for i in places] if values else []

    notes = [line.notes[i] for i in places] if line.notes else ()
    return Line(at(line.x), at(line.y), at(line.low), at(line.high), notes)


def _numbers(label: str, line: Line, i: int) -> str:
    band = f" [{line.low[i]:.4g}, {line.high[i]:.4g}]" if line.low and line.high else ""
    note = f", {line.notes[i]}" if line.notes else ""
    return f"{label} at {line.x[i]:.4g}: {line.y[i]:.4g}{band}{note}"
