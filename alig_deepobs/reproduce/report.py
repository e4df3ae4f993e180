"""The report of an experiment: published beside measured figures, and what differs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from alig_deepobs.analysis import format_interval, widest_range, write_csv
from alig_deepobs.analysis.plots import save_figure
from alig_deepobs.analysis.table import Column, Table, to_csv, to_markdown
from alig_deepobs.files import write_text_atomically
from alig_deepobs.reproduce.declare import PAPER, Kind
from alig_deepobs.reproduce.findings import QUANTITIES, Finding, find, limits, statements
from alig_deepobs.reproduce.pictures import pictures
from alig_deepobs.reproduce.plan import Plan
from alig_deepobs.runners.study import CellOutcome

SYNTHETIC = "The data are synthetic twins: the figures show that everything runs, and nothing else."

_FRAME = ["part", "method", "published", "measured", "low", "high", "n", "setting", "notes"]


def write_report(
    plan: Plan, outcomes: Sequence[CellOutcome], folder: Path
) -> tuple[Table, list[Path]]:
    """Writes ``<target>.md``, ``.csv``, ``<target>_runs.csv`` and a picture of each part.

    Args:
        plan: what was planned.
        outcomes: what came of its cells.
        folder: where the files go.

    Returns:
        The table of the report, and the paths of the files.
    """
    findings = find(plan, outcomes)
    table = as_table(plan, findings)
    name = plan.experiment.name
    drawn = [
        save_figure(figure, folder / f"{stem}.png") for stem, figure in pictures(plan, findings)
    ]
    markdown = [to_markdown(table), *(f"![{path.stem}]({path.name})\n" for path in drawn)]
    written = [folder / f"{name}.md", folder / f"{name}.csv"]
    write_text_atomically(written[0], "\n".join(markdown))
    write_text_atomically(written[1], to_csv(table))
    runs = [run for finding in findings for run in finding.runs]
    return table, [*written, write_csv(runs, folder / f"{name}_runs.csv"), *drawn]


def as_table(plan: Plan, findings: Sequence[Finding]) -> Table:
    """Published beside measured figures, with what came out and what differs as notes."""
    experiment = plan.experiment
    rows: list[list[str]] = []
    records: list[list[object]] = []
    for part in experiment.parts:
        of_part = [finding for finding in findings if finding.planned.part is part]
        for finding in of_part:
            measured, note = finding.measured, _note(finding, findings)
            published = "–" if finding.published is None else f"{finding.published:g}"
            rows.append(
                [part.label, finding.label, published, format_interval(measured),
                 _difference(finding), finding.setting, note]
            )  # fmt: skip
            records.append(
                [part.label, finding.label, finding.published, measured.mean, measured.low,
                 measured.high, measured.n, finding.setting, note]
            )  # fmt: skip
        for label, figure in part.also_published.items() if of_part else ():
            rows.append([part.label, label, f"{figure:g}", "–", "–", "", "not run here"])
            records.append([part.label, label, figure, None, None, None, 0, "", "not run here"])
    columns = [
        Column("part"), Column("method"), Column("published", True), Column("measured", True),
        Column("difference", True), Column("setting"), Column("notes"),
    ]  # fmt: skip
    strong = frozenset(i for i, row in enumerate(rows) if row[1].startswith("ALI-G"))
    if len(experiment.parts) == 1:
        columns, rows = columns[1:], [row[1:] for row in rows]
    return Table(
        name=experiment.name,
        title=f"{experiment.title} (published and measured: {QUANTITIES[experiment.kind]})",
        columns=columns,
        rows=rows,
        frame=pd.DataFrame(records, columns=_FRAME),
        notes=[
            *(f"Here: {text}" for text in statements(plan, findings)),
            *(f"In the paper: {text}" for text in experiment.claims),
            *(f"Differs from the paper: {text}" for text in differences(plan, findings)),
            f"Published figures: {PAPER}.",
        ],
        strong=strong,
    )


def differences(plan: Plan, findings: Sequence[Finding]) -> list[str]:
    """What is not as in the paper: the budget, the data, the seeds, and what was declared."""
    budget = plan.budget
    runs = [run for finding in findings for run in finding.runs]
    texts = [SYNTHETIC] if any(run.synthetic for run in runs) else []
    texts += [f"Budget {budget.name}: {'; '.join(budget.words)}."] if budget.words else []
    if not all(plan.of(part) for part in plan.experiment.parts):
        texts.append("Not all parts were run.")
    if runs:
        texts.append(f"Data: {'; '.join(dict.fromkeys(run.data_label for run in runs))}.")
        seeds = sorted({run.random_seed for run in runs})
        wanted = max(planned.part.seeds for planned in plan.methods)
        several = f" (the paper: {wanted} runs)" if len(seeds) != wanted else ""
        texts.append(f"Seeds: {', '.join(map(str, seeds))}{several}.")
        machines = dict.fromkeys(
            f"{run.environment.get('device_name')}, torch {run.environment.get('torch')}"
            for run in runs
        )
        texts.append(f"Device: {'; '.join(machines)}.")
    return [*texts, *plan.experiment.differences]


def _difference(finding: Finding) -> str:
    if finding.difference is None or not finding.published:
        return "–"
    if finding.kind is Kind.TABLE:
        return f"{finding.difference:+.2f}"
    # Losses are compared by their ratio: they differ by orders of magnitude.
    return f"x {finding.measured.mean / finding.published:.3g}"


def _note(finding: Finding, findings: Sequence[Finding]) -> str:
    """The note of a method, in a heat map with its ranges of good values."""
    ranges = []
    if finding.kind is Kind.HEAT_MAP and finding.runs:
        ranges = [
            f"{name}: {widest_range(finding.objectives, limit)}"
            for name, limit in limits(findings).items()
        ]
    return "; ".join(filter(None, [*ranges, finding.note]))
