"""What the results say: frames, statistics, leaderboards, tables and plots.

The plot functions are imported on first use, so that a table does not wait for matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from alig_deepobs.analysis.aggregate import (
    aggregate_scores,
    interquartile_mean,
    normalised_scores,
)
from alig_deepobs.analysis.budget import BudgetCurve, budget_curve
from alig_deepobs.analysis.columns import COLUMNS
from alig_deepobs.analysis.flags import Flag, collapsed, find_flags
from alig_deepobs.analysis.formats import format_interval
from alig_deepobs.analysis.frames import epochs_frame, runs_frame, write_csv
from alig_deepobs.analysis.groups import (
    Group,
    comparable_groups,
    differences,
    group_runs,
    seed_gaps,
)
from alig_deepobs.analysis.intervals import bootstrap_interval, stratified_interval
from alig_deepobs.analysis.leaderboard import Leaderboard, leaderboard
from alig_deepobs.analysis.loading import (
    Found,
    Loaded,
    LoadProblem,
    iter_results,
    load_results,
)
from alig_deepobs.analysis.paired import (
    WIN_LEVEL,
    PairedComparison,
    compare_all,
    holm,
    paired_p_value,
)
from alig_deepobs.analysis.profiles import Profile, performance_profile, score_profile
from alig_deepobs.analysis.ranks import (
    Ranking,
    cliques,
    nemenyi_critical_difference,
    rank_optimizers,
)
from alig_deepobs.analysis.render import (
    to_csv,
    to_latex,
    to_markdown,
    to_rich,
    to_text,
    write_table,
)
from alig_deepobs.analysis.sensitivity import (
    GoodRange,
    good_range,
    relative_performance,
    widest_range,
)
from alig_deepobs.analysis.standings import Standing
from alig_deepobs.analysis.statistics import (
    Interval,
    epochs_to_target,
    mean_interval,
    median_epoch,
    paired_difference,
)
from alig_deepobs.analysis.table import Column, Table
from alig_deepobs.analysis.targets import (
    SurvivalCurve,
    TimeToTarget,
    epochs_until,
    median_interval,
    seconds_until,
    survival_curve,
)

if TYPE_CHECKING:
    from alig_deepobs.analysis.plots import plot_curves

__all__ = [
    "COLUMNS",
    "WIN_LEVEL",
    "BudgetCurve",
    "Column",
    "Flag",
    "Found",
    "GoodRange",
    "Group",
    "Interval",
    "Leaderboard",
    "LoadProblem",
    "Loaded",
    "PairedComparison",
    "Profile",
    "Ranking",
    "Standing",
    "SurvivalCurve",
    "Table",
    "TimeToTarget",
    "aggregate_scores",
    "bootstrap_interval",
    "budget_curve",
    "cliques",
    "collapsed",
    "comparable_groups",
    "compare_all",
    "differences",
    "epochs_frame",
    "epochs_to_target",
    "epochs_until",
    "find_flags",
    "format_interval",
    "good_range",
    "group_runs",
    "holm",
    "interquartile_mean",
    "iter_results",
    "leaderboard",
    "load_results",
    "mean_interval",
    "median_epoch",
    "median_interval",
    "nemenyi_critical_difference",
    "normalised_scores",
    "paired_difference",
    "paired_p_value",
    "performance_profile",
    "plot_curves",
    "rank_optimizers",
    "relative_performance",
    "runs_frame",
    "score_profile",
    "seconds_until",
    "seed_gaps",
    "stratified_interval",
    "survival_curve",
    "to_csv",
    "to_latex",
    "to_markdown",
    "to_rich",
    "to_text",
    "widest_range",
    "write_csv",
    "write_table",
]


def __getattr__(name: str) -> Any:
    if name == "plot_curves":
        return importlib.import_module("alig_deepobs.analysis.plots").plot_curves
    raise AttributeError(f"module 'alig_deepobs.analysis' has no attribute {name!r}")
