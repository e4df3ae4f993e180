"""A study: a plan of runs over a store, carried out by an executor.

Every verb states a plan: cells, each an optimizer on a problem with candidates, a rule to choose
among them, and the seeds to report. Runs that are in the store are not run again; each of the
others is written as it ends. So every verb resumes, runs in parallel, shares a folder with other
processes, and can be extended later.
"""

from __future__ import annotations

import heapq
import logging
import math
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from alig_deepobs.errors import ResultError, UsageError
from alig_deepobs.results import now
from alig_deepobs.run import Outcome, ResolvedRun, RunResult, RunSpec
from alig_deepobs.runners.callbacks import Callback
from alig_deepobs.runners.cells import Cell, CellOutcome
from alig_deepobs.runners.places import Place
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.runners.store import Store
from alig_deepobs.words import counted

if TYPE_CHECKING:
    from alig_deepobs.runners.executors import Executor
    from alig_deepobs.runners.vectorized import Mode

logger = logging.getLogger(__name__)


class Progress(Protocol):
    """Hears how far a study is."""

    def planned(self, total: int, found: int) -> None:
        """So many runs make up the study; so many of them are in the store already."""

    def grown(self, runs: int) -> None:
        """A search asks for so many more runs."""

    def callback(self, run: ResolvedRun) -> Callback:
        """What hears of a run that is about to start."""

    def ended(self, run: ResolvedRun, result: RunResult) -> None:
        """A run has ended, and its result is written, or kept until it can be."""


class Silent:
    """A `Progress` that says nothing."""

    def planned(self, total: int, found: int) -> None:
        """See `Progress.planned`."""

    def grown(self, runs: int) -> None:
        """See `Progress.grown`."""

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


def without_repeats(cells: Sequence[Cell]) -> list[Cell]:
    """Cells without those that ask for the same as an earlier one, such as ``lr=1e-2`` and 0.01.

    Raises:
        UsageError: a run makes no sense.
    """
    found: dict[tuple[object, ...], Cell] = {}
    for cell in cells:
        runs = (resolve(spec, check_data=False).identity() for spec in cell.candidates)
        found.setdefault((*runs, cell.seeds, cell.search is None), cell)
    return list(found.values())


