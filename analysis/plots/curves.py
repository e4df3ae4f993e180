"""Learning curves: those of a comparison, and DeepOBS's overview of several problems."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alig_deepobs.analysis.curves import Panel, band, overview_panels, panels, zoom_range
from alig_deepobs.analysis.formats import clipped, seeds_text
from alig_deepobs.analysis.groups import Group, group_runs
from alig_deepobs.analysis.plots.lines import Line, draw_line, series_id
from alig_deepobs.analysis.plots.look import own_look
from alig_deepobs.analysis.plots.style import (
    PAGE_INCHES,
    Style,
    add_legend,
    literal,
    log_axis,
    new_figure,
    save_figure,
    styles,
    tidy,
)
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import ProblemEntry
from alig_deepobs.run import Outcome, RunResult

INCHES_PER_PANEL = 4.0
HEIGHT_INCHES = 4.2

# The page draws a line of more epochs thinned, so that a hundred charts stay a small file.
_MOST_POINTS = 160
_NOTE = (
    "line: mean over seeds; band: lowest to highest seed; dashes: DeepOBS's target; "
    "×: a run diverged"
)


def plot_curves(results: Sequence[RunResult], entry: ProblemEntry, path: str | Path) -> Path:
    """Writes the figure of `draw_curves` for the settings of some runs.

    Args:
        results: runs that a leaderboard could hold (see `alig_deepobs.analysis.leaderboard`).
        entry: the problem.
        path: the file to write, PNG, PDF or SVG by its ending.

    Returns:
        The path.

    Raises:
        UsageError: there is no run, or the runs cannot be compared.
        ResultError: the file cannot be written.
    """
    return save_figure(draw_curves(group_runs(results, entry), entry), path)


@own_look()
def draw_curves(groups: Sequence[Group], entry: ProblemEntry) -> Figure:
    """Draws training loss, test loss and (where there is one) test accuracy over epochs.

    A line is the mean over seeds, a band reaches from the lowest to the highest seed. Both end
    where the first run of an optimizer ends, since a mean over survivors would flatter; the
    remaining runs go on as thin single lines. A diverged run ends in an ``x``.
    """
    runs = [run for group in groups for run in group.runs]
    shown = panels(runs, entry)
    figure = new_figure(INCHES_PER_PANEL * len(shown), HEIGHT_INCHES)
    style = styles(group.label for group in groups)
    for panel, axes in zip(shown, figure.subplots(1, len(shown), squeeze=False)[0], strict=True):
        draw_panel(axes, groups, style, panel, entry, title=panel.title)
    data = runs[0].data_label or "data not recorded"
    title = f"{entry.label} – {data}, {seeds_text(run.random_seed for run in runs)}"
    figure.suptitle("\n".join(textwrap.wrap(literal(title), 42 * len(shown))), fontsize=11)
    add_legend(figure, [style[group.label].handle(_legend_label(group)) for group in groups], _NOTE)
    return figure


@own_look()
def draw_one_panel(
    groups: Sequence[Group],
    style: Mapping[str, Style],
    panel: Panel,
    entry: ProblemEntry,
) -> Figure:
    """One panel as a figure of its own, for a page that has title and legend."""
    figure = new_figure(*PAGE_INCHES)
    draw_panel(figure.subplots(), groups, style, panel, entry)
    return figure


@own_look()
def draw_overview(
    columns: Mapping[str, tuple[ProblemEntry, Sequence[Group]]],
    style: Mapping[str, Style] | None = None,
) -> Figure:
    """Draws test loss, train loss, test and train accuracy of several problems side by side.

    Args:
        columns: heading of a column -> the problem and the settings to draw, one per optimizer
            (labelled by the optimizer, so that one legend serves all columns).
        style: of each label; by default `styles` of them.

    Raises:
        UsageError: there is no column.

    Source: Schneider, Balles, Hennig, *DeepOBS*, ICLR 2019, Figure 2.
    """
    if not columns:
        raise UsageError("there is no problem to draw")
    names = dict.fromkeys(group.label for _, groups in columns.values() for group in groups)
    style = styles(names) if style is None else style
    figure = new_figure(3.1 * len(columns) + 0.6, 9.6)
    grid = figure.subplots(4, len(columns), squeeze=False, sharex="col")
    named: set[str] = set()
    for column, (heading, (entry, groups)) in enumerate(columns.items()):
        last = grid[0][column]
        for line, panel in enumerate(overview_panels(entry)):
            axes = grid[line][column]
            shown = [group for group in groups if any(panel.values(run) for run in group.runs)]
            if not shown:
                axes.set_axis_off()
                axes.text(0.5, 0.5, "no accuracy", ha="center", va="center", fontsize=9,
                          color="0.45", transform=axes.transAxes)  # fmt: skip
                continue
            draw_panel(axes, shown, style, panel, entry)
            # A row is named at its first panel, which may stand in a later column.
            axes.set_ylabel("" if panel.title in named else panel.title, fontsize=9)
            axes.set_xlabel("")
            named.add(panel.title)
            last = axes
        # The epochs stand below the last panel that there is, not below an empty one.
        last.set_xlabel("epoch", fontsize=9)
        last.tick_params(labelbottom=True)
        grid[0][column].set_title(literal(heading), fontsize=10)
    add_legend(figure, [style[name].handle(name) for name in names], _NOTE)
    return figure


def draw_panel(
    axes: Axes,
    groups: Sequence[Group],
    style: Mapping[str, Style],
    panel: Panel,
    entry: ProblemEntry,
    title: str = "",
) -> None:
    """Draws one quantity of all groups into given axes."""
    goal = None if entry.target is None or not panel.headline else entry.target * panel.scale
    tidy(axes, title, "epoch (0: before training)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for group in groups:
        _draw_group(axes, group, style[group.label], panel)
    if goal is not None:
        axes.axhline(goal, color="#595959", linestyle=(0, (4, 3)), linewidth=0.9)
    curves = [panel.values(run) for group in groups for run in group.runs]
    if panel.scale == 1.0:
        log_axis(axes, "y", [value for curve in curves for value in curve])
        return
    zoomed = zoom_range(curves, goal)
    if zoomed is not None:
        axes.set_ylim(*zoomed[:2])
        if zoomed[2] and title:
            axes.set_title(f"{axes.get_title()} (axis cut below)", fontsize=10)


def _draw_group(axes: Axes, group: Group, style: Style, panel: Panel) -> None:
    drawn = band(group, panel)
    at = _thinned(len(drawn.mean))
    several = len(group.runs) > 1
    line = Line(
        at,
        [drawn.mean[i] for i in at],
        [drawn.low[i] for i in at] if several else (),
        [drawn.high[i] for i in at] if several else (),
        [f"median {drawn.median[i]:.4g}, n={len(group.runs)}" for i in at],
    )
    draw_line(axes, group.label, line, style)
    tails = [(range(start, start + len(values)), values) for start, values in drawn.tails]
    thin = [axes.plot(*tail, color=style.color, ls=style.line, lw=0.7)[0] for tail in tails]
    ends = [
        axes.plot(*end, "x", color=style.color, markersize=9, markeredgewidth=2.2, zorder=5,
                  clip_on=False)[0]
        for end in drawn.ends
    ]  # fmt: skip
    for part in (*thin, *ends):
        part.set_gid(series_id(style))


def _thinned(length: int) -> list[int]:
    """Places of a curve, evenly, where it has more points than a figure shows."""
    step = max(1.0, (length - 1) / (_MOST_POINTS - 1))
    return sorted({round(i * step) for i in range(min(length, _MOST_POINTS))})


def _legend_label(group: Group) -> str:
    total = len(group.runs)
    diverged = sum(run.outcome is Outcome.DIVERGED for run in group.runs)
    count = f"{diverged} of {total} diverged" if diverged else f"n={total}"
    return f"{clipped(group.label)} ({count})"
