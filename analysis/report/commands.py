"""The command that repeats a row of a leaderboard."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from alig_deepobs.analysis.groups import Group
from alig_deepobs.registry import optimizers, testproblems
from alig_deepobs.run import RunResult
from alig_deepobs.settings import Setting

# Class names of TensorFlow 1, under which DeepOBS 1.1 stores its baselines.
_TENSORFLOW_NAMES = {
    "GradientDescentOptimizer": "sgd",
    "MomentumOptimizer": "momentum",
    "AdamOptimizer": "adam",
}
_RENAMED = {"learning_rate": "lr", "use_nesterov": "nesterov"}


def reproduce_command(group: Group) -> str:
    """The command line that repeats the runs of a setting, one line for each stretch of seeds.

    Everything that was recorded is written out, defaults too, so that another version with other
    defaults repeats the same thing.

    Returns:
        The command; empty where the record does not say what would have to be called.
    """
    run = group.runs[-1]
    name, hyperparams = _optimizer_of(run)
    if not name:
        return ""
    seeds = sorted({other.random_seed for other in group.runs})
    if run.training_params:
        return _python(run, name, hyperparams, seeds)
    words = [
        "alig-deepobs", "run", str(Setting(run.testproblem, run.problem_options)),
        "--optimizer", str(Setting(name, hyperparams)),
        "--num_epochs", str(run.num_epochs),
        "--batch_size", str(run.batch_size),
    ]  # fmt: skip
    if run.weight_decay is not None:
        words += ["--weight_decay", repr(run.weight_decay)]
    if run.split != "full":
        words += ["--split", run.split]
    if run.schema_version:
        words.append("--reshuffle" if run.reshuffle else "--no-reshuffle")
    if "synthetic twin" in run.data_label:
        words.append("--synthetic")
    if run.framework != "pytorch":
        words += ["--framework", run.framework]
    line = shlex.join(words)
    return "\n".join(
        f"{line} --random_seed {first} --seeds {count}" for first, count in _stretches(seeds)
    )


def _optimizer_of(run: RunResult) -> tuple[str, dict[str, Any]]:
    """Registry name or import path, and hyper-parameters under the names it knows."""
    params = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in run.hyperparams.items()
    }
    if run.optimizer:
        return run.optimizer, params
    # A file of DeepOBS: it has a label, and the problem must be one that we have.
    labels = {entry.label: entry.name for entry in optimizers().values()}
    name = labels.get(run.optimizer_name) or _TENSORFLOW_NAMES.get(run.optimizer_name, "")
    if not name or run.testproblem not in testproblems():
        return "", {}
    known = optimizers()[name].hyperparameters
    renamed = {_RENAMED.get(key, key): value for key, value in params.items()}
    return name, {key: value for key, value in renamed.items() if key in known}


def _stretches(seeds: Sequence[int]) -> list[tuple[int, int]]:
    """First and number of each unbroken stretch of seeds.

    Example:
        >>> _stretches([42, 43, 44, 50])
        [(42, 3), (50, 1)]
    """
    found: list[tuple[int, int]] = []
    for seed in seeds:
        if found and seed == sum(found[-1]):
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((seed, 1))
    return found


def _python(run: RunResult, name: str, hyperparams: dict[str, Any], seeds: Sequence[int]) -> str:
    """A schedule has no flag, so its runs are repeated from Python."""
    values: dict[str, Any] = {
        "testproblem": run.testproblem,
        "optimizer": name,
        "hyperparams": hyperparams,
        "batch_size": run.batch_size,
        "num_epochs": run.num_epochs,
        "weight_decay": run.weight_decay,
        "split": run.split,
        "reshuffle": run.reshuffle,
        "problem_options": run.problem_options,
        "training_params": run.training_params,
    }
    arguments = ", ".join(f"{key}={value!r}" for key, value in values.items() if value != {})
    code = (
        "from math import inf; from alig_deepobs.results import write_result; "
        "from alig_deepobs.runners import execute; from alig_deepobs.run import RunSpec; "
        f"[write_result(execute(RunSpec({arguments}, random_seed=seed)), 'results') "
        f"for seed in {list(seeds)}]"
    )
    return shlex.join(["python", "-c", code])
