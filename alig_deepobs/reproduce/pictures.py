"""What all pictures of the experiments share: colours that every eye can tell apart, and saving."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.typing import LineStyleType

from alig_deepobs.errors import ResultError

DPI = 140

# Okabe and Ito's palette, safe for colour-blind readers.
BLACK, GREY = "#000000", "0.6"
VERMILLION, BLUE, GREEN, PURPLE = "#D55E00", "#0072B2", "#009E73", "#CC79A7"
SKY, ORANGE = "#56B4E9", "#E69F00"
COLORS: Sequence[str] = (BLUE, GREEN, PURPLE, ORANGE, SKY, BLACK)
"""For everything but ALI-G, which is always vermillion."""

LINES: Sequence[LineStyleType] = ("--", "-.", ":", (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1)), "-")
"""A second sign beside the colour; ALI-G's line is solid."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, which no pyplot knows of."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> Path:
    """Writes a PNG.

    Raises:
        ResultError: the file cannot be written.
    """
    for axes in figure.axes:
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.tick_params(labelsize=8)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stream.getvalue())
    except OSError as error:
        raise ResultError(f"cannot write {path}: {error.strerror or error}") from error
    return path
