"""What all figures share: colours, line styles, axes, and how a figure becomes a file.

Figures are drawn without pyplot, so nothing global changes and no display is needed. Optimizers
differ by colour (Okabe and Ito's palette, safe for colour-blind readers) and by line style and
marker, so every figure also reads in black and white.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.typing import LineStyleType

from alig_deepobs.analysis.formats import clipped
from alig_deepobs.analysis.plots.look import own_look
from alig_deepobs.errors import UsageError
from alig_deepobs.files import write_bytes_atomically
from alig_deepobs.foreign import shown

DPI = 150
FORMATS = ("png", "pdf", "svg")
PAGE_INCHES = (3.7, 2.7)
"""Of a figure on the page, which is drawn as wide as a phone: so its text can be read there."""

# Okabe and Ito's colours without yellow, which is hard to see on white, and two more.
BLACK, GREY = "#000000", "#999999"
VERMILLION, BLUE, GREEN, PURPLE = "#D55E00", "#0072B2", "#009E73", "#CC79A7"
SKY, ORANGE, OLIVE, VIOLET = "#56B4E9", "#E69F00", "#999933", "#8F4FBF"
_BENCHMARK = {"AliG": VERMILLION, "SGD": BLUE, "Momentum": GREEN, "Adam": PURPLE}
_COLORS = (BLACK, SKY, ORANGE, OLIVE, VIOLET, VERMILLION, BLUE, GREEN, PURPLE)

LINES: tuple[LineStyleType, ...] = ("-", "--", "-.", (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5, 1, 1.5)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "*")


@dataclass(frozen=True)
class Style:
    """How one optimizer is drawn: colour, line and marker each tell it apart.

    Attributes:
        color, line, marker: in matplotlib's words.
        number: its place among the optimizers of a report, by which the page finds its lines.
    """

    color: str
    line: LineStyleType
    marker: str
    number: int = 0

    def handle(self, label: str) -> Line2D:
        """Its entry in a legend."""
        return Line2D(
            [], [], color=self.color, linestyle=self.line, linewidth=1.6,
            marker=self.marker, markersize=4.5, label=literal(clipped(label, 55)),
        )  # fmt: skip


def styles(labels: Iterable[str]) -> dict[str, Style]:
    """A style for each of the optimizers of a report.

    The benchmark's optimizers always look the same; the others take what is free, in order. Up to
    35 no two share line and marker, and up to 63 no two share colour and marker.

    Example:
        >>> found = styles(["Adam", "Mine", "Yours"])
        >>> found["Adam"].color, found["Mine"].color, found["Yours"].color
        ('#CC79A7', '#000000', '#56B4E9')
    """
    ordered = list(dict.fromkeys(labels))
    others = [label for label in ordered if label not in _BENCHMARK]
    place = {label: i for i, label in enumerate([*_BENCHMARK, *others])}
    marker = {label: _MARKERS[place[label] % len(_MARKERS)] for label in ordered}
    color = {label: _BENCHMARK[label] for label in ordered if label in _BENCHMARK}
    taken = {(color[label], marker[label]) for label in color}
    free = [each for each in _COLORS if each not in color.values()]
    for number, label in enumerate(others):
        first = number % len(free)
        candidates = [*free[first:], *free[:first], *_COLORS]
        color[label] = next(
            (each for each in candidates if (each, marker[label]) not in taken), candidates[0]
        )
        taken.add((color[label], marker[label]))
    return {
        label: Style(color[label], LINES[place[label] % len(LINES)], marker[label], number)
        for number, label in enumerate(ordered)
    }


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@own_look()
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
    write_bytes_atomically(path, stream.getvalue())
    return path


def tidy(axes: Axes, title: str = "", x_label: str = "", y_label: str = "") -> None:
    """A quiet frame: light grid, no box, small labels."""
    axes.set_title(literal(title), fontsize=10)
    axes.set_xlabel(literal(x_label), fontsize=9)
    axes.set_ylabel(literal(y_label), fontsize=9)
    axes.grid(visible=True, which="major", color="0.9", linewidth=0.7)
    axes.set_axisbelow(True)
    open_frame(axes)


def open_frame(axes: Axes) -> None:
    """No box, small labels."""
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


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
        axis.set_major_locator(MaxNLocator(5))
    else:
        subs = (1.0, 2.0, 5.0) if high / low < 100 else (1.0,)
        axis.set_major_locator(LogLocator(subs=subs, numticks=8))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def add_legend(figure: Figure, handles: Sequence[Line2D], title: str = "") -> None:
    """A legend below the panels, in as many columns as fit."""
    if not handles:
        return
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = int(17 * figure.get_figwidth()) // (longest + 8)
    figure.legend(
        handles=list(handles),
        loc="outside lower center",
        ncols=max(1, min(len(handles), columns)),
        fontsize=9,
        frameon=False,
        handlelength=3.6,
        title=literal(title) or None,
        title_fontsize=8.5,
    )


def literal(text: str) -> str:
    """Text of which nothing acts: dollar signs are no formulas, control characters are escapes."""
    return shown(text, lines=True).replace("$", r"\$")
