"""The columns of a leaderboard, in the terminal, in files and on the page.

A new column is a new entry of `COLUMNS`, and nothing else.
"""

from __future__ import annotations

from operator import attrgetter

from alig_deepobs.analysis.formats import (
    MISSING,
    clipped,
    format_interval,
    format_metric,
    format_spread,
)
from alig_deepobs.analysis.frames import (
    final_value,
    headline_curve,
    loss_curve,
    training_seconds_per_epoch,
)
from alig_deepobs.analysis.standings import Standing
from alig_deepobs.analysis.statistics import Interval, median_epoch
from alig_deepobs.analysis.table import Column, never

SURVIVORS = "†"
"""Marks a mean over the runs that did not diverge."""


def _in_metric(row: Standing, interval: Interval) -> str:
    return format_interval(interval, percent=row.entry.metric == "accuracy")


def _spread(_: Standing, interval: Interval) -> str:
    return format_spread(interval)


def _headline_text(row: Standing, interval: Interval) -> str:
    mark = f" {SURVIVORS}" if row.n_diverged and row.n_done else ""
    return _in_metric(row, interval) + mark


def _best_headline(row: Standing) -> Interval:
    best = max if row.entry.higher_is_better else min
    return row.mean(lambda run: best(headline_curve(run, row.entry)))


def _at_best_valid(row: Standing) -> Interval:
    return row.mean(lambda run: getattr(run, f"best_valid_test_{row.entry.metric}"))


def _seeds_text(row: Standing, n_done: int) -> str:
    if n_done == row.n_seeds:
        return str(n_done)
    if row.n_diverged:
        return f"{row.n_diverged} of {row.n_seeds}\ndiverged"
    return f"{n_done} of {row.n_seeds}\ndone"


def _target_text(row: Standing, median: float | None) -> str:
    shown = MISSING if median is None else f"{median:g}"
    return f"{shown} ({row.n_reached} of {row.n_seeds})"


COLUMNS: tuple[Column[Standing], ...] = (
    Column("rank", "#", text=lambda row, rank: f"{rank}{'=' if row.tied else ''}"),
    Column("label", "Optimizer", text=lambda row, label: clipped(label)),
    Column("setting", shown=never),
    Column("setting_source", shown=never),
    Column(
        "headline",
        lambda row: row.metric.capitalize(),
        text=_headline_text,
        direction=attrgetter("direction"),
    ),
    Column("best_headline", value=_best_headline, shown=never),
    Column("n_done", "Seeds", text=_seeds_text, right=True),
    Column("n_diverged", shown=never),
    Column("n_seeds", shown=never),
    Column("seeds", value=lambda row: " ".join(map(str, row.seeds)), shown=never),
    Column(
        "at_best_valid",
        "At best valid.",
        value=_at_best_valid,
        text=_in_metric,
        direction=attrgetter("direction"),
        keep=5,
        shown=lambda row: _at_best_valid(row).n > 0,
        note=lambda row: (
            f"At best valid.: {row.metric} after the epoch with the best validation result; not "
            "ranked by."
        ),
    ),
    Column(
        "test_loss",
        value=lambda row: row.mean(lambda run: final_value(run, loss_curve(run, "test"))),
        text=_spread,
        direction=-1,
        keep=2,
        shown=lambda row: row.entry.metric == "accuracy",
    ),
    Column(
        "train_loss",
        value=lambda row: row.mean(lambda run: final_value(run, loss_curve(run, "train"))),
        text=_spread,
        direction=-1,
        keep=1,
    ),
    Column(
        "median_epochs",
        "To target",
        value=lambda row: median_epoch(row.epochs_to_target),
        text=_target_text,
        direction=-1,
        keep=3,
        shown=lambda row: row.entry.target is not None,
        note=lambda row: (
            "To target: median epoch at which runs first reached "
            f"{row.metric} {format_metric(row.entry.target or 0.0, row.entry.metric)} (a run that "
            "never did is later than all others), and how many did."
        ),
    ),
    Column("n_reached", shown=never),
    Column(
        "seconds_per_epoch",
        "s / epoch",
        value=lambda row: row.mean(training_seconds_per_epoch),
        text=_spread,
        direction=-1,
        keep=4,
    ),
    Column("difference", shown=never),
    Column("p_adjusted", shown=never),
    Column("separated", shown=never),
    Column("tied", shown=never),
    Column("note", shown=never),
)
"""The columns of a leaderboard, from left to right; those without a place there are in CSV files.

What may go where the terminal is narrow goes in this order: losses that are not ranked by, then
the target, then the time.
"""
