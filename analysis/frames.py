"""Results as tidy data frames: one row per run, or one row per run and epoch."""

from __future__ import annotations

import dataclasses
import math
import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from alig_deepobs.analysis.formats import escape_csv, params_text
from alig_deepobs.files import write_text_atomically
from alig_deepobs.registry import ProblemEntry
from alig_deepobs.run import Outcome, RunResult

EvaluationSet = Literal["train", "valid", "test"]
EVALUATION_SETS: tuple[EvaluationSet, ...] = get_args(EvaluationSet)

_KINDS = {item.name: str(item.type).partition("[")[0] for item in dataclasses.fields(RunResult)}
# What files of DeepOBS do not say; a default would be a claim.
_NOT_IN_DEEPOBS = ("steps", "regularization", "effective_weight_decay")


def runs_frame(results: Iterable[RunResult]) -> pd.DataFrame:
    """One row per run.

    The columns are the fields of `RunResult` under their own names, without the curves;
    every entry of a dictionary has a column of its own (``hyperparams.lr``,
    ``training_params.clip_norm``, ``environment.torch``), missing for runs without it. Then:

    * ``identity`` and ``setting_id`` (`Run.identity`, `Run.setting`) tell runs and settings apart,
      ``setting`` is for readers;
    * ``final_*``: after the last epoch, missing for a run that did not finish, as the last value
      before a divergence is not a final one; ``best_*``: over the recorded epochs;
      ``final_epoch_mean_loss``: running mean of the objective over the last epoch's steps;
    * ``training_seconds_per_epoch`` is the mean, ``evaluation_seconds`` the sum.

    Losses are the data term (see `loss_curve`), accuracies fractions, times seconds.

    Args:
        results: the runs; may be a stream (`iter_results`), of which one run is held at a time.
    """
    place = {name: i for i, name in enumerate([*_KINDS, *_DERIVED])}
    columns: dict[str, list[Any]] = {
        name: [] for name in place if _KINDS.get(name) not in ("dict", "list") or name in _DERIVED
    }
    for rows, result in enumerate(results):
        for name, value in _record(result).items():
            if name not in columns:
                columns[name] = [None] * rows
            # Texts repeat a thousand times; one copy of each is enough.
            columns[name].append(sys.intern(value) if type(value) is str else value)
        for values in columns.values():
            if len(values) == rows:
                values.append(None)
    ordered = sorted(columns, key=lambda name: (place[name.partition(".")[0]], name))
    return pd.DataFrame({name: columns[name] for name in ordered}, columns=ordered)


def epochs_frame(results: Iterable[RunResult]) -> pd.DataFrame:
    """One row per run and epoch; epoch 0 is before training.

    Its ``identity`` is that of `runs_frame`, which has the rest of what is known of a run.
    Units are those of `runs_frame`; what was not recorded is missing. Texts are categories, and
    epochs and seeds integers of few bytes, so that a row takes about 80 bytes.

    Args:
        results: the runs; may be a stream (`iter_results`), of which one run is held at a time.
    """
    texts = {name: _Codes() for name in _EPOCH_TEXTS}
    numbers: dict[str, array[Any]] = {name: array("q") for name in ("random_seed", "epoch")}
    numbers |= {name: array("d") for name in _EPOCH_NUMBERS}
    for result in results:
        length = result.epochs_finished + 1
        for name, text_of in _EPOCH_TEXTS.items():
            texts[name].add(text_of(result), length)
        numbers["random_seed"].extend([result.random_seed] * length)
        numbers["epoch"].extend(range(length))
        for name, values_of in _EPOCH_NUMBERS.items():
            values = values_of(result)[:length]
            numbers[name].extend([*values, *[math.nan] * (length - len(values))])
    frame: dict[str, Any] = {name: codes.categorical() for name, codes in texts.items()}
    for name, of in numbers.items():
        frame[name] = np.asarray(of)
        if of.typecode == "q":
            frame[name] = pd.to_numeric(frame[name], downcast="integer")
    # Without a copy: ten million rows are common, and 0.7 GB are enough once.
    return pd.DataFrame(frame, copy=False)


