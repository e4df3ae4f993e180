"""Where runs happen: in this process, or in several at the same time; each alone, or many together.

What an executor is given is a group of runs. A group of several is trained as one computation
(`alig_deepobs.runners.vectorized`).
"""

from __future__ import annotations

import abc
import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, cast

import torch

from alig_deepobs.errors import AligDeepobsError, RunError
from alig_deepobs.optimizers.health import HealthWarning
from alig_deepobs.plugins import Interrupted, is_interrupt, passed, staying, without_folder
from alig_deepobs.results import now
from alig_deepobs.run import Outcome, ResolvedRun, RunResult
from alig_deepobs.runners.callbacks import Callback
from alig_deepobs.runners.faults import outcome_of
from alig_deepobs.runners.places import Place
from alig_deepobs.runners.ranks import Ranks
from alig_deepobs.runners.signals import STOP, Deferred, end_with, held, ignore_ending, let_in
from alig_deepobs.runners.startup import prepare_process
from alig_deepobs.runners.training import execute
from alig_deepobs.runners.vectorized import Mode
from alig_deepobs.runners.vectorized.grouping import Grouping

logger = logging.getLogger(__name__)


class Executor(Protocol):
    """Carries out runs.

    Attributes:
        width: groups of runs that may be under way at the same time.
        grouping: says which runs make up a group.
    """

    width: int
    grouping: Grouping

    def submit(
        self, runs: Sequence[ResolvedRun], callbacks: Sequence[Callback]
    ) -> list[Future[RunResult]]:
        """Starts a group of runs; returns their futures, which never have an exception."""

    def interrupt(self) -> None:
        """Ends the runs under way; what they have measured becomes their result."""

    def close(self) -> None:
        """Frees what the executor has."""


def attempt(run: ResolvedRun, callback: Callback, ranks: Ranks | None = None) -> RunResult:
    """Carries out a run; whatever breaks it is in its result, so that the others can go on.

    Args:
        run: the run.
        callback: hears of the progress.
        ranks: this process among those that carry out the run together.
    """
    started = now()
    try:
        return execute(run, callback, ranks=ranks)
    except RunError as error:
        if error.result is not None:
            failed: RunResult = error.result
            return failed
        outcome, reason = Outcome.FAILED, str(error)
    except AligDeepobsError as error:
        outcome, reason = Outcome.FAILED, str(error)
    except BaseException as error:  # noqa: BLE001 - a stranger's problem or optimizer may raise anything
        if is_interrupt(error) or passed(error, callback):  # before the first evaluation
            return not_started(run)
        outcome, reason = outcome_of(error)
    return run.result(started=started, outcome=outcome, outcome_reason=reason)


def start(place: Place) -> Executor:
    """Starts an executor on this machine: one run goes on in this process, more in others."""
    jobs, grouping = place.jobs or 1, Grouping(cast("Mode", place.executor))
    return Processes(jobs, grouping) if jobs > 1 else InProcess(grouping)


def broken(run: ResolvedRun, error: BaseException) -> RunResult:
    """The result of a run that an executor could not bring to any end."""
    outcome, reason = outcome_of(error)
    return run.result(started=now(), outcome=outcome, outcome_reason=reason)


def attempt_group(
    runs: Sequence[ResolvedRun], callbacks: Sequence[Callback]
) -> list[RunResult]:  # fmt: skip
    """Carries out a group of runs: together, and if that cannot be done, one after the other.

    Args:
        runs: the runs.
        callbacks: one for each.
    """
    if len(runs) > 1:
        try:
            from alig_deepobs.runners.vectorized.training import train_together

            together = train_together(runs, callbacks)
            return together + [not_started(run) for run in runs[len(together) :]]
        except KeyboardInterrupt:  # before the first evaluation
            return [not_started(run) for run in runs]
        except Exception as error:  # noqa: BLE001 - whatever it is, the ordinary way is there
            logger.warning(
                "%d runs of %s on %s are trained one by one, since together they broke: %s: %s",
                len(runs), runs[0].optimizer, runs[0].testproblem, type(error).__name__, error,
            )  # fmt: skip
    results: list[RunResult] = []
    for run, callback in zip(runs, callbacks, strict=True):
        interrupted = bool(results) and results[-1].outcome is Outcome.INTERRUPTED
        results.append(not_started(run) if interrupted else attempt(run, callback))
    return results


