"""The report for a terminal, and as one Markdown document."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group
from rich.text import Text

from alig_deepobs.analysis.report.beside import baseline_table
from alig_deepobs.analysis.report.environments import environment_table
from alig_deepobs.analysis.report.gather import Report
from alig_deepobs.analysis.report.tables import (
    leaderboard_table,
    sensitivity_table,
    skipped_table,
    summary_table,
    target_table,
)
from alig_deepobs.analysis.table import Table, to_markdown, to_rich
from alig_deepobs.analysis.tables import render_rich, wrapped


def all_tables(report: Report) -> list[Table]:
    """Every table of a report, in its order; each has a name of its own."""
    tables: list[Table] = []
    if report.overall is not None and len(report.overall.sections) > 1:
        tables.append(summary_table(report.overall))
    for section in report.sections:
        found = (
            leaderboard_table(section),
            baseline_table(section, report.baselines),
            target_table(section),
        )
        tables += [table for table in found if table is not None]
    sensitivity = sensitivity_table(report.sections)
    if sensitivity is not None:
        tables.append(sensitivity)
    environment = environment_table(report.runs)
    if environment.rows:
        tables.append(environment)
    if report.skipped:
        tables.append(skipped_table(report))
    return tables


def print_report(report: Report, console: Console, width: int) -> None:
    """Prints the report, without the files that were skipped."""
    for part in _parts(report, width):
        console.print(part, soft_wrap=False)
        console.print()


def markdown_report(report: Report) -> str:
    """The report as one Markdown document."""
    lines = ["# Optimizer report", "", *(f"- {line}" for line in about(report)), ""]
    for table in all_tables(report):
        lines += [to_markdown(table)]
    return "\n".join(lines)


def about(report: Report) -> list[str]:
    """What was analysed, one sentence each."""
    problems = list(dict.fromkeys(section.title for section in report.sections))
    lines = [
        f"Folders: {', '.join(report.folders)}",
        f"{_count(len(report.runs), 'run')} of {_count(len(report.optimizers), 'optimizer')} "
        f"({', '.join(report.optimizers)}) on {_count(len(problems), 'problem')} "
        f"({', '.join(problems)})",
    ]
    if report.tuning:
        lines.append(
            f"{_count(len(report.tuning), 'run')} that only served to choose a setting: shown as "
            "sensitivity, never as a result"
        )
    if report.skipped:
        lines.append(f"{_count(len(report.skipped), 'file')} skipped")
    return lines


def _parts(report: Report, width: int) -> Iterator[Group | Text]:
    yield Text("\n".join(wrapped(line, width) for line in about(report)))
    for table in all_tables(report):
        if table.name == "skipped":
            continue  # the command line says it, on the stream for errors
        section = next((s for s in report.sections if table.name == f"leaderboard-{s.slug}"), None)
        if section is None:
            yield to_rich(table, width)
            continue
        # A leaderboard knows which of its columns may go where the terminal is narrow.
        yield render_rich(section.board, width)
        if section.flags:
            yield Text("\n".join(wrapped(f"! {flag.text}", width) for flag in section.flags))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
