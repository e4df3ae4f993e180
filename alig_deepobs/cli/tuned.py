"""What tuning has found, as lines for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from alig_deepobs.runners.study import CellOutcome
from alig_deepobs.settings import Setting


def tuning_text(outcomes: Sequence[CellOutcome]) -> str:
    """One line for each optimizer: what was chosen, by which score, its place among the trials."""
    rows = [_row(outcome) for outcome in outcomes if outcome.tuning]
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    ends = [_end(outcome) for outcome in outcomes if outcome.tuning]
    return "\n".join(["Chosen settings:", *lines, *filter(None, ends)])


def trials_text(outcome: CellOutcome) -> str:
    """Every trial of an optimizer with its score, the chosen one marked."""
    cell, candidates = outcome.cell, outcome.candidates
    spec = candidates[outcome.chosen]
    lines = [f"{spec.testproblem} {spec.optimizer}, {cell.rule.source(candidates)}"]
    order = _order(outcome)
    for number in order:
        mark = "*" if number == outcome.chosen else " "
        setting = Setting(candidates[number].optimizer, candidates[number].hyperparams)
        score = cell.rule.score_text(outcome.tuning[number])
        lines.append(f"{mark} {setting!s:40} {score}")
    return "\n".join([*lines, *filter(None, [_end(outcome)])])


def _row(outcome: CellOutcome) -> tuple[str, ...]:
    cell, spec = outcome.cell, outcome.candidates[outcome.chosen]
    place = _order(outcome).index(outcome.chosen) + 1
    # Of several axes there is no order.
    at = f" (place {place} of {len(outcome.candidates)})" if len(cell.axes) == 1 else ""
    seeds = len(cell.rule.seeds)
    return (
        f"  {spec.testproblem}",
        str(Setting(spec.optimizer, spec.hyperparams)),
        cell.rule.score_text(outcome.tuning[outcome.chosen]),
        f"{len(outcome.candidates)} trials x {seeds} seed{'' if seeds == 1 else 's'}",
        f"{', '.join(map(str, cell.axes))}{at}",
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
    return f"  ! {spec.testproblem} {spec.optimizer}: chosen was {end}" if end else ""
