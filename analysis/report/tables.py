"""The tables of a report, besides the leaderboards."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from alig_deepobs.analysis.loading import LoadProblem
from alig_deepobs.analysis.plots.heat_map import value_text
from alig_deepobs.analysis.report.gather import Report
from alig_deepobs.analysis.report.overall import Overall
from alig_deepobs.analysis.report.sections import Grid, Section
from alig_deepobs.analysis.sensitivity import GoodRange, good_range
from alig_deepobs.analysis.table import Column, Table
from alig_deepobs.analysis.tables import format_interval, leaderboard_cells
from alig_deepobs.analysis.targets import (
    TimeToTarget,
    epochs_until,
    median_interval,
    seconds_until,
)
from alig_deepobs.errors import UsageError

# Ends of medians of epochs are whole numbers; more resamples would not move them.
_RESAMPLES = 500


def leaderboard_table(section: Section) -> Table:
    """The leaderboard of a problem with its notes."""
    titles, rights, rows, notes = leaderboard_cells(section.board)
    return Table(
        name=f"leaderboard-{section.slug}",
        title=section.heading,
        columns=[Column(title, right) for title, right in zip(titles, rights, strict=True)],
        rows=rows,
        frame=section.board.to_frame(),
        notes=[*without_flagged(section, notes), *(flag.text for flag in section.flags)],
        strong=frozenset(
            i for i, row in enumerate(section.board.rows) if row.rank == 1 or row.tied
        ),
    )


def without_flagged(section: Section, notes: Sequence[str]) -> list[str]:
    """The notes of a leaderboard without the one that a flag says with its evidence."""
    flagged = any(flag.kind == "non_interpolating" for flag in section.flags)
    return [note for note in notes if not (flagged and note.startswith("This problem does not"))]


def summary_table(overall: Overall) -> Table:
    """One row for each optimizer: mean rank, wins, ties, losses and score over all problems."""
    ranks = overall.ranking.average_ranks if overall.ranking else {}
    names = sorted(
        overall.optimizers,
        key=lambda name: (ranks.get(name, 0.0), -overall.tallies[name].wins, name),
    )
    rows, records = [], []
    for name in names:
        tally, score = overall.tallies[name], overall.scores.get(name)
        rank = ranks.get(name, math.nan)
        rows.append([
            name,
            "–" if math.isnan(rank) else f"{rank:.2f}",
            str(tally.wins), str(tally.ties), str(tally.losses), str(tally.unjudged),
            "–" if score is None else format_interval(score),
        ])  # fmt: skip
        records.append({
            "optimizer": name, "mean_rank": rank, "wins": tally.wins, "ties": tally.ties,
            "losses": tally.losses, "not_compared": tally.unjudged,
            "score_iqm": math.nan if score is None else score.mean,
            "score_low": math.nan if score is None else score.low,
            "score_high": math.nan if score is None else score.high,
        })  # fmt: skip
    return Table(
        name="summary",
        title=f"All problems: {', '.join(overall.sections.values())}",
        columns=[
            Column("Optimizer"),
            Column("Mean rank", True),
            Column("Wins", True),
            Column("Ties", True),
            Column("Losses", True),
            Column("Not compared", True),
            Column("Score (IQM)"),
        ],
        rows=rows,
        frame=pd.DataFrame(records),
        notes=_summary_notes(overall),
    )


def target_table(section: Section) -> Table | None:
    """Epochs and seconds to the problem's target; None where it has none."""
    if section.entry.target is None:
        return None
    rows, records = [], []
    for row in section.board.rows:
        runs = section.groups[row.label].runs
        epochs = [epochs_until(run, section.entry) for run in runs]
        seconds = [found for run in runs if (found := seconds_until(run, section.entry))]
        median, low, high = median_interval(epochs, resamples=_RESAMPLES)
        time, time_low, time_high = (
            median_interval(seconds, resamples=_RESAMPLES)
            if seconds
            else (None, math.nan, math.nan)
        )
        reached = sum(found.reached for found in epochs)
        rows.append([
            row.label, f"{reached} of {len(epochs)}",
            _median_text(median, low, high, epochs, _epochs_text),
            _median_text(time, time_low, time_high, seconds, seconds_text)
                if seconds
                else "not recorded",
        ])  # fmt: skip
        records.append({
            "testproblem": section.entry.name, "optimizer": row.label, "runs": len(epochs),
            "reached": reached, "median_epochs": median, "median_epochs_low": low,
            "median_epochs_high": high, "median_seconds": time, "median_seconds_low": time_low,
            "median_seconds_high": time_high,
        })  # fmt: skip
    goal = section.entry.target
    shown = f"{100 * goal:.2f} %" if section.entry.metric == "accuracy" else f"{goal:.4g}"
    return Table(
        name=f"targets-{section.slug}",
        title=f"{section.title}: until the test {section.entry.metric} is {shown}",
        columns=[
            Column("Optimizer"),
            Column("Reached", True),
            Column("Epochs (median)"),
            Column("Training time (median)"),
        ],
        rows=rows,
        frame=pd.DataFrame(records),
        notes=[
            "Medians by Kaplan and Meier's estimate; a run that missed the target is censored, not "
            "slow. Brackets: 95 % bootstrap interval; ∞: never."
        ],
    )


