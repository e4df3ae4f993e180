"""Time of an epoch in DeepOBS 1.1.2's own runner, on TensorFlow 2, against this package's.

Both train with SGD on the same data with the same batch size, and evaluate as often; an epoch is
its training and the evaluation after it. The runs take turns, and the first epochs, in which graphs
are made, are left out. Either takes the threads that it takes by default on all cores. On
``dnc_copy``, whose evaluation is a small part, it is the training alone, and PyTorch's network is
compiled, as TensorFlow's is.
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

from alig_deepobs import compare
from benchmarks.measure import Ratio, ratio

GOALS = {
    "quadratic_deep": (20, ">= 4"), "mnist_mlp": (4, ">= 1.2"), "dnc_copy": (12, ">= 1"),
}  # fmt: skip
COMPILED = ("dnc_copy",)
THEIRS, OURS = "DeepOBS's runner", "the runner"


def epochs(problem: str, number: int, framework: str, data_dir: str | None) -> list[float]:
    """Wall seconds of each epoch but the first two."""
    options: dict[str, Any] = {}
    if problem == "mnist_mlp":
        options = {"data_dir": data_dir} if data_dir else {"synthetic": True}
    elif problem in COMPILED and framework == "pytorch":
        options = {"compile": True}
    with tempfile.TemporaryDirectory() as folder:
        found = compare(
            problem, "sgd[lr=1e-4]", seeds=1, num_epochs=number, framework=framework,
            output_dir=Path(folder) / "results", executor="processes", **options,
        )  # fmt: skip
    (run,) = found.results
    if problem in COMPILED:
        return run.training_seconds[2:]
    pairs = zip(run.training_seconds[2:], run.evaluation_seconds[3:], strict=False)
    return list(itertools.starmap(float.__add__, pairs))


def measure(rounds: int, case: str = "", data_dir: str | None = None) -> list[Ratio]:
    """The ratios of the problems whose name has ``case`` in it."""
    found = []
    for problem, (number, goal) in GOALS.items():
        if case not in problem:
            continue
        seen: dict[str, list[float]] = {THEIRS: [], OURS: []}
        while len(seen[OURS]) < rounds:
            seen[THEIRS] += epochs(problem, number, "tensorflow", data_dir)
            seen[OURS] += epochs(problem, number, "pytorch", data_dir)
        found.append(ratio("deepobs", problem, THEIRS, OURS, seen, goal))
    return found
