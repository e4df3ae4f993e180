"""What is asked of the process of a run in TensorFlow, and what may be wrong with it."""

from __future__ import annotations

import math
import re
from importlib import metadata, util
from pathlib import Path
from typing import Any

import torch

from alig_deepobs.errors import DataError, UsageError
from alig_deepobs.registry import optimizers
from alig_deepobs.run import ResolvedRun
from alig_deepobs.runners.objective import build_optimizer
from alig_deepobs.runners.schedule import schedule_of
from alig_deepobs.tensorflow._install import INSTALL
from alig_deepobs.testproblems.checks import check_weight_decay
from alig_deepobs.testproblems.datasets.fetch import cache_dir
from alig_deepobs.testproblems.datasets.identity import reads_records


def check_tensorflow(run: ResolvedRun, check_data: bool = True) -> None:
    """Checks what can be found wrong with a run in TensorFlow without starting it.

    Args:
        run: the run.
        check_data: False to leave files alone.

    Raises:
        UsageError: something is not installed, or the specification makes no sense.
        DataError: data is missing.
    """
    _check_installed()
    problem, optimizer = run.problem, run.entry
    _check_problem(run)
    if optimizer.factory:
        # Both versions have the same rules, and PyTorch's are at hand.
        parameter = torch.nn.Parameter(torch.zeros(2))
        build_optimizer(optimizer.load(), optimizer, [parameter], run.hyperparams)
    learning_rate(run)
    visible_gpu(run.device)
    _check_training_params(run)
    check_weight_decay(run.weight_decay, run.testproblem, problem.weight_decay is not None)
    if check_data and reads_records(problem):
        _check_records(run)


def _check_records(run: ResolvedRun) -> None:
    """ImageNet cannot be converted in reasonable time, so its files must be DeepOBS's."""
    if run.synthetic:
        raise UsageError(f"{run.testproblem} has no synthetic twin in TensorFlow")
    folder = Path(run.data_dir or cache_dir()) / "imagenet"
    for pattern in ("train-*", "validation-*"):
        if not any(folder.glob(pattern)):
            raise DataError(
                f"{folder}: no files {pattern}; DeepOBS 1.1.2 reads ImageNet from TFRecords, and "
                "--data_dir names the folder that has imagenet/train-* and imagenet/validation-*"
            )


def _check_installed() -> None:
    for name in ("tensorflow", "tf_keras"):
        if util.find_spec(name) is None:
            raise UsageError(f"{name} is not installed: {INSTALL}")
    try:
        metadata.version("deepobs")
    except metadata.PackageNotFoundError:
        raise UsageError(f"deepobs is not installed: {INSTALL}") from None


def _check_problem(run: ResolvedRun) -> None:
    problem = run.problem
    if not problem.tensorflow_factory:
        if not _is_in_deepobs(problem.name):
            raise UsageError(
                f"{problem.name} does not run in TensorFlow: DeepOBS 1.1.2 has no such problem"
            )
        if run.problem_options:
            names = ", ".join(run.problem_options)
            raise UsageError(f"{problem.name} in TensorFlow has no option {names}")
    if run.split != "full":
        raise UsageError("DeepOBS 1.1.2 has no validation sets: use split='full'")
    if run.reshuffle:
        raise UsageError(
            "DeepOBS 1.1.2 starts every epoch with the same batch order: leave reshuffle out"
        )


def _check_training_params(run: ResolvedRun) -> None:
    schedule_of(run.training_params)
    others = run.training_params.keys() - {"lr_sched_epochs", "lr_sched_factors"}
    if others:
        raise UsageError(
            f"DeepOBS 1.1.2's runner has no {' or '.join(sorted(others))}: leave it out, or run in "
            "PyTorch"
        )


def _is_in_deepobs(name: str) -> bool:
    found = util.find_spec("deepobs")
    folders = [] if found is None else list(found.submodule_search_locations or [])
    return any(Path(f, "tensorflow", "testproblems", f"{name}.py").exists() for f in folders)


def learning_rate(run: ResolvedRun) -> float:
    """What DeepOBS's runner gets as learning rate: the first hyper-parameter."""
    name = run.entry.main_hyperparameter
    rate = run.hyperparams.get(name or "")
    if rate is None and run.optimizer not in optimizers():
        raise UsageError(
            f"{run.optimizer}: give the learning rate, as in {run.optimizer}[learning_rate=0.1]"
        )
    if rate is not None and not isinstance(rate, (int, float)):
        raise UsageError(f"{run.optimizer}: {name} must be a number, not {rate!r}")
    return math.inf if rate is None else float(rate)


def translated_hyperparams(run: ResolvedRun) -> dict[str, Any]:
    """The other hyper-parameters, under their names in TensorFlow."""
    translated: dict[str, Any] = {}
    optimizer = run.entry
    for name, value in run.hyperparams.items():
        if name == optimizer.main_hyperparameter:
            continue
        names = optimizer.tensorflow_names.get(name, (name,))
        values = value if len(names) > 1 else (value,)
        translated.update(zip(names, values, strict=True))
    return translated


def visible_gpu(device: str | None) -> str | None:
    """What ``CUDA_VISIBLE_DEVICES`` must be, None to leave it as it is."""
    if device is None:
        return None
    match = re.fullmatch(r"cpu|cuda(?::(\d+))?", device)
    if match is None:
        raise UsageError(f"unknown device {device!r}: give cpu, cuda or cuda:<number>")
    if device == "cpu":
        return "-1"
    return match[1]


def make_request(run: ResolvedRun, data_dir: str) -> dict[str, Any]:
    """What `alig_deepobs.runners.tensorflow.worker` needs to know of a run, as plain data.

    Args:
        run: the run.
        data_dir: where DeepOBS finds its data.
    """
    problem, optimizer = run.problem, run.entry
    is_known = run.optimizer in optimizers()
    return {
        "testproblem": run.testproblem,
        "problem_factory": problem.tensorflow_factory,
        "problem_options": run.problem_options,
        "has_l2": problem.weight_decay is not None,
        "optimizer": run.optimizer,
        "optimizer_factory": optimizer.tensorflow_factory,
        "learning_rate": learning_rate(run),
        "hyperparams": translated_hyperparams(run),
        # Of a class that is not in the registry only the process can know it.
        "regularization": optimizer.regularization if is_known else "",
        "batch_size": run.batch_size,
        "num_epochs": run.num_epochs,
        "weight_decay": run.weight_decay,
        "random_seed": run.random_seed,
        "data_dir": data_dir,
        "synthetic": run.synthetic,
        "offline": run.offline,
        "train_log_interval": run.train_log_interval,
        "lr_sched_epochs": run.training_params.get("lr_sched_epochs"),
        "lr_sched_factors": run.training_params.get("lr_sched_factors"),
        "wants_gpu": run.device is not None and run.device != "cpu",
    }
