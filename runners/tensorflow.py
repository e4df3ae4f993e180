"""Runs in TensorFlow: DeepOBS 1.1.2's own runner and problem, in a process of its own.

The process (`alig_deepobs.tensorflow.worker`) reports what happens while it happens, so an
interrupted run has everything up to then, and the record is the same as that of a run in PyTorch.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata, util
from pathlib import Path
from typing import Any

import torch

from alig_deepobs.errors import DataError, RunError, UsageError
from alig_deepobs.registry import (
    OptimizerEntry,
    ProblemEntry,
    find_optimizer,
    find_testproblem,
    optimizers,
)
from alig_deepobs.results import Outcome, RunResult
from alig_deepobs.runners.environment import host
from alig_deepobs.runners.objective import build_optimizer
from alig_deepobs.runners.reports import Reports
from alig_deepobs.runners.schedule import schedule_of
from alig_deepobs.runners.spec import RunSpec
from alig_deepobs.runners.watch import Watcher
from alig_deepobs.tensorflow._install import INSTALL
from alig_deepobs.testproblems.checks import check_batch_fits, check_weight_decay
from alig_deepobs.testproblems.datasets.base import DataSet
from alig_deepobs.testproblems.datasets.fetch import cache_dir, require
from alig_deepobs.testproblems.datasets.official import write_for_deepobs
from alig_deepobs.testproblems.datasets.sources import SOURCES

logger = logging.getLogger(__name__)

# DeepOBS's problem that reads another problem's data by mistake.
_READS_DATA_OF = {"fmnist_mlp": "mnist_mlp"}


def check_tensorflow(spec: RunSpec) -> None:
    """Checks what can be found wrong with a run in TensorFlow without starting it.

    Args:
        spec: the run, with every default filled in.

    Raises:
        UsageError: something is not installed, or the specification makes no sense.
        DataError: data is missing.
    """
    _check_installed()
    problem, optimizer = find_testproblem(spec.testproblem), _optimizer_of(spec)
    _check_problem(spec, problem)
    if optimizer.factory:
        # Both versions have the same rules, and PyTorch's are at hand.
        parameter = torch.nn.Parameter(torch.zeros(2))
        build_optimizer(optimizer.load(), optimizer, [parameter], spec.hyperparams)
    _learning_rate(spec, optimizer)
    _gpu(spec.device)
    _check_training_params(spec)
    check_weight_decay(spec.weight_decay, spec.testproblem, problem.weight_decay is not None)
    source = SOURCES.get(_data_of(problem).data_set)
    if source is not None and source.own:
        _check_records(spec)
    elif source is not None and source.files and not spec.synthetic:
        require(source, spec.data_dir, spec.offline)


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
    problem, optimizer = find_testproblem(spec.testproblem), _optimizer_of(spec)
    data = _load_data(spec, problem)
    result = _blank_result(spec, problem, optimizer, data)
    steps = 1 if data is None or spec.batch_size is None else data.size("train") // spec.batch_size
    with _data_dir(spec, data) as folder:
        factor = problem.weight_decay if spec.weight_decay is None else spec.weight_decay
        has_l2 = problem.weight_decay is not None
        reports = Reports(result, watcher or Watcher(), steps, factor if has_l2 else None)
        request = _request(spec, problem, optimizer, folder)
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
    gpu = _gpu(device)
    variables = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        # The process finds the user's optimizer where this one would.
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    if gpu is not None:
        variables["CUDA_VISIBLE_DEVICES"] = gpu
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "alig_deepobs.tensorflow.worker"],
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


def _check_installed() -> None:
    for name in ("tensorflow", "tf_keras"):
        if util.find_spec(name) is None:
            raise UsageError(f"{name} is not installed: {INSTALL}")
    try:
        metadata.version("deepobs")
    except metadata.PackageNotFoundError:
        raise UsageError(f"deepobs is not installed: {INSTALL}") from None


def _check_problem(spec: RunSpec, problem: ProblemEntry) -> None:
    if not problem.tensorflow_factory:
        if not _is_in_deepobs(problem.name):
            raise UsageError(
                f"{problem.name} does not run in TensorFlow: DeepOBS 1.1.2 has no such problem"
            )
        if spec.problem_options:
            names = ", ".join(spec.problem_options)
            raise UsageError(f"{problem.name} in TensorFlow has no option {names}")
    if spec.split != "full":
        raise UsageError("DeepOBS 1.1.2 has no validation sets: use split='full'")
    if spec.reshuffle:
        raise UsageError(
            "DeepOBS 1.1.2 starts every epoch with the same batch order: leave reshuffle out"
        )


def _check_training_params(spec: RunSpec) -> None:
    schedule_of(spec.training_params)
    others = spec.training_params.keys() - {"lr_sched_epochs", "lr_sched_factors"}
    if others:
        raise UsageError(
            f"DeepOBS 1.1.2's runner has no {' or '.join(sorted(others))}: leave it out, or run in "
            "PyTorch"
        )


def _is_in_deepobs(name: str) -> bool:
    found = util.find_spec("deepobs")
    folders = [] if found is None else list(found.submodule_search_locations or [])
    return any(Path(f, "tensorflow", "testproblems", f"{name}.py").exists() for f in folders)


def _optimizer_of(spec: RunSpec) -> OptimizerEntry:
    return find_optimizer(spec.optimizer, spec.framework)


def _learning_rate(spec: RunSpec, optimizer: OptimizerEntry) -> float:
    """What DeepOBS's runner gets as learning rate: the first hyper-parameter."""
    name = optimizer.main_hyperparameter
    rate = spec.hyperparams.get(name or "")
    if rate is None and spec.optimizer not in optimizers():
        raise UsageError(
            f"{spec.optimizer}: give the learning rate, as in {spec.optimizer}[learning_rate=0.1]"
        )
    if rate is not None and not isinstance(rate, (int, float)):
        raise UsageError(f"{spec.optimizer}: {name} must be a number, not {rate!r}")
    return math.inf if rate is None else float(rate)


