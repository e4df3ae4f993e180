"""The table of published runs: one row per run, as ``deepobs_runs.csv`` holds it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

METRICS = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")


@dataclass(frozen=True)
class MetricFacts:
    """One metric of one run.

    Attributes:
        initial: before training.
        final: after the last epoch; NaN or infinite if it was recorded so.
        best: over all epochs, epoch 0 included; epochs that are not finite are skipped. NaN if
            all are.
        best_epoch: first epoch with that value; None if there is none.
    """

    initial: float
    final: float
    best: float
    best_epoch: int | None


@dataclass(frozen=True)
class TableRow:
    """One run.

    Attributes:
        testproblem: DeepOBS's name.
        optimizer: ``sgd``, ``momentum`` or ``adam``.
        learning_rate: as in the folder's name, with which settings are told apart.
        seed: of the run.
        outcome: ``nonfinite``, ``never_below_initial``, ``trivial`` or ``ok``.
        metrics: name in `METRICS` -> facts; accuracies only where there are any.
        epochs_to_target: first epoch at which the headline metric met the convergence
            performance; None: never.
        minibatch_loss: mean loss of the last epoch's mini-batches.
    """

    testproblem: str
    optimizer: str
    learning_rate: float
    seed: int
    outcome: str
    metrics: dict[str, MetricFacts]
    epochs_to_target: int | None
    minibatch_loss: float


COLUMNS = (
    "testproblem", "optimizer", "learning_rate", "seed", "outcome",
    *(
        name
        for metric in METRICS
        for name in (f"initial_{metric}", f"final_{metric}", f"best_{metric}",
                     f"best_{metric}_epoch")
    ),
    "epochs_to_convergence_performance", "minibatch_train_loss_final_epoch_mean",
)  # fmt: skip


def metric_facts(curve: Sequence[float], higher_is_better: bool) -> MetricFacts:
    """The facts of a curve with one value per epoch, epoch 0 first.

    Example:
        >>> metric_facts([2.0, 0.5, float("nan")], higher_is_better=False)
        MetricFacts(initial=2.0, final=nan, best=0.5, best_epoch=1)
    """
    finite = [epoch for epoch, value in enumerate(curve) if math.isfinite(value)]
    if not finite:
        return MetricFacts(curve[0], curve[-1], math.nan, None)
    sign = -1 if higher_is_better else 1
    best = min(finite, key=lambda epoch: sign * curve[epoch])
    return MetricFacts(curve[0], curve[-1], curve[best], best)


def write_rows(rows: Iterable[TableRow]) -> str:
    """The rows as CSV; floats with 12 digits, what does not exist is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        cells: list[object] = [
            row.testproblem, row.optimizer, _text(row.learning_rate), row.seed, row.outcome,
        ]  # fmt: skip
        for metric in METRICS:
            facts = row.metrics.get(metric)
            if facts is None:
                cells += [""] * 4
            else:
                numbers = map(_text, (facts.initial, facts.final, facts.best))
                cells += [*numbers, "" if facts.best_epoch is None else facts.best_epoch]
        reached = "" if row.epochs_to_target is None else row.epochs_to_target
        writer.writerow([*cells, reached, _text(row.minibatch_loss)])
    return stream.getvalue()


def read_rows(text: str) -> list[TableRow]:
    """The rows of a table that `write_rows` wrote."""
    return [_row(cells) for cells in csv.DictReader(io.StringIO(text))]


def _row(cells: dict[str, str]) -> TableRow:
    return TableRow(
        testproblem=cells["testproblem"],
        optimizer=cells["optimizer"],
        learning_rate=float(cells["learning_rate"]),
        seed=int(cells["seed"]),
        outcome=cells["outcome"],
        metrics={
            metric: MetricFacts(
                float(cells[f"initial_{metric}"]),
                float(cells[f"final_{metric}"]),
                float(cells[f"best_{metric}"] or "nan"),
                _epoch(cells[f"best_{metric}_epoch"]),
            )
            for metric in METRICS
            if cells[f"initial_{metric}"]
        },
        epochs_to_target=_epoch(cells["epochs_to_convergence_performance"]),
        minibatch_loss=float(cells["minibatch_train_loss_final_epoch_mean"] or "nan"),
    )


def _epoch(text: str) -> int | None:
    return int(text) if text else None


def _text(number: float) -> str:
    return f"{number:.12g}"
