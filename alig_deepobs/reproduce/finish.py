"""From the runs to the report: the table, the sentences, the picture, and their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alig_deepobs.files import write_text_atomically
from alig_deepobs.reproduce import curves, heat_map, table
from alig_deepobs.reproduce.carry_out import Outcomes
from alig_deepobs.reproduce.declare import Kind
from alig_deepobs.reproduce.plan import Plan
from alig_deepobs.reproduce.report import as_csv, as_markdown
from alig_deepobs.reproduce.summary import Summary

_ENDS = {Kind.TABLE: table, Kind.CURVES: curves, Kind.HEAT_MAP: heat_map}


@dataclass(frozen=True)
class Report:
    """The finished report.

    Attributes:
        summary: what came out.
        written: the files.
    """

    summary: Summary
    written: list[Path]


def finish(plan: Plan, outcomes: Sequence[Outcomes], folder: Path) -> Report:
    """Summarizes the outcomes, draws the picture and writes ``<target>.md``, ``.csv`` and ``.png``.

    A heat map has ``<target>_cells.csv`` beside them, with all of its cells.

    Args:
        plan: what was planned.
        outcomes: what was run.
        folder: where the files go.
    """
    end = _ENDS[plan.experiment.kind]
    summary: Summary = end.summarize(plan, outcomes)
    name = plan.experiment.name
    written = [folder / f"{name}.md", folder / f"{name}.csv", folder / f"{name}.png"]
    write_text_atomically(written[0], as_markdown(plan, outcomes, summary, f"{name}.png"))
    write_text_atomically(written[1], as_csv(summary))
    if plan.experiment.kind is Kind.HEAT_MAP:
        written.insert(2, folder / f"{name}_cells.csv")
        write_text_atomically(written[2], heat_map.cells_csv(outcomes))
    if any(outcome.runs for outcome in outcomes):
        end.draw(plan, summary, outcomes, written[-1])
    else:
        written.pop()
    return Report(summary, written)