def _hyperparams(spec: RunSpec, optimizer: OptimizerEntry) -> dict[str, Any]:
    """The other hyper-parameters, under their names in TensorFlow."""
    translated: dict[str, Any] = {}
    for name, value in spec.hyperparams.items():
        if name == optimizer.main_hyperparameter:
            continue
        names = optimizer.tensorflow_names.get(name, (name,))
        values = value if len(names) > 1 else (value,)
        translated.update(zip(names, values, strict=True))
    return translated


def _gpu(device: str | None) -> str | None:
    """What ``CUDA_VISIBLE_DEVICES`` must be, None to leave it as it is."""
    if device is None:
        return None
    match = re.fullmatch(r"cpu|cuda(?::(\d+))?", device)
    if match is None:
        raise UsageError(f"unknown device {device!r}: give cpu, cuda or cuda:<number>")
    if device == "cpu":
        return "-1"
    return match[1]


def _data_of(problem: ProblemEntry) -> ProblemEntry:
    """The problem whose data set DeepOBS's problem reads."""
    if problem.tensorflow_factory:
        return problem
    return find_testproblem(_READS_DATA_OF.get(problem.name, problem.name))


def _check_records(spec: RunSpec) -> None:
    """ImageNet cannot be converted in reasonable time, so its files must be DeepOBS's."""
    if spec.synthetic:
        raise UsageError(f"{spec.testproblem} has no synthetic twin in TensorFlow")
    folder = Path(spec.data_dir or cache_dir()) / "imagenet"
    for pattern in ("train-*", "validation-*"):
        if not any(folder.glob(pattern)):
            raise DataError(
                f"{folder}: no files {pattern}; DeepOBS 1.1.2 reads ImageNet from TFRecords, and "
                "--data_dir names the folder that has imagenet/train-* and imagenet/validation-*"
            )


def _load_data(spec: RunSpec, problem: ProblemEntry) -> DataSet | None:
    """The data set that DeepOBS will read, decoded; None where the problem sees to it itself."""
    source = SOURCES.get(problem.data_set)
    if problem.tensorflow_factory or (source is not None and source.own):
        return None
    problem_class = _data_of(problem).load()
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


def _request(
    spec: RunSpec, problem: ProblemEntry, optimizer: OptimizerEntry, data_dir: str
) -> dict[str, Any]:
    is_known = spec.optimizer in optimizers()
    return {
        "testproblem": spec.testproblem,
        "problem_factory": problem.tensorflow_factory,
        "problem_options": spec.problem_options,
        "has_l2": problem.weight_decay is not None,
        "optimizer": spec.optimizer,
        "optimizer_factory": optimizer.tensorflow_factory,
        "learning_rate": _learning_rate(spec, optimizer),
        "hyperparams": _hyperparams(spec, optimizer),
        # Of a class that is not in the registry only the process can know it.
        "regularization": optimizer.regularization if is_known else "",
        "batch_size": spec.batch_size,
        "num_epochs": spec.num_epochs,
        "weight_decay": None if problem.weight_decay is None else spec.weight_decay,
        "random_seed": spec.random_seed,
        "data_dir": data_dir,
        "synthetic": spec.synthetic,
        "offline": spec.offline,
        "train_log_interval": spec.train_log_interval,
        "lr_sched_epochs": spec.training_params.get("lr_sched_epochs"),
        "lr_sched_factors": spec.training_params.get("lr_sched_factors"),
        "wants_gpu": spec.device is not None and spec.device != "cpu",
    }


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
