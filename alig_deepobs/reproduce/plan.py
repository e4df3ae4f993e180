"""From a declaration and a budget to the cells of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from alig_deepobs.errors import DataError, UsageError, unknown_choice
from alig_deepobs.registry import find_optimizer, find_testproblem
from alig_deepobs.reproduce.declare import (
    Budget,
    Experiment,
    Kind,
    PaperMethod,
    Part,
    settings_of,
    spread,
)
from alig_deepobs.run import TRAINING_PARAMS, RunSpec
from alig_deepobs.runners.cells import Cell
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.runners.selection import Rule, tuning_seeds
from alig_deepobs.settings import parse_setting


@dataclass(frozen=True)
class PlannedMethod:
    """A method of a part under a budget.

    Attributes:
        part: the part.
        method: the method.
        cells: one whose candidates are the grid in a table, else one for each setting.
        refused: why the method cannot be run, empty if it can.
    """

    part: Part
    method: PaperMethod
    cells: tuple[Cell, ...] = ()
    refused: str = ""


@dataclass(frozen=True)
class Plan:
    """All methods of an experiment under a budget."""

    experiment: Experiment
    budget: Budget
    methods: tuple[PlannedMethod, ...]

    @property
    def cells(self) -> list[Cell]:
        """The study that carries the plan out."""
        return [cell for planned in self.methods for cell in planned.cells]

    def of(self, part: Part) -> list[PlannedMethod]:
        """The methods of a part."""
        return [planned for planned in self.methods if planned.part is part]

    def __str__(self) -> str:
        lines = [self.experiment.title]
        lines.append(f"budget {self.budget.name}: {'; '.join(self.budget.words) or 'as the paper'}")
        lines += [
            f"not run: {planned.method.label} ({planned.part.label}): {planned.refused}"
            for planned in self.methods
            if planned.refused
        ]
        return "\n".join(lines)


def make_plan(
    experiment: Experiment, budget: Budget, base: RunSpec, methods: Sequence[str] = ()
) -> Plan:
    """The runs of an experiment.

    A method that is not registered, or that refuses its setting, stays in the plan without runs,
    with the reason.

    Args:
        experiment: the declaration.
        budget: how much of it.
        base: folders, device and first seed of all runs.
        methods: keys of the methods to run; empty for all of the budget.

    Raises:
        UsageError: a method is unknown, the test problem is, or nothing is left to run.
    """
    known = list(dict.fromkeys(m.key for part in experiment.parts for m in part.methods))
    for key in methods:
        if key not in known:
            raise unknown_choice(f"method of {experiment.name}", key, known)
    wanted = set(methods or budget.methods or known)
    is_map = experiment.kind is Kind.HEAT_MAP
    base = replace(
        base,
        synthetic=base.synthetic or budget.synthetic,
        setting_source="a cell of the heat map" if is_map else "the authors' choice",
    )
    planned = tuple(
        _planned(experiment.kind, budget, base, part, method)
        for part in experiment.parts
        for method in part.methods
        if method.key in wanted
    )
    if all(each.refused for each in planned):
        raise UsageError(f"{experiment.name}: nothing can be run; {planned[0].refused}")
    return Plan(experiment, budget, planned)


def change_budget(
    budget: Budget, settings: str | None = None, changes: Sequence[str] = ()
) -> Budget:
    """A budget with other choices; what they are is added to its words.

    Args:
        budget: the declared one.
        settings: ``grid`` or ``released``; None leaves it as it is.
        changes: knobs of every method, as ``name=value``.

    Raises:
        UsageError: a change is malformed.

    Example:
        >>> changed = change_budget(Budget("short"), "released", ["hidden_dim=64"])
        >>> changed.released, dict(changed.setting), changed.words
        (True, {'hidden_dim': 64}, ('changed: hidden_dim=64',))
    """
    knobs: dict[str, Any] = {}
    for change in changes:
        knobs |= parse_setting(f"change[{change}]").params
    words = budget.words
    if knobs:
        words = (*words, f"changed: {', '.join(f'{name}={knobs[name]}' for name in knobs)}")
    released = budget.released if settings is None else settings == "released"
    return replace(budget, released=released, setting={**budget.setting, **knobs}, words=words)


def _planned(
    kind: Kind, budget: Budget, base: RunSpec, part: Part, method: PaperMethod
) -> PlannedMethod:
    from alig_deepobs.runners.checks import check

    count = part.seeds if budget.seeds is None else budget.seeds
    seeds = tuple(base.random_seed + k for k in range(count))
    try:
        settings = _settings(kind, budget, method)
        specs = tuple(_spec(budget, base, part, method, setting) for setting in settings)
        for spec in specs:
            # Files are looked for when all is planned.
            check(resolve(spec, check_data=False), check_data=False)
    except (UsageError, DataError) as error:
        return PlannedMethod(part, method, refused=str(error))
    groups = (specs,) if kind is Kind.TABLE else tuple((spec,) for spec in specs)
    rule = Rule(tuning_seeds(seeds), epoch="best")
    cells = tuple(Cell(group, seeds, rule) for group in groups)
    return PlannedMethod(part, method, cells)


def _settings(kind: Kind, budget: Budget, method: PaperMethod) -> list[dict[str, Any]]:
    """The settings that a budget leaves of a method's grid."""
    if kind is Kind.HEAT_MAP:
        (knob,) = method.grid
        # No cap (None) is the last of all caps.
        values = {*method.grid[knob], *method.extra.get(knob, ())} - {None}
        ordered = (*sorted(values), *[None] * (None in method.grid[knob]))
        return list(settings_of(method, {knob: budget.cells.get(method.key, ordered)}))
    if kind is Kind.CURVES or budget.released or not method.grid:
        return [dict(method.setting)]
    grid = method.grid
    if budget.values is not None:
        # A small search varies what the paper calls the main hyper-parameter, nothing else.
        main = next(iter(grid))
        grid = {main: spread(grid[main], budget.values)}
    return list(settings_of(method, grid))


