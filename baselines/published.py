"""What the authors of DeepOBS published for SGD, Momentum and Adam.

The figures are in ``deepobs_tuned.json``: eight problems, three optimizers, ten seeds each at the
learning rate that DeepOBS chose. They were recorded with DeepOBS 1.1 on TensorFlow 1 in 2019, so
they are a landmark for runs on PyTorch, not a like-for-like comparison.

Source: GitHub repository ``fsschneider/DeepOBS_Baselines``, commit 3da285a; MIT licence, see
``LICENSE-DeepOBS_Baselines`` beside this file.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any


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
    document = _document()
    facts = document["problems"].get(problem)
    if facts is None or optimizer not in facts["optimizers"]:
        return None
    figures = facts["optimizers"][optimizer]
    final, speed, seeds = figures["final_performance"], figures["speed"], document["seeds"]
    return Published(
        problem=problem,
        optimizer=optimizer,
        params=tuples_for_lists(figures["params"]),
        metric=facts["metric"],
        mean=final["mean"],
        std_sample=final["std_sample"],
        median=final["median"],
        per_seed=dict(zip(seeds, final["per_seed"], strict=True)),
        convergence_performance=facts["convergence_performance"],
        epochs_to_target=dict(zip(seeds, speed["per_seed"], strict=True)),
        deepobs_speed=speed["deepobs_mean"],
        trivial_seeds=tuple(figures["trivial_seeds"]),
        num_epochs=facts["num_epochs"],
        batch_size=facts["batch_size"],
        weight_decay=facts["weight_decay"],
    )


def published_problems() -> list[str]:
    """The problems with published results, in DeepOBS's order."""
    return list(_document()["problems"])


def about_published() -> dict[str, str]:
    """Source, licence notice and way of tuning of the published figures, one text each."""
    return {key: _document()[key] for key in ("source", "licence", "framework", "selection")}


def tuples_for_lists(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with tuples, which optimizers want, for the lists that JSON has."""
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in params.items()
    }


def read_table(name: str) -> dict[str, Any]:
    """Reads a JSON table that lies beside this module."""
    text = resources.files("alig_deepobs.baselines").joinpath(name).read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


@functools.cache
def _document() -> dict[str, Any]:
    return read_table("deepobs_tuned.json")
