"""The result of a run: its schema, and reading and writing it.

A result is one JSON file in DeepOBS's folder tree,
``<output_dir>/<test problem>/<optimizer>/<setting>/random_seed__<seed>__<time>__<id>.json``.
The keys are those of DeepOBS 1.2, plus what the analyzer of DeepOBS 1.1.2 needs, plus ours.
Files of both DeepOBS versions can be read. The JSON is strict: a number that is not finite never
gets into a file. A diverged run has shorter lists, and says so in ``outcome``; nothing is padded.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import secrets
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from alig_deepobs.errors import ResultError

SCHEMA_VERSION = 1


class Outcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    DIVERGED = "diverged"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass
class RunResult:
    """Everything that is known of one run.

    The lists per epoch have one entry before training and one after each finished epoch; a list
    is empty where the quantity does not exist (no accuracy, no validation part). Losses and
    accuracies are means over the full mini-batches of the set (over all of it, where the problem
    keeps incomplete ones); accuracies are fractions.

    Attributes:
        testproblem: name of the test problem.
        optimizer_name: label of the optimizer (the folder name).
        optimizer_hyperparams: all hyper-parameters, the learning rate or cap included.
        batch_size: examples a step.
        num_epochs: epochs that were asked for.
        random_seed: the base of every seed of the run.
        weight_decay: L2 factor in the objective as passed, None for the problem's default.
        outcome: how the run ended.
        outcome_reason: for anything but ``done``, one line.
        train_losses: the objective of this run (L2 term included if it had one) on the
            train-eval set.
        valid_losses, test_losses: likewise.
        train_data_losses, valid_data_losses, test_data_losses: the data term alone. Compare
            optimizers by these.
        train_accuracies, valid_accuracies, test_accuracies: fractions.
        minibatch_train_losses: objective of every ``train_log_interval``-th step.
        epoch_mean_losses: running mean of the objective over each epoch's examples: the training
            objective as the ALI-G paper plots it, while the weights change.
        train_log_interval: see above.
        best_valid_epoch: the epoch with the best validation accuracy (or, for problems without
            accuracy, loss), the first of several; None without a validation set.
        best_valid_test_loss: data term of the test loss after that epoch.
        best_valid_test_accuracy: likewise. It is what the ALI-G paper reports.
        best_weights: path of the weights after that epoch, if they were kept.
        step_sizes: one dictionary per epoch (mean, median, min, max, clipped_fraction), from
            every ``train_log_interval``-th step, for optimizers that compute their step size.
        guarded_steps: name of a guard -> steps in which it set the step size to 0.
        regularization: ``l2``, ``ball``, ``weight_decay`` (by the optimizer itself) or ``none``:
            what the run really did.
        effective_weight_decay: factor of the L2 term in loss and gradient, or of the optimizer's
            own weight decay; 0.0 if there was none.
        max_norm: radius of the ball, None if there was none.
        problem_options: options of the test problem that are not its defaults.
        training_params: further training parameters (schedules), DeepOBS's key.
        training_seconds, evaluation_seconds: one entry per epoch (evaluation: one more).
        steps: optimizer steps taken.
        peak_memory_bytes: of the device, None where it cannot be measured.
        optimizer: registry name or import path.
        optimizer_class: ``package.module:Class``.
        purpose: ``tuning`` for a run that only served to choose a setting, else empty.
        setting_source: who chose the hyper-parameters and how, one line.
        framework: ``pytorch`` or ``tensorflow``.
        data_set: name of the data set.
        data_label: what the data really was, for example ``"MNIST (synthetic twin)"``.
        data_version: digest of the decoded data.
        split: ``full`` or ``validation``.
        reshuffle: whether every epoch had a batch order of its own.
        environment: versions, hardware, threads.
        schema_version: version of this schema; 0 for files of DeepOBS.
    """

    testproblem: str
    optimizer_name: str
    optimizer_hyperparams: dict[str, Any]
    batch_size: int
    num_epochs: int
    random_seed: int
    weight_decay: float | None = None
    outcome: Outcome = Outcome.DONE
    outcome_reason: str = ""
    train_losses: list[float] = field(default_factory=list)
    valid_losses: list[float] = field(default_factory=list)
    test_losses: list[float] = field(default_factory=list)
    train_data_losses: list[float] = field(default_factory=list)
    valid_data_losses: list[float] = field(default_factory=list)
    test_data_losses: list[float] = field(default_factory=list)
    train_accuracies: list[float] = field(default_factory=list)
    valid_accuracies: list[float] = field(default_factory=list)
    test_accuracies: list[float] = field(default_factory=list)
    minibatch_train_losses: list[float] = field(default_factory=list)
    epoch_mean_losses: list[float] = field(default_factory=list)
    train_log_interval: int = 10
    best_valid_epoch: int | None = None
    best_valid_test_loss: float | None = None
    best_valid_test_accuracy: float | None = None
    best_weights: str = ""
    step_sizes: list[dict[str, float]] = field(default_factory=list)
    guarded_steps: dict[str, int] = field(default_factory=dict)
    regularization: str = "none"
    effective_weight_decay: float = 0.0
    max_norm: float | None = None
    problem_options: dict[str, Any] = field(default_factory=dict)
    training_params: dict[str, Any] = field(default_factory=dict)
    training_seconds: list[float] = field(default_factory=list)
    evaluation_seconds: list[float] = field(default_factory=list)
    steps: int = 0
    peak_memory_bytes: int | None = None
    optimizer: str = ""
    optimizer_class: str = ""
    purpose: str = ""
    setting_source: str = ""
    framework: str = "pytorch"
    data_set: str = ""
    data_label: str = ""
    data_version: str = ""
    split: str = "full"
    reshuffle: bool = True
    environment: dict[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    @property
    def learning_rate(self) -> float | None:
        """The learning rate or cap, whatever the optimizer calls it; None if there is none."""
        for name in ("lr", "learning_rate", "max_lr"):
            rate = self.optimizer_hyperparams.get(name)
            if isinstance(rate, (int, float)) and math.isfinite(rate):
                return float(rate)
        return None

    def to_json(self) -> dict[str, Any]:
        """The dictionary that is written: our keys and those of both DeepOBS versions."""
        record = asdict(self)
        record["outcome"] = self.outcome.value
        for part in ("train", "valid", "test"):
            if not record[f"{part}_accuracies"]:
                del record[f"{part}_accuracies"]
        # What the analyzer of DeepOBS 1.1.2 looks for, under its names.
        rate_names = ("lr", "learning_rate", "max_lr")
        record["learning_rate"] = self.learning_rate
        record["hyperparams"] = {
            key: value for key, value in self.optimizer_hyperparams.items() if key not in rate_names
        }
        record["lr_sched_epochs"] = self.training_params.get("lr_sched_epochs")
        record["lr_sched_factors"] = self.training_params.get("lr_sched_factors")
        return record


def setting_folder(result: RunResult) -> str:
    """Name of the setting's folder, in DeepOBS 1.2's form.

    Every hyper-parameter is in the name, text too, so two settings never share a folder; a name
    that would be too long for a file system, or not safe in one, ends in a digest instead.
    """
    parts = ["num_epochs", str(result.num_epochs), "batch_size", str(result.batch_size)]
    if result.weight_decay is not None:
        parts += ["weight_decay", float_text(result.weight_decay)]
    for params in (result.optimizer_hyperparams, result.training_params, result.problem_options):
        for key in sorted(params):
            value = params[key]
            if value is not None:
                text = float_text(value) if isinstance(value, float) else str(value)
                parts += [key, text]
    name = "__".join(parts)
    safe = "".join(c if c.isalnum() or c in "._-+()[], " else "-" for c in name)
    if safe == name and len(name) <= 200:
        return name
    return f"{safe[:180]}__{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def float_text(value: float) -> str:
    """DeepOBS's way to write a float in a folder name.

    Example:
        >>> float_text(0.01), float_text(0.0), float_text(10**-0.8)
        ('1.e-02', '0.e+00', '1.5848931925e-01')
    """
    if not math.isfinite(value):
        return str(value)
    mantissa, _, exponent = f"{value:.10e}".partition("e")
    return f"{mantissa.rstrip('0')}e{exponent}"


def write_result(result: RunResult, output_dir: str | Path) -> Path:
    """Writes a result atomically under a name that no other run has.

    Returns:
        The path of the file.

    Raises:
        ResultError: the folder is not writable, or the result holds a number that is not finite.
    """
    folder = Path(output_dir) / result.testproblem / result.optimizer_name / setting_folder(result)
    stamp = time.strftime("%Y-%m-%d-%H-%M-%S")
    path = folder / f"random_seed__{result.random_seed}__{stamp}__{secrets.token_hex(4)}.json"
    try:
        text = json.dumps(_plain(result.to_json()), indent=4, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ResultError(f"result of {result.testproblem} cannot be written: {error}") from error
    write_text_atomically(path, text)
    return path


def write_text_atomically(path: Path, text: str) -> None:
    """`write_bytes_atomically` for a text."""
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Writes a file in one step: it is there whole, or not at all.

    Raises:
        ResultError: the folder cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            # mkstemp makes files for the owner alone; results are as public as their folder.
            umask = os.umask(0)
            os.umask(umask)
            Path(temporary).chmod(0o666 & ~umask)
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise ResultError(
            f"cannot write {path}: {error.strerror or error}; "
            "give a writable folder with --output_dir"
        ) from error


def check_writable(output_dir: str | Path) -> None:
    """Finds out before a long run whether its result can be written.

    Raises:
        ResultError: it cannot; the message says why.
    """
    folder = Path(output_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ResultError(
            f"output folder {folder} is not writable: {error.strerror or error}; "
            "give another one with --output_dir"
        ) from error


def read_result(path: str | Path) -> RunResult:
    """Reads a result of ours, of DeepOBS 1.2 or of DeepOBS 1.1.

    Lists of DeepOBS's files that contain NaN or infinity are cut before the first such entry, and
    the outcome is ``diverged``.

    Raises:
        ResultError: the file is not JSON or lacks what a result has.
    """
    path = Path(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ResultError(f"{path} is not a JSON file: {error}") from error
    if not isinstance(record, dict) or "test_losses" not in record:
        raise ResultError(f"{path} is not a result: it has no test_losses")
    schema = record.get("schema_version", 0)
    if not isinstance(schema, int):
        raise ResultError(f"{path} is not a result: its schema_version is {schema!r}")
    if schema > SCHEMA_VERSION:
        raise ResultError(
            f"{path} has schema version {schema}; this version of alig-deepobs reads up to "
            f"{SCHEMA_VERSION}: update it"
        )
    return _from_ours(record, path) if schema else _from_deepobs(record, path)


def _from_ours(record: Mapping[str, Any], path: Path) -> RunResult:
    known = {item.name for item in fields(RunResult)}
    try:
        values = {key: value for key, value in record.items() if key in known}
        values["optimizer_hyperparams"] = {
            name: float(value) if value in ("inf", "-inf") else value
            for name, value in record["optimizer_hyperparams"].items()
        }
        return RunResult(**{**values, "outcome": Outcome(record["outcome"])})
    except (KeyError, TypeError, ValueError) as error:
        raise ResultError(f"{path} is not a complete result: {error}") from error


def _from_deepobs(record: Mapping[str, Any], path: Path) -> RunResult:
    """Reads the dialects of DeepOBS 1.2 (``optimizer_name``) and 1.1 (``optimizer``)."""
    new = "optimizer_name" in record or "optimizer_hyperparams" in record
    try:
        hyperparams = dict(record["optimizer_hyperparams"] if new else record["hyperparams"])
        training = dict(record.get("training_params", {}))
        if not new:
            hyperparams["learning_rate"] = record["learning_rate"]
            if record.get("lr_sched_epochs") is not None:
                training["lr_sched_epochs"] = record["lr_sched_epochs"]
                training["lr_sched_factors"] = record["lr_sched_factors"]
        lists = {
            name: [float(value) for value in record.get(name, [])]
            for name in (
                "train_losses", "valid_losses", "test_losses", "train_accuracies",
                "valid_accuracies", "test_accuracies", "minibatch_train_losses",
            )
        }  # fmt: skip
        weight_decay = record.get("weight_decay", record.get("l2_reg"))
        result = RunResult(
            testproblem=record.get("testproblem", path.parents[2].name),
            optimizer_name=record.get("optimizer_name", record.get("optimizer", "")),
            optimizer_hyperparams=hyperparams,
            batch_size=int(record["batch_size"]),
            num_epochs=int(record["num_epochs"]),
            random_seed=int(record["random_seed"]),
            weight_decay=weight_decay,
            training_params=training,
            train_log_interval=int(record.get("train_log_interval", 10)),
            framework="pytorch" if new else "tensorflow",
            schema_version=0,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ResultError(f"{path} is not a complete result of DeepOBS: {error!r}") from error
    for name, values in lists.items():
        setattr(result, name, values)
    if not any(lists[name] for name in lists if name != "minibatch_train_losses"):
        raise ResultError(f"{path} is not a complete result of DeepOBS: its lists are empty")
    cut_at_first_non_finite(result)
    return result


def cut_at_first_non_finite(result: RunResult) -> None:
    """Ends all lists per epoch before the first epoch with a number that is not finite.

    If there is one, the run has diverged, and the outcome says so.
    """
    parts = ("train", "valid", "test")
    kinds = ("losses", "data_losses", "accuracies")
    names = [f"{part}_{kind}" for part in parts for kind in kinds]
    curves = {name: getattr(result, name) for name in names if getattr(result, name)}
    good = min((_finite_length(curve) for curve in curves.values()), default=0)
    if any(good < len(curve) for curve in curves.values()):
        result.outcome = Outcome.DIVERGED
        result.outcome_reason = f"not finite at epoch {good}"
    for name, curve in curves.items():
        setattr(result, name, curve[:good])
    minibatch = result.minibatch_train_losses
    result.minibatch_train_losses = minibatch[: _finite_length(minibatch)]


def _finite_length(values: list[float]) -> int:
    """The length of the part of a list before the first number that is not finite."""
    return next((i for i, value in enumerate(values) if not math.isfinite(value)), len(values))


def _plain(value: Any) -> Any:
    """What JSON has no form for: tuples, infinite hyper-parameters, NumPy's and torch's scalars."""
    if isinstance(value, dict):
        hyper = ("optimizer_hyperparams", "hyperparams")
        return {
            key: {k: _no_infinity(v) for k, v in item.items()} if key in hyper else _plain(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return plain_scalar(value)


def plain_scalar(value: Any) -> Any:
    """A Python number for one of NumPy or torch; anything else as it is."""
    is_scalar = getattr(value, "ndim", None) == 0 and hasattr(value, "item")
    return value.item() if is_scalar else value


def _no_infinity(value: Any) -> Any:
    value = _plain(value)
    return str(value) if isinstance(value, float) and math.isinf(value) else value
