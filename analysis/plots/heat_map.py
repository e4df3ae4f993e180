"""Sensitivity heat map: methods x hyper-parameter values, the shade says how good the end was.

The style is that of Figure 3 of the ALI-G paper (Berrada, Zisserman, Kumar, 2020).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from alig_deepobs.analysis.plots.style import clipped, literal, new_figure, save_figure
from alig_deepobs.errors import UsageError

Cells = Mapping[str, Mapping[Hashable, float]]

# Dark is good. The palette's lightness changes evenly, so it prints well in black and white.
_COLORS = "cividis"
_MOST_LABELLED_COLUMNS = 16


def plot_heat_map(
    values: pd.DataFrame | Cells,
    path: str | Path,
    *,
    label: str = "final objective",
    axis_label: str = "hyper-parameter",
    title: str = "",
    lower_is_better: bool = True,
) -> Path:
    """Draws one cell for each method and value of its hyper-parameter.

    The shade is proportional to the logarithm of the value where all values are positive and
    span more than a factor of three, else to the value itself. A value that is not finite is a
    run that diverged: it gets the worst shade and a cross. What is missing stays empty.

    Args:
        values: method -> hyper-parameter value -> final objective; or a frame with one row for
            each method and one column for each hyper-parameter value, in which missing cells
            count as diverged. Methods may have different grids. None as a hyper-parameter value
            is shown as infinity (no cap).
        path: the file to write, PNG, PDF or SVG by its ending.
        label: what a cell shows, with its unit.
        axis_label: what stands below the columns.
        title: above the figure, empty for none.
        lower_is_better: False for accuracies; then a high value is dark.

    Returns:
        The path.

    Raises:
        UsageError: there is no cell.
        ResultError: the file cannot be written.
    """
    figure = draw_heat_map(
        values, label=label, axis_label=axis_label, title=title, lower_is_better=lower_is_better
    )
    return save_figure(figure, path)


def draw_heat_map(
    values: pd.DataFrame | Cells,
    *,
    label: str = "final objective",
    axis_label: str = "hyper-parameter",
    title: str = "",
    lower_is_better: bool = True,
) -> Figure:
    """The figure of `plot_heat_map`."""
    cells = _cells(values)
    if not any(cells.values()):
        raise UsageError("a heat map needs at least one method and one value")
    columns = sorted({key for row in cells.values() for key in row}, key=_place)
    longest = max(len(row) for row in cells.values())
    shared = len(columns) <= max(1.5 * longest, longest + 2)
    width = len(columns) if shared else longest
    names = [clipped(name, 24) for name in cells]
    figure = new_figure(
        max(4.8, 1.6 + 0.085 * max(map(len, names)) + 0.56 * width), 1.45 + 0.48 * len(cells)
    )
    axes = figure.subplots()
    norm, colormap = _norm(cells), matplotlib.colormaps[_COLORS]
    if not lower_is_better:
        colormap = colormap.reversed()
    for line, row in enumerate(cells.values()):
        ordered = sorted(row, key=_place)
        for place, key in enumerate(ordered):
            column = columns.index(key) if shared else place
            inside = _short(row[key]) if shared else value_text(key)
            show = width <= _MOST_LABELLED_COLUMNS or not shared
            worst = lower_is_better
            _draw_cell(axes, line, column, row[key], inside if show else "", norm, colormap, worst)
    _finish(axes, names, [value_text(key) for key in columns] if shared else None, width)
    axes.set_xlabel(literal(axis_label if shared else f"{axis_label} (in the cells)"), fontsize=9)
    if title:
        axes.set_title(literal(title), fontsize=10)
    _add_scale(figure, axes, norm, colormap, label)
    return figure


def value_text(value: Any) -> str:
    """A hyper-parameter value in few characters.

    Example:
        >>> value_text(0.001), value_text(1e-05), value_text(None), value_text(0.015848931925)
        ('0.001', '1e-5', '∞', '0.016')
    """
    if value is None:
        return "∞"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value and not 1e-3 <= abs(value) < 1e4:
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.2g}" if abs(value) < 100 else f"{value:g}"


def _cells(values: pd.DataFrame | Cells) -> dict[str, dict[Hashable, float]]:
    if isinstance(values, pd.DataFrame):
        records = values.to_dict(orient="index")
        return {str(name): dict(row) for name, row in records.items()}
    return {name: dict(row) for name, row in values.items()}


def _place(value: Hashable) -> tuple[int, float, str]:
    """Numbers in their order, then no cap at all, then words."""
    if value is None:
        return (1, math.inf, "")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (0, float(value), "")
    return (2, 0.0, str(value))


def _norm(cells: Mapping[str, Mapping[Hashable, float]]) -> Normalize:
    finite = [value for row in cells.values() for value in row.values() if math.isfinite(value)]
    if not finite:
        return Normalize(0.0, 1.0)
    low, high = min(finite), max(finite)
    if low > 0 and high > 3 * low:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + 1.0)


def _draw_cell(
    axes: Axes,
    line: int,
    column: int,
    value: float,
    text: str,
    norm: Normalize,
    colormap: Colormap,
    worst_is_high: bool,
) -> None:
    failed = not math.isfinite(value)
    share = (1.0 if worst_is_high else 0.0) if failed else float(norm(value))
    red, green, blue, _ = colormap(share)
    axes.add_patch(
        Rectangle(
            (column - 0.5, line - 0.5), 1, 1, facecolor=(red, green, blue),
            edgecolor="white", linewidth=1.2,
        )
    )  # fmt: skip
    light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
    ink = "#111111" if light else "#ffffff"
    if failed and text != "":
        text = "×" if text == _short(value) else f"{text}\n×"
    axes.text(column, line, literal(text), ha="center", va="center", fontsize=7, color=ink)


def _short(value: float) -> str:
    if not math.isfinite(value):
        return "×"
    return value_text(value) if abs(value) < 1e-3 or abs(value) >= 1e4 else f"{value:.3g}"


def _finish(axes: Axes, names: list[str], columns: list[str] | None, width: int) -> None:
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), [literal(name) for name in names], fontsize=9)
    if columns is None:
        axes.set_xticks([])
    else:
        steep = max(map(len, columns)) > 5
        axes.set_xticks(range(width), columns, fontsize=8, rotation=45 if steep else 0)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _add_scale(figure: Figure, axes: Axes, norm: Normalize, colormap: Colormap, label: str) -> None:
    mappable = matplotlib.cm.ScalarMappable(norm=norm, cmap=colormap)
    bar = figure.colorbar(mappable, ax=axes, pad=0.015, fraction=0.05, aspect=12)
    # ScalarMappable's own ticks may be too many for a low figure.
    bar.ax.tick_params(labelsize=8, which="both")
    bar.set_label(literal(f"{label} (×: diverged)"), fontsize=8)
    bar.outline.set_visible(False)
    # As a picture in vector formats: 256 little areas would be most of the file.
    if bar.solids is not None:
        bar.solids.set_rasterized(True)
