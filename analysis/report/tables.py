"""The tables of a report, and the report as text: in a terminal, and as one Markdown document."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.text import Text

from alig_deepobs.analysis.formats import MISSING, format_metric, wrapped
from alig_deepobs.analysis.loading import LoadProblem
from alig_deepobs.analysis.render import to_markdown, to_rich
from alig_deepobs.analysis.report.baselines import baseline_table
from alig_deepobs.analysis.report.build import Report, counted
from alig_deepobs.analysis.report.environment import environment_table
from alig_deepobs.analysis.report.overall import Overall
from alig_deepobs.analysis.report.sections import Section
from alig_deepobs.analysis.report.sensitivity import sensitivity_table
from alig_deepobs.analysis.standings import Standing
from alig_deepobs.analysis.statistics import Interval
from alig_deepobs.analysis.table import Column, Table
from alig_deepobs.analysis.targets import (
    TimeToTarget,
    epochs_until,
    median_as_interval,
    seconds_until,
)

# Ends of medians of epochs are whole numbers; more resamples would not move them.
_RESAMPLES = 500


def all_tables(report: Report) -> list[Table[Any]]:
    """Every table of a report, in its order; each has a name of its own."""
    tables: list[Table[Any] | None] = [
        summary_table(report.several_problems) if report.several_problems else None
    ]
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


def print_report(report: Report, console: Console, width: int) -> None:
    """Prints the report, without the files that were skipped."""
    console.print(Text("\n".join(wrapped(line, width) for line in report.about())))
    for table in all_tables(report):
        if table.name != "skipped":  # the command line says it, on the stream for errors
            console.print()
            console.print(to_rich(table, width), soft_wrap=False)


def markdown_report(report: Report) -> str:
    """The report as one Markdown document."""
    lines = ["# Optimizer report", "", *(f"- {line}" for line in report.about()), ""]
    return "\n".join([*lines, *map(to_markdown, all_tables(report))])


def leaderboard_table(section: Section) -> Table[Standing]:
    """The leaderboard of a problem with its notes."""
    table = section.board.table
    notes = [*without_flagged(section, table.notes), *(flag.text for flag in section.flags)]
    return replace(table, name=f"leaderboard-{section.slug}", notes=notes)


def without_flagged(section: Section, notes: Sequence[str]) -> list[str]:
    """The notes of a leaderboard without the one that a flag says with its evidence."""
    flagged = any(flag.kind == "non_interpolating" for flag in section.flags)
    return [note for note in notes if not (flagged and note.startswith("This problem does not"))]


def summary_table(overall: Overall) -> Table[str]:
    """One row for each optimizer: mean rank, wins, ties, losses and score over all problems."""
    ranks = overall.ranking.average_ranks if overall.ranking else {}
    tallies, scores = overall.tallies, overall.scores
    columns: list[Column[str]] = [
        Column("optimizer", value=str),
        Column(
            "mean_rank",
            value=lambda name: ranks.get(name, math.nan),
            text=lambda name, rank: MISSING if math.isnan(rank) else f"{rank:.2f}",
            right=True,
            direction=-1,
        ),
        Column("wins", value=lambda name: tallies[name].wins, right=True, direction=1),
        Column("ties", value=lambda name: tallies[name].ties, right=True),
        Column("losses", value=lambda name: tallies[name].losses, right=True, direction=-1),
        Column("not_compared", value=lambda name: tallies[name].unjudged, right=True),
        Column("score", "Score (IQM)", value=lambda name: scores.get(name), direction=1),
    ]
    names = sorted(
        overall.optimizers, key=lambda name: (ranks.get(name, 0.0), -tallies[name].wins, name)
    )
    title = f"All problems: {', '.join(overall.sections.values())}"
    return Table("summary", title, columns, names, _summary_notes(overall))


@dataclass(frozen=True)
class _Times:
    """How long the runs of a row took to their target."""

    label: str
    epochs: list[TimeToTarget]
    seconds: list[TimeToTarget]

    @property
    def reached(self) -> int:
        return sum(found.reached for found in self.epochs)


def target_table(section: Section) -> Table[_Times] | None:
    """Epochs and seconds to the problem's target; None where it has none."""
    entry = section.entry
    if entry.target is None:
        return None
    rows = [
        _Times(
            label,
            [epochs_until(run, entry) for run in group.runs],
            [found for run in group.runs if (found := seconds_until(run, entry))],
        )
        for label, group in ((row.label, row.group) for row in section.board.rows)
    ]
    return Table(
        name=f"targets-{section.slug}",
        title=f"{section.title}: until the test {entry.metric} is "
        f"{format_metric(entry.target, entry.metric)}",
        columns=[
            Column("label", "Optimizer"),
            Column(
                "reached", text=lambda row, n: f"{n} of {len(row.epochs)}", right=True, direction=1
            ),
            Column(
                "median_epochs",
                "Epochs (median)",
                value=lambda row: _median(row.epochs),
                text=lambda row, median: _median_text(median, row.epochs, lambda t: f"{t:.4g}"),
                direction=-1,
            ),
            Column(
                "median_seconds",
                "Training time (median)",
                value=lambda row: _median(row.seconds) if row.seconds else None,
                text=lambda row, median: (
                    _median_text(median, row.seconds, seconds_text) if median else "not recorded"
                ),
                direction=-1,
            ),
        ],
        rows=rows,
        common={"testproblem": entry.name},
        notes=[
            "Medians by Kaplan and Meier's estimate; a run that missed the target is censored, not "
            "slow. Brackets: 95 % bootstrap interval; ∞: never."
        ],
    )


def skipped_table(skipped: Sequence[LoadProblem]) -> Table[LoadProblem] | None:
    """The files that are no usable results, and why; None where all are."""
    if not skipped:
        return None
    columns: list[Column[LoadProblem]] = [
        Column("path", "File"),
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


def _median(times: Sequence[TimeToTarget]) -> Interval:
    return median_as_interval(times, resamples=_RESAMPLES)


def _median_text(
    median: Interval, times: Sequence[TimeToTarget], text: Callable[[float], str]
) -> str:
    if math.isnan(median.mean):
        return f"{MISSING} (more than {text(max(t.time for t in times))})"
    if median.n < 2:
        return f"{text(median.mean)} (n=1, no interval)"
    high = "∞" if math.isinf(median.high) else text(median.high)
    return f"{text(median.mean)} [{text(median.low)}, {high}]"


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