def write_csv(results: Iterable[RunResult], path: str | Path) -> Path:
    """Writes `runs_frame` as a CSV file, in one step.

    Returns:
        The path of the file.

    Raises:
        ResultError: the file cannot be written.
    """
    path = Path(path)
    write_text_atomically(path, csv_text(runs_frame(results)))
    return path


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV; no text in it acts on a terminal or is a formula of a spreadsheet."""
    safe = frame.rename(columns=lambda name: escape_csv(str(name)))
    for number, kind in enumerate(frame.dtypes):
        if kind.kind not in "biufc":
            values = [escape_csv(v) if isinstance(v, str) else v for v in frame.iloc[:, number]]
            safe.isetitem(number, np.array([*values, None], object)[:-1])
    text: str = safe.to_csv(index=False, lineterminator="\n")
    return text


def loss_curve(result: RunResult, of: EvaluationSet) -> list[float]:
    """The data term of the loss per epoch; for files of DeepOBS the loss as recorded.

    DeepOBS records only the sum of data term and L2 term. The two agree on problems without L2.
    """
    name = f"{of}_losses" if result.schema_version == 0 else f"{of}_data_losses"
    curve: list[float] = getattr(result, name)
    return curve


def accuracy_curve(result: RunResult, of: EvaluationSet) -> list[float]:
    """The accuracy per epoch, a fraction; empty where there is none."""
    curve: list[float] = getattr(result, f"{of}_accuracies")
    return curve


def headline_curve(result: RunResult, entry: ProblemEntry) -> list[float]:
    """The headline metric of a problem per epoch."""
    curve = accuracy_curve if entry.metric == "accuracy" else loss_curve
    return curve(result, "test")


def final_value(result: RunResult, curve: Sequence[float]) -> float:
    """The value after the last epoch; NaN if the run did not finish or has no such curve."""
    return curve[-1] if result.outcome is Outcome.DONE and curve else math.nan


def final_headline(result: RunResult, entry: ProblemEntry) -> float:
    """The headline metric after the last epoch; NaN if the run did not finish."""
    return final_value(result, headline_curve(result, entry))


def loss_kind(result: RunResult) -> str:
    """What `loss_curve` gives: ``data term``, or ``as recorded`` for files of DeepOBS."""
    return "as recorded" if result.schema_version == 0 else "data term"


def training_seconds_per_epoch(result: RunResult) -> float:
    """Mean training time of an epoch in seconds.

    NaN if it was not recorded, or if the run was computed together with others: then its share of
    the time says nothing of the method.
    """
    times = result.training_seconds
    together = result.environment.get("vectorized", 1) > 1
    return math.fsum(times) / len(times) if times and not together else math.nan


def _setting(result: RunResult) -> str:
    return params_text(result.setting_params())


def _of_curve(
    curve: Callable[[RunResult, EvaluationSet], list[float]],
    of: EvaluationSet,
    best: Callable[[list[float]], float] | None,
) -> Callable[[RunResult], float]:
    """The best value of a curve, or the final one."""
    if best is None:
        return lambda result: final_value(result, curve(result, of))
    return lambda result: best(values) if (values := curve(result, of)) else math.nan


_DERIVED: dict[str, Callable[[RunResult], Any]] = {
    "identity": RunResult.identity,
    "setting_id": RunResult.setting,
    "setting": _setting,
    "epochs_finished": attrgetter("epochs_finished"),
    "loss_kind": loss_kind,
    **{
        f"{when}_{of}_{quantity}": _of_curve(curve, of, extreme if when == "best" else None)
        for of in EVALUATION_SETS
        for quantity, curve, extreme in (
            ("data_loss", loss_curve, min),
            ("accuracy", accuracy_curve, max),
        )
        for when in ("final", "best")
    },
    "final_epoch_mean_loss": lambda result: final_value(result, result.epoch_mean_losses),
    "training_seconds_per_epoch": training_seconds_per_epoch,
    "evaluation_seconds": lambda result: (
        math.fsum(result.evaluation_seconds) if result.evaluation_seconds else math.nan
    ),
}

_EPOCH_TEXTS: dict[str, Callable[[RunResult], str]] = {
    "identity": RunResult.identity,
    "testproblem": lambda result: result.testproblem,
    "optimizer_name": lambda result: result.optimizer_name,
    "setting": _setting,
    "outcome": lambda result: result.outcome.value,
    "loss_kind": loss_kind,
}

_EPOCH_NUMBERS: dict[str, Callable[[RunResult], Sequence[float]]] = {
    **{
        f"{of}_{quantity}": lambda result, curve=curve, of=of: curve(result, of)  # type: ignore[misc]
        for of in EVALUATION_SETS
        for quantity, curve in (("data_loss", loss_curve), ("accuracy", accuracy_curve))
    },
    # Nothing is trained before epoch 0, so the list of training times is one shorter.
    "training_seconds": lambda result: [math.nan, *result.training_seconds],
    "evaluation_seconds": lambda result: result.evaluation_seconds,
}


def _record(result: RunResult) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name, kind in _KINDS.items():
        value = getattr(result, name)
        if kind == "dict":
            record |= {f"{name}.{key}": item for key, item in value.items()}
        elif result.schema_version == 0 and name in _NOT_IN_DEEPOBS:
            record[name] = None
        elif kind != "list":
            record[name] = value.value if isinstance(value, Enum) else value
    return record | {name: of(result) for name, of in _DERIVED.items()}


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
