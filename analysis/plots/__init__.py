"""Figures, one module each; see `alig_deepobs.analysis.plots.style` for what they share."""

from __future__ import annotations

from alig_deepobs.analysis.plots.curves import plot_curves
from alig_deepobs.analysis.plots.style import optimizer_color

__all__ = ["optimizer_color", "plot_curves"]
