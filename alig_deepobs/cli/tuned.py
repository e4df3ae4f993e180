"""What tuning has found, as a table and as lines."""

from __future__ import annotations

from collections.abc import Sequence

from alig_deepobs.analysis import Column, Table
from alig_deepobs.protocols import Protocol
from alig_deepobs.runners.cells import CellOutcome
from alig_deepobs.settings import Setting
from alig_deepobs.words import counted


def tuning_table(outcomes: Sequence[CellOutcome], protocol: Protocol) -> Table[CellOutcome]:
    """What each optimizer was run with: what decided, after how many trials, where in its range.

    Args:
        outcomes: what came of the cells.
        protocol: how the settings came about.
    """
    tuned = [outcome for outcome in outcomes if outcome.tuning]
    return Table(
        "tuning",
        "Chosen settings",
        _COLUMNS,
        tuned,
        notes=[f"Protocol {protocol}: {protocol.words}.", *filter(None, map(_end, tuned))],
    )


def trials_text(outcome: CellOutcome) -> str:
    """Every trial of an optimizer with its score, the chosen one marked."""
    cell, candidates = outcome.cell, outcome.candidates
    spec = candidates[outcome.chosen]
    lines = [f"{spec.testproblem} {spec.optimizer}, {cell.rule.source(candidates)}"]
    for number in _order(outcome):
        mark = "*" if number == outcome.chosen else " "
        setting = Setting(candidates[number].optimizer, candidates[number].hyperparams)
        score = cell.rule.score_text(outcome.tuning[number])
        lengths = {candidate.num_epochs for candidate in candidates}
        epochs = candidates[number].num_epochs
        length = f"{counted(epochs, 'epoch')}, " if epochs and len(lengths) > 1 else ""
        lines.append(f"{mark} {setting!s:40} {length}{score}")
    return "\n".join([*lines, *filter(None, [_end(outcome)])])


def _setting(outcome: CellOutcome) -> str:
    spec = outcome.candidates[outcome.chosen]
    return str(Setting(spec.optimizer, spec.hyperparams))


def _trials(outcome: CellOutcome) -> str:
    return f"{len(outcome.candidates)} x {counted(len(outcome.cell.rule.seeds), 'seed')}"


def _place(outcome: CellOutcome) -> str:
    """The ranges, and where the chosen value is among those of a single one."""
    axes = outcome.cell.axes
    text = outcome.cell.tried(outcome.candidates)
    if len(axes) != 1:
        return text
    place = _order(outcome).index(outcome.chosen) + 1
    return f"{text} (place {place} of {len(outcome.candidates)})"


_COLUMNS: tuple[Column[CellOutcome], ...] = (
    Column("problem", value=lambda outcome: outcome.candidates[0].testproblem, keep=2),
    Column("setting", value=_setting),
    Column("score", "Decided by", value=lambda of: of.cell.rule.score_text(of.tuning[of.chosen])),
    Column("trials", value=_trials, keep=3),
    Column("range", "Tried", value=_place, keep=1),
)


def _order(outcome: CellOutcome) -> list[int]:
    """The trials by their values, where these have an order."""
    names = [axis.name for axis in outcome.cell.axes]
    numbers = list(range(len(outcome.candidates)))
    values = [tuple(spec.hyperparams[name] for name in names) for spec in outcome.candidates]
    if all(isinstance(value, (int, float)) for each in values for value in each):
        numbers.sort(key=values.__getitem__)
    return numbers


def _end(outcome: CellOutcome) -> str:
    end = outcome.cell.end(outcome.candidates, outcome.chosen)
    spec = outcome.candidates[outcome.chosen]
    return f"! {spec.testproblem} {spec.optimizer}: chosen was {end}." if end else ""
