"""Sensitivity heat map: optimizers x hyper-parameter values, the shade says how good the end was.

The style is that of Figure 3 of the ALI-G paper (Berrada, Zisserman, Kumar, 2020).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from alig_deepobs.analysis.formats import clipped
from alig_deepobs.analysis.plots.look import own_look
from alig_deepobs.analysis.plots.style import literal, new_figure
from alig_deepobs.analysis.sensitivity import value_text
from alig_deepobs.errors import UsageError

Cells = Mapping[str, Mapping[Any, float]]

# Dark is good. The palette's lightness changes evenly, so it prints well in black and white.
_COLORS = "cividis"
_MOST_LABELLED_COLUMNS = 16


@own_look()
def draw_heat_map(
    values: pd.DataFrame | Cells,
    *,
    label: str = "final objective",
    axis_label: str = "hyper-parameter",
    title: str = "",
    lower_is_better: bool = True,
    worst: float = math.inf,
) -> Figure:
    """Draws one cell for each optimizer and value of its hyper-parameter.

    The shade is proportional to the logarithm of the value where all values are positive and
    span more than a factor of three, else to the value itself. A value that is not finite is a
    run that diverged: it gets the worst shade and a cross. What is missing stays empty.

    Args:
        values: optimizer -> hyper-parameter value -> final objective; or a frame with one row for
            each optimizer and one column for each hyper-parameter value, in which missing cells
            count as diverged. Where grids differ, cells hold both. None as a hyper-parameter value
            is shown as infinity (no cap).
        label: what a cell shows, with its unit.
        axis_label: what stands below the columns.
        title: above the figure, empty for none.
        lower_is_better: False for accuracies; then a high value is dark.
        worst: values beyond it have its shade.

    Raises:
        UsageError: there is no cell.
    """
    cells: dict[str, dict[Hashable, float]] = (
        {str(name): dict(row) for name, row in values.to_dict(orient="index").items()}
        if isinstance(values, pd.DataFrame)
        else {name: dict(row) for name, row in values.items()}
    )
    if not any(cells.values()):
        raise UsageError("a heat map needs at least one method and one value")
    columns = sorted({key for row in cells.values() for key in row}, key=_place)
    longest = max(len(row) for row in cells.values())
    shared = len(columns) <= max(1.5 * longest, longest + 2)
    width = len(columns) if shared else longest
    names = [clipped(name, 24) for name in cells]
    height = 0.48 if shared else 0.56
    figure = new_figure(
        max(4.8, 1.6 + 0.085 * max(map(len, names)) + 0.56 * width), 1.45 + height * len(cells)
    )
    axes = figure.subplots()
    norm = _norm(
        [min(v, worst) for row in cells.values() for v in row.values() if math.isfinite(v)]
    )
    colormap = matplotlib.colormaps[_COLORS if lower_is_better else f"{_COLORS}_r"]
    for line, row in enumerate(cells.values()):
        for place, key in enumerate(sorted(row, key=_place)):
            column = columns.index(key) if shared else place
            failed = not math.isfinite(row[key])
            shade = colormap(float(lower_is_better) if failed else float(norm(row[key])))
            axes.add_patch(
                Rectangle((column - 0.5, line - 0.5), 1, 1, facecolor=shade, edgecolor="white",
                          linewidth=1.2)
            )  # fmt: skip
            text = result_text(row[key])
            if not shared:
                text = f"{value_text(key)}\n{text}"
            if width <= _MOST_LABELLED_COLUMNS or not shared:
                light = 0.299 * shade[0] + 0.587 * shade[1] + 0.114 * shade[2] > 0.5
                axes.text(column, line, literal(text), ha="center", va="center", fontsize=7,
                          color="#111111" if light else "#ffffff")  # fmt: skip
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), [literal(name) for name in names], fontsize=9)
    ticks = [value_text(key) for key in columns] if shared else []
    steep = max(map(len, ticks), default=0) > 5
    axes.set_xticks(range(len(ticks)), ticks, fontsize=8, rotation=45 if steep else 0)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(
        literal(axis_label if shared else f"{axis_label}, above the result"), fontsize=9
    )
    axes.set_title(literal(title), fontsize=10)
    bar = figure.colorbar(ScalarMappable(norm, colormap), ax=axes, pad=0.015, fraction=0.05,
                          aspect=12)  # fmt: skip
    bar.ax.tick_params(labelsize=8, which="both")
    bar.set_label(literal(f"{label} (×: diverged)"), fontsize=8)
    bar.outline.set_visible(False)
    # As a picture in vector formats: 256 little areas would be most of the file.
    if bar.solids is not None:
        bar.solids.set_rasterized(True)
    return figure


def result_text(value: float) -> str:
    """A result in few characters; a cross where there is none."""
    if not math.isfinite(value):
        return "×"
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e4 else value_text(value)


def _place(value: Hashable) -> tuple[int, float, str]:
    """Numbers in their order, then no cap at all, then words."""
    if value is None:
        return (1, math.inf, "")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (0, float(value), "")
    return (2, 0.0, str(value))


def _norm(finite: list[float]) -> Normalize:
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    if low > 0 and high > 3 * low:
        return LogNorm(low, high, clip=True)
    return Normalize(low, high if high > low else low + 1.0, clip=True)
