"""The report of an experiment: for the terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from alig_deepobs.analysis import Interval
from alig_deepobs.reproduce.carry_out import Outcomes
from alig_deepobs.reproduce.declare import PAPER
from alig_deepobs.reproduce.plan import Plan
from alig_deepobs.reproduce.summary import Line, Summary

SYNTHETIC = "The data are synthetic twins: the figures show that everything runs, and nothing else."

HEADER = ("part", "method", "published", "measured", "difference", "setting", "notes")


def differences(plan: Plan, outcomes: Sequence[Outcomes]) -> list[str]:
    """What is not as in the paper: the budget, the data, the seeds, and what was declared."""
    budget = plan.budget
    texts = [SYNTHETIC] if any(row.synthetic for row in plan.rows) else []
    texts += [f"Budget {budget.name}: {'; '.join(budget.words)}."] if budget.words else []
    if plan.rows and len({row.part.label for row in plan.rows}) < len(plan.experiment.parts):
        texts.append("Not all parts were run.")
    runs = [run for outcome in outcomes for run in outcome.runs]
    labels = dict.fromkeys(run.data_label for run in runs)
    if labels:
        texts.append(f"Data: {'; '.join(labels)}.")
    seeds = sorted({run.random_seed for run in runs})
    if seeds:
        wanted = max(row.part.seeds for row in plan.rows)
        several = f" (the paper: {wanted} runs)" if len(seeds) != wanted else ""
        texts.append(f"Seeds: {', '.join(map(str, seeds))}{several}.")
    devices = dict.fromkeys(
        f"{run.environment.get('device_name')}, torch {run.environment.get('torch')}"
        for run in runs
    )
    if devices:
        texts.append(f"Device: {'; '.join(devices)}.")
    return [*texts, *plan.experiment.differences]


def as_markdown(plan: Plan, outcomes: Sequence[Outcomes], summary: Summary, picture: str) -> str:
    """The whole report, in Markdown.

    Args:
        plan: what was planned.
        outcomes: what was run.
        summary: what came out.
        picture: name of the picture's file, beside the report.
    """
    experiment = plan.experiment
    rows = ["| " + " | ".join(HEADER) + " |", "| " + " | ".join("---" for _ in HEADER) + " |"]
    rows += [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        for cells in _cells(summary)
    ]
    blocks = [
        f"# {experiment.title}",
        f"{PAPER}; published figures from there. Measured: {summary.quantity}.",
        "\n".join(rows),
        _list("What came out", summary.statements),
        _list("What the paper says", experiment.claims),
        _list("What differs from the paper", differences(plan, outcomes)),
        f"![{experiment.title}]({picture})",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def as_text(plan: Plan, outcomes: Sequence[Outcomes], summary: Summary) -> str:
    """The report for a pipe: an aligned table and sentences."""
    rows = [HEADER, *_cells(summary)]
    if len(plan.experiment.parts) == 1:
        rows = [row[1:] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    title = f"{plan.experiment.title}\n(published and measured: {summary.quantity})"
    return "\n\n".join([title, "\n".join(table), _sentences(plan, outcomes, summary)])


def _sentences(plan: Plan, outcomes: Sequence[Outcomes], summary: Summary) -> str:
    """What came out, what the paper says, and what differs."""
    blocks = [
        _list("What came out", summary.statements, "", "  "),
        _list("What the paper says", plan.experiment.claims, "", "  "),
        _list("What differs from the paper", differences(plan, outcomes), "", "  "),
    ]
    return "\n\n".join(block for block in blocks if block)


def as_rich(plan: Plan, outcomes: Sequence[Outcomes], summary: Summary) -> Group:
    """The report for a terminal, which wraps what does not fit."""
    experiment = plan.experiment
    table = Table(title=f"{experiment.title}\n(published and measured: {summary.quantity})")
    several = len(experiment.parts) > 1
    for name in HEADER if several else HEADER[1:]:
        numeric = name in ("published", "measured", "difference")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=numeric)
    part = ""
    for row, cells in zip(summary.lines, _cells(summary), strict=True):
        if part and row.part != part:
            table.add_section()
        part = row.part
        style = "bold" if row.method.startswith("ALI-G") else ""
        table.add_row(*map(Text, cells if several else cells[1:]), style=style)
    return Group(table, Text(f"\n{_sentences(plan, outcomes, summary)}"))


def as_csv(summary: Summary) -> str:
    """The lines of a summary, with the ends of the intervals as numbers."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ["part", "method", "published", "measured", "low", "high", "n", "setting", "notes"]
    )
    for row in summary.lines:
        numbers: list[float | str] = ["", "", ""]
        if row.measured.n:
            numbers = [row.measured.mean, "", ""]
        if row.measured.known:
            numbers = [row.measured.mean, row.measured.low, row.measured.high]
        published = "" if row.published is None else row.published
        writer.writerow(
            [row.part, row.method, published, *numbers, row.measured.n, row.setting, row.note]
        )
    return stream.getvalue()


def _cells(summary: Summary) -> list[tuple[str, ...]]:
    return [_row_cells(row, summary.in_percent) for row in summary.lines]


def _row_cells(row: Line, in_percent: bool) -> tuple[str, ...]:
    form = ".2f" if in_percent else ".3g"
    published = "-" if row.published is None else f"{row.published:g}"
    difference = "-"
    if row.difference is not None:
        # Losses are compared by their ratio: they differ by orders of magnitude.
        difference = f"{row.difference:+.2f}"
        if not in_percent:
            difference = f"x {row.measured.mean / row.published:.3g}" if row.published else "-"
    return (
        row.part,
        row.method,
        published,
        _interval(row.measured, form),
        difference,
        row.setting,
        row.note,
    )


def _interval(measured: Interval, form: str) -> str:
    if measured.n == 0:
        return "-"
    if not measured.known:
        return f"{measured.mean:{form}} (n=1)"
    return f"{measured.mean:{form}} [{measured.low:{form}}, {measured.high:{form}}]"


def _list(title: str, items: Sequence[str], mark: str = "## ", bullet: str = "* ") -> str:
    if not items:
        return ""
    gap = "\n\n" if mark else "\n"
    return f"{mark}{title}{'' if mark else ':'}{gap}" + "\n".join(f"{bullet}{x}" for x in items)
