"""Runs in TensorFlow: DeepOBS 1.1.2's own runner and problem, in a process of its own.

The process (`alig_deepobs.runners.tensorflow.worker`) reports what happens while it happens, so an
interrupted run has everything up to then, and the record is the same as that of a run in PyTorch.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alig_deepobs.errors import RunError, UsageError
from alig_deepobs.files import clear_temporary_folders, own_mark
from alig_deepobs.plugins import TRACEBACKS
from alig_deepobs.results import now
from alig_deepobs.run import Outcome, ResolvedRun, RunResult
from alig_deepobs.runners.callbacks import Callback
from alig_deepobs.runners.environment import host
from alig_deepobs.runners.tensorflow.reports import Reports
from alig_deepobs.runners.tensorflow.request import make_request, visible_gpu
from alig_deepobs.testproblems.checks import check_batch_fits
from alig_deepobs.testproblems.datasets.base import DataSet
from alig_deepobs.testproblems.datasets.deepobs_files import write_for_deepobs
from alig_deepobs.testproblems.datasets.fetch import cache_dir
from alig_deepobs.testproblems.datasets.identity import data_of, reads_records
from alig_deepobs.words import counted


def execute_in_tensorflow(run: ResolvedRun, callback: Callback | None = None) -> RunResult:
    """Carries out a run in TensorFlow; see `alig_deepobs.runners.execute`.

    Args:
        run: the run.
        callback: hears of the progress.

    Raises:
        UsageError: the specification makes no sense.
        DataError: a data file is missing or broken.
        RunError: the optimizer raised an error while training, or the process died.
    """
    data = _load_data(run)
    result = run.result(
        started=now(),
        max_norm=run.hyperparams.get("max_norm"),
        optimizer_class=run.entry.tensorflow_factory,
        environment=host(),
    )
    steps = 1 if data is None else data.size("train") // run.batch_size
    with _data_dir(run, data) as folder:
        reports = Reports(result, callback or Callback(), steps, run.weight_decay)
        request = make_request(run, folder)
        with tempfile.TemporaryFile() as errors:
            deadline = math.inf  # counted from the first report: TensorFlow takes long to start
            process = _start(request, run, errors)
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    reports.take(json.loads(line))
                    if reports.ended:
                        break
                    limit = math.inf if run.time_limit is None else run.time_limit
                    deadline = min(deadline, time.monotonic() + limit)
                    if time.monotonic() >= deadline:
                        result.time_limit = limit
                        reports.end(Outcome.TIMEOUT, f"the limit of {limit:g} s was over")
                        break
            except KeyboardInterrupt:
                after = counted(result.epochs_finished, "epoch")
                reports.end(Outcome.INTERRUPTED, f"interrupted after {after}")
            finally:
                process.kill()
                code = process.wait()
            errors.seek(0)
            printed = errors.read().decode(errors="replace").strip()
        if not reports.ended:
            last = printed.rpartition("\n")[2]
            reason = f"the TensorFlow process ended with code {code}: {last}"
            reports.end(Outcome.FAILED, reason)
        elif result.outcome is Outcome.FAILED:
            TRACEBACKS.debug("%s", printed)
    if reports.refusal:
        raise UsageError(reports.refusal)
    reports.callback.finished(result)
    if result.outcome is Outcome.FAILED:
        raise RunError(
            f"{run.optimizer} on {run.testproblem} in TensorFlow broke after "
            f"{counted(result.steps, 'step')}: {result.outcome_reason}",
            result,
        )
    return result


def _start(request: dict[str, Any], run: ResolvedRun, errors: Any) -> subprocess.Popen[bytes]:
    gpu = visible_gpu(run.device)
    variables = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        # The process finds the user's optimizer where this one would.
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    if gpu is not None:
        variables["CUDA_VISIBLE_DEVICES"] = gpu
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "alig_deepobs.runners.tensorflow.worker", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=variables,
        start_new_session=True,  # an interrupt is for this process, which then ends the other
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(request).encode())
    process.stdin.close()
    return process


def _load_data(run: ResolvedRun) -> DataSet | None:
    """The data set that DeepOBS will read, decoded; None where the problem sees to it itself."""
    problem = run.problem
    if problem.tensorflow_factory or reads_records(problem):
        return None
    problem_class = data_of(problem).load()
    data: DataSet = problem_class(
        run.batch_size,
        synthetic=run.synthetic,
        data_dir=run.data_dir,
        offline=run.offline,
        device="cpu",
        seed=run.random_seed,
    ).load_data()
    check_batch_fits(run.batch_size, data, run.testproblem)
    return data


@contextmanager
def _data_dir(run: ResolvedRun, data: DataSet | None) -> Iterator[str]:
    """A folder with the data in the form that DeepOBS reads."""
    if data is None:
        yield run.data_dir or str(cache_dir())
        return
    clear_temporary_folders()
    with tempfile.TemporaryDirectory(prefix=f"alig-deepobs-{own_mark()}-") as folder:
        write_for_deepobs(data, Path(folder))
        yield folder
