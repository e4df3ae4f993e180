"""The record of a run in PyTorch: what is known before it starts, and step sizes in short."""

from __future__ import annotations

import math
import statistics

import torch
from torch import Tensor

from alig_deepobs.registry import OptimizerEntry
from alig_deepobs.results import RunResult
from alig_deepobs.runners.environment import environment
from alig_deepobs.runners.objective import Objective
from alig_deepobs.runners.spec import RunSpec
from alig_deepobs.testproblems import TestProblem


def blank_result(
    spec: RunSpec,
    entry: OptimizerEntry,
    problem: TestProblem,
    objective: Objective,
    device: torch.device,
) -> RunResult:
    """The record of a run that is about to start: everything but what is measured.

    Args:
        spec: the run, with every default filled in.
        entry: what is known of the optimizer.
        problem: the problem, set up.
        objective: what is minimized.
        device: where it runs.
    """
    assert spec.batch_size is not None
    assert spec.num_epochs is not None
    assert spec.split is not None
    return RunResult(
        testproblem=spec.testproblem,
        optimizer_name=entry.label,
        optimizer_hyperparams=dict(spec.hyperparams),
        batch_size=spec.batch_size,
        num_epochs=spec.num_epochs,
        random_seed=spec.random_seed,
        weight_decay=spec.weight_decay,
        train_log_interval=spec.train_log_interval,
        regularization=objective.regularization,
        effective_weight_decay=objective.weight_decay,
        max_norm=objective.max_norm,
        problem_options=dict(spec.problem_options),
        training_params=dict(spec.training_params),
        optimizer=spec.optimizer,
        purpose=spec.purpose,
        setting_source=spec.setting_source,
        framework="pytorch",
        data_set=problem.data.name,
        data_label=problem.data.label,
        data_version=problem.data.version,
        split=spec.split,
        reshuffle=problem.reshuffle,
        environment=environment(device),
    )


def step_size_summary(sizes: list[tuple[float | Tensor, float | Tensor]]) -> dict[str, float]:
    """Mean, median, extremes and the clipped share of an epoch's logged steps.

    Steps of a size that is not finite, with which a run diverges, are left out; empty if there are
    no others.
    """
    if sizes and isinstance(sizes[0][0], Tensor):
        pairs = torch.stack([torch.stack([torch.as_tensor(x) for x in pair]) for pair in sizes])
        rows = [(clipped, unclipped) for clipped, unclipped in pairs.tolist()]
    else:
        rows = [(float(clipped), float(unclipped)) for clipped, unclipped in sizes]
    rows = [row for row in rows if math.isfinite(row[0])]
    if not rows:
        return {}
    clipped = [row[0] for row in rows]
    return {
        "mean": statistics.fmean(clipped),
        "median": statistics.median(clipped),
        "min": min(clipped),
        "max": max(clipped),
        "clipped_fraction": statistics.fmean(row[0] < row[1] for row in rows),
    }
