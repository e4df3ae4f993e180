"""The report of an experiment: published beside measured figures, and what differs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alig_deepobs.analysis import widest_range, write_csv
from alig_deepobs.analysis.formats import MISSING
from alig_deepobs.analysis.plots import save_figure
from alig_deepobs.analysis.render import to_markdown, write_table
from alig_deepobs.analysis.table import Column, Table
from alig_deepobs.files import write_text_atomically
from alig_deepobs.reproduce.declare import PAPER, Kind, PaperMethod
from alig_deepobs.reproduce.findings import QUANTITIES, Finding, find, limits, statements
from alig_deepobs.reproduce.pictures import pictures
from alig_deepobs.reproduce.plan import Plan, PlannedMethod
from alig_deepobs.runners.cells import CellOutcome

SYNTHETIC = "The data are synthetic twins: the figures show that everything runs, and nothing else."


def write_report(
    plan: Plan, outcomes: Sequence[CellOutcome], folder: Path
) -> tuple[Table[Finding], list[Path]]:
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
    text = "\n".join([to_markdown(table), *(f"![{path.stem}]({path.name})\n" for path in drawn)])
    markdown = folder / f"{name}.md"
    write_text_atomically(markdown, text)
    runs = [run for finding in findings for run in finding.runs]
    runs_csv = write_csv(runs, folder / f"{name}_runs.csv")
    return table, [markdown, write_table(table, folder, "csv"), runs_csv, *drawn]


def as_table(plan: Plan, findings: Sequence[Finding]) -> Table[Finding]:
    """Published beside measured figures, with what came out and what differs as notes."""
    experiment = plan.experiment
    rows = []
    for part in experiment.parts:
        of_part = [finding for finding in findings if finding.planned.part is part]
        elsewhere = [PaperMethod(label, "", {}) for label in part.also_published if of_part]
        rows += of_part
        rows += [Finding(experiment.kind, PlannedMethod(part, each), []) for each in elsewhere]
    several = len(experiment.parts) > 1
    return Table(
        name=experiment.name,
        title=f"{experiment.title} (published and measured: {QUANTITIES[experiment.kind]})",
        columns=[
            Column("part", value=lambda row: row.planned.part.label, shown=lambda row: several),
            Column("method", value=lambda row: row.label),
            Column("published", right=True),
            Column("measured", right=True),
            Column("difference", text=_difference, right=True),
            Column("setting"),
            Column("notes", value=lambda row: _notes(row, findings)),
        ],
        rows=rows,
        notes=[
            *(f"Here: {text}" for text in statements(plan, findings)),
            *(f"In the paper: {text}" for text in experiment.claims),
            *(f"Differs from the paper: {text}" for text in differences(plan, findings)),
            f"Published figures: {PAPER}.",
        ],
        strong=lambda row: row.label.startswith("ALI-G"),
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


def _difference(finding: Finding, value: float | None) -> str:
    if value is None or not finding.published:
        return MISSING
    # Losses are compared by their ratio: they differ by orders of magnitude.
    ratio = f"x {finding.measured.mean / finding.published:.3g}"
    return f"{value:+.2f}" if finding.kind is Kind.TABLE else ratio


def _notes(finding: Finding, findings: Sequence[Finding]) -> str:
    """The note of a method, in a heat map with its ranges of good values."""
    ranges = []
    if finding.kind is Kind.HEAT_MAP and finding.runs:
        ranges = [
            f"{name}: {widest_range(finding.objectives, limit)}"
            for name, limit in limits(findings).items()
        ]
    return "; ".join(filter(None, [*ranges, finding.note]))
