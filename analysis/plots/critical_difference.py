"""Critical-difference diagram: mean ranks on a line, bars over what cannot be told apart.

The form is that of Demšar, *Statistical Comparisons of Classifiers over Multiple Data Sets*, JMLR 7
(2006), Figure 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alig_deepobs.analysis.plots.look import own_look
from alig_deepobs.analysis.plots.style import BLACK, literal, new_figure
from alig_deepobs.errors import UsageError

_ROW = 0.26
_INCHES_A_CHARACTER = 0.085


@own_look()
def draw_critical_difference(
    ranks: Mapping[str, float],
    *,
    cliques: Sequence[Sequence[str]] = (),
    critical_difference: float | None = None,
) -> Figure:
    """Draws mean ranks (1 is best, on the left) and joins optimizers that do not differ.

    Args:
        ranks: optimizer -> mean rank over problems. Names are written in full; the figure is as
            wide as they need.
        cliques: sets of optimizers that the test does not tell apart, each joined by a bar.
        critical_difference: drawn as a ruler above the axis, in ranks; None for none.

    Raises:
        UsageError: there are fewer than two optimizers.
    """
    if len(ranks) < 2:
        raise UsageError("a critical-difference diagram needs at least two methods")
    ordered = sorted(ranks, key=lambda name: (ranks[name], name))
    bars = _bars(ranks, cliques)
    top = max(len(ordered), math.ceil(max(ranks.values())))
    half = (len(ordered) + 1) // 2
    # Left: the better half; right: the others, from the last on.
    sides = (ordered[:half], ordered[half:][::-1])
    ruler = critical_difference is not None and critical_difference <= top - 1
    # Heights in rows; widths in inches, with an axis of 2.6 between the names.
    above = 2.6 if ruler else 1.4
    below = 0.9 * max((level + 1 for *_, level in bars), default=0) + 0.8
    margins = [_INCHES_A_CHARACTER * (max(map(len, side)) + 6) + 0.25 for side in sides]
    figure = new_figure(sum(margins) + 2.6, _ROW * (above + below + half + 0.3))
    axes = figure.subplots()
    axes.set_axis_off()
    unit = (top - 1) / 2.6
    axes.set_xlim(1 - margins[0] * unit, top + margins[1] * unit)
    axes.set_ylim(-(below + half + 0.3), above)
    _draw_axis(axes, top)
    if ruler and critical_difference is not None:
        _draw_ruler(axes, critical_difference)
    for low, high, level in bars:
        y = -0.55 - 0.9 * level
        axes.plot([low - 0.05 * unit, high + 0.05 * unit], [y, y], color=BLACK, linewidth=3.4,
                  solid_capstyle="round")  # fmt: skip
    for sign, end, align, side in ((-1, 1, "right", sides[0]), (1, top, "left", sides[1])):
        for row, name in enumerate(side):
            x, y = end + sign * 0.2 * unit, -(below + row)
            axes.plot([ranks[name], ranks[name], x], [0, y, y], color=BLACK, linewidth=0.9)
            words = (name, f"{ranks[name]:.2f}")[::-sign]
            axes.text(x + sign * 0.05 * unit, y, literal("  ".join(words)), ha=align, va="center",
                      fontsize=9)  # fmt: skip
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
    axes.plot([1, top], [0, 0], color=BLACK, linewidth=1.2)
    for rank in range(1, top + 1):
        axes.plot([rank, rank], [0, 0.35], color=BLACK, linewidth=1.2)
        axes.text(rank, 0.5, str(rank), ha="center", va="bottom", fontsize=9)
    for rank in range(1, top):
        axes.plot([rank + 0.5, rank + 0.5], [0, 0.2], color=BLACK, linewidth=0.8)


def _draw_ruler(axes: Axes, critical_difference: float) -> None:
    y, end = 1.75, 1 + critical_difference
    axes.plot([1, 1, 1, end, end, end], [y - 0.15, y + 0.15, y, y, y + 0.15, y - 0.15],
              color=BLACK, linewidth=1.2)  # fmt: skip
    axes.text((1 + end) / 2, y + 0.12, f"CD = {critical_difference:.2f}",
              ha="center", va="bottom", fontsize=8)  # fmt: skip