def sensitivity_table(sections: Sequence[Section]) -> Table | None:
    """How wide the good range of the main hyper-parameter is; None without a grid."""
    rows, records = [], []
    for section in sections:
        for grid in section.grids:
            found = grid_range(grid, section.entry.higher_is_better)
            failed = sum(math.isnan(mean) for mean in grid.means().values())
            record: dict[str, Any] = {
                "testproblem": section.entry.name, "optimizer": grid.label,
                "parameter": grid.parameter, "values": len(grid.finals), "failed": failed,
                "tuning_runs": grid.tuning,
            }  # fmt: skip
            if found is None:
                rows.append([section.title, grid.label, grid.parameter, str(len(grid.finals)),
                             str(failed), "–", "–", "–"])  # fmt: skip
            else:
                ends = (
                    f"{'≤ ' if found.open_low else ''}{value_text(found.low)} … "
                    f"{'≥ ' if found.open_high else ''}{value_text(found.high)}"
                )
                rows.append([
                    section.title, grid.label, grid.parameter, str(found.n), str(failed),
                    value_text(found.best), ends, f"{found.decades:.1f}",
                ])  # fmt: skip
                record |= {
                    "best": found.best, "low": found.low, "high": found.high,
                    "decades": found.decades, "good_values": found.n_good,
                }  # fmt: skip
            records.append(record)
    if not rows:
        return None
    notes = [
        "Good: within 5 % of the best value of the grid, unbroken around it. ≤ and ≥: the range "
        "touches the end of the grid and may be wider."
    ]
    if any(grid.tuning for section in sections for grid in section.grids):
        notes.append("Grids of runs that only served to choose a setting have one seed each.")
    titles = (
        "Problem",
        "Optimizer",
        "Parameter",
        "Values",
        "Failed",
        "Best",
        "Good range",
        "Decades",
    )
    return Table(
        name="sensitivity",
        title="Sensitivity to the main hyper-parameter",
        columns=[Column(title, title in ("Values", "Failed", "Decades")) for title in titles],
        rows=rows,
        frame=pd.DataFrame(records),
        notes=notes,
    )


def skipped_table(report: Report) -> Table:
    """The files that are no usable results, and why."""
    rows = [[str(item.path), reason_without_path(item)] for item in report.skipped]
    return Table(
        name="skipped",
        title=f"Skipped: {len(rows)} file{'' if len(rows) == 1 else 's'}",
        columns=[Column("File"), Column("Reason")],
        rows=rows,
        frame=pd.DataFrame(rows, columns=["file", "reason"]),
    )


def reason_without_path(item: LoadProblem) -> str:
    """Why a file was skipped, for a line that names the file anyway."""
    return item.reason.removeprefix(f"{item.path} ").removeprefix(f"{item.path}: ")


def grid_range(grid: Grid, higher_is_better: bool) -> GoodRange | None:
    """The good range of a grid; None where there is none (no cap, no positive result)."""
    numbers = {
        float(value): mean
        for value, mean in grid.means().items()
        if isinstance(value, (int, float)) and 0 < value < math.inf
    }
    try:
        return good_range(numbers, higher_is_better) if numbers else None
    except UsageError:
        return None


def seconds_text(seconds: float) -> str:
    """A duration in the unit that fits.

    Example:
        >>> seconds_text(0.0123), seconds_text(75.0), seconds_text(9000.0)
        ('12.3 ms', '75 s', '2.5 h')
    """
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 600:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def _epochs_text(epochs: float) -> str:
    return f"{epochs:.4g}"


def _median_text(
    median: float | None,
    low: float,
    high: float,
    times: Sequence[TimeToTarget],
    text: Callable[[float], str],
) -> str:
    if median is None:
        return f"– (more than {text(max(t.time for t in times))})"
    if len(times) < 2:
        return f"{text(median)} (n=1, no interval)"
    return f"{text(median)} [{text(low)}, {'∞' if math.isinf(high) else text(high)}]"


def _summary_notes(overall: Overall) -> list[str]:
    notes = [
        "Wins, ties, losses: pairs of optimizers on each problem, by the paired t test over common "
        "seeds with Holm's correction. Not compared: a run of one of the two did not finish, or "
        "they have fewer than two seeds in common."
    ]
    if overall.ranking is not None:
        ranking = overall.ranking
        friedman = (
            f"Friedman's test that all rank alike: p = {ranking.friedman_p:.2g}. "
            if not math.isnan(ranking.friedman_p)
            else ""
        )
        few = " With fewer than five problems this says little." if ranking.n_problems < 5 else ""
        notes.append(
            f"Mean ranks over {ranking.n_problems} problems. {friedman}Ranks that differ by less "
            f"than {ranking.critical_difference:.2f} are not told apart (Nemenyi, "
            f"{ranking.alpha:g}).{few}"
        )
    if overall.scores:
        notes.append(
            "Score: interquartile mean over problems and seeds of a scale from 0 (untrained) to 1 "
            "(best optimizer here); brackets: 95 % bootstrap interval."
        )
    notes += [f"Left out: {text}." for text in overall.left_out]
    return notes
