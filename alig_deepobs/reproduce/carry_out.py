"""Carries a plan out: what is finished already is not run again; the choice is on validation data.

Results are written one by one, in the tree of all results; those of runs that only serve to choose
are in the folder ``tuning`` beside it. After an interrupt, the same command goes on where it ended.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from alig_deepobs.analysis import load_results
from alig_deepobs.errors import RunError
from alig_deepobs.reproduce.plan import Plan, Row
from alig_deepobs.run import Outcome, RunResult, RunSpec
from alig_deepobs.runners.selection import select
from alig_deepobs.runners.training import execute

if TYPE_CHECKING:
    from alig_deepobs.cli.progress import Session


@dataclass
class Outcomes:
    """What came of a row.

    Attributes:
        row: the row.
        tuning: the runs that only served to choose, in the order of the candidates.
        chosen: number of the chosen candidate; None if every one diverged or failed.
        runs: the reported runs.
    """

    row: Row
    tuning: list[RunResult] = field(default_factory=list)
    chosen: int | None = 0
    runs: list[RunResult] = field(default_factory=list)


def carry_out(plan: Plan, session: Session, folder: Path, jobs: int = 1) -> list[Outcomes]:
    """Runs what is not finished yet, and returns what came of every row.

    Args:
        plan: the plan.
        session: shows the progress; it may count on as many runs as `unfinished` says.
        folder: where the results are.
        jobs: processes that run at the same time, each with one thread; 1: this process, with all
            of its threads.

    Raises:
        KeyboardInterrupt: the user stopped it; what is finished is written.
    """
    outcomes = [Outcomes(row) for row in plan.rows]
    finished = _finished(folder)
    with _runner(jobs) as run_all:
        # All searches first: with several jobs, no process waits for a choice.
        specs = [spec for row in plan.rows for spec in row.tuning]
        session.output_dir = str(folder / "tuning")
        tuning = iter(_carry_out(specs, finished, session, run_all, "tuning"))
        for outcome in outcomes:
            outcome.tuning = [next(tuning) for _ in outcome.row.tuning]
            if outcome.tuning:
                outcome.chosen = choose(outcome.tuning)
        reported = [
            outcome.row.reported(outcome.chosen) if outcome.chosen is not None else []
            for outcome in outcomes
        ]
        session.output_dir = str(folder)
        session.total -= sum(
            len(outcome.row.seeds) for outcome in outcomes if outcome.chosen is None
        )
        specs = [spec for of_row in reported for spec in of_row]
        runs = iter(_carry_out(specs, finished, session, run_all, ""))
        for outcome, of_row in zip(outcomes, reported, strict=True):
            outcome.runs = [next(runs) for _ in of_row]
    return outcomes


def unfinished(plan: Plan, folder: Path) -> tuple[int, int]:
    """How many runs of a plan are to be carried out still, and how many are finished.

    A setting that was not chosen before counts as one that is still to be run.
    """
    finished = _finished(folder)
    done = 0
    for row in plan.rows:
        tuning = [finished.get(_key(spec)) for spec in row.tuning]
        done += sum(result is not None for result in tuning)
        found = [result for result in tuning if result is not None]
        chosen = choose(found) if len(found) == len(tuning) and found else 0
        if len(found) == len(tuning) and chosen is not None:
            done += sum(_key(spec) in finished for spec in row.reported(chosen))
    return plan.runs - done, done


def choose(results: Sequence[RunResult]) -> int | None:
    """The best of several settings: the highest validation accuracy of any epoch.

    Of equal accuracies the lower validation loss at that epoch wins, then the first setting.

    Returns:
        Its number; None if every run diverged or failed.
    """
    scores = []
    for result in results:
        best = select(result)
        if result.outcome is not Outcome.DONE or best is None or best.valid_accuracy is None:
            scores.append((math.inf, math.inf))
        else:
            scores.append((-best.valid_accuracy, best.valid_loss))
    number = min(range(len(scores)), key=scores.__getitem__, default=None)
    return None if number is None or scores[number][0] == math.inf else number


Runner = Callable[[list[RunSpec], "Session", str], Iterator[tuple[int, RunResult]]]
"""Carries out runs and yields their numbers and results as they end."""


def _carry_out(
    specs: list[RunSpec],
    finished: dict[str, RunResult],
    session: Session,
    run_all: Runner,
    purpose: str,
) -> list[RunResult]:
    """The results of runs in their order, taken from disk where they are there."""
    results: list[RunResult | None] = [finished.get(_key(spec)) for spec in specs]
    missing = [number for number, result in enumerate(results) if result is None]
    for position, result in run_all([specs[number] for number in missing], session, purpose):
        results[missing[position]] = result
    return [result for result in results if result is not None]


@contextmanager
def _runner(jobs: int) -> Iterator[Runner]:
    """What carries out a list of runs: this process, or several."""
    if jobs == 1:
        yield _one_after_the_other
        return
    pool = ProcessPoolExecutor(
        jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker
    )
    try:
        yield lambda specs, session, purpose: _side_by_side(pool, specs, session, purpose)
        pool.shutdown()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()  # a run under way may take hours yet
        raise


def _one_after_the_other(
    specs: list[RunSpec], session: Session, purpose: str
) -> Iterator[tuple[int, RunResult]]:
    for position, spec in enumerate(specs):
        yield position, session.run(spec, purpose)


def _side_by_side(
    pool: ProcessPoolExecutor, specs: list[RunSpec], session: Session, purpose: str
) -> Iterator[tuple[int, RunResult]]:
    futures: dict[Future[RunResult], int] = {
        pool.submit(_execute, spec): position for position, spec in enumerate(specs)
    }
    for future in as_completed(futures):
        position = futures[future]
        yield position, session.record(specs[position], future.result(), purpose)


def _start_worker() -> None:
    # Ctrl-C reaches all processes of a terminal; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def _execute(spec: RunSpec) -> RunResult:
    """A run in a worker process."""
    try:
        return execute(spec)
    except RunError as error:
        if error.result is None:
            raise
        failed: RunResult = error.result
        return failed


def _finished(folder: Path) -> dict[str, RunResult]:
    """The runs of a folder that came to an end, by key."""
    if not folder.is_dir():
        return {}
    results: Iterable[RunResult] = load_results(folder, with_tuning=True).results
    return {
        _key(result): result
        for result in results
        if result.outcome in (Outcome.DONE, Outcome.DIVERGED)
    }


def _key(run: RunSpec | RunResult) -> str:
    """What makes two runs the same run."""
    if isinstance(run, RunSpec):
        run = run.complete()
        hyperparams, synthetic = run.hyperparams, run.synthetic
    else:
        hyperparams, synthetic = run.hyperparams, "(synthetic twin)" in run.data_label
    parts: list[Any] = [
        run.testproblem, run.optimizer, hyperparams, run.batch_size, run.num_epochs,
        run.random_seed, run.weight_decay, run.split, run.training_params, run.problem_options,
        run.purpose, synthetic,
    ]  # fmt: skip
    return json.dumps(parts, sort_keys=True, default=list)
