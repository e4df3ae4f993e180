"""Runs on a Ray cluster, or on this machine as one."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from alig_deepobs.errors import UsageError
from alig_deepobs.run import Outcome, ResolvedRun, RunResult
from alig_deepobs.runners.callbacks import Callback
from alig_deepobs.runners.executors import OneByOne, attempt, broken, not_started
from alig_deepobs.runners.places import Place


class RayCluster(OneByOne):
    """An executor (`alig_deepobs.runners.executors.Executor`) that makes a Ray task of each run.

    Ray places the tasks. One whose worker or node dies is tried again, and goes on from the run's
    checkpoint where the results folder is on a file system that the nodes share.

    Args:
        place: the address of the cluster, and what a run gets.

    Raises:
        UsageError: Ray is not installed, there is no cluster, or it has no room for a run.
    """

    def __init__(self, place: Place) -> None:
        try:
            ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise UsageError("--executor ray needs Ray: pip install 'alig-deepobs[ray]'") from error
        self.ray = ray
        self.is_ours = not ray.is_initialized()
        if self.is_ours:
            # Workers find the user's optimizers where this process does.
            paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
            own = {"include_dashboard": False} if place.address is None else {}
            try:
                ray.init(
                    place.address, log_to_driver=False, logging_level=logging.WARNING,
                    runtime_env={"env_vars": {"PYTHONPATH": paths}}, **own,
                )  # fmt: skip
            except ConnectionError as error:
                raise UsageError(f"--address {place.address}: {error}") from error
        resources = ray.cluster_resources()
        rooms = [int(resources.get("CPU", 0) // place.cpus)]
        if place.gpus:
            rooms.append(int(resources.get("GPU", 0) / place.gpus))
        if min(rooms) < 1:
            self.close()
            raise UsageError(
                f"the Ray cluster has {resources.get('CPU', 0):g} CPUs and "
                f"{resources.get('GPU', 0):g} GPUs, which is no room for a run with "
                f"{place.cpus} and {place.gpus:g}"
            )
        self.width = place.jobs or min(rooms)
        self.task = ray.remote(_work).options(
            num_cpus=place.cpus, num_gpus=place.gpus, max_retries=place.retries
        )
        self.under_way: dict[Future[RunResult], Any] = {}

    def start(self, run: ResolvedRun, callback: Callback) -> Future[RunResult]:
        """Makes a task of the run; its progress is not heard of."""
        reference = self.task.remote(run)
        given: Future[RunResult] = Future()
        self.under_way[given] = reference

        def end(future: Future[RunResult]) -> None:
            self.under_way.pop(given, None)
            error = future.exception()
            given.set_result(future.result() if error is None else self._broken(run, error))

        reference.future().add_done_callback(end)
        return given

    def interrupt(self) -> None:
        """Ends the tasks under way; their checkpoints stay."""
        for reference in list(self.under_way.values()):
            self.ray.cancel(reference)

    def close(self) -> None:
        """Leaves the cluster; one that was started here ends."""
        if self.is_ours:
            with contextlib.suppress(Exception):
                self.ray.shutdown()

    def _broken(self, run: ResolvedRun, error: BaseException) -> RunResult:
        errors = self.ray.exceptions
        if isinstance(error, errors.TaskCancelledError):
            return not_started(run)
        result = broken(run, error)
        if isinstance(error, errors.OutOfMemoryError):
            result.outcome = Outcome.OUT_OF_MEMORY
        return result


def _work(run: ResolvedRun) -> RunResult:
    """One run in a worker of Ray."""
    return attempt(run, Callback())
