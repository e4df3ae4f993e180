"""The tables of a report, and the report as text: in a terminal, and as one Markdown document."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pandas as pd
from rich.console import Console
from rich.text import Text

from alig_deepobs.analysis.loading import LoadProblem
from alig_deepobs.analysis.report.baselines import baseline_table
from alig_deepobs.analysis.report.build import Report
from alig_deepobs.analysis.report.environment import environment_table
from alig_deepobs.analysis.report.overall import Overall
from alig_deepobs.analysis.report.sections import Section
from alig_deepobs.analysis.report.sensitivity import sensitivity_table
from alig_deepobs.analysis.table import Column, Table, to_markdown, to_rich
from alig_deepobs.analysis.tables import (
    format_interval,
    leaderboard_cells,
    render_rich,
    wrapped,
)
from alig_deepobs.analysis.targets import (
    TimeToTarget,
    epochs_until,
    median_interval,
    seconds_until,
)

# Ends of medians of epochs are whole numbers; more resamples would not move them.
_RESAMPLES = 500


def all_tables(report: Report) -> list[Table]:
    """Every table of a report, in its order; each has a name of its own."""
    tables = [summary_table(report.several_problems) if report.several_problems else None]
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
    boards = {f"leaderboard-{section.slug}": section for section in report.sections}
    console.print(Text("\n".join(wrapped(line, width) for line in report.about())))
    for table in all_tables(report):
        if table.name == "skipped":
            continue  # the command line says it, on the stream for errors
        console.print()
        if table.name not in boards:
            console.print(to_rich(table, width), soft_wrap=False)
            continue
        # A leaderboard knows which of its columns may go where the terminal is narrow.
        section = boards[table.name]
        console.print(render_rich(section.board, width), soft_wrap=False)
        for flag in section.flags:
            console.print(Text(wrapped(f"! {flag.text}", width)))


def markdown_report(report: Report) -> str:
    """The report as one Markdown document."""
    lines = ["# Optimizer report", "", *(f"- {line}" for line in report.about()), ""]
    return "\n".join([*lines, *map(to_markdown, all_tables(report))])


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


def skipped_table(skipped: Sequence[LoadProblem]) -> Table | None:
    """The files that are no usable results, and why; None where all are."""
    if not skipped:
        return None
    rows = [[str(item.path), reason_without_path(item)] for item in skipped]
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
