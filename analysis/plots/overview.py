"""DeepOBS's overview figure: one column for each problem, one row for each quantity.

Source: Schneider, Balles, Hennig, *DeepOBS*, ICLR 2019, Figure 2 (learning curves of the tuned
optimizers on the problems of a benchmark set).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alig_deepobs.analysis.curves import Panel
from alig_deepobs.analysis.frames import accuracy_curve, loss_curve
from alig_deepobs.analysis.groups import Group
from alig_deepobs.analysis.plots.curves import draw_panel
from alig_deepobs.analysis.plots.style import (
    Style,
    add_legend,
    clipped,
    literal,
    new_figure,
    save_figure,
    styles,
)
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import ProblemEntry
from alig_deepobs.run import RunResult

Curve = Callable[[RunResult], list[float]]

# In the order of the rows of DeepOBS's figure.
_ROWS: tuple[tuple[str, str, Curve, float], ...] = (
    ("test_loss", "Test loss", lambda run: loss_curve(run, "test"), 1.0),
    ("train_loss", "Train loss", lambda run: loss_curve(run, "train"), 1.0),
    ("test_accuracy", "Test accuracy in %", lambda run: accuracy_curve(run, "test"), 100.0),
    ("train_accuracy", "Train accuracy in %", lambda run: accuracy_curve(run, "train"), 100.0),
)


def plot_overview(
    columns: Mapping[str, tuple[ProblemEntry, Sequence[Group]]], path: str | Path, title: str = ""
) -> Path:
    """Draws test loss, train loss, test and train accuracy of several problems side by side.

    Args:
        columns: heading of a column -> the problem and the settings to draw, one per optimizer
            (labelled by the optimizer, so that one legend serves all columns).
        path: the file to write, PNG, PDF or SVG by its ending.
        title: above the figure.

    Raises:
        UsageError: there is no column.
        ResultError: the file cannot be written.
    """
    return save_figure(draw_overview(columns, title), path)


def draw_overview(
    columns: Mapping[str, tuple[ProblemEntry, Sequence[Group]]],
    title: str = "",
    looks: Mapping[str, Style] | None = None,
) -> Figure:
    """The figure of `plot_overview`; ``looks`` are the styles of the labels."""
    if not columns:
        raise UsageError("there is no problem to draw")
    names = dict.fromkeys(group.label for _, groups in columns.values() for group in groups)
    looks = styles(names) if looks is None else looks
    figure = new_figure(3.1 * len(columns) + 0.6, 9.6 + (0.4 if title else 0.0))
    grid = figure.subplots(len(_ROWS), len(columns), squeeze=False, sharex="col")
    named: set[str] = set()
    for column, (heading, (entry, groups)) in enumerate(columns.items()):
        drawn = []
        for line, row in enumerate(_ROWS):
            axes = grid[line][column]
            if _draw(axes, entry, groups, looks, row):
                drawn.append(axes)
                # A row is named at its first panel, which may stand in a later column.
                axes.set_ylabel("" if row[1] in named else row[1], fontsize=9)
                named.add(row[1])
            axes.set_xlabel("")
        # The epochs stand below the last panel that there is, not below an empty one.
        for axes in drawn[-1:]:
            axes.set_xlabel("epoch", fontsize=9)
            axes.tick_params(labelbottom=True)
        grid[0][column].set_title(literal(heading), fontsize=10)
    if title:
        figure.suptitle(literal(title), fontsize=11)
    add_legend(
        figure,
        [looks[name].handle(clipped(name)) for name in names],
        "line: mean over seeds; band: lowest to highest seed; dashes: DeepOBS's target",
    )
    return figure


def _draw(
    axes: Axes,
    entry: ProblemEntry,
    groups: Sequence[Group],
    looks: Mapping[str, Style],
    row: tuple[str, str, Curve, float],
) -> bool:
    """Draws a panel, or the words that there is nothing to draw; says whether there was."""
    key, title, curve, scale = row
    panel = Panel(key, title, curve, headline=key == f"test_{entry.metric}", scale=scale)
    shown = [group for group in groups if any(curve(run) for run in group.runs)]
    if shown:
        chosen = [looks[group.label] for group in shown]
        draw_panel(axes, shown, chosen, panel, entry, title=False)
        return True
    axes.set_axis_off()
    axes.text(0.5, 0.5, "no accuracy", ha="center", va="center", transform=axes.transAxes,
              fontsize=9, color="0.45")  # fmt: skip
    return False
