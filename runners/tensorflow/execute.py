"""Runs in TensorFlow: DeepOBS 1.1.2's own runner and problem, in a process of its own.

The process (`alig_deepobs.runners.tensorflow.worker`) reports what happens while it happens, so an
interrupted run has everything up to then, and the record is the same as that of a run in PyTorch.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alig_deepobs.errors import RunError, UsageError
from alig_deepobs.registry import OptimizerEntry, ProblemEntry, find_testproblem
from alig_deepobs.results import Outcome, RunResult
from alig_deepobs.runners.environment import host
from alig_deepobs.runners.spec import RunSpec
from alig_deepobs.runners.tensorflow.reports import Reports
from alig_deepobs.runners.tensorflow.request import (
    check_tensorflow,
    data_of,
    make_request,
    optimizer_of,
    visible_gpu,
)
from alig_deepobs.runners.watch import Watcher
from alig_deepobs.testproblems.checks import check_batch_fits
from alig_deepobs.testproblems.datasets.base import DataSet
from alig_deepobs.testproblems.datasets.fetch import cache_dir
from alig_deepobs.testproblems.datasets.official import write_for_deepobs
from alig_deepobs.testproblems.datasets.sources import SOURCES

logger = logging.getLogger(__name__)


def execute_in_tensorflow(spec: RunSpec, watcher: Watcher | None = None) -> RunResult:
    """Carries out a run in TensorFlow; see `alig_deepobs.runners.execute`.

    Args:
        spec: the run; defaults are filled in.
        watcher: hears of the progress.

    Raises:
        UsageError: the specification makes no sense.
        DataError: a data file is missing or broken.
        RunError: the optimizer raised an error while training, or the process died.
    """
    spec = spec.complete()
    check_tensorflow(spec)
    problem, optimizer = find_testproblem(spec.testproblem), optimizer_of(spec)
    data = _load_data(spec, problem)
    result = _blank_result(spec, problem, optimizer, data)
    steps = 1 if data is None or spec.batch_size is None else data.size("train") // spec.batch_size
    with _data_dir(spec, data) as folder:
        factor = problem.weight_decay if spec.weight_decay is None else spec.weight_decay
        has_l2 = problem.weight_decay is not None
        reports = Reports(result, watcher or Watcher(), steps, factor if has_l2 else None)
        request = make_request(spec, problem, optimizer, folder)
        with tempfile.TemporaryFile() as errors:
            process = _start(request, spec.device, errors)
            try:
                _listen(process, reports)
            except KeyboardInterrupt:
                reports.interrupted()
            finally:
                process.kill()
                code = process.wait()
            if not reports.ended:
                errors.seek(0)
                lines = errors.read().decode(errors="replace").strip().splitlines() or [""]
                reports.died(f"the TensorFlow process ended with code {code}: {lines[-1]}")
            elif result.outcome is Outcome.FAILED:
                errors.seek(0)
                logger.debug("%s", errors.read().decode(errors="replace"))
    if reports.refusal:
        raise UsageError(reports.refusal)
    reports.watcher.finished(result)
    if result.outcome is Outcome.FAILED:
        raise RunError(
            f"{spec.optimizer} on {spec.testproblem} in TensorFlow broke after {result.steps} "
            f"steps: {result.outcome_reason}",
            result,
        )
    return result


def _listen(process: subprocess.Popen[bytes], reports: Reports) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        reports.take(json.loads(line))
        if reports.ended:
            return


def _start(request: dict[str, Any], device: str | None, errors: Any) -> subprocess.Popen[bytes]:
    gpu = visible_gpu(device)
    variables = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        # The process finds the user's optimizer where this one would.
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    if gpu is not None:
        variables["CUDA_VISIBLE_DEVICES"] = gpu
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "alig_deepobs.runners.tensorflow.worker"],
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


def _load_data(spec: RunSpec, problem: ProblemEntry) -> DataSet | None:
    """The data set that DeepOBS will read, decoded; None where the problem sees to it itself."""
    source = SOURCES.get(problem.data_set)
    if problem.tensorflow_factory or (source is not None and source.own):
        return None
    problem_class = data_of(problem).load()
    data: DataSet = problem_class(
        spec.batch_size,
        synthetic=spec.synthetic,
        data_dir=spec.data_dir,
        offline=spec.offline,
        device="cpu",
        seed=spec.random_seed,
    ).load_data()
    assert spec.batch_size is not None
    check_batch_fits(spec.batch_size, data, spec.testproblem)
    return data


@contextmanager
def _data_dir(spec: RunSpec, data: DataSet | None) -> Iterator[str]:
    """A folder with the data in the form that DeepOBS reads."""
    if data is None:
        yield spec.data_dir or str(cache_dir())
        return
    with tempfile.TemporaryDirectory(prefix="alig-deepobs-") as folder:
        write_for_deepobs(data, Path(folder))
        yield folder


def _blank_result(
    spec: RunSpec, problem: ProblemEntry, optimizer: OptimizerEntry, data: DataSet | None
) -> RunResult:
    assert spec.batch_size is not None
    assert spec.num_epochs is not None
    assert spec.split is not None
    source = SOURCES.get(problem.data_set)
    label = problem.data_set if source is None else source.label
    return RunResult(
        testproblem=spec.testproblem,
        optimizer_name=optimizer.label,
        optimizer_hyperparams=dict(spec.hyperparams),
        batch_size=spec.batch_size,
        num_epochs=spec.num_epochs,
        random_seed=spec.random_seed,
        weight_decay=spec.weight_decay,
        train_log_interval=spec.train_log_interval,
        max_norm=spec.hyperparams.get("max_norm"),
        problem_options=dict(spec.problem_options),
        training_params=dict(spec.training_params),
        optimizer=spec.optimizer,
        optimizer_class=optimizer.tensorflow_factory,
        purpose=spec.purpose,
        setting_source=spec.setting_source,
        framework="tensorflow",
        data_set=problem.data_set if data is None else data.name,
        data_label=label if data is None else data.label,
        data_version="" if data is None else data.version,
        split=spec.split,
        reshuffle=False,
        environment=host(),
    )
