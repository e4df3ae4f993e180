"""Choosing a setting from a small grid, on data that is not the test set."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from alig_deepobs.errors import RunError
from alig_deepobs.registry import ProblemEntry, find_testproblem
from alig_deepobs.results import Outcome, RunResult
from alig_deepobs.runners.spec import RunSpec
from alig_deepobs.runners.training import execute

TUNING_SEED = 1000
"""The seed of tuning runs: none of those that results are reported for."""


@dataclass(frozen=True)
class Tuned:
    """The choice from a grid.

    Attributes:
        params: the chosen hyper-parameters.
        source: how they were chosen, one line.
        results: the runs, in the order of the grid.
    """

    params: dict[str, Any]
    source: str
    results: list[RunResult]


def tune(
    spec: RunSpec,
    grid: Sequence[dict[str, Any]],
    run: Callable[[RunSpec], RunResult] = execute,
    seed: int = TUNING_SEED,
) -> Tuned:
    """Runs every setting of a grid once and chooses the best.

    The best has the best final headline metric on the held-out validation part (of equal
    accuracies, the lower validation loss); where a problem has nothing to hold out, the lowest
    final training loss. Runs that diverged are out.

    Args:
        spec: the run; its hyper-parameters, seed and split are replaced.
        grid: the settings.
        run: what carries out a run.
        seed: none of the seeds that results are reported for.

    Raises:
        RunError: every run of the grid diverged.
    """
    problem = find_testproblem(spec.testproblem)
    # DeepOBS 1.1.2 has no validation sets.
    holds_out = problem.has_validation and spec.framework == "pytorch"
    split = "validation" if holds_out else "full"
    results = [
        run(
            replace(
                spec,
                hyperparams=dict(params),
                random_seed=seed,
                split=split,
                purpose="tuning",
            )
        )
        for params in grid
    ]
    scores = [_score(result, problem, holds_out) for result in results]
    best = min(range(len(grid)), key=scores.__getitem__)
    if scores[best][0] == math.inf:
        raise RunError(
            f"{spec.optimizer} on {spec.testproblem}: every setting of the grid diverged or "
            "failed; give one, for example 'name[param=value]'"
        )
    chosen_on = "a validation part" if holds_out else "the training loss"
    source = f"best of a grid of {len(grid)} by {chosen_on}, seed {seed}"
    return Tuned(dict(grid[best]), source, results)


def _score(result: RunResult, problem: ProblemEntry, holds_out: bool) -> tuple[float, float]:
    """Lower is better."""
    if result.outcome is not Outcome.DONE:
        return math.inf, math.inf
    if not holds_out:
        return result.train_data_losses[-1], 0.0
    loss = result.valid_data_losses[-1]
    return (loss, loss) if problem.metric == "loss" else (-result.valid_accuracies[-1], loss)
