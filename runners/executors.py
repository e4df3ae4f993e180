"""Where runs happen: in this process, or in several at the same time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import warnings
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import SimpleQueue
from typing import Any, Protocol

import torch

from alig_deepobs.errors import AligDeepobsError, RunError
from alig_deepobs.optimizers.health import HealthWarning
from alig_deepobs.plugins import Interrupted, is_interrupt, passed
from alig_deepobs.results import now
from alig_deepobs.run import Outcome, ResolvedRun, RunResult
from alig_deepobs.runners.callbacks import Callback
from alig_deepobs.runners.faults import outcome_of
from alig_deepobs.runners.places import Place
from alig_deepobs.runners.ranks import Ranks
from alig_deepobs.runners.startup import skip_compiler
from alig_deepobs.runners.training import execute


class Executor(Protocol):
    """Carries out runs.

    Attributes:
        width: runs that may be under way at the same time.
    """

    width: int

    def submit(self, run: ResolvedRun, callback: Callback) -> Future[RunResult]:
        """Starts a run; the future never has an exception."""

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
            return run.result(
                started=started,
                outcome=Outcome.INTERRUPTED,
                outcome_reason="interrupted before the first epoch",
            )
        outcome, reason = outcome_of(error)
    return run.result(started=started, outcome=outcome, outcome_reason=reason)


def start(place: Place) -> Executor:
    """Starts an executor on this machine: one run goes on in this process, more in others."""
    jobs = place.jobs or 1
    return Processes(jobs) if jobs > 1 else InProcess()


def broken(run: ResolvedRun, error: BaseException) -> RunResult:
    """The result of a run that an executor could not bring to any end."""
    outcome, reason = outcome_of(error)
    return run.result(started=now(), outcome=outcome, outcome_reason=reason)


class InProcess:
    """Runs one after the other, in this process."""

    width = 1

    def submit(self, run: ResolvedRun, callback: Callback) -> Future[RunResult]:
        """Carries the run out; see `Executor.submit`."""
        future: Future[RunResult] = Future()
        future.set_result(attempt(run, callback))
        return future

    def interrupt(self) -> None:
        """Nothing is under way between two calls of `submit`."""

    def close(self) -> None:
        """There is nothing to free."""


class Processes:
    """Runs in processes of their own, each with its share of the cores.

    A process that dies (of memory, say) costs its run alone, and another one takes its place.

    Args:
        jobs: number of processes.
    """

    def __init__(self, jobs: int) -> None:
        self.width = jobs
        self.context = multiprocessing.get_context("spawn")
        self.events: SimpleQueue[Any] = self.context.SimpleQueue()
        self.callbacks: dict[int, Callback] = {}
        self.free: list[ProcessPoolExecutor] = []
        self.busy: dict[int, ProcessPoolExecutor] = {}
        self.number = 0
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def submit(self, run: ResolvedRun, callback: Callback) -> Future[RunResult]:
        """Starts the run in a free process; see `Executor.submit`."""
        self.number += 1
        number = self.number
        pool = self.free.pop() if self.free else self._new_pool()
        self.busy[number] = pool
        self.callbacks[number] = callback
        given: Future[RunResult] = Future()

        def end(future: Future[RunResult]) -> None:
            self.busy.pop(number, None)
            try:
                result = future.result()
                self.free.append(pool)
            except BrokenProcessPool:
                result = run.result(
                    started=now(), outcome=Outcome.FAILED,
                    outcome_reason="the process of the run died (out of memory?)",
                )  # fmt: skip
            except BaseException as error:  # noqa: BLE001 - what a worker cannot send back
                self.free.append(pool)
                result = broken(run, error)
            given.set_result(result)

        pool.submit(_work, number, run).add_done_callback(end)
        return given

    def interrupt(self) -> None:
        """Tells every process that is at work to end its run; see `Executor.interrupt`."""
        for pool in list(self.busy.values()):
            for process in list((pool._processes or {}).values()):
                process.terminate()  # SIGTERM, which the worker takes for an interrupt

    def close(self) -> None:
        """Ends all processes."""
        for pool in [*self.free, *self.busy.values()]:
            pool.shutdown(wait=False, cancel_futures=True)
        self.events.put(None)
        self.listener.join()

    def _new_pool(self) -> ProcessPoolExecutor:
        share = max(1, torch.get_num_threads() // self.width)
        # A pool of one: when its process dies, it is known whose run died with it.
        return ProcessPoolExecutor(
            1, self.context, initializer=_start, initargs=(self.events, share, os.getpid())
        )

    def _listen(self) -> None:
        while (event := self.events.get()) is not None:
            number, name, arguments = event
            getattr(self.callbacks[number], name)(*arguments)


class _Sender(Callback):
    """Sends what a run tells to the process that asked for it."""

    def __init__(self, number: int, events: SimpleQueue[Any]) -> None:
        self.number = number
        self.events = events

    def started(self, result: RunResult, steps_per_epoch: int) -> None:
        self.events.put((self.number, "started", (result, steps_per_epoch)))

    def stepped(self, epoch: int, step: int, loss: float) -> None:
        self.events.put((self.number, "stepped", (epoch, step, loss)))

    def evaluated(self, epoch: int, evaluations: Any) -> None:
        self.events.put((self.number, "evaluated", (epoch, evaluations)))

    def finished(self, result: RunResult) -> None:
        self.events.put((self.number, "finished", (result,)))


_events: SimpleQueue[Any]


def _start(events: SimpleQueue[Any], threads: int, parent: int) -> None:
    """Prepares a worker process."""
    global _events
    _events = events
    skip_compiler()
    torch.set_num_threads(threads)
    # What an optimizer says of its health is in the record, too.
    warnings.simplefilter("ignore", HealthWarning)
    # Ctrl-C reaches all processes of a terminal; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()


def end_with(parent: int) -> None:
    """Ends this process when its parent is gone: nobody would write its results."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _interrupt(signum: int, frame: Any) -> None:
    raise Interrupted(signum)


def _work(number: int, run: ResolvedRun) -> RunResult:
    """One run in a worker process."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return attempt(run, _Sender(number, _events))
    except KeyboardInterrupt:
        return run.result(
            started=now(), outcome=Outcome.INTERRUPTED, outcome_reason="interrupted"
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGTERM, before)
