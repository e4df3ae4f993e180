"""Critical-difference diagram: mean ranks on a line, bars over what cannot be told apart.

The form is that of Demšar, *Statistical Comparisons of Classifiers over Multiple Data Sets*, JMLR 7
(2006), Figure 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alig_deepobs.analysis.plots.style import clipped, literal, new_figure, save_figure
from alig_deepobs.errors import UsageError


def plot_critical_difference(
    ranks: Mapping[str, float],
    path: str | Path,
    *,
    cliques: Sequence[Sequence[str]] = (),
    critical_difference: float | None = None,
    title: str = "",
) -> Path:
    """Draws mean ranks (1 is best, on the left) and joins methods that do not differ.

    Args:
        ranks: method -> mean rank over problems.
        path: the file to write, PNG, PDF or SVG by its ending.
        cliques: sets of methods that the test does not tell apart, each joined by a bar.
        critical_difference: drawn as a ruler above the axis, in ranks; None for none.
        title: above the figure.

    Raises:
        UsageError: there are fewer than two methods.
        ResultError: the file cannot be written.
    """
    figure = draw_critical_difference(
        ranks, cliques=cliques, critical_difference=critical_difference, title=title
    )
    return save_figure(figure, path)


def draw_critical_difference(
    ranks: Mapping[str, float],
    *,
    cliques: Sequence[Sequence[str]] = (),
    critical_difference: float | None = None,
    title: str = "",
) -> Figure:
    """The figure of `plot_critical_difference`."""
    if len(ranks) < 2:
        raise UsageError("a critical-difference diagram needs at least two methods")
    ordered = sorted(ranks, key=lambda name: (ranks[name], name))
    bars = _bars(ranks, cliques)
    top = max(len(ordered), math.ceil(max(ranks.values())))
    rows = (len(ordered) + 1) // 2
    ruler = critical_difference is not None and critical_difference <= top - 1
    # All in rows of 0.26 inches: ruler, axis, bars, names.
    above, below = (
        (2.6 if ruler else 1.4),
        0.9 * max((level + 1 for *_, level in bars), default=0) + 0.8,
    )
    height = above + below + rows + 0.3
    figure = new_figure(7.2, 0.26 * height + (0.5 if title else 0.15))
    axes = figure.subplots()
    axes.set_axis_off()
    span = top - 1
    axes.set_xlim(1 - 0.42 * span, top + 0.42 * span)
    axes.set_ylim(-(height - above), above)
    _draw_axis(axes, top)
    if ruler and critical_difference is not None:
        _draw_ruler(axes, critical_difference)
    for low, high, level in bars:
        y = -0.55 - 0.9 * level
        axes.plot([low - 0.02 * span, high + 0.02 * span], [y, y], color="#000000",
                  linewidth=3.4, solid_capstyle="round")  # fmt: skip
    for place, name in enumerate(ordered):
        left = place < rows
        row = place if left else len(ordered) - 1 - place
        y = -(below + row)
        end = 1 - 0.05 * span if left else top + 0.05 * span
        axes.plot([ranks[name], ranks[name], end], [0, y, y], color="#000000", linewidth=0.9)
        side = -1 if left else 1
        axes.text(
            end + side * 0.015 * span, y, literal(f"{clipped(name, 26)}  {ranks[name]:.2f}"
            if left else f"{ranks[name]:.2f}  {clipped(name, 26)}"),
            ha="right" if left else "left", va="center", fontsize=9,
        )  # fmt: skip
    if title:
        axes.set_title(literal(title), fontsize=10)
    return figure


def _bars(
    ranks: Mapping[str, float], cliques: Sequence[Sequence[str]]
) -> list[tuple[float, float, int]]:
    """The bars and their level, without those that lie inside another."""
    spans = {
        (min(ranks[name] for name in clique), max(ranks[name] for name in clique))
        for clique in cliques
        if len(clique) > 1
    }
    outer = sorted(
        (low, high)
        for low, high in spans
        if not any((a, b) != (low, high) and a <= low and high <= b for a, b in spans)
    )
    placed: list[tuple[float, float, int]] = []
    for low, high in outer:
        # The first level on which there is room to the right of all that stand there.
        reach = [max((b for _, b, on in placed if on == level), default=-math.inf)
                 for level in range(len(placed) + 1)]  # fmt: skip
        level = next(i for i, end in enumerate(reach) if end + 0.2 < low)
        placed.append((low, high, level))
    return placed


def _draw_axis(axes: Axes, top: int) -> None:
    axes.plot([1, top], [0, 0], color="#000000", linewidth=1.2)
    for rank in range(1, top + 1):
        axes.plot([rank, rank], [0, 0.35], color="#000000", linewidth=1.2)
        axes.text(rank, 0.5, str(rank), ha="center", va="bottom", fontsize=9)
    for half in range(1, top):
        axes.plot([half + 0.5, half + 0.5], [0, 0.2], color="#000000", linewidth=0.8)


def _draw_ruler(axes: Axes, critical_difference: float) -> None:
    y, end = 1.75, 1 + critical_difference
    axes.plot([1, end], [y, y], color="#000000", linewidth=1.2)
    for x in (1.0, end):
        axes.plot([x, x], [y - 0.15, y + 0.15], color="#000000", linewidth=1.2)
    axes.text((1 + end) / 2, y + 0.12, f"CD = {critical_difference:.2f}",
              ha="center", va="bottom", fontsize=8)  # fmt: skip
