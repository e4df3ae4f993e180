"""Results in few bytes: what does not differ from its default is left out, curves are rounded.

The form is plain JSON. Mini-batch losses are left out; everything else of a `RunResult` is kept.

Maintainers make the measured baselines of this package with it, one file per test problem:

    python -m alig_deepobs.baselines.compact RESULTS -o baselines/measured
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from alig_deepobs.baselines.archive import result_members
from alig_deepobs.errors import AligDeepobsError, ResultError
from alig_deepobs.results import Outcome, RunResult, parse_result

FORMAT_VERSION = 1

_DEFAULTS: dict[str, Any] = {
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
    for name, default in _DEFAULTS.items():
        value = getattr(result, name)
        if name != "minibatch_train_losses" and value != default:
            found[name] = _rounded(value, digits) if isinstance(value, list) else value
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
        for key, value in result.optimizer_hyperparams.items()
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
        values["optimizer_hyperparams"] = {
            key: float(value) if value in ("inf", "-inf") else value
            for key, value in values["optimizer_hyperparams"].items()
        }
        return RunResult(**{**values, "outcome": Outcome(values["outcome"])})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ResultError(f"not a compact result: {error!r}") from error


def write_compact(
    results: Iterable[RunResult], path: Path, digits: int = 6, note: str = ""
) -> None:
    """Writes results as one JSON file: what all share once, then one run a line.

    Curves keep ``digits`` significant digits, step sizes and times three. Evaluation times are left
    out, and the start of a run is kept as a date. Of runs that only served to choose a setting the
    ends of the curves are kept (`GridRun`).

    Args:
        results: runs of one test problem.
        path: of the file.
        digits: significant digits of the curves.
        note: what a reader must know about all runs; goes into their environment.
    """
    runs = [result for result in results if result.purpose != "tuning"]
    grids = [grid_run(result) for result in results if result.purpose == "tuning"]
    records = []
    for run in runs:
        environment = {**run.environment, **({"note": note} if note else {})}
        environment["started"] = str(environment.get("started", ""))[:10]
        slim = dataclasses.replace(run, evaluation_seconds=[], environment=environment)
        records.append(_less_exact(encode(slim, digits)))
    shared = {
        key: value
        for key, value in records[0].items()
        if all(record.get(key, _DEFAULTS.get(key)) == value for record in records)
    }
    head = {"format_version": FORMAT_VERSION, "shared": shared}
    own = [{k: v for k, v in record.items() if k not in shared} for record in records]
    points = [_rounded(dataclasses.asdict(point), digits) for point in grids]
    text = (
        f'{json.dumps(head, indent=1)[:-2]},\n "runs": [\n{_lines(own)}\n ],\n'
        f' "grids": [\n{_lines(points)}\n ]\n}}\n'
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def read_compact(raw: bytes, name: str) -> tuple[list[RunResult], list[GridRun]]:
    """The results and grids of a file of `write_compact`.

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


def grid_run(result: RunResult) -> GridRun:
    """The ends of the curves of a run."""
    accuracy = bool(result.test_accuracies)
    part = "accuracies" if accuracy else "data_losses"
    test: list[float] = getattr(result, f"test_{part}")
    valid: list[float] = getattr(result, f"valid_{part}")
    done = result.outcome is Outcome.DONE
    return GridRun(
        optimizer=result.optimizer,
        label=result.optimizer_name,
        params=dict(result.optimizer_hyperparams),
        seed=result.random_seed,
        split=result.split,
        num_epochs=result.num_epochs,
        outcome=result.outcome.value,
        metric="accuracy" if accuracy else "loss",
        initial=test[0] if test else None,
        test=test[-1] if done and test else None,
        valid=valid[-1] if done and valid else None,
        train_loss=result.train_data_losses[-1] if done and result.train_data_losses else None,
    )


def _less_exact(record: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _rounded(value, 3)
        if key in ("step_sizes", "training_seconds", "epoch_mean_losses")
        else value
        for key, value in record.items()
    }


def _lines(records: list[dict[str, Any]]) -> str:
    return ",\n".join(json.dumps(record, separators=(",", ":")) for record in records)


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = list(dict.fromkeys(key for row in rows for key in row))
    return {name: [row.get(name) for row in rows] for name in names}


def _rounded(value: Any, digits: int | None) -> Any:
    if isinstance(value, list):
        return [_rounded(item, digits) for item in value]
    if isinstance(value, dict):
        return {key: _rounded(item, digits) for key, item in value.items()}
    return float(f"{value:.{digits}g}") if digits and isinstance(value, float) else value


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True))
@click.option("-o", "--output", type=click.Path(file_okay=False), required=True)
@click.option("--note", default="", help="What a reader must know about all runs.")
def main(sources: tuple[str, ...], output: str, note: str) -> None:
    """Write the results in SOURCES as one compact file per test problem."""
    found: dict[str, list[RunResult]] = {}
    for source in sources:
        for member in result_members(source):
            result = parse_result(member.raw, Path(member.name))
            found.setdefault(result.testproblem, []).append(result)
    for problem, results in found.items():
        if all(result.purpose == "tuning" for result in results):
            click.echo(f"{problem}: only tuning runs, left out")
            continue
        results.sort(key=lambda r: (r.optimizer_name, str(r.optimizer_hyperparams), r.random_seed))
        path = Path(output) / f"{problem}.json"
        write_compact(results, path, note=note)
        click.echo(f"{path}: {len(results)} runs, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except (AligDeepobsError, click.ClickException) as error:
        raise SystemExit(f"Error: {error}") from error
