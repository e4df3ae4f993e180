"""What the results say: frames, statistics, leaderboards, tables and plots.

The plot functions are imported on first use, so that a table does not wait for matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from alig_deepobs.analysis.frames import (
    Loaded,
    LoadProblem,
    epochs_frame,
    load_results,
    runs_frame,
    write_csv,
)
from alig_deepobs.analysis.groups import ComparisonKey, comparable_groups
from alig_deepobs.analysis.leaderboard import Leaderboard, Row, leaderboard
from alig_deepobs.analysis.statistics import (
    Interval,
    epochs_to_target,
    mean_interval,
    median_epoch,
    paired_difference,
)
from alig_deepobs.analysis.tables import (
    format_interval,
    render_markdown,
    render_rich,
    render_text,
    rich_table,
)

if TYPE_CHECKING:
    from alig_deepobs.analysis.plots import plot_curves

__all__ = [
    "ComparisonKey",
    "Interval",
    "Leaderboard",
    "LoadProblem",
    "Loaded",
    "Row",
    "comparable_groups",
    "epochs_frame",
    "epochs_to_target",
    "format_interval",
    "leaderboard",
    "load_results",
    "mean_interval",
    "median_epoch",
    "paired_difference",
    "plot_curves",
    "render_markdown",
    "render_rich",
    "render_text",
    "rich_table",
    "runs_frame",
    "write_csv",
]


def __getattr__(name: str) -> Any:
    if name == "plot_curves":
        return importlib.import_module("alig_deepobs.analysis.plots").plot_curves
    raise AttributeError(f"module 'alig_deepobs.analysis' has no attribute {name!r}")
