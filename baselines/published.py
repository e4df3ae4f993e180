"""What the authors of DeepOBS published for SGD, Momentum and Adam.

1,080 runs: eight problems, three optimizers, 36 learning rates with seed 42, and nine more seeds at
the best one. They were recorded with DeepOBS 1.1 on TensorFlow 1 in 2019, so they are a landmark
for runs on PyTorch, not a like-for-like comparison. Three files beside this module hold them:

* ``deepobs_problems.json``: problems, sources, and what the columns mean;
* ``deepobs_runs.csv``: one row per run;
* ``deepobs_curves.npz``: the curves of the ten seeds at the tuned learning rate.

Source: GitHub repository ``fsschneider/DeepOBS_Baselines``, commit 3da285a; MIT licence, see
``LICENSE-DeepOBS_Baselines`` beside this file.
"""

from __future__ import annotations

import functools
import io
import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alig_deepobs.baselines.tables import METRICS, TableRow, read_rows
from alig_deepobs.run import RunResult

FIRST_SEED = 42
"""The seed of the runs of the grid, by which the learning rates were chosen."""


@dataclass(frozen=True)
class Published:
    """The published result of one optimizer on one problem.

    Attributes:
        problem: DeepOBS's name of the problem.
        optimizer: name in the registry (``sgd``, ``momentum``, ``adam``).
        params: hyper-parameters under PyTorch's names.
        metric: ``test_accuracy`` (a fraction) or ``test_loss``, after the last epoch. A loss
            includes the L2 term where `weight_decay` is set.
        mean, std_sample, median: over the seeds; the standard deviation has ddof 1.
        per_seed: seed -> final metric.
        convergence_performance: value of the metric that counts as converged.
        epochs_to_target: seed -> first epoch at which the metric was that good; None: never.
        deepobs_speed: DeepOBS's mean of these, which counts "never" as ``num_epochs + 1``.
        trivial_seeds: seeds that ended no better than a predictor that ignores its input.
        num_epochs, batch_size: of the runs.
        weight_decay: L2 factor of the problem (term: factor x sum of squares / 2), or None.
    """

    problem: str
    optimizer: str
    params: dict[str, Any]
    metric: str
    mean: float
    std_sample: float
    median: float
    per_seed: dict[int, float]
    convergence_performance: float
    epochs_to_target: dict[int, int | None]
    deepobs_speed: float
    trivial_seeds: tuple[int, ...]
    num_epochs: int
    batch_size: int
    weight_decay: float | None


@dataclass(frozen=True)
class GridPoint:
    """The published run of one learning rate of the grid, with seed 42.

    Attributes:
        learning_rate: of the run.
        final: headline metric after the last epoch; NaN if the run was not finite to its end
            (a network of NaNs still has an accuracy, that of one class).
        best: headline metric of the best epoch.
        epochs_to_target: first epoch at which it met the convergence performance; None: never.
        outcome: ``nonfinite``, ``never_below_initial``, ``trivial`` or ``ok``.
    """

    learning_rate: float
    final: float
    best: float
    epochs_to_target: int | None
    outcome: str


def published_result(problem: str, optimizer: str) -> Published | None:
    """The published result of an optimizer on a problem, None where there is none.

    Args:
        problem: name of the test problem.
        optimizer: name in the registry.

    Example:
        >>> published_result("quadratic_deep", "sgd").params
        {'lr': 0.015848931925}
        >>> published_result("quadratic_deep", "alig") is None
        True
    """
    rows = tuned_rows(problem, optimizer)
    if not rows:
        return None
    facts = _document()["problems"][problem]
    finals = [row.metrics[facts["metric"]].final for row in rows]
    never = facts["num_epochs"] + 1
    speeds = [never if row.epochs_to_target is None else row.epochs_to_target for row in rows]
    return Published(
        problem=problem,
        optimizer=optimizer,
        params=_params(optimizer, rows[0].learning_rate),
        metric=facts["metric"],
        mean=statistics.fmean(finals),
        std_sample=statistics.stdev(finals),
        median=statistics.median(finals),
        per_seed={row.seed: final for row, final in zip(rows, finals, strict=True)},
        convergence_performance=facts["convergence_performance"],
        epochs_to_target={row.seed: row.epochs_to_target for row in rows},
        deepobs_speed=statistics.fmean(speeds),
        trivial_seeds=tuple(row.seed for row in rows if row.outcome == "trivial"),
        num_epochs=facts["num_epochs"],
        batch_size=facts["batch_size"],
        weight_decay=facts["weight_decay"],
    )


def published_grid(problem: str, optimizer: str) -> list[GridPoint]:
    """The 36 learning rates of the grid, ascending; empty where nothing was published.

    Example:
        >>> grid = published_grid("quadratic_deep", "sgd")
        >>> len(grid), grid[16].learning_rate, round(grid[16].final, 2), grid[-1].outcome
        (36, 0.015848931925, 87.28, 'nonfinite')
    """
    points = []
    for row in published_rows(problem, optimizer):
        if row.seed == FIRST_SEED:
            found = row.metrics[_document()["problems"][problem]["metric"]]
            final = math.nan if row.outcome == "nonfinite" else found.final
            points.append(
                GridPoint(row.learning_rate, final, found.best, row.epochs_to_target, row.outcome)
            )
    return points


