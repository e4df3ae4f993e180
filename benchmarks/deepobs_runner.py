"""Time of an epoch in DeepOBS 1.1.2's own runner, on TensorFlow 2, against this package's.

Both train with SGD on the same data with the same batch size, and evaluate as often; an epoch is
its training and the evaluation after it. The runs take turns, each in a process of its own, and the
first epochs, in which graphs are made, are left out.
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

from alig_deepobs import compare
from benchmarks.measure import Ratio, ratio

GOALS = {"quadratic_deep": (20, ">= 4"), "mnist_mlp": (4, ">= 1.2")}
THEIRS, OURS = "DeepOBS's runner", "the runner"


def epochs(problem: str, number: int, framework: str, data_dir: str | None) -> list[float]:
    """Wall seconds of each epoch but the first two."""
    data = {"data_dir": data_dir} if data_dir else {"synthetic": True}
    with tempfile.TemporaryDirectory() as folder:
        found = compare(
            problem, "sgd[lr=1e-4]", seeds=1, num_epochs=number, framework=framework,
            output_dir=Path(folder) / "results", executor="processes",
            **(data if problem != "quadratic_deep" else {}),
        )  # fmt: skip
    (run,) = found.results
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