def _spec(
    budget: Budget, base: RunSpec, part: Part, method: PaperMethod, setting: Mapping[str, Any]
) -> RunSpec:
    """Sorts the knobs of a setting into a run."""
    problem, optimizer = find_testproblem(part.problem), find_optimizer(method.optimizer)
    knobs = {**setting, **budget.setting}
    batch_size = knobs.pop("batch_size", part.batch_size)
    weight_decay = knobs.pop("l2", None)
    epochs = knobs.pop("num_epochs", part.epochs if budget.epochs is None else budget.epochs)
    training = {name: knobs.pop(name) for name in TRAINING_PARAMS if name in knobs}
    if "lr_sched_epochs" in training and epochs != part.epochs:
        training |= _shortened(training, epochs, part.epochs)
    options = {
        name: knobs.pop(name)
        for name in list(knobs)
        if name in problem.options and name not in optimizer.hyperparameters
    }
    return replace(
        base,
        testproblem=problem.name,
        optimizer=optimizer.name,
        hyperparams=knobs,
        batch_size=batch_size,
        num_epochs=epochs,
        weight_decay=weight_decay,
        split="validation" if problem.has_validation else "full",
        problem_options=options,
        training_params=training,
    )


def _shortened(schedule: Mapping[str, Any], epochs: int, of: int) -> dict[str, Any]:
    """A schedule with its steps at the same fractions of fewer epochs.

    Steps that fall together become one; those that would fall on the end of the run are gone.
    """
    factors: dict[int, float] = {}
    pairs = zip(schedule["lr_sched_epochs"], schedule["lr_sched_factors"], strict=True)
    for epoch, factor in pairs:
        factors[max(1, round(epoch * epochs / of))] = factor
    kept = {epoch: factor for epoch, factor in factors.items() if epoch < epochs}
    return {"lr_sched_epochs": tuple(kept), "lr_sched_factors": tuple(kept.values())}