def published_curves(problem: str, optimizer: str) -> dict[str, NDArray[np.float64]]:
    """The curves at the tuned learning rate; empty where nothing was published.

    Returns:
        ``train_loss``, ``test_loss`` and, where there are any, ``train_accuracy`` and
        ``test_accuracy`` -> array of ten rows (seeds 42 to 51) and one column per epoch from 0.
        The headline metric is as recorded, the others are rounded to four significant digits.

    Example:
        >>> published_curves("fmnist_2c2d", "adam")["test_accuracy"].shape
        (10, 101)
    """
    arrays = _curves()
    return {
        metric: arrays[key].astype(np.float64)
        for metric in METRICS
        if (key := f"{problem}/{optimizer}/{metric}") in arrays
    }


def published_runs(problem: str) -> list[RunResult]:
    """The ten-seed runs of all three optimizers as results, to be set beside own ones.

    Their losses are as recorded (with the L2 term where the problem has one), times and
    environment were not recorded, and ``schema_version`` is 0.

    Example:
        >>> runs = published_runs("mnist_vae")
        >>> len(runs), runs[0].optimizer_name, runs[0].framework, len(runs[0].test_losses)
        (30, 'SGD', 'tensorflow', 51)
    """
    return [
        _run(row, position)
        for optimizer in _document()["optimizers"]
        for position, row in enumerate(tuned_rows(problem, optimizer))
    ]


def published_problems() -> list[str]:
    """The problems with published results, in DeepOBS's order."""
    return list(_document()["problems"])


def published_facts(problem: str) -> dict[str, Any]:
    """Metric, convergence performance, epochs, batch size, steps an epoch and weight decay."""
    facts: dict[str, Any] = _document()["problems"][problem]
    return dict(facts)


def about_published() -> dict[str, str]:
    """Source, licence notice and way of tuning of the published figures, one text each."""
    return {key: _document()[key] for key in ("source", "licence", "framework", "selection")}


def published_table() -> list[TableRow]:
    """All 1,080 published runs."""
    return [row for rows in _table().values() for row in rows]


def published_rows(problem: str, optimizer: str) -> list[TableRow]:
    """All runs of an optimizer on a problem; empty where nothing was published."""
    return _table().get((problem, optimizer), [])


def tuned_rows(problem: str, optimizer: str) -> list[TableRow]:
    """The runs at the tuned learning rate, by seed; empty where nothing was published."""
    rows = published_rows(problem, optimizer)
    repeated = {row.learning_rate for row in rows if row.seed != FIRST_SEED}
    return sorted((row for row in rows if row.learning_rate in repeated), key=lambda row: row.seed)


def tuples_for_lists(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with tuples, which optimizers want, for the lists that JSON has."""
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in params.items()
    }


def read_table(name: str) -> dict[str, Any]:
    """Reads a JSON table that lies beside this module."""
    table: dict[str, Any] = json.loads(_bytes(name))
    return table


def _bytes(name: str) -> bytes:
    return resources.files("alig_deepobs.baselines").joinpath(name).read_bytes()


def _params(optimizer: str, learning_rate: float) -> dict[str, Any]:
    others = _document()["optimizers"][optimizer]["params"]
    return {"lr": learning_rate, **tuples_for_lists(others)}


def _run(row: TableRow, position: int) -> RunResult:
    facts = _document()["problems"][row.testproblem]
    curves = {
        metric: values[position].tolist()
        for metric, values in published_curves(row.testproblem, row.optimizer).items()
    }
    return RunResult(
        testproblem=row.testproblem,
        optimizer_name=_document()["optimizers"][row.optimizer]["label"],
        optimizer=row.optimizer,
        hyperparams=_params(row.optimizer, row.learning_rate),
        batch_size=facts["batch_size"],
        num_epochs=facts["num_epochs"],
        random_seed=row.seed,
        train_losses=curves["train_loss"],
        test_losses=curves["test_loss"],
        train_accuracies=curves.get("train_accuracy", []),
        test_accuracies=curves.get("test_accuracy", []),
        regularization="l2" if facts["weight_decay"] else "none",
        effective_weight_decay=facts["weight_decay"] or 0.0,
        setting_source="DeepOBS baselines (36 rates, best final test result of one seed)",
        framework="tensorflow",
        environment={"framework": _document()["framework"]},
        schema_version=0,
    )


@functools.cache
def _table() -> dict[tuple[str, str], list[TableRow]]:
    table: dict[tuple[str, str], list[TableRow]] = {}
    for row in read_rows(_bytes("deepobs_runs.csv").decode()):
        table.setdefault((row.testproblem, row.optimizer), []).append(row)
    return table


@functools.cache
def _curves() -> dict[str, NDArray[np.float32]]:
    with np.load(io.BytesIO(_bytes("deepobs_curves.npz")), allow_pickle=False) as arrays:
        return dict(arrays)


@functools.cache
def _document() -> dict[str, Any]:
    return read_table("deepobs_problems.json")
