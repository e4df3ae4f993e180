"""A study: a plan of runs over a store, carried out by an executor.

Every verb states a plan: cells, each an optimizer on a problem with candidates, a rule to choose
among them, and the seeds to report. Runs that are in the store are not run again; each of the
others is written as it ends. So every verb resumes, runs in parallel, shares a folder with other
processes, and can be extended later.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from alig_deepobs.results import now
from alig_deepobs.run import Outcome, ResolvedRun, RunResult, RunSpec
from alig_deepobs.runners.callbacks import Callback
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.runners.selection import Rule
from alig_deepobs.runners.store import Store

if TYPE_CHECKING:
    from alig_deepobs.runners.executors import Executor
    from alig_deepobs.runners.vectorized import Mode


@dataclass(frozen=True)
class Cell:
    """One optimizer on one problem in a study.

    Attributes:
        candidates: the settings, as they would be reported, without their seed.
        seeds: the seeds to report the chosen one with.
        rule: how one of several candidates is chosen; a single one is taken as it is.
    """

    candidates: tuple[RunSpec, ...]
    seeds: tuple[int, ...]
    rule: Rule = field(default_factory=Rule)

    @property
    def tuning(self) -> list[RunSpec]:
        """The runs that only serve to choose, candidate by candidate."""
        if len(self.candidates) < 2:
            return []
        return [spec for candidate in self.candidates for spec in self.rule.runs(candidate)]

    def reported(self, chosen: int) -> list[RunSpec]:
        """The runs that are reported, where the candidate of this number was chosen."""
        spec = self.candidates[chosen]
        if len(self.candidates) > 1:
            spec = replace(spec, setting_source=self.rule.source(self.candidates))
        return [replace(spec, random_seed=seed) for seed in self.seeds]


@dataclass
class CellOutcome:
    """What came of a cell.

    Attributes:
        cell: the cell.
        tuning: for each candidate, the runs that served to choose; empty where nothing was chosen.
        chosen: number of the chosen candidate.
        runs: the reported runs, by seed in the order of the cell.
    """

    cell: Cell
    tuning: list[list[RunResult]] = field(default_factory=list)
    chosen: int = 0
    runs: list[RunResult] = field(default_factory=list)


class Progress(Protocol):
    """Hears how far a study is."""

    def planned(self, total: int, found: int) -> None:
        """So many runs make up the study; so many of them are in the store already."""

    def callback(self, run: ResolvedRun) -> Callback:
        """What hears of a run that is about to start."""

    def ended(self, run: ResolvedRun, result: RunResult) -> None:
        """A run has ended, and its result is written."""


class Silent:
    """A `Progress` that says nothing."""

    def planned(self, total: int, found: int) -> None:
        """See `Progress.planned`."""

    def callback(self, run: ResolvedRun) -> Callback:
        """See `Progress.callback`."""
        return Callback()

    def ended(self, run: ResolvedRun, result: RunResult) -> None:
        """See `Progress.ended`."""


@dataclass(frozen=True, order=True)
class _Task:
    """A run of a study; tasks are in the order in which they are carried out."""

    problem: int
    stage: int  # 0: tuning, 1: reported
    repetition: int  # seeds outside: a machine that gets slower does so for all alike
    cell: int
    candidate: int
    run: ResolvedRun = field(compare=False)


class Study:
    """The runs of several cells.

    Everything that can be found wrong is found here, before the first run starts.

    Args:
        cells: the plan.
        store: where results are looked for and written; None: nowhere.
        force: run again what is in the store; the new result takes the place of the old.
        check_data: False for a plan that is only to be looked at; data is then neither looked for
            nor downloaded, and no run is recognized in the store.
        own_process: whether nothing else happens in this process, which may then start quicker
            (`alig_deepobs.runners.startup`).

    Raises:
        UsageError: a run makes no sense.
        DataError: data is missing.
        ResultError: the store is not writable.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        store: Store | None,
        *,
        force: bool = False,
        check_data: bool = True,
        own_process: bool = False,
    ) -> None:
        self.cells = list(cells)
        self.store = store
        self.force = force
        self.since = now()
        names = [cell.candidates[0].testproblem for cell in self.cells]
        self.problems = {name: number for number, name in enumerate(dict.fromkeys(names))}
        self.first: list[_Task] = []  # what can start at once
        self.later: list[list[_Task]] = [[] for _ in self.cells]  # reported, if the first is chosen
        for number, cell in enumerate(self.cells):
            tuning = self._tasks(number, 0, cell.tuning, check_data)
            reported = self._tasks(number, 1, cell.reported(0), check_data)
            self.first += tuning or reported
            self.later[number] = reported if tuning else []
        self.found, self.missing = self._survey()
        if self.missing:
            self._check(check_data, own_process)

    @property
    def runs(self) -> list[ResolvedRun]:
        """All runs; where a setting is still to be chosen, those of the first candidate."""
        return [*self.found, *self.missing]

    def _survey(self) -> tuple[list[ResolvedRun], list[ResolvedRun]]:
        """The runs that are in the store and those that are not, as far as choices are known."""
        found, missing = [], []
        self.outcomes = [CellOutcome(cell) for cell in self.cells]
        undecided = {task.cell for tasks in self.later for task in tasks}
        tasks = sorted(self.first, reverse=True)
        while tasks:
            task = tasks.pop()
            result = None if self.store is None or self.force else self.store.find(task.run)
            if result is None:
                missing.append(task.run)
                continue
            found.append(task.run)
            reported = self._take(task, result)
            if reported:
                undecided.discard(task.cell)
                tasks += reported
        missing += [task.run for cell in sorted(undecided) for task in self.later[cell]]
        return found, missing

    def _check(self, check_data: bool, own_process: bool) -> None:
        """Checks one run of each setting that is to be run."""
        from alig_deepobs.runners.checks import check  # with torch, which takes a while
        from alig_deepobs.runners.startup import skip_compiler

        if own_process:
            skip_compiler()
        for run in {run.setting(): run for run in self.missing}.values():
            check(run, check_data=check_data)
        if self.store is not None and check_data:
            self.store.check()

    def carry_out(
        self, start: Callable[[], Executor] | None = None, progress: Progress | None = None
    ) -> list[CellOutcome]:
        """Runs what is missing.

        Args:
            start: starts an executor (`local`), if there is anything to run; None: one run after
                the other, in this process.
            progress: hears how far it is.

        Returns:
            What came of each cell, in their order.

        Raises:
            KeyboardInterrupt: the study was interrupted; what was measured is written.
        """
        progress = progress or Silent()
        progress.planned(len(self.runs), len(self.found))
        self.outcomes = [CellOutcome(cell) for cell in self.cells]
        waiting = list(self.first)
        heapq.heapify(waiting)
        elsewhere: list[_Task] = []  # another process is at work on these
        under_way: dict[Future[RunResult], tuple[int, _Task, ExitStack]] = {}
        groups = 0
        executor: Executor | None = None
        try:
            while waiting or elsewhere or under_way:
                while waiting and (
                    executor is None or len({n for n, _, _ in under_way.values()}) < executor.width
                ):
                    group = [heapq.heappop(waiting)]
                    if executor is not None:
                        group += self._company(group[0], waiting, executor)
                    claimed = self._claimed(group, waiting, elsewhere)
                    if not claimed:
                        continue
                    if executor is None:  # there is something to run, so there may be company
                        executor = (start or local())()
                        more = self._company(group[0], waiting, executor)
                        claimed += self._claimed(more, waiting, elsewhere)
                    runs = [task.run for task, _ in claimed]
                    futures = executor.submit(runs, [progress.callback(run) for run in runs])
                    groups += 1
                    for future, (task, claim) in zip(futures, claimed, strict=True):
                        under_way[future] = (groups, task, claim)
                if under_way:
                    timeout = 1.0 if elsewhere else None
                    done = wait(under_way, timeout, FIRST_COMPLETED).done
                    for future in [each for each in under_way if each in done]:
                        _, task, claim = under_way.pop(future)
                        with claim:
                            result = self._write(task.run, future.result(), progress)
                        self._push(waiting, self._take(task, result))
                elif elsewhere:
                    time.sleep(0.5)
                self._push(waiting, elsewhere)
                elsewhere = []
        except KeyboardInterrupt:
            if executor is not None:
                executor.interrupt()
            for future, (_, task, claim) in under_way.items():
                with claim:
                    self._write(task.run, future.result(timeout=60), progress, ended=False)
            raise
        finally:
            if executor is not None:
                executor.close()
        return self.outcomes

    def _claimed(
        self, tasks: Sequence[_Task], waiting: list[_Task], elsewhere: list[_Task]
    ) -> list[tuple[_Task, ExitStack]]:
        """Those of the tasks that this process has to carry out, with its claims on them.

        What is in the store by now is taken from there; what another process is at work on goes to
        ``elsewhere``.
        """
        claimed = []
        for task in tasks:
            claim = ExitStack()
            result = self._in_store(task.run)
            if result is None and self.store is not None:
                if not claim.enter_context(self.store.claim(task.run)):
                    elsewhere.append(task)
                    continue
                result = self._in_store(task.run)
            if result is None:
                claimed.append((task, claim))
                continue
            claim.close()
            self._push(waiting, self._take(task, result))
        return claimed

    def _company(self, task: _Task, waiting: list[_Task], executor: Executor) -> list[_Task]:
        """Takes those of the waiting tasks that are to be carried out together with this one."""
        grouping = executor.grouping
        key = grouping.key(task.run)
        if key is None:
            return []
        alike = sorted(other for other in waiting if grouping.key(other.run) == key)
        if len(alike) + 1 < grouping.fewest:
            return []
        # Every process gets its share.
        share = -(-(len(alike) + 1) // executor.width)
        size = min(grouping.most, max(grouping.fewest, share))
        chosen = alike[: size - 1]
        for other in chosen:
            waiting.remove(other)
        heapq.heapify(waiting)
        return chosen

    def _tasks(
        self, cell: int, stage: int, specs: Sequence[RunSpec], check_data: bool = True
    ) -> list[_Task]:
        """Resolved runs; those that differ in the seed alone are resolved once."""
        per_candidate = len(self.cells[cell].rule.seeds) if stage == 0 else len(specs)
        tasks = []
        for number, spec in enumerate(specs):
            candidate, repetition = divmod(number, per_candidate)
            if repetition == 0:
                resolved = resolve(spec, check_data=check_data)
            run = replace(resolved, random_seed=spec.random_seed)
            problem = self.problems[spec.testproblem]
            tasks.append(_Task(problem, stage, repetition, cell, candidate, run))
        return tasks

    def _in_store(self, run: ResolvedRun) -> RunResult | None:
        if self.store is None:
            return None
        found = self.store.find(run, self.since)
        return None if found is None or (self.force and found.started < self.since) else found

    def _write(
        self, run: ResolvedRun, result: RunResult, progress: Progress, ended: bool = True
    ) -> RunResult:
        nothing = result.outcome is Outcome.INTERRUPTED and not result.test_losses
        if self.store is not None and not nothing:
            self.store.write(result)
        progress.ended(run, result)
        if ended and result.outcome is Outcome.INTERRUPTED:
            raise KeyboardInterrupt
        return result

    def _take(self, task: _Task, result: RunResult) -> list[_Task]:
        """Takes a result; returns the tasks that are possible now."""
        outcome, cell = self.outcomes[task.cell], self.cells[task.cell]
        if task.stage == 1:
            outcome.runs.append(result)
            outcome.runs.sort(key=lambda run: cell.seeds.index(run.random_seed))
            return []
        outcome.tuning = outcome.tuning or [[] for _ in cell.candidates]
        outcome.tuning[task.candidate].append(result)
        if any(len(runs) < len(cell.rule.seeds) for runs in outcome.tuning):
            return []
        outcome.chosen = cell.rule.choose(outcome.tuning)
        return self._tasks(task.cell, 1, cell.reported(outcome.chosen))

    @staticmethod
    def _push(heap: list[_Task], tasks: Sequence[_Task]) -> None:
        for task in tasks:
            heapq.heappush(heap, task)


def local(jobs: int = 1, mode: Mode = "processes") -> Callable[[], Executor]:
    """Starts an executor on this machine.

    Args:
        jobs: runs (or groups of them) at the same time; 1: in this process, more: in processes of
            their own.
        mode: ``"processes"``: each run is trained alone; ``"vectorized"``: runs that differ in
            numbers alone are trained as one computation; ``"auto"``: where that is faster.
    """

    def start() -> Executor:
        from alig_deepobs.runners.executors import InProcess, Processes  # with torch
        from alig_deepobs.runners.vectorized.grouping import Grouping

        grouping = Grouping(mode)
        return Processes(jobs, grouping) if jobs > 1 else InProcess(grouping)

    return start


def estimated_seconds(runs: Sequence[ResolvedRun]) -> tuple[float, int]:
    """How long runs would take one after the other on one CPU core.

    Returns:
        Seconds, and of how many of the runs nothing is known.
    """
    from alig_deepobs.testproblems.epoch_seconds import seconds_per_epoch

    # The synthetic twins are far smaller than the data whose epochs were measured.
    times = [
        None if run.synthetic else seconds_per_epoch(run.testproblem, run.batch_size)
        for run in runs
    ]  # fmt: skip
    known = [t * run.num_epochs for t, run in zip(times, runs, strict=True) if t is not None]
    return math.fsum(known), len(runs) - len(known)
