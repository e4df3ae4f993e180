"""Learning curves of a comparison: training loss, test loss and test accuracy over epochs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import LineStyleType

from alig_deepobs.analysis.curves import Panel, band, panels, zoom_range
from alig_deepobs.analysis.groups import Group, group_runs, seeds_text
from alig_deepobs.analysis.plots.style import (
    Style,
    add_legend,
    clipped,
    literal,
    log_axis,
    new_figure,
    optimizer_color,
    save_figure,
    style_at,
    tidy,
)
from alig_deepobs.registry import ProblemEntry
from alig_deepobs.run import Outcome, RunResult

INCHES_PER_PANEL = 4.0
HEIGHT_INCHES = 4.2

_TARGET_COLOR, _TARGET_WIDTH = "0.35", 0.9
_TARGET_DASHES: LineStyleType = (0, (4, 3))


def plot_curves(results: Sequence[RunResult], entry: ProblemEntry, path: str | Path) -> Path:
    """Draws training loss, test loss and (where there is one) test accuracy over epochs.

    A line is the mean over seeds, a band reaches from the lowest to the highest seed. Both end
    where the first run of an optimizer ends, since a mean over survivors would flatter; the
    remaining runs go on as thin single lines. A diverged run ends in an ``x``.

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


def draw_curves(groups: Sequence[Group], entry: ProblemEntry) -> Figure:
    """The figure of `plot_curves`."""
    runs = [run for group in groups for run in group.runs]
    shown = panels(runs, entry)
    figure = new_figure(INCHES_PER_PANEL * len(shown), HEIGHT_INCHES)
    looks = [
        style_at(index, optimizer_color(group.optimizer_name)) for index, group in enumerate(groups)
    ]
    target_drawn = False
    for panel, axes in zip(shown, figure.subplots(1, len(shown), squeeze=False)[0], strict=True):
        draw_panel(axes, groups, looks, panel, entry)
        target_drawn |= panel.headline and entry.target is not None
    data = runs[0].data_label or "data not recorded"
    title = f"{entry.label} – {data}, {seeds_text(run.random_seed for run in runs)}"
    figure.suptitle("\n".join(textwrap.wrap(literal(title), 42 * len(shown))), fontsize=11)
    several = max(len(group.runs) for group in groups) > 1
    add_legend(
        figure,
        _handles(groups, looks, target_drawn),
        "line: mean over seeds; band: lowest to highest seed" if several else "one seed each",
    )
    return figure


def draw_panel_alone(
    groups: Sequence[Group],
    looks: Mapping[str, Style],
    panel: Panel,
    entry: ProblemEntry,
    legend: bool = False,
) -> Figure:
    """One panel as a figure of its own; without a legend it is for a page that has one."""
    figure = new_figure(4.6, 3.9 if legend else 3.1)
    chosen = [looks[group.label] for group in groups]
    draw_panel(figure.subplots(), groups, chosen, panel, entry, title=legend)
    if legend:
        add_legend(
            figure, [look.handle(clipped(g.label)) for g, look in zip(groups, chosen, strict=True)]
        )
    return figure


def draw_panel(
    axes: Axes,
    groups: Sequence[Group],
    looks: Sequence[Style],
    panel: Panel,
    entry: ProblemEntry,
    title: bool = True,
) -> None:
    """Draws one quantity of all groups into given axes."""
    target = entry.target if panel.headline else None
    scaled_target = None if target is None else target * panel.scale
    for group, look in zip(groups, looks, strict=True):
        _draw_group(axes, group, look, panel)
    if scaled_target is not None:
        axes.axhline(
            scaled_target, color=_TARGET_COLOR, linestyle=_TARGET_DASHES, linewidth=_TARGET_WIDTH
        )
    tidy(axes, panel.title if title else "", "epoch (0: before training)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    curves = [panel.values(run) for group in groups for run in group.runs]
    if panel.scale == 1.0:
        log_axis(axes, "y", [value for curve in curves for value in curve])
        return
    zoomed = zoom_range(curves, scaled_target)
    if zoomed is not None:
        axes.set_ylim(*zoomed[:2])
        if zoomed[2] and title:
            axes.set_title(f"{axes.get_title()} (axis cut below)", fontsize=10)


def _draw_group(axes: Axes, group: Group, look: Style, panel: Panel) -> None:
    drawn = band(group, panel)
    epochs = range(len(drawn.mean))
    if drawn.mean:
        if len(group.runs) > 1:
            axes.fill_between(
                epochs, drawn.low, drawn.high, color=look.color, alpha=0.18, linewidth=0
            )
        axes.plot(
            epochs,
            drawn.mean,
            color=look.color,
            linestyle=look.line,
            linewidth=1.6,
            marker=look.marker,
            markersize=4.5,
            # About eight markers a line; more would hide the line style.
            markevery=max(1, len(epochs) // 8),
        )
    for start, values in drawn.tails:
        rest = range(start, start + len(values))
        axes.plot(rest, values, color=look.color, linestyle=look.line, linewidth=0.7)
    for epoch, value in drawn.ends:
        axes.plot(
            [epoch], [value], color=look.color,
            marker="x", markersize=9, markeredgewidth=2.2, zorder=5, clip_on=False,
        )  # fmt: skip


def _handles(groups: Sequence[Group], looks: Sequence[Style], target: bool) -> list[Line2D]:
    handles = [look.handle(_legend_label(group)) for group, look in zip(groups, looks, strict=True)]
    if target:
        handles.append(
            Line2D([], [], label="DeepOBS target", color=_TARGET_COLOR, linestyle=_TARGET_DASHES,
                   linewidth=_TARGET_WIDTH)
        )  # fmt: skip
    if any(run.outcome is Outcome.DIVERGED for group in groups for run in group.runs):
        handles.append(
            Line2D([], [], color="0.2", linestyle="none", marker="x", markersize=8,
                   markeredgewidth=2, label="a run diverged here")
        )  # fmt: skip
    return handles


def _legend_label(group: Group) -> str:
    total = len(group.runs)
    diverged = sum(run.outcome is Outcome.DIVERGED for run in group.runs)
    label = clipped(group.label)
    return f"{label} ({diverged} of {total} diverged)" if diverged else f"{label} (n={total})"
