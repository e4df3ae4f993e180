"""The tables of a report, and the report as text: in a terminal, and as one Markdown document."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from alig_deepobs.analysis.formats import MISSING, escape_markdown, format_metric
from alig_deepobs.analysis.loading import LoadProblem
from alig_deepobs.analysis.render import to_markdown
from alig_deepobs.analysis.report.baselines import baseline_table
from alig_deepobs.analysis.report.build import Report
from alig_deepobs.analysis.report.environment import environment_table
from alig_deepobs.analysis.report.overall import Overall
from alig_deepobs.analysis.report.sections import Section
from alig_deepobs.analysis.report.sensitivity import sensitivity_table
from alig_deepobs.analysis.standings import Standing
from alig_deepobs.analysis.table import Column, Table, never
from alig_deepobs.analysis.targets import (
    TimeToTarget,
    epochs_until,
    median_interval,
    seconds_until,
)
from alig_deepobs.words import counted

# Ends of medians of epochs are whole numbers; more resamples would not move them.
_RESAMPLES = 500


def all_tables(report: Report) -> list[Table[Any]]:
    """Every table of a report, in its order; each has a name of its own."""
    several = report.several_problems
    tables: list[Table[Any] | None] = [summary_table(several) if several else None]
    for section in report.sections:
        tables += [
            leaderboard_table(section),
            baseline_table(section, report.baselines),
            target_table(section),
        ]
    tables += [
        sensitivity_table({section.title: section.grids for section in report.sections}),
        environment_table(report.runs),
        skipped_table(report.skipped),
    ]
    return [table for table in tables if table is not None]


def markdown_report(report: Report) -> str:
    """The report as one Markdown document."""
    lines = [
        "# Optimizer report",
        "",
        *(f"- {escape_markdown(line)}" for line in report.about()),
        "",
    ]
    return "\n".join([*lines, *map(to_markdown, all_tables(report))])


def leaderboard_table(section: Section) -> Table[Standing]:
    """The leaderboard of a problem with its notes and warnings."""
    return replace(section.board.table, name=f"leaderboard-{section.slug}")


def summary_table(overall: Overall) -> Table[dict[str, Any]]:
    """One row for each optimizer: mean rank, wins, ties, losses and score over all problems."""
    ranks = overall.ranking.average_ranks if overall.ranking else {}
    rows = [
        {
            "optimizer": name,
            "mean_rank": ranks.get(name),
            **asdict(overall.tallies[name]),
            "score": overall.scores.get(name),
        }
        for name in overall.optimizers
    ]
    rows.sort(key=lambda row: (row["mean_rank"] or 0.0, -row["wins"], row["optimizer"]))
    columns: list[Column[dict[str, Any]]] = [
        Column("optimizer"),
        Column("mean_rank", text=lambda row, rank: f"{rank:.2f}" if rank else MISSING, right=True),
        *(Column(name, right=True) for name in ("wins", "ties", "losses")),
        Column("not_compared", value=lambda row: row["unjudged"], right=True),
        Column("score", "Score (IQM)"),
    ]
    title = f"All problems: {', '.join(overall.sections.values())}"
    return Table("summary", title, columns, rows, _summary_notes(overall))


def target_table(section: Section) -> Table[dict[str, Any]] | None:
    """Epochs and seconds to the problem's target; None where it has none."""
    entry, goal = section.entry, section.entry.target
    if goal is None:
        return None
    rows = []
    for label in (row.label for row in section.board.rows):
        runs = section.groups[label].runs
        times = {
            "epochs": [epochs_until(run, entry) for run in runs],
            "seconds": [found for run in runs if (found := seconds_until(run, entry))],
        }
        row: dict[str, Any] = {"optimizer": label, "runs": len(runs), **times}
        row["reached"] = sum(found.reached for found in times["epochs"])
        for unit, of in times.items():
            ends = median_interval(of, resamples=_RESAMPLES) if of else (None, math.nan, math.nan)
            row |= zip(
                (f"median_{unit}", f"median_{unit}_low", f"median_{unit}_high"), ends, strict=True
            )
        rows.append(row)
    columns: list[Column[dict[str, Any]]] = [
        Column("optimizer"),
        Column("runs", shown=never),
        Column("reached", text=lambda row, n: f"{n} of {row['runs']}", right=True),
        Column("median_epochs", "Epochs (median)", text=partial(_median, "epochs")),
        Column("median_epochs_low", shown=never),
        Column("median_epochs_high", shown=never),
        Column("median_seconds", "Training time (median)", text=partial(_median, "seconds")),
        Column("median_seconds_low", shown=never),
        Column("median_seconds_high", shown=never),
    ]
    note = (
        "Medians by Kaplan and Meier's estimate; a run that missed the target is censored, not "
        "slow. Brackets: 95 % bootstrap interval; ∞: never."
    )
    goal_text = format_metric(goal, entry.metric)
    return Table(
        f"targets-{section.slug}", f"{section.title}: until the test {entry.metric} is {goal_text}",
        columns, rows, [note], common={"testproblem": entry.name},
    )  # fmt: skip


def skipped_table(skipped: Sequence[LoadProblem]) -> Table[LoadProblem] | None:
    """The files that are no usable results, and why; None where all are."""
    if not skipped:
        return None
    columns: list[Column[LoadProblem]] = [
        Column("file", value=lambda item: str(item.path)),
        Column("reason", value=reason_without_path),
    ]
    return Table("skipped", f"Skipped: {counted(len(skipped), 'file')}", columns, skipped)


def reason_without_path(item: LoadProblem) -> str:
    """Why a file was skipped, for a line that names the file anyway."""
    return item.reason.removeprefix(f"{item.path} ").removeprefix(f"{item.path}: ")


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


def _median(unit: str, row: dict[str, Any], median: float | None) -> str:
    """A median of times to the target with its interval."""
    times: list[TimeToTarget] = row[unit]
    text = seconds_text if unit == "seconds" else "{:.4g}".format
    if not times:
        return "not recorded"
    if median is None:
        return f"{MISSING} (more than {text(max(t.time for t in times))})"
    if len(times) < 2:
        return f"{text(median)} (n=1, no interval)"
    low, high = row[f"median_{unit}_low"], row[f"median_{unit}_high"]
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
            f"Mean ranks over {counted(ranking.n_problems, 'problem')}. {friedman}Ranks that "
            f"differ by less than {ranking.critical_difference:.2f} are not told apart (Nemenyi, "
            f"{ranking.alpha:g}).{few}"
        )
    if overall.scores:
        notes.append(
            "Score: interquartile mean over problems and seeds of a scale from 0 (untrained) to 1 "
            "(best optimizer here); brackets: 95 % bootstrap interval."
        )
    notes += [f"Left out: {text}." for text in overall.left_out]
    return notes
