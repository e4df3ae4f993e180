"""What an experiment comes to: rows with the published figure beside the measured one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from alig_deepobs.analysis import Interval, mean_interval
from alig_deepobs.reproduce.carry_out import Outcomes
from alig_deepobs.run import Outcome


@dataclass(frozen=True)
class Line:
    """A row of the outcome.

    Attributes:
        part, method: their labels.
        published: the paper's figure, None where it has none.
        measured: the same quantity as measured here; its n is 0 where there is nothing.
        setting: what was run.
        note: what is to be known about this row.
        synthetic: whether it was measured on synthetic data, which nothing compares with.
    """

    part: str
    method: str
    published: float | None
    measured: Interval
    setting: str = ""
    note: str = ""
    synthetic: bool = False

    @property
    def difference(self) -> float | None:
        """Measured minus published, None where they cannot be compared."""
        if self.published is None or self.measured.n == 0 or self.synthetic:
            return None
        return self.measured.mean - self.published


@dataclass(frozen=True)
class Summary:
    """The outcome of an experiment.

    Attributes:
        quantity: what is published and measured, with its unit.
        lines: the rows.
        statements: what came out, computed from the runs, one sentence each.
        in_percent: whether the figures are percentages (else they are losses).
    """

    quantity: str
    lines: Sequence[Line]
    statements: Sequence[str] = field(default_factory=list)
    in_percent: bool = False


def line(outcome: Outcomes, values: Sequence[float], setting: str, *notes: str) -> Line:
    """The line of a row, with what went wrong among its notes.

    Args:
        outcome: the row and its runs.
        values: the measured quantity of each reported run that has it.
        setting: what was run.
        *notes: what is to be known, beside the method's own note.
    """
    row = outcome.row
    texts = [*notes, row.method.note]
    for kind in (Outcome.DIVERGED, Outcome.FAILED, Outcome.INTERRUPTED):
        runs = [run for run in outcome.runs if run.outcome is kind]
        if runs:
            texts.append(f"{len(runs)} of {len(outcome.runs)} runs {kind.value}")
    if row.refused:
        texts.insert(0, f"not run: {row.refused}")
    elif outcome.chosen is None:
        texts.insert(0, "not run: every setting of the search diverged or failed")
    return Line(
        part=row.part.label,
        method=row.method.label,
        published=row.part.published.get(row.method.label),
        measured=mean_interval(values),
        setting=setting,
        note="; ".join(text for text in texts if text),
        synthetic=row.synthetic,
    )


def setting_text(outcome: Outcomes) -> str:
    """The reported setting in the declaration's words, those knobs that make a difference.

    The word "chosen" says that a search chose it.
    """
    if not outcome.runs:
        return ""
    run, row = outcome.runs[0], outcome.row
    knobs = {
        "batch_size": run.batch_size,
        "l2": run.effective_weight_decay,
        **run.hyperparams,
    }
    names = list(dict.fromkeys([*row.method.setting, *row.method.grid]))
    shown = [f"{name} {_short(knobs[name])}" for name in names if knobs.get(name) is not None]
    return ("chosen: " if outcome.tuning else "") + ", ".join(shown)


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
