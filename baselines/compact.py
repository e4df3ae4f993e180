"""Results in few bytes: what does not differ from its default is left out, curves are rounded.

The form is plain JSON. Mini-batch losses are left out; everything else of a `RunResult` is kept.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from alig_deepobs.errors import ResultError
from alig_deepobs.run import Outcome, RunResult

FORMAT_VERSION = 1

DEFAULTS: dict[str, Any] = {
    item.name: item.default_factory()
    if item.default_factory is not dataclasses.MISSING
    else item.default
    for item in dataclasses.fields(RunResult)
}
_OBJECTIVES = ("train", "valid", "test")


@dataclasses.dataclass(frozen=True)
class GridRun:
    """What is kept of a run that served to choose a setting.

    Attributes:
        optimizer: registry name.
        label: of the optimizer.
        params: its hyper-parameters.
        seed: of the run.
        split: ``validation`` if a part of the training data was held out.
        num_epochs: of the run.
        outcome: ``done`` or how it ended otherwise.
        metric: headline metric of the problem, ``accuracy`` or ``loss``.
        initial: headline metric on the test set before training.
        test, valid: headline metric after the last epoch; None for a run that did not finish, or
            where nothing was held out.
        train_loss: data term of the training loss after the last epoch.
    """

    optimizer: str
    label: str
    params: dict[str, Any]
    seed: int
    split: str
    num_epochs: int
    outcome: str
    metric: str
    initial: float | None
    test: float | None
    valid: float | None
    train_loss: float | None


def encode(result: RunResult, digits: int | None = None) -> dict[str, Any]:
    """A result as a small dictionary that JSON can hold.

    Args:
        result: the result.
        digits: significant digits of curves, step sizes and times; None keeps all.

    Example:
        >>> run = RunResult("toy", "SGD", {"lr": 0.1}, 32, 1, 42, test_losses=[2.0, 1.23456789])
        >>> encode(run, digits=4)["test_losses"]
        [2.0, 1.235]
        >>> decode(encode(run)) == run
        True
    """
    found: dict[str, Any] = {}
    for name, default in DEFAULTS.items():
        value = getattr(result, name)
        if name != "minibatch_train_losses" and value != default:
            found[name] = rounded(value, digits) if isinstance(value, list) else value
    found["outcome"] = result.outcome.value
    found["schema_version"] = result.schema_version
    # A run without a regularizer has the same numbers twice.
    for part in _OBJECTIVES:
        if (
            f"{part}_losses" in found
            and found.get(f"{part}_data_losses") == found[f"{part}_losses"]
        ):
            found[f"{part}_losses"] = "data"
    if result.step_sizes:
        found["step_sizes"] = _columns(found["step_sizes"])
    # Strict JSON has no infinity, which a cap may be.
    found["optimizer_hyperparams"] = {
        key: str(value) if isinstance(value, float) and math.isinf(value) else value
        for key, value in result.hyperparams.items()
    }
    return found


def decode(record: Mapping[str, Any]) -> RunResult:
    """The result that `encode` made a record of.

    Raises:
        ResultError: the record lacks something or has something unknown.
    """
    values = dict(record)
    try:
        for part in _OBJECTIVES:
            if values.get(f"{part}_losses") == "data":
                values[f"{part}_losses"] = list(values[f"{part}_data_losses"])
        if values.get("step_sizes"):
            columns = values["step_sizes"]
            values["step_sizes"] = [
                {key: v for key, v in zip(columns, line, strict=True) if v is not None}
                for line in zip(*columns.values(), strict=True)
            ]
        values["hyperparams"] = {
            key: float(value) if value in ("inf", "-inf") else value
            for key, value in values.pop("optimizer_hyperparams").items()
        }
        # What was not written down is as schema 1 had it.
        return RunResult(**{"reshuffle": True, **values, "outcome": Outcome(values["outcome"])})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ResultError(f"not a compact result: {error!r}") from error


def read_compact(raw: bytes, name: str) -> tuple[list[RunResult], list[GridRun]]:
    """The results and grids of a file that `alig_deepobs.baselines.condense` wrote.

    Raises:
        ResultError: it is no such file, or from a later version.
    """
    try:
        document = json.loads(raw)
        if document["format_version"] > FORMAT_VERSION:
            raise ResultError(f"{name} is from a later version of alig-deepobs: update it")
        runs = [decode({**document["shared"], **record}) for record in document["runs"]]
        return runs, [GridRun(**point) for point in document["grids"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ResultError(f"{name} is no file of compact results: {error!r}") from error


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = list(dict.fromkeys(key for row in rows for key in row))
    return {name: [row.get(name) for row in rows] for name in names}


def rounded(value: Any, digits: int | None) -> Any:
    """The value with all floats in it rounded to significant digits; None keeps them."""
    if isinstance(value, list):
        return [rounded(item, digits) for item in value]
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    return float(f"{value:.{digits}g}") if digits and isinstance(value, float) else value
