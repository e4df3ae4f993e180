"""Figures, one module each; see `alig_deepobs.analysis.plots.style` for what they share."""

from __future__ import annotations

from alig_deepobs.analysis.plots.critical_difference import plot_critical_difference
from alig_deepobs.analysis.plots.curves import plot_curves
from alig_deepobs.analysis.plots.heat_map import plot_heat_map
from alig_deepobs.analysis.plots.lines import Axis, Line, plot_lines
from alig_deepobs.analysis.plots.overview import plot_overview
from alig_deepobs.analysis.plots.step_sizes import plot_step_sizes, step_size_trace
from alig_deepobs.analysis.plots.style import optimizer_color

__all__ = [
    "Axis",
    "Line",
    "optimizer_color",
    "plot_critical_difference",
    "plot_curves",
    "plot_heat_map",
    "plot_lines",
    "plot_overview",
    "plot_step_sizes",
    "step_size_trace",
]