def not_started(run: ResolvedRun) -> RunResult:
    """The result of a run that was interrupted before anything was measured."""
    return run.result(
        started=now(),
        outcome=Outcome.INTERRUPTED,
        outcome_reason="interrupted before the first epoch",
    )


class OneByOne(abc.ABC):
    """An `Executor` that knows no groups."""

    grouping = Grouping("processes")

    def submit(
        self, runs: Sequence[ResolvedRun], callbacks: Sequence[Callback]
    ) -> list[Future[RunResult]]:
        """Starts the runs; see `Executor.submit`."""
        return [self.start(run, callback) for run, callback in zip(runs, callbacks, strict=True)]

    @abc.abstractmethod
    def start(self, run: ResolvedRun, callback: Callback) -> Future[RunResult]:
        """Starts a run; its future never has an exception."""


class InProcess:
    """Groups one after the other, in this process.

    Args:
        grouping: which runs make up a group; None: each is alone.
    """

    width = 1

    def __init__(self, grouping: Grouping | None = None) -> None:
        self.grouping = grouping or Grouping("processes")

    def submit(
        self, runs: Sequence[ResolvedRun], callbacks: Sequence[Callback]
    ) -> list[Future[RunResult]]:
        """Carries the runs out; see `Executor.submit`."""
        futures: list[Future[RunResult]] = []
        for result in attempt_group(runs, callbacks):
            futures.append(Future())
            futures[-1].set_result(result)
        return futures

    def interrupt(self) -> None:
        """Nothing is under way between two calls of `submit`."""

    def close(self) -> None:
        """There is nothing to free."""


