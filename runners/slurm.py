"""Runs as jobs of Slurm, through submitit; without Slurm, as processes of this machine."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from alig_deepobs.errors import UsageError
from alig_deepobs.run import ResolvedRun, RunResult
from alig_deepobs.runners.callbacks import Callback
from alig_deepobs.runners.executors import OneByOne, attempt, broken, not_started
from alig_deepobs.runners.places import Place

FOLDER = ".slurm"
POLL = 1.0
"""Seconds between two looks at the jobs."""
_COMMON = ("timeout_min", "mem_gb", "name", "nodes", "stderr_to_stdout")


class SlurmJobs(OneByOne):
    """An executor (`alig_deepobs.runners.executors.Executor`) that makes a job of each run.

    The job and this process talk through files beside the results, so the folder must be on a
    file system that the nodes share. A job that dies, or that Slurm ends for its time or for
    others, is submitted again and goes on from the run's checkpoint.

    Args:
        place: what a job gets; without ``sbatch`` the jobs are processes of this machine.

    Raises:
        UsageError: submitit is not installed, or refuses an option.
    """

    def __init__(self, place: Place) -> None:
        try:
            submitit: Any = importlib.import_module("submitit")
        except ImportError as error:
            raise UsageError(
                "--executor slurm needs submitit: pip install 'alig-deepobs[slurm]'"
            ) from error
        if place.gpus % 1:
            raise UsageError(f"--gpus {place.gpus:g}: a job of Slurm has whole GPUs, 1 say")
        self.folder = Path(place.folder).absolute() / FOLDER
        self.executor: Any = submitit.AutoExecutor(folder=self.folder)
        options = {k if k in _COMMON else f"slurm_{k}": v for k, v in place.slurm.items()}
        try:
            self.executor.update_parameters(
                **{"name": "alig-deepobs", "timeout_min": 24 * 60, **options},
                cpus_per_task=place.cpus,
                gpus_per_node=int(place.gpus),
            )
        except (NameError, TypeError, ValueError, AssertionError) as error:
            raise UsageError(f"--slurm: {error}") from error
        self.width = place.jobs or 1000  # the batch system has a queue of its own
        self.retries = place.retries
        self.lock = threading.Lock()
        self.jobs: dict[Future[RunResult], tuple[ResolvedRun, Any, int]] = {}
        self.is_open = True
        self.is_interrupted = False
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()

    def start(self, run: ResolvedRun, callback: Callback) -> Future[RunResult]:
        """Submits the run; its progress is not heard of."""
        given: Future[RunResult] = Future()
        self._submit(given, run, 0)
        return given

    def _submit(self, given: Future[RunResult], run: ResolvedRun, tries: int) -> None:
        try:
            with self.lock:
                self.jobs[given] = (run, self.executor.submit(_Job(), run), tries)
        except Exception as error:  # noqa: BLE001 - the batch system may refuse a job in any way
            with self.lock:
                self.jobs.pop(given, None)
            given.set_result(broken(run, error))

    def interrupt(self) -> None:
        """Ends all jobs; their checkpoints stay."""
        self.is_interrupted, self.retries = True, 0
        with self.lock:
            for _, job, _ in self.jobs.values():
                job.cancel(check=False)

    def close(self) -> None:
        """Ends what is still under way, and removes the files of the jobs."""
        self.is_open = False
        self.watcher.join()
        for _, job, _ in self.jobs.values():
            job.cancel(check=False)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _watch(self) -> None:
        while self.is_open:
            with self.lock:
                under_way = list(self.jobs.items())
            for future, (run, job, tries) in under_way:
                if job.done():
                    self._end(future, run, job, tries)
            time.sleep(POLL)

    def _end(self, future: Future[RunResult], run: ResolvedRun, job: Any, tries: int) -> None:
        try:
            result: RunResult = job.result()
        except Exception as error:  # noqa: BLE001 - a job may end in any way
            if tries < self.retries:
                self._submit(future, run, tries + 1)
                return
            result = not_started(run) if self.is_interrupted else broken(run, error)
        else:
            for path in self.folder.glob(f"{job.job_id}_*"):
                path.unlink(missing_ok=True)
        with self.lock:
            del self.jobs[future]
        future.set_result(result)


class _Job:
    """What a job does; submitit looks for `checkpoint` when Slurm is about to end it."""

    is_replaced = False

    def __call__(self, run: ResolvedRun) -> RunResult:
        result = attempt(run, Callback())
        if self.is_replaced:
            # submitit ends the process with an exception, which became the result of this run.
            local = importlib.import_module("submitit.local.local")
            is_local = local.LocalJobEnvironment.activated()
            sys.exit(local.LOCAL_REQUEUE_RETURN_CODE if is_local else -1)
        return result

    def checkpoint(self, run: ResolvedRun) -> Any:
        """The job that takes this one's place: the same, which goes on from the checkpoint."""
        self.is_replaced = True
        helpers = importlib.import_module("submitit.helpers")
        return helpers.DelayedSubmission(_Job(), run)
