"""What all figures share: colours, line styles, axes, and how a figure becomes a file.

Figures are drawn without pyplot, so nothing global changes and no display is needed. Optimizers
differ by colour (Okabe and Ito's palette, safe for colour-blind readers) and by line style and
marker, so every figure also reads in black and white.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from matplotlib.typing import LineStyleType

from alig_deepobs.errors import ResultError, UsageError

DPI = 150
FORMATS = ("png", "pdf", "svg")

# Okabe and Ito's colours without yellow, which is hard to see on white.
_COLORS = {
    "AliG": "#D55E00",  # vermillion
    "SGD": "#0072B2",  # blue
    "Momentum": "#009E73",  # bluish green
    "Adam": "#CC79A7",  # reddish purple
}
_OTHER_COLORS = ("#000000", "#56B4E9", "#E69F00")

_LINE_STYLES: tuple[LineStyleType, ...] = (
    "-",
    "--",
    "-.",
    (0, (1, 1.2)),
    (0, (6, 1.5, 1, 1.5, 1, 1.5)),
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class Style:
    """How one optimizer is drawn: colour, line and marker each tell it apart."""

    color: str
    line: LineStyleType
    marker: str

    def handle(self, label: str) -> Line2D:
        """Its entry in a legend."""
        return Line2D(
            [], [], color=self.color, linestyle=self.line, linewidth=1.6,
            marker=self.marker, markersize=4.5, label=literal(label),
        )  # fmt: skip


def optimizer_color(name: str) -> str:
    """The colour of an optimizer: always the same one for one label.

    Example:
        >>> optimizer_color("AliG"), optimizer_color("Mine") == optimizer_color("Mine")
        ('#D55E00', True)
    """
    digest = hashlib.sha256(name.encode()).digest()
    return _COLORS.get(name) or _OTHER_COLORS[digest[0] % len(_OTHER_COLORS)]


def style_at(index: int, color: str) -> Style:
    """The style of the line at a place in the legend."""
    return Style(color, _LINE_STYLES[index % len(_LINE_STYLES)], _MARKERS[index % len(_MARKERS)])


def styles(labels: Iterable[str]) -> dict[str, Style]:
    """A style for each of the methods of a report, in which no two look alike for long.

    The benchmark's optimizers keep their colours; the others take what is free, in order.

    Example:
        >>> found = styles(["Adam", "Mine", "Yours"])
        >>> found["Adam"].color, found["Mine"].color, found["Yours"].color
        ('#CC79A7', '#000000', '#56B4E9')
    """
    ordered = list(dict.fromkeys(labels))
    taken = {_COLORS[label] for label in ordered if label in _COLORS}
    free = [*_OTHER_COLORS, *(color for color in _COLORS.values() if color not in taken)]
    others = [label for label in ordered if label not in _COLORS]
    colors = {label: free[i % len(free)] for i, label in enumerate(others)}
    return {
        label: style_at(index, _COLORS.get(label) or colors[label])
        for index, label in enumerate(ordered)
    }


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Writes a figure as PNG, PDF or SVG, whatever the name ends in.

    Returns:
        The path.

    Raises:
        UsageError: the name ends in something else.
        ResultError: the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lstrip(".").lower()
    if suffix not in FORMATS:
        raise UsageError(f"a figure is written as {', '.join(FORMATS)}, not as {path.name!r}")
    stream = io.BytesIO()
    figure.savefig(stream, format=suffix, dpi=DPI)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stream.getvalue())
    except OSError as error:
        raise ResultError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def tidy(axes: Axes, title: str = "", x_label: str = "", y_label: str = "") -> None:
    """A quiet frame: light grid, no box, small labels."""
    if title:
        axes.set_title(literal(title), fontsize=10)
    axes.set_xlabel(literal(x_label), fontsize=9)
    axes.set_ylabel(literal(y_label), fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, which="major", color="0.9", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def log_axis(axes: Axes, which: str, values: Sequence[float]) -> None:
    """A logarithmic axis with readable ticks; left linear where the values do not allow it."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite or min(finite) <= 0 or min(finite) == max(finite):
        return
    low, high = min(finite), max(finite)
    axis = axes.yaxis if which == "y" else axes.xaxis
    (axes.set_yscale if which == "y" else axes.set_xscale)("log")
    # Within two decades, powers of ten alone would leave one label or none.
    if high / low < 2:
        axis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
        axis.set_minor_locator(NullLocator())
    else:
        subs = (1.0, 2.0, 5.0) if high / low < 100 else (1.0,)
        axis.set_major_locator(LogLocator(subs=subs, numticks=8))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def add_legend(
    figure: Figure, handles: Sequence[Line2D], title: str = "", characters: int = 0
) -> None:
    """A legend below the panels, in as many columns as fit.

    Args:
        figure: with its panels.
        handles: the entries.
        title: a line above them.
        characters: how many fit beside each other; 0 takes the figure's width.
    """
    if not handles:
        return
    longest = max(len(str(handle.get_label())) for handle in handles)
    room = characters or int(17 * figure.get_figwidth())
    figure.legend(
        handles=list(handles),
        loc="outside lower center",
        ncols=max(1, min(len(handles), room // (longest + 8))),
        fontsize=9,
        frameon=False,
        handlelength=3.6,
        title=literal(title) or None,
        title_fontsize=8.5,
    )


def literal(text: str) -> str:
    """Keeps matplotlib from reading dollar signs as formulas."""
    return text.replace("$", r"\$")


def clipped(text: str, longest: int = 40) -> str:
    """A label that fits into a legend."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
