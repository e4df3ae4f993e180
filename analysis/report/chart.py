"""One chart of the page: data for the interactive chart, and a picture for everybody.

The picture is an inline SVG. It is what is printed, what is seen without JavaScript, and what
stands there until the interactive chart has been drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from alig_deepobs.analysis.plots.lines import Axis, Line, draw_lines
from alig_deepobs.analysis.plots.style import Style
from alig_deepobs.analysis.plots.svg import inline_svg

_MOST_POINTS = 160
SHARES = (-0.03, 1.05)

_DASHES = {"-": "solid", "--": "dash", "-.": "dashdot"}
_SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down",
    "P": "cross", "X": "x",
}  # fmt: skip


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes:
        name: unique on the page, and the name of its file.
        title: heading.
        caption: how to read it, one or two sentences.
        figure: draws the picture, with a legend or without.
        data: for the interactive chart; None where the picture says it all.
        wide: whether it needs the whole width of the page.
    """

    name: str
    title: str
    caption: str
    figure: Callable[[bool], Figure]
    data: dict[str, Any] | None = None
    wide: bool = False

    def svg(self) -> tuple[str, int]:
        """The picture as an SVG element, and its natural width in pixels."""
        figure = self.figure(False)
        return inline_svg(figure, self.name), round(110 * figure.get_figwidth())


def line_chart(
    name: str, title: str, lines: Mapping[str, Line], looks: Mapping[str, Style], x: Axis, y: Axis,
    caption: str, steps: bool = False, higher_is_better: bool = False,
) -> Chart:  # fmt: skip
    """A chart of plain lines; a y that is not finite is a run that did not finish."""
    values = [v for line in lines.values() for v in (*line.y, *line.low) if math.isfinite(v)]
    series = []
    for label, line in lines.items():
        good = [i for i, value in enumerate(line.y) if math.isfinite(value)]
        series.append({
            **look_data(label, looks),
            "x": picked(line.x, good),
            "y": picked(line.y, good),
            "lo": picked(line.low, good) if line.low else [],
            "hi": picked(line.high, good) if line.high else [],
            "tip": [],
            "ends": [],
            "failed": [rounded(line.x[i]) for i in range(len(line.y)) if i not in set(good)],
        })  # fmt: skip
    return Chart(
        name,
        title,
        caption,
        lambda legend: draw_lines(
            lines, looks, x=x, y=y, steps=steps, higher_is_better=higher_is_better, legend=legend
        ),
        {
            "x": {"title": x.label, "log": x.log},
            "y": {
                "title": y.label,
                "log": y.log and bool(values) and min(values) > 0,
                "range": list(y.ends or ()),
            },
            "series": series,
            "lines": [],
            "steps": steps,
            "failedAt": 0 if higher_is_better else 1,
        },
    )


def look_data(label: str, looks: Mapping[str, Style]) -> dict[str, str]:
    """Name, colour, dashes and symbol of a line, in Plotly's words."""
    look = looks[label]
    dash = _DASHES.get(look.line, "dot") if isinstance(look.line, str) else (
        "dot" if len(look.line[1] or ()) == 2 else "longdashdot"
    )  # fmt: skip
    return {"name": label, "color": look.color, "dash": dash, "symbol": _SYMBOLS[look.marker]}


def thinned(length: int) -> list[int]:
    """Indices of a curve, thinned evenly where there are more than a screen shows."""
    if length <= _MOST_POINTS:
        return list(range(length))
    step = (length - 1) / (_MOST_POINTS - 1)
    return sorted({round(i * step) for i in range(_MOST_POINTS)})


def picked(values: Sequence[float], at: Sequence[int]) -> list[float]:
    """The values at some indices, rounded."""
    return [rounded(values[i]) for i in at]


def rounded(value: float) -> float:
    """Five digits: more than a screen shows, and much less text."""
    return float(f"{value:.5g}")


def short(value: float) -> str:
    """A number for a caption or a tooltip."""
    return f"{value:.4g}"