class Study:
    """The runs of several cells.

    Everything that can be found wrong is found here, before the first run starts.

    Args:
        cells: the plan.
        store: where results are looked for and written; None: nowhere.
        force: run again what is in the store; the new result takes the place of the old.
        check_data: False to leave data alone; it is then neither looked for nor downloaded, and no
            run is recognized in the store.
        look_only: whether the plan is not to be carried out, so that nothing need be writable.
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
        look_only: bool = False,
        own_process: bool = False,
    ) -> None:
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            # It would wait for the runs of the study that started it, which wait for it.
            raise UsageError(
                "a process of this script's study has come to the study once more: put what the "
                'script does under `if __name__ == "__main__":`'
            )
        self.cells = list(cells)
        self.store = store
        self.force = force
        self.since = now()
        self.unwritten: list[tuple[RunResult, ExitStack]] = []  # with the claims on their runs
        names = [cell.candidates[0].testproblem for cell in self.cells]
        self.problems = {name: number for number, name in enumerate(dict.fromkeys(names))}
        self.first: list[_Task] = []  # what can start at once
        self.later: list[list[_Task]] = [[] for _ in self.cells]  # reported, if the first is chosen
        for number, cell in enumerate(self.cells):
            tuning = self._tasks(number, 0, cell.tuning(cell.candidates), check_data)
            reported = self._tasks(number, 1, cell.reported(cell.candidates, 0), check_data)
            self.first += tuning or reported
            self.later[number] = reported if tuning else []
        self.found, self.missing = self._survey()
        if self.missing:
            self._check(check_data, own_process)
            if self.store is not None and not look_only:
                self.store.check()

    @property
    def runs(self) -> list[ResolvedRun]:
        """All runs; where a setting is still to be chosen, those of the first candidate."""
        return [*self.found, *self.missing]

    def _survey(self) -> tuple[list[ResolvedRun], list[ResolvedRun]]:
        """The runs that are in the store and those that are not, as far as choices are known."""
        found, missing = [], []
        self.outcomes = [CellOutcome(cell) for cell in self.cells]
        self.old: dict[tuple[str, str], str] = {}  # when those began that are to be run again
        undecided = {task.cell for tasks in self.later for task in tasks}
        tasks = sorted(self.first, reverse=True)
        while tasks:
            task = tasks.pop()
            result = None if self.store is None else self.store.find(task.run)
            if self.force and result is not None:
                self.old[task.run.purpose, task.run.identity()] = result.started
                result = None
            if result is None:
                missing.append(task.run)
                continue
            found.append(task.run)
            further = self._take(task, result)
            if any(each.stage == 1 for each in further):
                undecided.discard(task.cell)
            tasks += further
        self.ready = list(missing)
        missing += [task.run for cell in sorted(undecided) for task in self.later[cell]]
        self.surveyed = [len(outcome.candidates) for outcome in self.outcomes]
        return found, missing

    def _check(self, check_data: bool, own_process: bool) -> None:
        """Checks one run of each setting that is to be run."""
        from alig_deepobs.runners.checks import check  # with torch, which takes a while
        from alig_deepobs.runners.startup import prepare_process

        if own_process:
            prepare_process()
        refused: dict[tuple[str, str], UsageError | None] = {}
        for run in {(run.setting(), run.purpose): run for run in self.missing}.values():
            try:
                check(run, check_data=check_data)
            except UsageError as error:
                if run.purpose != "tuning":
                    raise
                refused.setdefault((run.testproblem, run.optimizer), error)
            else:
                # A constructor may refuse a value of a range: that trial fails, and no other.
                if run.purpose == "tuning":
                    refused[run.testproblem, run.optimizer] = None
        for reason in filter(None, refused.values()):
            raise reason

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
            ResultError: results could not be written, up to the end.
        """
        progress = progress or Silent()
        if self.store is not None:
            self.store.clear(self.found)
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
                    claimed = self._claimed(group, waiting, elsewhere, progress)
                    if not claimed:
                        continue
                    if executor is None:  # there is something to run, so there may be company
                        executor = (start or local())()
                        more = self._company(group[0], waiting, executor)
                        claimed += self._claimed(more, waiting, elsewhere, progress)
                    runs = [self._with_checkpoint(task.run) for task, _ in claimed]
                    futures = executor.submit(runs, [progress.callback(run) for run in runs])
                    groups += 1
                    for future, (task, claim) in zip(futures, claimed, strict=True):
                        under_way[future] = (groups, task, claim)
                if under_way:
                    timeout = 1.0 if elsewhere else None
                    done = wait(under_way, timeout, FIRST_COMPLETED).done
                    for future in [each for each in under_way if each in done]:
                        _, task, claim = under_way.pop(future)
                        result = self._write(task.run, future.result(), claim, progress)
                        self._push(waiting, self._further(task, result, progress))
                elif elsewhere:
                    time.sleep(0.5)
                self._push(waiting, elsewhere)
                elsewhere = []
        except KeyboardInterrupt:
            if executor is not None:
                executor.interrupt()
            for future, (_, task, claim) in under_way.items():
                try:
                    result = future.result(timeout=60)
                except TimeoutError:
                    logger.warning("a run of %s does not end; it is left", task.run.optimizer)
                    claim.close()
                    continue
                self._write(task.run, result, claim, progress, ended=False)
            raise
        finally:
            if executor is not None:
                executor.close()
            missing = self._write_what_waits()
            for _, claim in self.unwritten:
                claim.close()
        if missing:
            raise ResultError(missing)
        return self.outcomes

    def _claimed(
        self, tasks: Sequence[_Task], waiting: list[_Task], elsewhere: list[_Task],
        progress: Progress,
    ) -> list[tuple[_Task, ExitStack]]:  # fmt: skip
        """Those of the tasks that this process has to carry out, with its claims on them.

        What is in the store by now is taken from there; what another process is at work on goes to
        ``elsewhere``.
        """
        claimed = []
        for task in tasks:
            claim = ExitStack()
            result = self._in_store(task.run)
            if result is None and self.store is not None:
                if not self._claim(task.run, claim):
                    elsewhere.append(task)
                    continue
                result = self._in_store(task.run)
            if result is None:
                claimed.append((task, claim))
                continue
            claim.close()
            self._push(waiting, self._further(task, result, progress))
        return claimed

    def _company(self, task: _Task, waiting: list[_Task], executor: Executor) -> list[_Task]:
        """Takes those of the waiting tasks that are to be carried out together with this one."""
        grouping = executor.grouping
        key = grouping.key(task.run)
        if key is None or self._has_checkpoint(task.run):
            return []
        alike = sorted(
            other
            for other in waiting
            if grouping.key(other.run) == key and not self._has_checkpoint(other.run)
        )
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
        self, cell: int, stage: int, specs: Sequence[RunSpec], check_data: bool = True,
        first: int = 0,
    ) -> list[_Task]:  # fmt: skip
        """Resolved runs; those that differ in the seed alone are resolved once.

        ``first`` is the number of the candidate of the first run.
        """
        per_candidate = len(self.cells[cell].rule.seeds) if stage == 0 else len(specs)
        tasks = []
        for number, spec in enumerate(specs):
            candidate, repetition = divmod(number, per_candidate)
            if repetition == 0:
                resolved = resolve(spec, check_data=check_data)
            run = replace(resolved, random_seed=spec.random_seed)
            problem = self.problems[spec.testproblem]
            tasks.append(_Task(problem, stage, repetition, cell, first + candidate, run))
        return tasks

    def _in_store(self, run: ResolvedRun) -> RunResult | None:
        if self.store is None:
            return None
        found = self.store.find(run, self.since)
        if found is None or not self.force:
            return found
        # Another process may have run it again; clocks may go backwards.
        old = self.old.get((run.purpose, run.identity()))
        return (
            None if found.started == old or (old is None and found.started < self.since) else found
        )

    def _claim(self, run: ResolvedRun, claim: ExitStack) -> bool:
        """Claims a run; where that is not possible in mid-study, nobody else can work, either."""
        assert self.store is not None
        try:
            return claim.enter_context(self.store.claim(run))
        except ResultError as error:
            logger.warning("the study goes on: %s", error)
            return True

    def _has_checkpoint(self, run: ResolvedRun) -> bool:
        """Whether a run is kept, and so can be taken up, which no group of runs can."""
        return self.store is not None and not self.force and self.store.checkpoint(run).is_file()

    def _with_checkpoint(self, run: ResolvedRun) -> ResolvedRun:
        if self.store is None:
            return run
        if self.force:
            self.store.forget(run)
        return replace(run, checkpoint=str(self.store.checkpoint(run).absolute()))

    def _write(
        self,
        run: ResolvedRun,
        result: RunResult,
        claim: ExitStack,
        progress: Progress,
        ended: bool = True,
    ) -> RunResult:
        nothing = result.outcome is Outcome.INTERRUPTED and not result.test_losses
        if self.store is None or nothing:
            claim.close()
        else:
            self.unwritten.append((result, claim))
            missing = self._write_what_waits()
            if missing:
                logger.warning("%s; they are kept in memory and tried again", missing)
        progress.ended(run, result)
        if ended and result.outcome is Outcome.INTERRUPTED:
            raise KeyboardInterrupt
        return result

    def _further(self, task: _Task, result: RunResult, progress: Progress) -> list[_Task]:
        """Takes a result; returns the tasks that are possible now, and says if they are new."""
        further = self._take(task, result)
        tried = len(self.outcomes[task.cell].candidates)
        if any(each.stage == 0 for each in further) and tried > self.surveyed[task.cell]:
            progress.grown(len(further))
        return further

    def _write_what_waits(self) -> str:
        """Writes the results that are not written yet; returns what is missing and why."""
        reasons = []
        for result, claim in self.unwritten.copy():
            assert self.store is not None
            try:
                self.store.write(result)
            except ResultError as error:
                reasons.append(str(error))
                continue
            self.unwritten.remove((result, claim))
            claim.close()
        if not reasons:
            return ""
        return f"{counted(len(reasons), 'result')} could not be written: {reasons[0]}"

    def _take(self, task: _Task, result: RunResult) -> list[_Task]:
        """Takes a result; returns the tasks that are possible now."""
        outcome, cell = self.outcomes[task.cell], self.cells[task.cell]
        if task.stage == 1:
            outcome.runs.append(result)
            outcome.runs.sort(key=lambda run: cell.seeds.index(run.random_seed))
            return []
        outcome.tuning[task.candidate].append(result)
        if any(len(runs) < len(cell.rule.seeds) for runs in outcome.tuning):
            return []
        scores = cell.rule.scores(outcome.tuning)
        more = cell.search.more(outcome.candidates, scores) if cell.search is not None else ()
        if more:
            tried = len(outcome.candidates)
            outcome.candidates += more
            outcome.tuning += [[] for _ in more]
            return self._tasks(task.cell, 0, cell.tuning(more), first=tried)
        outcome.chosen = min(range(len(scores)), key=scores.__getitem__)
        failed = math.isinf(scores[outcome.chosen][1])
        specs = cell.reported(outcome.candidates, outcome.chosen, failed=failed)
        return self._tasks(task.cell, 1, specs)

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
    return Place(executor=mode, jobs=jobs).start


def estimated_seconds(runs: Sequence[ResolvedRun]) -> tuple[float, int]:
    """How long runs would take one after the other on one CPU core.

    Returns:
        Seconds, and of how many of the runs nothing is known.
    """
    from alig_deepobs.testproblems.epoch_seconds import seconds_per_epoch

    # Measured are the official data and the default options; synthetic twins are far smaller.
    times = [
        None
        if run.synthetic or run.problem_options
        else seconds_per_epoch(run.testproblem, run.batch_size)
        for run in runs
    ]
    known = [t * run.num_epochs for t, run in zip(times, runs, strict=True) if t is not None]
    return math.fsum(known), len(runs) - len(known)
