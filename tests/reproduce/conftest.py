"""A small experiment on real handwritten digits, and made-up results."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from alig_deepobs.cli.progress import Session
from alig_deepobs.reproduce.carry_out import carry_out, unfinished
from alig_deepobs.reproduce.declare import FULL, Budget, Experiment, Kind, Method, Part
from alig_deepobs.reproduce.plan import make_plan
from alig_deepobs.run import RunResult, RunSpec

BASE = RunSpec(testproblem="", optimizer="", device="cpu")

METHODS = (
    Method(
        "SGD",
        "sgd",
        {"lr": 0.1, "lr_sched_epochs": (2,), "lr_sched_factors": (0.1,)},
        grid={"lr": (1e-3, 0.1, 1.0)},
        note="with a schedule",
    ),
    Method("ALI-G", "alig", {"max_lr": 0.1, "momentum": 0.0}, grid={"max_lr": (0.01, 0.1)}),
    Method("Missing", "not_there", {"lr": 1.0}),
    Method("Wrong", "alig", {"max_lr": 0.1, "clip_norm": 1.0}),
)


def experiment(kind: Kind = Kind.TABLE, methods: tuple[Method, ...] = METHODS) -> Experiment:
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
                examples=1000,
                evaluated=500,
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
    """Carries out an experiment in the temporary folder."""

    def run(declared, budget=FULL, jobs=1, **options):
        plan = make_plan(declared, budget, dataclasses.replace(BASE, **options))
        left, _ = unfinished(plan, tmp_path)
        stream = io.StringIO()
        session = Session(left, str(tmp_path), Console(file=stream, width=200))
        outcomes = carry_out(plan, session, tmp_path, jobs)
        return plan, outcomes, stream.getvalue()

    return run


def result(**changes) -> RunResult:
    """A made-up run."""
    values = {
        "testproblem": "digits_logreg",
        "optimizer_name": "SGD",
        "optimizer_hyperparams": {"lr": 0.1},
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
