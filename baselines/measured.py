"""What this project measured: ALI-G, SGD, Momentum and Adam on the problems that run on a CPU.

One JSON file per test problem in ``measured/``, in the form of `alig_deepobs.baselines.condense`:
every run with its setting and where that comes from, seed, outcome, curves (six digits), times,
environment and data label. The grids that settings were chosen from are there, too, with the ends
of their curves: for sensitivity and tuning budget.
"""

from __future__ import annotations

import functools
from importlib import resources

from alig_deepobs.baselines.compact import GridRun, read_compact
from alig_deepobs.run import RunResult


def measured_problems() -> list[str]:
    """The problems that there are measured results of, sorted."""
    return sorted(_files())


def measured_results(problem: str | None = None) -> list[RunResult]:
    """The measured runs, tuning left out.

    Args:
        problem: name of a test problem; None for all.

    Returns:
        The runs; empty where nothing was measured.

    Example:
        >>> runs = measured_results("quadratic_deep")
        >>> sorted({run.optimizer for run in runs})
        ['adam', 'alig', 'momentum', 'sgd']
    """
    names = measured_problems() if problem is None else [problem]
    return [run for name in names for run in _read(name)[0]]


def measured_grid(problem: str, optimizer: str | None = None) -> list[GridRun]:
    """The runs of the grids that settings were chosen from.

    Args:
        problem: name of the test problem.
        optimizer: registry name; None for all.

    Returns:
        The runs; empty where nothing was measured.

    Example:
        >>> grid = measured_grid("quadratic_deep", "sgd")
        >>> len(grid), grid[0].split
        (36, 'validation')
    """
    return [point for point in _read(problem)[1] if optimizer in (None, point.optimizer)]


@functools.cache
def _read(problem: str) -> tuple[list[RunResult], list[GridRun]]:
    raw = _files().get(problem)
    return ([], []) if raw is None else read_compact(raw, f"measured/{problem}.json")


@functools.cache
def _files() -> dict[str, bytes]:
    folder = resources.files("alig_deepobs.baselines").joinpath("measured")
    if not folder.is_dir():
        return {}
    return {
        item.name.removesuffix(".json"): item.read_bytes()
        for item in folder.iterdir()
        if item.name.endswith(".json")
    }
