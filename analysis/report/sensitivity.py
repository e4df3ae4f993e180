"""How much the result depends on the main hyper-parameter: grids, their table and their charts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from alig_deepobs.analysis.budget import BudgetCurve, budget_curve
from alig_deepobs.analysis.formats import MISSING
from alig_deepobs.analysis.frames import (
    accuracy_curve,
    final_headline,
    final_value,
    headline_curve,
    loss_curve,
)
from alig_deepobs.analysis.groups import Group
from alig_deepobs.analysis.sensitivity import GoodRange, good_range, value_text
from alig_deepobs.analysis.table import Column, Table, never
from alig_deepobs.entries import LEARNING_RATES
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import ProblemEntry, optimizers
from alig_deepobs.run import RunResult

_CSV_ONLY = ("testproblem", "low", "high", "good_values", "tuning_runs")


@dataclass(frozen=True)
class Grid:
    """The settings of one optimizer that differ in its main hyper-parameter alone.

    Attributes:
        label: the optimizer, with what tells it from its other grids.
        parameter: name of the main hyper-parameter.
        finals: its value -> final headline metric of each seed, NaN for a run that did not finish.
        validation: its value -> mean final validation metric; NaN where there is none.
        start: headline metric before training, mean over all runs.
        entry: the problem.
        tuning: whether the runs only served to choose a setting (on held-out training data).
    """

    label: str
    parameter: str
    finals: dict[Any, tuple[float, ...]]
    validation: dict[Any, float]
    start: float
    entry: ProblemEntry
    tuning: bool

    def means(self) -> dict[Any, float]:
        """Value -> mean over seeds; NaN where a run did not finish."""
        return {value: math.fsum(of) / len(of) for value, of in self.finals.items()}

    def numbers(self) -> dict[float, float]:
        """`means` of the values that an axis of decades can hold, ascending."""
        found = {
            float(value): mean
            for value, mean in self.means().items()
            if isinstance(value, (int, float)) and 0 < value < math.inf
        }
        return dict(sorted(found.items()))

    def good_range(self) -> GoodRange | None:
        """Where it does nearly as well as at its best; None where no run is a result."""
        try:
            return good_range(self.numbers(), self.entry.higher_is_better)
        except UsageError:
            return None

    def budget(self) -> BudgetCurve | None:
        """What the best of so many values is expected to reach; None where it is not known."""
        means = self.means()
        known = [self.validation[value] for value, mean in means.items() if not math.isnan(mean)]
        by_validation = bool(known) and not any(map(math.isnan, known))
        if math.isnan(self.start):
            return None
        try:
            return budget_curve(
                list(means.values()), self.entry.higher_is_better, self.start,
                [self.validation[value] for value in means] if by_validation else None,
            )  # fmt: skip
        except UsageError:
            return None


def find_grids(
    families: Sequence[Sequence[Group]], tuning: Sequence[Sequence[Group]], entry: ProblemEntry
) -> tuple[Grid, ...]:
    """The grids among settings that differ in the main hyper-parameter alone, by label.

    Args:
        families: of the results.
        tuning: of runs that only served to choose a setting; they count where results have no grid.
        entry: the problem.
    """
    grids = [_grid(family, entry, tuning=False) for family in families]
    have = {grid.label for grid in grids if grid}
    grids += [_grid(family, entry, tuning=True) for family in tuning]
    found = [grid for grid in grids if grid and not (grid.tuning and grid.label in have)]
    return tuple(sorted(found, key=lambda grid: grid.label))


def main_parameter(run: RunResult) -> str:
    """The hyper-parameter of a run that is tuned first; empty if there is none."""
    known = optimizers().get(run.optimizer)
    if known is not None and known.main_hyperparameter in run.hyperparams:
        return known.main_hyperparameter or ""
    return next((name for name in LEARNING_RATES if name in run.hyperparams), "")


def sensitivity_table(grids: Mapping[str, Iterable[Grid]]) -> Table[Any] | None:
    """How wide the good range of the main hyper-parameter is; None without a grid.

    Args:
        grids: title of a problem -> its grids.
    """
    rows = []
    for title, of in grids.items():
        for grid in of:
            good = grid.good_range()
            rows.append({
                "problem": title, "testproblem": grid.entry.name, "optimizer": grid.label,
                "parameter": grid.parameter, "values": len(grid.finals),
                "failed": sum(map(math.isnan, grid.means().values())),
                "best": good and good.best, "good_range": good and good.ends_text(),
                "decades": good and good.decades, "low": good and good.low,
                "high": good and good.high, "good_values": good and good.good,
                "tuning_runs": grid.tuning,
            })  # fmt: skip
    if not rows:
        return None
    notes = [
        "Good: within 5 % of the best value of the grid, unbroken around it. ≤ and ≥: the range "
        "touches the end of the grid and may be wider."
    ]
    if any(row["tuning_runs"] for row in rows):
        notes.append("Grids of runs that only served to choose a setting have the seeds of these.")
    texts = {"best": value_text, "decades": "{:.1f}".format}
    columns: list[Column[dict[str, Any]]] = [
        Column(
            name,
            text=partial(_text, texts[name]) if name in texts else None,
            right=name in ("values", "failed", "decades"),
            shown=never if name in _CSV_ONLY else None,
        )
        for name in rows[0]
    ]
    return Table("sensitivity", "Sensitivity to the main hyper-parameter", columns, rows, notes)


def _text(form: Callable[[Any], str], _: Any, value: Any) -> str:
    return MISSING if value is None else form(value)


def _grid(family: Sequence[Group], entry: ProblemEntry, tuning: bool) -> Grid | None:
    first = family[0].runs[0]
    parameter = main_parameter(first)
    tried = [group.runs[0].hyperparams.get(parameter) for group in family]
    # Settings that differ in more than this value, or whose value is no number, cannot lie on one
    # line.
    if not parameter or not set(map(type, tried)) <= {float, int, type(None)}:
        return None
    values = dict(zip(tried, family, strict=True))
    if len(values) < 3 or len(values) < len(family):
        return None
    starts = [curve[0] for g in family for run in g.runs if (curve := headline_curve(run, entry))]
    return Grid(
        label=first.optimizer_name if _alike(family) else family[0].label,
        parameter=parameter,
        finals={
            value: tuple(final_headline(run, entry) for run in group.runs)
            for value, group in values.items()
        },
        validation={value: _validation(group.runs, entry) for value, group in values.items()},
        start=math.fsum(starts) / len(starts) if starts else math.nan,
        entry=entry,
        tuning=tuning,
    )


def _alike(family: Sequence[Group]) -> bool:
    """Whether the labels of a family differ in the main hyper-parameter alone."""
    main = main_parameter(family[0].runs[0])
    return all(
        group.label == group.optimizer_name
        or set(re.findall(r"(\w+)=", group.label.removeprefix(group.optimizer_name))) <= {main}
        for group in family
    )


def _validation(runs: Iterable[RunResult], entry: ProblemEntry) -> float:
    curve = accuracy_curve if entry.metric == "accuracy" else loss_curve
    finals = [final_value(run, curve(run, "valid")) for run in runs]
    return math.fsum(finals) / len(finals) if finals else math.nan
