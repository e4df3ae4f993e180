"""Distils the official baseline repository (1.4 GB of JSON) to the tables of this package.

    python -m alig_deepobs.baselines.distil DeepOBS_Baselines.tar.gz -o tables

writes ``deepobs_runs.csv`` and ``deepobs_curves.npz`` in the form in which they lie beside this
module. The source is a clone or an archive of ``fsschneider/DeepOBS_Baselines``.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from alig_deepobs.baselines.archive import Member, result_members
from alig_deepobs.baselines.published import FIRST_SEED, published_facts, published_problems
from alig_deepobs.baselines.tables import METRICS, TableRow, metric_facts, write_rows
from alig_deepobs.baselines.trivial import is_trivial_accuracy, is_trivial_loss
from alig_deepobs.errors import ResultError

Curves = dict[str, NDArray[np.float32]]

OPTIMIZERS = {
    "GradientDescentOptimizer": "sgd",
    "MomentumOptimizer": "momentum",
    "AdamOptimizer": "adam",
}

_LISTS = {
    "train_loss": "train_losses",
    "test_loss": "test_losses",
    "train_accuracy": "train_accuracies",
    "test_accuracy": "test_accuracies",
}
_MANTISSA_BITS = 13  # four significant digits


def distil(members: Iterable[Member]) -> tuple[list[TableRow], Curves]:
    """The rows of all runs, and the curves of the settings with more than one seed.

    Args:
        members: the official result files; others are left out.

    Returns:
        The rows, sorted by problem, optimizer, learning rate and seed; and the curves, one row
        per seed, by ``problem/optimizer/metric``.

    Raises:
        ResultError: a file is no result of DeepOBS 1.1.
    """
    rows: list[TableRow] = []
    # Most curves are not kept, but which learning rate has ten seeds shows only at the end; so
    # they are kept as arrays, a few kilobytes a run.
    kept: dict[tuple[str, str, float, int], Curves] = {}
    for member in members:
        found = _row(member)
        if found is None:
            continue
        row, curves = found
        rows.append(row)
        kept[row.testproblem, row.optimizer, row.learning_rate, row.seed] = curves
    problems = published_problems()
    optimizers = list(OPTIMIZERS.values())
    rows.sort(
        key=lambda r: (
            problems.index(r.testproblem), optimizers.index(r.optimizer), r.learning_rate, r.seed
        )
    )  # fmt: skip
    return rows, _repeated(rows, kept)


def outcome_of(
    problem: str, curves: Mapping[str, Sequence[float]], minibatch: Sequence[float]
) -> str:
    """How a published run ended: the first of these that applies.

    ``nonfinite``: a loss of an epoch or of a mini-batch is NaN or infinite.
    ``never_below_initial``: the training loss never fell below that before training. ``trivial``:
    it is not below it at the end, or the final test result is no better than a prediction that
    ignores the input. ``ok``: none of these.
    """
    train, test = curves["train_loss"], curves["test_loss"]
    if not all(map(math.isfinite, (*train, *test, *minibatch))):
        return "nonfinite"
    if min(train) >= train[0]:
        return "never_below_initial"
    accuracies = curves.get("test_accuracy")
    data_set = problem.partition("_")[0]
    useless = (
        is_trivial_accuracy(data_set, accuracies[-1])
        if accuracies
        else is_trivial_loss(problem, test[-1])
    )
    return "trivial" if useless or train[-1] >= train[0] else "ok"


def curves_bytes(curves: Curves) -> bytes:
    """The curves as a compressed npz; all but the headline metrics are rounded to 13 bits."""
    stream = io.BytesIO()
    rounded = {
        key: values if _is_headline(key) else _rounded(values) for key, values in curves.items()
    }
    # NumPy's stub takes any keyword as an array but warns of a clash with `allow_pickle`.
    np.savez_compressed(stream, **rounded)  # type: ignore[arg-type]
    return stream.getvalue()


def _row(member: Member) -> tuple[TableRow, Curves] | None:
    path = PurePosixPath(member.name)
    try:
        record: dict[str, Any] = json.loads(member.raw)
        problem = record["testproblem"]
        optimizer = OPTIMIZERS.get(record["optimizer"])
        if optimizer is None or problem not in published_problems():
            return None
        curves = {
            metric: [float(value) for value in record[name]]
            for metric, name in _LISTS.items()
            if record.get(name)
        }
        minibatch = [float(value) for value in record["minibatch_train_losses"]]
        facts = published_facts(problem)
        headline = curves[facts["metric"]]
        last_epoch = minibatch[-facts["steps_per_epoch"] :]
        row = TableRow(
            testproblem=problem,
            optimizer=optimizer,
            learning_rate=_rate_of_folder(path.parent.name, float(record["learning_rate"])),
            seed=int(record["random_seed"]),
            outcome=outcome_of(problem, curves, minibatch),
            metrics={
                metric: metric_facts(curves[metric], "accuracy" in metric)
                for metric in METRICS
                if metric in curves
            },
            epochs_to_target=_first_epoch(headline, facts),
            minibatch_loss=math.fsum(last_epoch) / len(last_epoch)
            if all(map(math.isfinite, last_epoch))
            else math.nan,
        )
    except (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ResultError(f"{member.name} is no result of DeepOBS 1.1: {error!r}") from error
    return row, {metric: np.asarray(curve, np.float32) for metric, curve in curves.items()}


def _rate_of_folder(folder: str, recorded: float) -> float:
    """The learning rate in the folder's name: the repeated runs carry a rounded one in the file."""
    _, found, text = folder.partition("__lr__")
    return float(text.partition("__")[0]) if found else recorded


