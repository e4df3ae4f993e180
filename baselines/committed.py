"""The results that come with the package: what DeepOBS published, and what this project measured.

One file of results a problem (`alig_deepobs.bundles`) in the folders ``published`` and
``measured`` beside this module. Runs that served to choose a setting are among them, of which the
ends of the curves alone were kept.

* Published: 1,080 runs of SGD, Momentum and Adam on eight problems: 36 learning rates with seed
  42, and nine more seeds at the best one. They were recorded with DeepOBS 1.1 on TensorFlow 1 in
  2019, so they are a landmark for runs on PyTorch, not a like-for-like comparison. Their losses are
  as recorded: with the L2 term where the problem has one. MIT licence, see
  ``LICENSE-DeepOBS_Baselines`` beside this file.
* Measured: ALI-G, SGD, Momentum, Adam and four rivals on the problems that run on a CPU, with
  PyTorch.
"""

from __future__ import annotations

import functools
from pathlib import Path

from alig_deepobs.bundles import SUFFIX, read_bundle
from alig_deepobs.registry import testproblems
from alig_deepobs.results import run_folder, write_result
from alig_deepobs.run import RunResult

COMMIT = "3da285abf9786e823aaef6d0fc0c9c98ef5d6d83"
FIRST_SEED = 42
"""The seed of the published grids, by which the learning rates were chosen."""

_HERE = Path(__file__).parent


def published_problems() -> list[str]:
    """The problems with published results, in the order of the registry."""
    return _problems("published")


def published_runs(problem: str, optimizer: str | None = None) -> list[RunResult]:
    """The published runs at the tuned learning rate, ten seeds of each optimizer.

    Args:
        problem: name of the test problem.
        optimizer: name in the registry; None for all three.

    Returns:
        The runs, to be set beside own ones; empty where nothing was published. Times were not
        recorded. The headline metric is as recorded, of the other curves four digits were kept,
        but for their first, best and last values.

    Example:
        >>> runs = published_runs("mnist_vae")
        >>> len(runs), runs[0].optimizer_name, runs[0].framework, len(runs[0].test_losses)
        (30, 'SGD', 'tensorflow', 51)
        >>> published_runs("quadratic_deep", "sgd")[0].hyperparams
        {'lr': 0.015848931925}
    """
    return [run for run in _read("published", problem, optimizer) if not run.purpose]


def published_grid(problem: str, optimizer: str) -> list[RunResult]:
    """The published runs of the 36 learning rates with seed 42, by learning rate.

    Example:
        >>> grid = published_grid("quadratic_deep", "sgd")
        >>> len(grid), grid[16].learning_rate, grid[-1].outcome.value
        (36, 0.015848931925, 'diverged')
    """
    runs = _read("published", problem, optimizer)
    grid = [run for run in runs if run.random_seed == FIRST_SEED]
    return sorted(grid, key=lambda run: run.learning_rate or 0.0)


def write_published(folder: Path) -> int:
    """Writes all published runs into a results folder, the grids among them.

    Args:
        folder: of the results; runs that are there are left alone.

    Returns:
        The number of runs that were written.

    Raises:
        ResultError: the folder is not writable.
    """
    there = {file.parent for file in folder.glob("*/*/*/*.json")}
    count = 0
    for problem in published_problems():
        runs = _read("published", problem)
        missing = [run for run in runs if run_folder(run, folder) not in there]
        for run in missing:
            write_result(run, folder)
        count += len(missing)
    return count


def about_published() -> dict[str, str]:
    """Source, licence notice and way of tuning of the published figures, one text each."""
    return {
        "source": f"GitHub repository fsschneider/DeepOBS_Baselines, commit {COMMIT}",
        "licence": "MIT, Copyright (c) 2019 Frank; full text in LICENSE-DeepOBS_Baselines",
        "framework": "DeepOBS 1.1 on TensorFlow 1 (recorded in 2019)",
        "selection": "learning rate with the best final headline metric, on test data, of one run "
        "with seed 42 at each of 36 learning rates (1e-5 to 1e2, five per decade); then repeated "
        "with seeds 43 to 51; no other hyper-parameter was tuned and no schedule was used",
    }


def measured_problems() -> list[str]:
    """The problems that there are measured results of, in the order of the registry."""
    return _problems("measured")


def measured_results(problem: str | None = None) -> list[RunResult]:
    """The measured runs, tuning left out; empty where nothing was measured.

    Args:
        problem: name of a test problem; None for all.

    Example:
        >>> runs = measured_results("quadratic_deep")
        >>> sorted({run.optimizer for run in runs})
        ['adam', 'adamw', 'alig', 'momentum', 'momo', 'nesterov', 'sgd', 'sps']
    """
    names = measured_problems() if problem is None else [problem]
    return [run for name in names for run in _read("measured", name) if not run.purpose]


def measured_grid(problem: str, optimizer: str | None = None) -> list[RunResult]:
    """The runs that settings were chosen from, of which the ends of the curves were kept.

    Args:
        problem: name of the test problem.
        optimizer: registry name; None for all.

    Example:
        >>> grid = measured_grid("quadratic_deep", "sgd")
        >>> len({run.learning_rate for run in grid}), grid[0].split, len(grid[0].test_data_losses)
        (9, 'validation', 2)
    """
    return [run for run in _read("measured", problem, optimizer) if run.purpose]


def _problems(kind: str) -> list[str]:
    return [name for name in testproblems() if (_HERE / kind / f"{name}{SUFFIX}").is_file()]


def _read(kind: str, problem: str, optimizer: str | None = None) -> list[RunResult]:
    runs = _bundle(kind, problem) if problem in _problems(kind) else []
    return [run for run in runs if optimizer in (None, run.optimizer)]


@functools.cache
def _bundle(kind: str, problem: str) -> list[RunResult]:
    return read_bundle(_HERE / kind / f"{problem}{SUFFIX}")
