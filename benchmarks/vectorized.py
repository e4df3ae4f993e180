"""Runs that are trained together against runs one after the other, in CPU seconds of one core.

DeepOBS's protocol has 45 runs of an optimizer on a problem: 36 learning rates, then the best of
them with nine more seeds. In each round the 45 runs are trained together, and a few of them alone;
the time of all alone is that of the few times 45 over their number. Both have one thread, so other
work of the machine does not count; with N processes both are divided by N. They have the problem's
own number of epochs, except for mnist_logreg (5 of 50) and dnc_copy.

Where the operations are compiled, which takes minutes once, epochs are compared: all but the first.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from alig_deepobs.run import Evaluation, ResolvedRun, RunSpec
from alig_deepobs.runners import Callback
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.runners.startup import prepare_process
from alig_deepobs.runners.training import execute
from alig_deepobs.runners.vectorized.training import train_together
from benchmarks.measure import Ratio, ratio, times

ALONE, TOGETHER, COMPILED = "one after the other", "together", ", compiled"
PASS = 4
"""Epochs in a row where things are compiled; the first of them is left out."""


def protocol(problem: str, epochs: int, **fields: object) -> list[list[ResolvedRun]]:
    """36 rates with one seed, and nine seeds of one rate; all end."""
    first = resolve(RunSpec(problem, "momentum", num_epochs=epochs, device="cpu", **fields))
    rates = [1e-5 * 10 ** (number / 12) for number in range(36)]
    tuning = [replace(first, hyperparams={**first.hyperparams, "lr": lr}) for lr in rates]
    chosen = tuning[18]
    return [tuning, [replace(chosen, random_seed=43 + number) for number in range(9)]]


def seeds(problem: str, epochs: int, count: int) -> list[list[ResolvedRun]]:
    """One setting of ALI-G with several seeds."""
    first = resolve(RunSpec(problem, "alig", num_epochs=epochs, device="cpu"))
    return [[replace(first, random_seed=42 + number) for number in range(count)]]


def both(groups: list[list[ResolvedRun]], sample: int) -> dict[str, Callable[[], object]]:
    """All runs together, and a sample of them alone."""
    every = [run for group in groups for run in group]
    few = every[:: max(1, len(every) // sample)][:sample]

    def together() -> None:
        for group in groups:
            train_together(group, [Callback() for _ in group])

    def alone() -> None:
        for run in few:
            execute(run)

    return {ALONE: alone, TOGETHER: together}


class _Epochs(Callback):
    """Notes the CPU time at which each epoch ends."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def evaluated(self, epoch: int, evaluations: dict[str, Evaluation]) -> None:
        self.ends.append(time.process_time())


def epochs(runs: list[ResolvedRun], compiled: bool) -> list[float]:
    """CPU seconds of each epoch after the first, its evaluation included, of all runs together."""
    watch = _Epochs()
    runs = [replace(run, compile=compiled) for run in runs]
    if len(runs) == 1:
        execute(runs[0], watch)
    else:
        train_together(runs, [watch, *(Callback() for _ in runs[1:])])
    return [end - start for start, end in itertools.pairwise(watch.ends[1:])]


def compiled_ratios(problem: str, count: int, rounds: int) -> list[Ratio]:
    """Epochs of runs that are compiled as one computation, against runs one by one."""
    (runs,) = seeds(problem, PASS, count)
    seen: dict[str, list[float]] = {ALONE: [], ALONE + COMPILED: [], TOGETHER + COMPILED: []}
    while len(seen[ALONE]) < rounds:
        seen[ALONE] += epochs(runs[:1], False)
        seen[ALONE + COMPILED] += epochs(runs[:1], True)
        seen[TOGETHER + COMPILED] += epochs(runs, True)
    label = f"{problem}, an epoch of {count} runs"
    together = TOGETHER + COMPILED
    return [
        ratio("vectorized", label, ALONE, together, seen, factor=count),
        ratio("vectorized", label, ALONE + COMPILED, together, seen, factor=count),
    ]


def measure(rounds: int, case: str = "", data_dir: str | None = None) -> list[Ratio]:
    """The ratios of the problems whose name has ``case`` in it."""
    torch.set_num_threads(1)
    prepare_process()  # as in those that `alig-deepobs` starts
    mnist = {"data_dir": data_dir} if data_dir else {"synthetic": True}
    cases: dict[str, tuple[Callable[[], list[list[ResolvedRun]]], int, int, str]] = {
        "quadratic_deep": (lambda: protocol("quadratic_deep", 100), 1, rounds, ">= 20"),
        "digits_mlp": (lambda: protocol("digits_mlp", 30), 2, rounds, ">= 8"),
        "mnist_logreg": (
            lambda: protocol("mnist_logreg", 5 if data_dir else 20, **mnist), 1, rounds, ">= 5"
        ),
        "dnc_copy": (lambda: seeds("dnc_copy", 2, 30), 1, rounds, ">= 5"),
    }  # fmt: skip
    found = []
    for name, (make, sample, number, goal) in cases.items():
        if case not in name:
            continue
        groups = make()
        count, epochs = sum(map(len, groups)), groups[0][0].num_epochs
        seen = times(both(groups, sample), number, clock=time.process_time)
        label = f"{name}, {count} runs of {epochs} epochs"
        found.append(
            ratio("vectorized", label, ALONE, TOGETHER, seen, goal, factor=count / sample)
        )  # fmt: skip
    if case in "dnc_copy":
        found += compiled_ratios("dnc_copy", 30, max(2 * (PASS - 1), rounds // 4))
    return found
