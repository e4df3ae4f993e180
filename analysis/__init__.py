"""What the results say: frames, statistics, leaderboards, tables and plots.

The plot functions are imported on first use, so that a table does not wait for matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from alig_deepobs.analysis.aggregate import aggregate_scores as aggregate_scores
from alig_deepobs.analysis.aggregate import interquartile_mean as interquartile_mean
from alig_deepobs.analysis.aggregate import normalised_scores as normalised_scores
from alig_deepobs.analysis.budget import BudgetCurve as BudgetCurve
from alig_deepobs.analysis.budget import budget_curve as budget_curve
from alig_deepobs.analysis.columns import COLUMNS as COLUMNS
from alig_deepobs.analysis.flags import Flag as Flag
from alig_deepobs.analysis.flags import collapsed as collapsed
from alig_deepobs.analysis.flags import find_flags as find_flags
from alig_deepobs.analysis.formats import format_interval as format_interval
from alig_deepobs.analysis.frames import epochs_frame as epochs_frame
from alig_deepobs.analysis.frames import runs_frame as runs_frame
from alig_deepobs.analysis.frames import write_csv as write_csv
from alig_deepobs.analysis.groups import Group as Group
from alig_deepobs.analysis.groups import comparable_groups as comparable_groups
from alig_deepobs.analysis.groups import differences as differences
from alig_deepobs.analysis.groups import group_runs as group_runs
from alig_deepobs.analysis.groups import seed_gaps as seed_gaps
from alig_deepobs.analysis.intervals import bootstrap_interval as bootstrap_interval
from alig_deepobs.analysis.intervals import stratified_interval as stratified_interval
from alig_deepobs.analysis.leaderboard import Leaderboard as Leaderboard
from alig_deepobs.analysis.leaderboard import leaderboard as leaderboard
from alig_deepobs.analysis.loading import Found as Found
from alig_deepobs.analysis.loading import Loaded as Loaded
from alig_deepobs.analysis.loading import LoadProblem as LoadProblem
from alig_deepobs.analysis.loading import iter_results as iter_results
from alig_deepobs.analysis.loading import load_results as load_results
from alig_deepobs.analysis.paired import WIN_LEVEL as WIN_LEVEL
from alig_deepobs.analysis.paired import PairedComparison as PairedComparison
from alig_deepobs.analysis.paired import compare_all as compare_all
from alig_deepobs.analysis.paired import compare_pairs as compare_pairs
from alig_deepobs.analysis.paired import holm as holm
from alig_deepobs.analysis.paired import paired_p_value as paired_p_value
from alig_deepobs.analysis.paired import seeds_to_tell as seeds_to_tell
from alig_deepobs.analysis.profiles import Profile as Profile
from alig_deepobs.analysis.profiles import performance_profile as performance_profile
from alig_deepobs.analysis.profiles import score_profile as score_profile
from alig_deepobs.analysis.ranks import Ranking as Ranking
from alig_deepobs.analysis.ranks import cliques as cliques
from alig_deepobs.analysis.ranks import nemenyi_critical_difference as nemenyi_critical_difference
from alig_deepobs.analysis.ranks import rank_optimizers as rank_optimizers
from alig_deepobs.analysis.render import to_csv as to_csv
from alig_deepobs.analysis.render import to_latex as to_latex
from alig_deepobs.analysis.render import to_markdown as to_markdown
from alig_deepobs.analysis.render import to_rich as to_rich
from alig_deepobs.analysis.render import to_text as to_text
from alig_deepobs.analysis.render import write_table as write_table
from alig_deepobs.analysis.sensitivity import GoodRange as GoodRange
from alig_deepobs.analysis.sensitivity import good_range as good_range
from alig_deepobs.analysis.sensitivity import relative_performance as relative_performance
from alig_deepobs.analysis.sensitivity import widest_range as widest_range
from alig_deepobs.analysis.standings import Standing as Standing
from alig_deepobs.analysis.statistics import Interval as Interval
from alig_deepobs.analysis.statistics import epochs_to_target as epochs_to_target
from alig_deepobs.analysis.statistics import mean_interval as mean_interval
from alig_deepobs.analysis.statistics import median_epoch as median_epoch
from alig_deepobs.analysis.statistics import paired_difference as paired_difference
from alig_deepobs.analysis.statistics import share_interval as share_interval
from alig_deepobs.analysis.table import Column as Column
from alig_deepobs.analysis.table import Table as Table
from alig_deepobs.analysis.targets import SurvivalCurve as SurvivalCurve
from alig_deepobs.analysis.targets import TimeToTarget as TimeToTarget
from alig_deepobs.analysis.targets import epochs_until as epochs_until
from alig_deepobs.analysis.targets import median_interval as median_interval
from alig_deepobs.analysis.targets import seconds_until as seconds_until
from alig_deepobs.analysis.targets import survival_curve as survival_curve

if TYPE_CHECKING:
    from alig_deepobs.analysis.plots import plot_curves as plot_curves


def __getattr__(name: str) -> Any:
    if name == "plot_curves":
        return importlib.import_module("alig_deepobs.analysis.plots").plot_curves
    raise AttributeError(f"module 'alig_deepobs.analysis' has no attribute {name!r}")
