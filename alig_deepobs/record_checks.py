"""What a record must be to count as a result, whoever wrote it.

A wrong value is found when the file is read, not in the middle of a report.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from alig_deepobs.foreign import brief
from alig_deepobs.registry import optimizers
from alig_deepobs.run import PARTS, Outcome, RunResult, facets
from alig_deepobs.words import counted

LARGEST = 1e100
"""Magnitude of the largest number that counts as finite: its square must be one, too."""

_LONGEST_NAME, LONGEST_KEY, LONGEST_TEXT = 200, 1000, 20_000
_ROUNDED = 1e-6
"""What a mean of accuracies may be beyond 0 or 1."""

_NO_LIMIT = (math.inf, -math.inf)
"""What a hyper-parameter may be in files of schema 1: no cap."""

CURVES = tuple(
    f"{part}_{kind}" for part in PARTS for kind in ("losses", "data_losses", "accuracies")
)
"""The lists with one entry before training and one after each epoch."""

_TYPES = {item.name: str(item.type) for item in dataclasses.fields(RunResult)}
_NAMES = ("testproblem", "optimizer_name", "optimizer", "data_set", "framework", "precision")
_AT_LEAST = {
    "batch_size": 1, "num_epochs": 0, "train_log_interval": 1, "numbers_version": 0, "steps": 0,
    "weight_decay": 0, "max_norm": 0, "peak_memory_bytes": 0, "best_valid_epoch": 0,
}  # fmt: skip


def check_record(result: RunResult) -> None:
    """Checks the kinds of all values, the numbers, and the lengths of the curves.

    Raises:
        ValueError: something is wrong; the message has the field.
    """
    for name, kind in _TYPES.items():
        _check_value(name, kind, getattr(result, name))
    for name, lowest in _AT_LEAST.items():
        value = getattr(result, name)
        if value is not None and value < lowest:
            raise _wrong(name, value, f"at least {lowest}")
    for name, facet in facets(RunResult).items():
        if facet.choices and getattr(result, name) not in facet.choices:
            raise _wrong(name, getattr(result, name), " or ".join(filter(None, facet.choices)))
    _check_hyperparams(result)
    for part in PARTS:
        _check_accuracies(f"{part}_accuracies", getattr(result, f"{part}_accuracies"))
    _check_accuracies("best_valid_test_accuracy", [result.best_valid_test_accuracy or 0.0])
    for name in ("training_seconds", "evaluation_seconds"):
        if min(getattr(result, name), default=0.0) < 0:
            raise _wrong(name, min(getattr(result, name)), "seconds")
    _check_lengths(result)


def finite_length(values: list[float]) -> int:
    """The length of the part of a list before the first number that is not finite."""
    return next((i for i, value in enumerate(values) if not is_finite(value)), len(values))


def is_finite(value: float) -> bool:
    """Whether a number can be computed with."""
    return abs(value) <= LARGEST  # not so for nan


def _check_value(name: str, kind: str, value: Any) -> None:
    if value is None and kind.endswith("| None"):
        return
    base = kind.partition("[")[0].removesuffix(" | None")
    if base == "str":
        if type(value) is not str:
            raise _wrong(name, value, "text")
        if len(value) > (_LONGEST_NAME if name in _NAMES else LONGEST_TEXT):
            raise _wrong(name, value, "a shorter text")
    elif base in ("int", "bool"):
        if type(value).__name__ != base:
            raise _wrong(name, value, "an integer" if base == "int" else "true or false")
    elif base == "float":
        _check_numbers(name, [value])
    elif base == "list":
        if type(value) is not list:
            raise _wrong(name, value, "a list")
        if kind == "list[float]":
            _check_numbers(name, value)
        elif not _are_numbers([v for item in value if type(item) is dict for v in item.values()]):
            for item in value:  # one of them is not in order; which one?
                _check_dict(name, item, numbers=True)
        elif set(map(type, value)) - {dict}:
            raise _wrong(name, value, "objects")
    elif base == "dict":
        _check_dict(name, value, numbers=name == "guarded_steps")
    elif base == "Outcome" and type(value) is not Outcome:
        raise _wrong(name, value, "an outcome")


def _are_numbers(values: list[Any]) -> bool:
    """Whether all are finite numbers, in a tenth of the time that a loop would take."""
    if not values:
        return True
    if not set(map(type, values)) <= {float, int}:
        return False
    total = sum(values)  # in which a nan would be
    return bool(min(values) >= -LARGEST and max(values) <= LARGEST and total == total)


def _check_numbers(name: str, values: list[Any]) -> None:
    if _are_numbers(values):
        return
    for value in values:
        if type(value) is not float and type(value) is not int:  # a bool is an int to isinstance
            raise _wrong(name, value, "a number")
        if not is_finite(value):
            raise _wrong(name, value, f"a finite number, at most {LARGEST:g}")


def _check_dict(name: str, value: Any, numbers: bool = False) -> None:
    """Checks a dictionary of plain values; of lists, their items may be lists again."""
    if type(value) is not dict:
        raise _wrong(name, value, "an object")
    for key, item in value.items():
        if len(key) > LONGEST_KEY:
            raise _wrong(name, key, "a shorter name")
        if numbers:
            _check_numbers(f"{name}.{key}", [item])
        else:
            _check_plain(f"{name}.{key}", item)


def _check_plain(name: str, value: Any) -> None:
    if type(value) is list:
        for item in value:
            _check_plain(name, item)
    elif type(value) is str:
        if len(value) > LONGEST_TEXT:
            raise _wrong(name, value, "a shorter text")
    elif value is not None and type(value) is not bool and value not in _NO_LIMIT:
        _check_numbers(name, [value])


def _check_hyperparams(result: RunResult) -> None:
    """Checks that hyper-parameters of a registered optimizer are numbers where they must be."""
    entry = optimizers().get(result.optimizer)
    for name, declared in entry.hyperparameters.items() if entry is not None else ():
        value = result.hyperparams.get(name)
        if value is not None and declared.type in (float, int) and value not in _NO_LIMIT:
            _check_numbers(f"hyperparams.{name}", [value])


def _check_accuracies(name: str, values: list[float]) -> None:
    for value in values:
        if not -_ROUNDED <= value <= 1 + _ROUNDED:
            raise _wrong(name, value, "fractions from 0 to 1")


def _check_lengths(result: RunResult) -> None:
    epochs = result.num_epochs
    # Of runs that only serve to choose, the ends of the curves may be all that was kept.
    whole = result.outcome is Outcome.DONE and result.purpose != "tuning"
    finished = result.epochs_finished
    for name in CURVES:
        length = len(getattr(result, name))
        if length > epochs + 1:
            raise ValueError(f"{name} has {length} entries for {counted(epochs, 'epoch')}")
        if whole and length and length != epochs + 1:
            raise ValueError(
                f"{name} ends after {length - 1} of {counted(epochs, 'epoch')}, "
                "but the outcome is done"
            )
    if whole and not finished == epochs:
        raise ValueError(
            f"it ends after {finished} of {counted(epochs, 'epoch')}, but the outcome is done"
        )
    for name, most in (
        ("training_seconds", epochs),
        ("epoch_mean_losses", epochs),
        ("step_sizes", epochs),
        ("evaluation_seconds", epochs + 1),
    ):
        length = len(getattr(result, name))
        if length > most:
            raise ValueError(f"{name} has {length} entries for {counted(epochs, 'epoch')}")
    best = result.best_valid_epoch
    if best is not None and best > epochs:
        raise _wrong("best_valid_epoch", best, f"at most {epochs}")


def _wrong(name: str, value: Any, wanted: str) -> ValueError:
    return ValueError(f"{name} is {brief(value)}; expected {wanted}")
