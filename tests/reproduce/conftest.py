"""A small experiment on real handwritten digits, and made-up results."""

from __future__ import annotations

import dataclasses

import pytest

from alig_deepobs.reproduce.declare import FULL, Budget, Experiment, Kind, PaperMethod, Part
from alig_deepobs.reproduce.plan import make_plan
from alig_deepobs.run import RunResult, RunSpec
from alig_deepobs.runners.store import Store
from alig_deepobs.runners.study import Study

BASE = RunSpec(testproblem="", optimizer="", device="cpu")

METHODS = (
    PaperMethod(
        "SGD",
        "sgd",
        {"lr": 0.1, "lr_sched_epochs": (2,), "lr_sched_factors": (0.1,)},
        grid={"lr": (1e-3, 0.1, 1.0)},
        note="with a schedule",
    ),
    PaperMethod("ALI-G", "alig", {"max_lr": 0.1, "momentum": 0.0}, grid={"max_lr": (0.01, 0.1)}),
    PaperMethod("Missing", "not_there", {"lr": 1.0}),
    PaperMethod("Wrong", "alig", {"max_lr": 0.1, "clip_norm": 1.0}),
)


def experiment(kind: Kind = Kind.TABLE, methods: tuple[PaperMethod, ...] = METHODS) -> Experiment:
    return Experiment(
        name="small",
        title="A small experiment",
        kind=kind,
        parts=(
            Part(
                label="digits",
                problem="digits_logreg",
                epochs=4,
                batch_size=64,
                methods=methods,
                published={"SGD": 90.0, "ALI-G": 91.0},
                also_published={"Elsewhere": 95.0},
                seeds=2,
            ),
        ),
        budgets={"full": FULL, "smoke": Budget("smoke", ("1 epoch instead of 4",), epochs=1)},
        claims=("ALI-G is good.",),
        differences=("Everything.",),
    )


@pytest.fixture
def run(tmp_path):
    """Carries out an experiment in the temporary folder; says how many runs were found there."""

    def run(declared, budget=FULL, **options):
        plan = make_plan(declared, budget, dataclasses.replace(BASE, **options))
        study = Study(plan.cells, Store(tmp_path))
        return plan, study.carry_out(), len(study.found)

    return run


def result(**changes) -> RunResult:
    """A made-up run."""
    values = {
        "testproblem": "digits_logreg",
        "optimizer_name": "SGD",
        "hyperparams": {"lr": 0.1},
        "batch_size": 64,
        "num_epochs": 2,
        "random_seed": 42,
        "train_losses": [2.3, 1.0, 0.5],
        "valid_losses": [2.3, 1.1, 0.6],
        "test_losses": [2.3, 1.2, 0.7],
        "valid_data_losses": [2.3, 1.1, 0.6],
        "test_data_losses": [2.3, 1.2, 0.7],
        "valid_accuracies": [0.1, 0.8, 0.9],
        "test_accuracies": [0.1, 0.7, 0.85],
        "epoch_mean_losses": [1.5, 0.7],
        "optimizer": "sgd",
        "data_label": "Digits",
    }
    return RunResult(**{**values, **changes})


def specs_of(plan):
    """All runs of a plan; of a setting that is still to be chosen, the first candidate's."""
    return [
        spec
        for cell in plan.cells
        for spec in (*cell.tuning(cell.candidates), *cell.reported(cell.candidates, 0))
    ]


def runs(plan) -> int:
    """How many runs a plan has."""
    return len(specs_of(plan))


def epochs(plan) -> int:
    """How many epochs they have together."""
    return sum(spec.num_epochs for spec in specs_of(plan))
