"""Condenses result files to the measured baselines of this package, one file per test problem.

python -m alig_deepobs.baselines.condense RESULTS -o baselines/measured
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from alig_deepobs.baselines.archive import result_members
from alig_deepobs.baselines.compact import DEFAULTS, FORMAT_VERSION, GridRun, encode, rounded
from alig_deepobs.errors import AligDeepobsError
from alig_deepobs.results import parse_result
from alig_deepobs.run import Outcome, RunResult


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
        if all(record.get(key, DEFAULTS.get(key)) == value for record in records)
    }
    head = {"format_version": FORMAT_VERSION, "shared": shared}
    own = [{k: v for k, v in record.items() if k not in shared} for record in records]
    points = [
        {key: value if key == "params" else rounded(value, digits) for key, value in fields.items()}
        for fields in map(dataclasses.asdict, grids)
    ]
    text = (
        f'{json.dumps(head, indent=1)[:-2]},\n "runs": [\n{_lines(own)}\n ],\n'
        f' "grids": [\n{_lines(points)}\n ]\n}}\n'
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


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
        params=dict(result.hyperparams),
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
        key: rounded(value, 3)
        if key in ("step_sizes", "training_seconds", "epoch_mean_losses")
        else value
        for key, value in record.items()
    }


def _lines(records: list[dict[str, Any]]) -> str:
    return ",\n".join(json.dumps(record, separators=(",", ":")) for record in records)


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
        results.sort(key=lambda r: (r.optimizer_name, str(r.hyperparams), r.random_seed))
        path = Path(output) / f"{problem}.json"
        write_compact(results, path, note=note)
        click.echo(f"{path}: {len(results)} runs, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except (AligDeepobsError, click.ClickException) as error:
        raise SystemExit(f"Error: {error}") from error
