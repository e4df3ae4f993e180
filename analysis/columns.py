"""The columns of a leaderboard, in the terminal, in files and on the page.

A new column is a new entry of `COLUMNS`, and nothing else.
"""

from __future__ import annotations

import math
from operator import attrgetter

from alig_deepobs.analysis.formats import (
    MISSING,
    clipped,
    format_count,
    format_difference,
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
from alig_deepobs.analysis.paired import PairedComparison
from alig_deepobs.analysis.standings import UNFINISHED, Standing
from alig_deepobs.analysis.statistics import NO_INTERVAL, Interval, median_epoch
from alig_deepobs.analysis.table import Column, never

SURVIVORS = "†"
"""Marks a mean over the runs that finished, where others did not."""


_HOW_COMPARED = (
    "paired over common seeds, with the 95 % t interval of this pair alone. In parentheses, where "
    "the seeds do not tell the two apart: how many would in four of five studies, if the "
    "difference is what it seems."
)


def _in_metric(row: Standing, interval: Interval) -> str:
    return format_interval(interval, percent=row.entry.metric == "accuracy")


def _spread(_: Standing, interval: Interval) -> str:
    return format_spread(interval)


def _headline_text(row: Standing, interval: Interval) -> str:
    mark = f" {SURVIVORS}" if row.n_unfinished and row.n_done else ""
    return _in_metric(row, interval) + mark


def _best_headline(row: Standing) -> Interval:
    best = max if row.entry.higher_is_better else min
    return row.mean(lambda run: best(headline_curve(run, row.entry)), metric=True)


def _at_best_valid(row: Standing) -> Interval:
    return row.mean(lambda run: getattr(run, f"best_valid_test_{row.entry.metric}"), metric=True)


def _seeds_text(row: Standing, n_done: int) -> str:
    if len(row.unfinished) > 1:
        return f"{row.n_unfinished} of {row.n_seeds}\nunfinished"
    return row.unfinished_text.replace(f" {row.n_seeds} ", f" {row.n_seeds}\n") or str(n_done)


def _median_text(row: Standing, median: float | None) -> str:
    return "no result" if median is None else format_metric(median, row.entry.metric)


def _difference_of(pair: PairedComparison | None) -> Interval:
    return NO_INTERVAL if pair is None else pair.difference


def _seeds_to_tell(pair: PairedComparison | None) -> float:
    """NaN where nothing is left to tell."""
    return math.nan if pair is None or pair.separated else pair.seeds_to_tell


def _pair_text(row: Standing, pair: PairedComparison | None) -> str:
    """A difference, and how many seeds it would take to tell it from none."""
    text = format_difference(_difference_of(pair), percent=row.entry.metric == "accuracy")
    seeds = _seeds_to_tell(pair)
    return text if math.isnan(seeds) else f"{text} ({format_count(seeds)})"


def _in_points(row: Standing) -> str:
    return " in percentage points" if row.entry.metric == "accuracy" else ""


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
    *(
        Column(
            f"n_{outcome.value.replace(' ', '_')}",
            value=lambda row, name=outcome.value: row.unfinished.get(name, 0),  # type: ignore[misc]
            shown=never,
        )
        for outcome in UNFINISHED
    ),
    Column("n_seeds", shown=never),
    Column("seeds", value=lambda row: " ".join(map(str, row.seeds)), shown=never),
    Column(
        "median",
        text=_median_text,
        direction=attrgetter("direction"),
        keep=6,
        shown=lambda row: row.n_unfinished > 0,
        note="Median: over all runs; one without a result is worse than every other.",
    ),
    Column(
        "difference",
        "vs best",
        text=lambda row, _: _pair_text(row, row.to_best),
        direction=attrgetter("direction"),
        keep=6,
        # Where a reference is asked for that is the best, its own column says it.
        shown=lambda row: row.difference.known and row.to_best != row.to_reference,
        note=lambda row: (
            "vs best: difference to rank 1, with Holm's correction over all pairs of rows; "
            "interval and number of seeds as in the next column."
            if row.reference
            else f"vs best: difference to rank 1{_in_points(row)}, {_HOW_COMPARED}"
        ),
    ),
    Column("seeds_to_tell", value=lambda row: _seeds_to_tell(row.to_best), shown=never),
    Column(
        "to_reference",
        lambda row: f"vs {clipped(row.reference, 20)}",
        value=lambda row: _difference_of(row.to_reference),
        text=lambda row, _: _pair_text(row, row.to_reference),
        direction=attrgetter("direction"),
        keep=7,
        shown=lambda row: _difference_of(row.to_reference).known,
        note=lambda row: (
            f"vs {row.reference}: difference to it{_in_points(row)}, {_HOW_COMPARED} Holm's "
            "correction is over the rows compared with it."
        ),
    ),
    Column(
        "seeds_to_tell_reference",
        value=lambda row: _seeds_to_tell(row.to_reference),
        shown=never,
    ),
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
        shown=lambda row: row.mean(training_seconds_per_epoch).n > 0,
    ),
    Column("p_adjusted", shown=never),
    Column("reference", shown=never),
    Column(
        "p_reference",
        value=lambda row: None if row.to_reference is None else row.to_reference.p_adjusted,
        shown=never,
    ),
    Column("separated", shown=never),
    Column("tied", shown=never),
    Column("note", shown=never),
)
"""The columns of a leaderboard, from left to right; those without a place there are in CSV files.

What may go where the terminal is narrow goes in this order: losses that are not ranked by, then
the target, the time, what was best in validation, seeds, differences.
"""
