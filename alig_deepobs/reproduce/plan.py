"""From a declaration and a budget to the runs: what will be trained, and how often."""

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
    Method,
    Part,
    settings_of,
    spread,
)
from alig_deepobs.run import RunSpec
from alig_deepobs.runners.checks import check
from alig_deepobs.runners.tuning import TUNING_SEED
from alig_deepobs.settings import parse_setting

TRAINING = (
    "lr_sched_epochs",
    "lr_sched_factors",
    "clip_norm",
    "lr_decay_per_epoch",
    "lr_plateau_factor",
)
"""Knobs of a setting that belong to the run's schedule or clipping."""


@dataclass(frozen=True)
class Row:
    """A method of a part under a budget.

    Attributes:
        part: the part.
        method: the method.
        kind: of the experiment.
        candidates: one run for each setting. In a table the best of them is chosen; in a heat map
            they are the cells.
        seeds: the seeds of the reported runs.
        refused: why the method cannot be run, empty if it can.
    """

    part: Part
    method: Method
    kind: Kind
    candidates: tuple[RunSpec, ...]
    seeds: tuple[int, ...]
    refused: str = ""

    @property
    def tuning(self) -> list[RunSpec]:
        """The runs that only serve to choose a setting."""
        if self.kind is not Kind.TABLE or len(self.candidates) < 2:
            return []
        seed = TUNING_SEED if TUNING_SEED not in self.seeds else max(self.seeds) + 1
        return [replace(spec, random_seed=seed, purpose="tuning") for spec in self.candidates]

    def reported(self, chosen: int = 0) -> list[RunSpec]:
        """The runs that are reported, where the candidate of this number was chosen."""
        if self.refused:
            return []
        chosen_ones = self.candidates
        if self.kind is Kind.TABLE:
            spec = self.candidates[chosen]
            source = f"best of {len(self.candidates)} settings on validation data"
            if len(self.candidates) < 2:
                source = "the authors' choice"
            chosen_ones = (replace(spec, setting_source=source),)
        return [replace(spec, random_seed=seed) for seed in self.seeds for spec in chosen_ones]

    @property
    def synthetic(self) -> bool:
        """Whether it is run on synthetic data."""
        return any(spec.synthetic for spec in self.candidates)

    @property
    def runs(self) -> int:
        """Number of runs, those that serve to choose included."""
        return len(self.tuning) + len(self.reported())

    @property
    def epochs(self) -> int:
        """Epochs of all its runs together."""
        return sum(spec.num_epochs or 0 for spec in (*self.tuning, *self.reported()))


@dataclass(frozen=True)
class Plan:
    """All rows of an experiment under a budget."""

    experiment: Experiment
    budget: Budget
    rows: tuple[Row, ...]

    @property
    def runs(self) -> int:
        """Number of runs."""
        return sum(row.runs for row in self.rows)

    @property
    def epochs(self) -> int:
        """Epochs of all runs together."""
        return sum(row.epochs for row in self.rows)

    def of(self, part: Part) -> list[Row]:
        """The rows of a part."""
        return [row for row in self.rows if row.part is part]


def make_plan(
    experiment: Experiment,
    budget: Budget,
    base: RunSpec,
    methods: Sequence[str] = (),
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
    known = list(
        dict.fromkeys(method.key for part in experiment.parts for method in part.methods)
    )  # fmt: skip
    for key in methods:
        if key not in known:
            raise unknown_choice(f"method of {experiment.name}", key, known)
    wanted = set(methods or budget.methods or known)
    base = replace(base, synthetic=base.synthetic or budget.synthetic)
    rows = tuple(
        _row(experiment, budget, base, part, method)
        for part in experiment.parts
        for method in part.methods
        if method.key in wanted
    )
    if all(row.refused for row in rows):
        raise UsageError(f"{experiment.name}: nothing can be run; {rows[0].refused}")
    return Plan(experiment, budget, rows)


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


def check_data(plan: Plan) -> None:
    """Looks for the data of all runs, and downloads what is missing.

    Raises:
        DataError: data is missing and cannot be had.
    """
    seen = set()
    for row in plan.rows:
        if row.candidates and row.part.problem not in seen:
            seen.add(row.part.problem)
            check(row.candidates[0])


def _row(
    experiment: Experiment, budget: Budget, base: RunSpec, part: Part, method: Method
) -> Row:  # fmt: skip
    count = part.seeds if budget.seeds is None else budget.seeds
    seeds = tuple(base.random_seed + k for k in range(count))
    try:
        settings = list(_settings(experiment.kind, budget, method))
        specs = tuple(_spec(budget, base, part, method, setting) for setting in settings)
        for spec in specs:
            check(replace(spec, synthetic=True))  # files are looked for later, when all is planned
    except (UsageError, DataError) as error:
        return Row(part, method, experiment.kind, (), seeds, str(error))
    return Row(part, method, experiment.kind, specs, seeds)


def _settings(kind: Kind, budget: Budget, method: Method) -> list[dict[str, Any]]:
    """The settings that a budget leaves of a method's grid."""
    if kind is Kind.HEAT_MAP:
        (knob,) = method.grid
        values = set(method.grid[knob]) | set(method.extra.get(knob, ()))
        cells = budget.cells.get(method.key, tuple(sorted(values)))
        return list(settings_of(method, {knob: cells}))
    if kind is Kind.CURVES or budget.released or not method.grid:
        return [dict(method.setting)]
    grid: Mapping[str, tuple[Any, ...]] = method.grid
    if budget.values is not None:
        # A small search varies what the paper calls the main hyper-parameter, nothing else.
        main = next(iter(grid))
        grid = {main: spread(grid[main], budget.values)}
    return list(settings_of(method, grid))


def _spec(
    budget: Budget, base: RunSpec, part: Part, method: Method, setting: Mapping[str, Any]
) -> RunSpec:
    """Sorts the knobs of a setting into a run."""
    problem, optimizer = find_testproblem(part.problem), find_optimizer(method.optimizer)
    knobs = {**setting, **budget.setting}
    batch_size = knobs.pop("batch_size", part.batch_size)
    weight_decay = knobs.pop("l2", None)
    epochs = knobs.pop("num_epochs", part.epochs if budget.epochs is None else budget.epochs)
    training = {name: knobs.pop(name) for name in TRAINING if name in knobs}
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
        setting_source="the authors' choice" if not budget.cells else "a cell of the heat map",
    ).complete()


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