class Processes:
    """Groups in processes of their own, each with its share of the cores.

    A process that dies (of memory, say) concerns its group alone: another one takes its place, and
    tries the group once more. If that dies, too, its runs have failed.

    Args:
        jobs: number of processes.
        grouping: which runs make up a group; None: each is alone.
    """

    @without_folder()
    def __init__(self, jobs: int, grouping: Grouping | None = None) -> None:
        self.width = jobs
        self.grouping = grouping or Grouping("processes")
        self.context = multiprocessing.get_context("spawn")
        with held():
            # Starts multiprocessing's own process, which leaves SIGHUP to us, and after which
            # signals are not held any more.
            self.context.Lock()
        self.callbacks: dict[int, Sequence[Callback]] = {}
        self.free: list[ProcessPoolExecutor] = []
        self.busy: dict[int, ProcessPoolExecutor] = {}
        self.number = 0
        self.ending = False
        self.listeners: list[threading.Thread] = []

    def submit(
        self, runs: Sequence[ResolvedRun], callbacks: Sequence[Callback]
    ) -> list[Future[RunResult]]:
        """Starts the runs in a free process; see `Executor.submit`."""
        with Deferred(), held():  # a process may be started, which is not done by halves
            return self._submit(runs, callbacks)

    def _submit(
        self, runs: Sequence[ResolvedRun], callbacks: Sequence[Callback]
    ) -> list[Future[RunResult]]:
        given: list[Future[RunResult]] = [Future() for _ in runs]
        self._send(runs, callbacks, given)
        return given

    def _send(
        self, runs: Sequence[ResolvedRun], callbacks: Sequence[Callback],
        given: Sequence[Future[RunResult]], again: bool = False,
    ) -> None:  # fmt: skip
        """Sends runs to a process; if it dies, once more, to go on from their checkpoints."""
        self.number += 1
        number = self.number
        pool, news = self._free_pool() or self._new_pool()
        self.busy[number] = pool
        self.callbacks[number] = callbacks

        def end(future: Future[list[RunResult]]) -> None:
            self.busy.pop(number, None)
            try:
                results = future.result()
                self.free.append(pool)
            except BrokenProcessPool:
                if not again and not self.ending:
                    with held():
                        self._send(runs, callbacks, given, again=True)
                    return
                results = _failed(
                    runs, "the process of the run died (of an error above, or of memory)"
                )
            except BaseException as error:  # noqa: BLE001 - what a worker cannot send back
                self.free.append(pool)
                results = [broken(run, error) for run in runs]
            for promised, result in zip(given, results, strict=True):
                promised.set_result(result)

        with without_folder(), staying():
            future = pool.submit(_work, number, runs)
        future.add_done_callback(end)
        if news is not None:
            news.close()  # now the process alone has it: it ends when that ends, however it does

    def interrupt(self) -> None:
        """Tells every process that is at work to end its run; see `Executor.interrupt`."""
        self.ending = True
        for pool in list(self.busy.values()):
            for process in _processes(pool):
                with contextlib.suppress(ProcessLookupError):  # it has just died
                    os.kill(cast("int", process.pid), STOP)

    def close(self) -> None:
        """Ends all processes, also those whose run does not end."""
        self.ending = True
        left = [process for pool in self.busy.values() for process in _processes(pool)]
        for pool in [*self.free, *self.busy.values()]:
            pool.shutdown(wait=False, cancel_futures=True)
        for process in left:
            process.kill()
        for listener in self.listeners:
            listener.join()

    def _free_pool(self) -> tuple[ProcessPoolExecutor, None] | None:
        while self.free:
            pool = self.free.pop()
            if all(process.is_alive() for process in _processes(pool)):
                return pool, None
        return None

    def _new_pool(self) -> tuple[ProcessPoolExecutor, Connection]:
        """A process, and the connection through which it will tell its news."""
        share = max(1, torch.get_num_threads() // self.width)
        # One for each process: a lock that they shared would be lost with one that is killed.
        heard, news = self.context.Pipe(duplex=False)
        self.listeners.append(threading.Thread(target=self._listen, args=(heard,), daemon=True))
        self.listeners[-1].start()
        # A pool of one: when its process dies, it is known whose run died with it.
        pool = ProcessPoolExecutor(
            1, self.context, initializer=_start, initargs=(news, share, os.getpid())
        )
        return pool, news

    def _listen(self, heard: Connection) -> None:
        while True:
            try:
                number, place, name, arguments = heard.recv()
            except (EOFError, OSError):  # in the middle of a message, too
                return
            getattr(self.callbacks[number][place], name)(*arguments)


def _processes(pool: ProcessPoolExecutor) -> list[BaseProcess]:
    return list((pool._processes or {}).values())


def _failed(runs: Sequence[ResolvedRun], reason: str) -> list[RunResult]:
    return [
        run.result(started=now(), outcome=Outcome.FAILED, outcome_reason=reason) for run in runs
    ]


class _Sender(Callback):
    """Sends what a run tells to the process that asked for it."""

    def __init__(self, number: int, place: int, news: Connection) -> None:
        self.address = number, place
        self.news = news

    def started(self, result: RunResult, steps_per_epoch: int) -> None:
        self._send("started", result, steps_per_epoch)

    def stepped(self, epoch: int, step: int, loss: float) -> None:
        self._send("stepped", epoch, step, loss)

    def evaluated(self, epoch: int, evaluations: Any) -> None:
        self._send("evaluated", epoch, evaluations)

    def finished(self, result: RunResult) -> None:
        self._send("finished", result)

    def _send(self, name: str, *arguments: Any) -> None:
        try:
            self.news.send((*self.address, name, arguments))
        except OSError:  # the process that listens was killed, which is no failure of the run
            os._exit(1)


_news: Connection


def _start(news: Connection, threads: int, parent: int) -> None:
    """Prepares a worker process."""
    global _news
    _news = news
    prepare_process()
    torch.set_num_threads(threads)
    # What an optimizer says of its health is in the record, too.
    warnings.simplefilter("ignore", HealthWarning)
    ignore_ending()
    signal.signal(STOP, _interrupt)  # held but while a run is under way
    end_with(parent)


def _interrupt(signum: int, frame: Any) -> None:
    raise Interrupted(signum)


def _work(number: int, runs: Sequence[ResolvedRun]) -> list[RunResult]:
    """A group of runs in a worker process."""
    results = [not_started(run) for run in runs]
    senders = [_Sender(number, place, _news) for place in range(len(runs))]
    with contextlib.suppress(KeyboardInterrupt), let_in(STOP):
        results = attempt_group(runs, senders)
    return results