def _first_epoch(curve: Sequence[float], facts: dict[str, Any]) -> int | None:
    target, accuracy = facts["convergence_performance"], facts["metric"] == "test_accuracy"
    return next(
        (e for e, v in enumerate(curve) if ((v >= target) if accuracy else (v <= target))), None
    )


def _repeated(rows: list[TableRow], kept: dict[tuple[str, str, float, int], Curves]) -> Curves:
    settings: dict[tuple[str, str, float], list[int]] = {}
    for row in rows:
        settings.setdefault((row.testproblem, row.optimizer, row.learning_rate), []).append(
            row.seed
        )
    found: Curves = {}
    for setting, seeds in settings.items():
        if set(seeds) == {FIRST_SEED}:
            continue
        for metric in METRICS:
            lines = [kept[(*setting, seed)].get(metric) for seed in seeds]
            if all(line is not None for line in lines):
                found[f"{setting[0]}/{setting[1]}/{metric}"] = np.stack(
                    [line for line in lines if line is not None]
                )
    return found


def _is_headline(key: str) -> bool:
    problem, _, metric = key.split("/")
    return bool(published_facts(problem)["metric"] == metric)


def _rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounds the mantissa, so that the compression finds something to compress."""
    shift = 23 - _MANTISSA_BITS
    bits = values.view(np.uint32)
    return ((bits + (1 << (shift - 1))) >> shift << shift).astype(np.uint32).view(np.float32)


@click.command()
@click.argument("source", type=click.Path(exists=True))
@click.option("-o", "--output", type=click.Path(file_okay=False), required=True)
def main(source: str, output: str) -> None:
    """Distil the official baselines in SOURCE (a clone or an archive) to two tables."""
    rows, curves = distil(result_members(source))
    if not rows:
        raise ResultError(f"{source} holds no result of DeepOBS's baselines")
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "deepobs_runs.csv").write_text(write_rows(rows), encoding="utf-8")
    (folder / "deepobs_curves.npz").write_bytes(curves_bytes(curves))
    click.echo(f"{len(rows)} runs; {len(curves)} curves with several seeds, in {folder}")


if __name__ == "__main__":
    main()
