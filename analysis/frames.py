"""Results as data frames: one row per run, or one row per run and epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd

from alig_deepobs.errors import ResultError, UsageError
from alig_deepobs.results import Outcome, RunResult, read_result, write_text_atomically

Part = Literal["train", "valid", "test"]
PARTS: tuple[Part, ...] = ("train", "valid", "test")

_CURVES = [f"{part}_{quantity}" for part in PARTS for quantity in ("data_loss", "accuracy")]

RUN_COLUMNS = [
    "testproblem", "optimizer_name", "optimizer", "setting", "seed", "outcome", "outcome_reason",
    "num_epochs", "epochs_finished", "batch_size", "steps",
    *(f"{when}_{curve}" for curve in _CURVES for when in ("final", "best")),
    "training_seconds_per_epoch", "evaluation_seconds",
    "loss_kind", "regularization", "effective_weight_decay", "max_norm", "peak_memory_bytes",
    "framework", "device", "data_set", "data_label", "data_version", "split", "schema_version",
]  # fmt: skip

EPOCH_COLUMNS = [
    "testproblem", "optimizer_name", "setting", "seed", "outcome", "epoch", *_CURVES,
    "training_seconds", "evaluation_seconds", "loss_kind",
]  # fmt: skip


class LoadProblem(NamedTuple):
    """A file that could not be read, and why."""

    path: Path
    reason: str


class Loaded(NamedTuple):
    """What was found in a results folder.

    Attributes:
        results: the runs, in the order of their paths (so of time, for one seed of one setting).
        problems: the files that could not be read.
    """

    results: list[RunResult]
    problems: list[LoadProblem]


def load_results(folder: str | Path, with_tuning: bool = False) -> Loaded:
    """Reads every result in a folder: ours and those of DeepOBS 1.1 and 1.2.

    The folder may be a results folder or any folder below it. Files outside setting folders
    (whose names start with ``num_epochs``) are not results and are left alone. A file that cannot
    be read never stops the rest; it is reported with its reason.

    Args:
        folder: where to look.
        with_tuning: also the runs that only served to choose a setting, which are no results.

    Raises:
        UsageError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"there is no results folder {folder}")
    loaded = Loaded([], [])
    for path in sorted(folder.resolve().rglob("*.json")):
        if not path.parent.name.startswith("num_epochs") or path.name.startswith("."):
            continue
        try:
            result = read_result(path)
            if with_tuning or result.purpose != "tuning":
                loaded.results.append(result)
        except ResultError as error:
            loaded.problems.append(LoadProblem(path, str(error)))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # The right keys with values of a wrong kind; strangers' files may hold anything.
            loaded.problems.append(LoadProblem(path, f"not a usable result: {error!r}"))
    return loaded


def runs_frame(results: Iterable[RunResult]) -> pd.DataFrame:
    """One row per run.

    ``final_*`` are the values after the last epoch, missing for a run that did not finish: the
    last value before a divergence is not a final one. ``best_*`` are the best values over the
    recorded epochs. Losses are the data term (see `loss_curve`), accuracies fractions, times
    seconds; ``training_seconds_per_epoch`` is the mean, ``evaluation_seconds`` the sum.

    Returns:
        A frame with the columns `RUN_COLUMNS`.
    """
    return pd.DataFrame([_run_row(result) for result in results], columns=RUN_COLUMNS)


def epochs_frame(results: Iterable[RunResult]) -> pd.DataFrame:
    """One row per run and epoch; epoch 0 is before training.

    Returns:
        A frame with the columns `EPOCH_COLUMNS`, in the units of `runs_frame`. What was not
        recorded is missing.
    """
    rows = [row for result in results for row in _epoch_rows(result)]
    return pd.DataFrame(rows, columns=EPOCH_COLUMNS)


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


def loss_kind(result: RunResult) -> str:
    """What `loss_curve` gives: ``data term``, or ``as recorded`` for files of DeepOBS."""
    return "as recorded" if result.schema_version == 0 else "data term"


def setting_params(result: RunResult) -> dict[str, Any]:
    """What was set by hand: hyper-parameters, weight decay if one was passed, schedules."""
    params = {**result.optimizer_hyperparams, **result.training_params}
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


def _epoch_rows(result: RunResult) -> Iterable[dict[str, Any]]:
    setting = params_text(setting_params(result))
    for epoch in range(epochs_finished(result) + 1):
        row: dict[str, Any] = {
            "testproblem": result.testproblem,
            "optimizer_name": result.optimizer_name,
            "setting": setting,
            "seed": result.random_seed,
            "outcome": result.outcome.value,
            "epoch": epoch,
            # Nothing is trained before epoch 0, so the list of training times is one shorter.
            "training_seconds": _at(result.training_seconds, epoch - 1),
            "evaluation_seconds": _at(result.evaluation_seconds, epoch),
            "loss_kind": loss_kind(result),
        }
        for part in PARTS:
            row[f"{part}_data_loss"] = _at(loss_curve(result, part), epoch)
            row[f"{part}_accuracy"] = _at(accuracy_curve(result, part), epoch)
        yield row


def _at(values: Sequence[float], index: int) -> float:
    return values[index] if 0 <= index < len(values) else math.nan


def _total(seconds: Sequence[float]) -> float:
    return math.fsum(seconds) if seconds else math.nan
