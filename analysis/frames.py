"""Results as data frames: one row per run, or one row per run and epoch."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from alig_deepobs.files import write_text_atomically
from alig_deepobs.registry import ProblemEntry
from alig_deepobs.run import Outcome, RunResult

Part = Literal["train", "valid", "test"]
PARTS: tuple[Part, ...] = ("train", "valid", "test")

_CURVES = [f"{part}_{quantity}" for part in PARTS for quantity in ("data_loss", "accuracy")]

RUN_COLUMNS = [
    "testproblem", "optimizer_name", "optimizer", "setting", "seed", "outcome", "outcome_reason",
    "num_epochs", "epochs_finished", "batch_size", "steps",
    *(f"{when}_{curve}" for curve in _CURVES for when in ("final", "best")),
    "best_valid_epoch", "best_valid_test_loss", "best_valid_test_accuracy", "final_epoch_mean_loss",
    "training_seconds_per_epoch", "evaluation_seconds",
    "loss_kind", "regularization", "effective_weight_decay", "max_norm", "peak_memory_bytes",
    "framework", "device", "data_set", "data_label", "data_version", "split", "schema_version",
]  # fmt: skip

_EPOCH_TEXTS = ("testproblem", "optimizer_name", "setting", "outcome", "loss_kind")

EPOCH_COLUMNS = [
    "testproblem", "optimizer_name", "setting", "seed", "outcome", "epoch", *_CURVES,
    "training_seconds", "evaluation_seconds", "loss_kind",
]  # fmt: skip


def runs_frame(results: Iterable[RunResult]) -> pd.DataFrame:
    """One row per run.

    ``final_*`` are the values after the last epoch, missing for a run that did not finish: the
    last value before a divergence is not a final one. ``best_*`` are the best values over the
    recorded epochs, ``best_valid_*`` those after the epoch with the best validation result, and
    ``final_epoch_mean_loss`` the running mean of the objective over the last epoch's steps.
    Losses are the data term (see `loss_curve`), accuracies fractions, times
    seconds; ``training_seconds_per_epoch`` is the mean, ``evaluation_seconds`` the sum.

    Args:
        results: the runs; may be a stream (`iter_results`), of which one run is held at a time.

    Returns:
        A frame with the columns `RUN_COLUMNS`.
    """
    columns: dict[str, list[Any]] = {name: [] for name in RUN_COLUMNS}
    for result in results:
        row = _run_row(result)
        for name, values in columns.items():
            value = row[name]
            # Texts repeat a thousand times; one copy of each is enough.
            values.append(sys.intern(value) if type(value) is str else value)
    return pd.DataFrame(columns, columns=RUN_COLUMNS)


def epochs_frame(results: Iterable[RunResult]) -> pd.DataFrame:
    """One row per run and epoch; epoch 0 is before training.

    Args:
        results: the runs; may be a stream (`iter_results`), of which one run is held at a time.

    Returns:
        A frame with the columns `EPOCH_COLUMNS`, in the units of `runs_frame`. What was not
        recorded is missing. Texts are categories and numbers of epochs and seeds 32-bit
        integers where they fit, so that a row takes about 80 bytes.
    """
    texts: dict[str, _Codes] = {name: _Codes() for name in _EPOCH_TEXTS}
    numbers: dict[str, array[Any]] = {
        name: array("q" if name in ("seed", "epoch") else "d")
        for name in EPOCH_COLUMNS
        if name not in texts
    }
    for result in results:
        length = epochs_finished(result) + 1
        for name, text in _epoch_texts(result).items():
            texts[name].add(text, length)
        for name, values in _epoch_numbers(result, length).items():
            numbers[name].extend(values)
    frame: dict[str, Any] = {}
    for name in EPOCH_COLUMNS:
        if name in texts:
            frame[name] = texts[name].categorical()
        else:
            frame[name] = np.asarray(numbers[name])
            if name in ("seed", "epoch"):
                frame[name] = pd.to_numeric(frame[name], downcast="integer")
    # Without a copy: ten million rows are common, and 0.7 GB are enough once.
    return pd.DataFrame(frame, columns=EPOCH_COLUMNS, copy=False)


def write_csv(results: Iterable[RunResult], path: str | Path) -> Path:
    """Writes `runs_frame` as a CSV file, in one step.

    Returns:
        The path of the file.

    Raises:
        ResultError: the file cannot be written.
    """
    path = Path(path)
    write_text_atomically(path, runs_frame(results).to_csv(index=False))
    return path


def loss_curve(result: RunResult, part: Part) -> list[float]:
    """The data term of the loss per epoch; for files of DeepOBS the loss as recorded.

    DeepOBS records only the sum of data term and L2 term. The two agree on problems without L2.
    """
    name = f"{part}_losses" if result.schema_version == 0 else f"{part}_data_losses"
    curve: list[float] = getattr(result, name)
    return curve


def accuracy_curve(result: RunResult, part: Part) -> list[float]:
    """The accuracy per epoch, a fraction; empty where there is none."""
    curve: list[float] = getattr(result, f"{part}_accuracies")
    return curve


def headline_curve(result: RunResult, entry: ProblemEntry) -> list[float]:
    """The headline metric of a problem per epoch."""
    if entry.metric == "accuracy":
        return accuracy_curve(result, "test")
    return loss_curve(result, "test")


def loss_kind(result: RunResult) -> str:
    """What `loss_curve` gives: ``data term``, or ``as recorded`` for files of DeepOBS."""
    return "as recorded" if result.schema_version == 0 else "data term"


def setting_params(result: RunResult) -> dict[str, Any]:
    """What was set by hand: hyper-parameters, weight decay if one was passed, schedules."""
    params = {**result.hyperparams, **result.training_params}
    # An optimizer with a weight decay of its own, such as AdamW, does not use the problem's.
    if result.weight_decay is not None and params.get("weight_decay") is None:
        params["weight_decay"] = result.weight_decay
    # A file holds lists where a run in memory holds tuples; both are the same setting.
    return {key: tuple(v) if isinstance(v, list) else v for key, v in params.items()}


def params_text(params: Mapping[str, Any]) -> str:
    """Writes parameters in one line.

    Example:
        >>> params_text({"lr": 0.015848931925, "betas": (0.9, 0.999), "nesterov": False})
        'lr=0.015848931925, betas=(0.9, 0.999), nesterov=False'
    """
    return ", ".join(f"{key}={value}" for key, value in params.items())


def training_seconds_per_epoch(result: RunResult) -> float:
    """Mean training time of an epoch in seconds; NaN if it was not recorded."""
    times = result.training_seconds
    return math.fsum(times) / len(times) if times else math.nan


def device_text(result: RunResult) -> str:
    """The device of a run, empty if it was not recorded."""
    return str(result.environment.get("device") or "")


def epochs_finished(result: RunResult) -> int:
    """The epochs after which the run was evaluated."""
    return max(0, len(result.test_losses or result.test_data_losses) - 1)


def _run_row(result: RunResult) -> dict[str, Any]:
    row: dict[str, Any] = {
        "testproblem": result.testproblem,
        "optimizer_name": result.optimizer_name,
        "optimizer": result.optimizer,
        "setting": params_text(setting_params(result)),
        "seed": result.random_seed,
        "outcome": result.outcome.value,
        "outcome_reason": result.outcome_reason,
        "num_epochs": result.num_epochs,
        "epochs_finished": epochs_finished(result),
        "batch_size": result.batch_size,
        "steps": result.steps if result.schema_version else None,
        "best_valid_epoch": result.best_valid_epoch,
        "best_valid_test_loss": result.best_valid_test_loss,
        "best_valid_test_accuracy": result.best_valid_test_accuracy,
        "final_epoch_mean_loss": final_value(result, result.epoch_mean_losses),
        "training_seconds_per_epoch": training_seconds_per_epoch(result),
        "evaluation_seconds": _total(result.evaluation_seconds),
        "loss_kind": loss_kind(result),
        "regularization": result.regularization if result.schema_version else "",
        "effective_weight_decay": result.effective_weight_decay if result.schema_version else None,
        "max_norm": result.max_norm,
        "peak_memory_bytes": result.peak_memory_bytes,
        "framework": result.framework,
        "device": device_text(result),
        "data_set": result.data_set,
        "data_label": result.data_label,
        "data_version": result.data_version,
        "split": result.split,
        "schema_version": result.schema_version,
    }
    for part in PARTS:
        losses, accuracies = loss_curve(result, part), accuracy_curve(result, part)
        row[f"best_{part}_data_loss"] = min(losses, default=math.nan)
        row[f"best_{part}_accuracy"] = max(accuracies, default=math.nan)
        row[f"final_{part}_data_loss"] = final_value(result, losses)
        row[f"final_{part}_accuracy"] = final_value(result, accuracies)
    return row


def final_value(result: RunResult, curve: Sequence[float]) -> float:
    """The value after the last epoch; NaN if the run did not finish or has no such curve."""
    return curve[-1] if result.outcome is Outcome.DONE and curve else math.nan


def final_headline(result: RunResult, entry: ProblemEntry) -> float:
    """The headline metric after the last epoch; NaN if the run did not finish."""
    return final_value(result, headline_curve(result, entry))


class _Codes:
    """A column of repeated texts, built as codes."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.codes = array("i")

    def add(self, text: str, times: int) -> None:
        code = self.known.setdefault(text, len(self.known))
        self.codes.extend([code] * times)

    def categorical(self) -> pd.Categorical:
        codes = np.asarray(self.codes)
        return pd.Categorical.from_codes(codes, categories=pd.Index(list(self.known), dtype=object))


def _epoch_texts(result: RunResult) -> dict[str, str]:
    return {
        "testproblem": result.testproblem,
        "optimizer_name": result.optimizer_name,
        "setting": params_text(setting_params(result)),
        "outcome": result.outcome.value,
        "loss_kind": loss_kind(result),
    }


def _epoch_numbers(result: RunResult, length: int) -> dict[str, Sequence[float]]:
    numbers: dict[str, Sequence[float]] = {
        "seed": [result.random_seed] * length,
        "epoch": range(length),
        # Nothing is trained before epoch 0, so the list of training times is one shorter.
        "training_seconds": _padded([math.nan, *result.training_seconds], length),
        "evaluation_seconds": _padded(result.evaluation_seconds, length),
    }
    for part in PARTS:
        numbers[f"{part}_data_loss"] = _padded(loss_curve(result, part), length)
        numbers[f"{part}_accuracy"] = _padded(accuracy_curve(result, part), length)
    return numbers


def _padded(values: Sequence[float], length: int) -> list[float]:
    """What was recorded, and NaN for the epochs without a record."""
    return [*values[:length], *[math.nan] * (length - len(values))]


def _total(seconds: Sequence[float]) -> float:
    return math.fsum(seconds) if seconds else math.nan
