"""Figures: every function makes one, `save_figure` makes it a PNG, PDF or SVG file."""

from __future__ import annotations

from alig_deepobs.analysis.plots.look import own_look  # isort: split

from alig_deepobs.analysis.plots.critical_difference import draw_critical_difference
from alig_deepobs.analysis.plots.curves import draw_curves, draw_overview, plot_curves
from alig_deepobs.analysis.plots.heat_map import draw_heat_map
from alig_deepobs.analysis.plots.lines import Axis, Line, draw_lines
from alig_deepobs.analysis.plots.step_sizes import draw_step_sizes, step_size_trace
from alig_deepobs.analysis.plots.style import save_figure, styles

__all__ = [
    "Axis",
    "Line",
    "draw_critical_difference",
    "draw_curves",
    "draw_heat_map",
    "draw_lines",
    "draw_overview",
    "draw_step_sizes",
    "own_look",
    "plot_curves",
    "save_figure",
    "step_size_trace",
    "styles",
]
