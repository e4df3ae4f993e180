"""The figures that DeepOBS's table and sensitivity plot show, computed from the table of runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from alig_deepobs.baselines.published import FIRST_SEED
from alig_deepobs.baselines.tables import METRICS, TableRow

TOLERANCES = (0.99, 0.95, 0.9)


def summarize(rows: Sequence[TableRow], facts: dict[str, Any]) -> dict[str, Any]:
    """Everything that the runs of one optimizer on one problem say.

    Follows the analyzer of DeepOBS 1.1.2: the setting with the most seeds, the metric after the
    last epoch, population standard deviations, and a seed that never meets the convergence
    performance counted as ``num_epochs + 1``.

    Args:
        rows: the runs of one optimizer on one problem: one seed at each learning rate, more at
            the best.
        facts: ``metric``, ``num_epochs`` of the problem (`published_facts`).

    Returns:
        Plain data:

        * ``best_learning_rate``: the one with most seeds;
        * ``selection``: what each rule for choosing a rate from the runs of the first seed would
          have chosen, and that seed's final metric beside the mean of the others;
        * ``final_performance``, ``final_all_metrics``, ``best_over_epochs_all_metrics``,
          ``minibatch_train_loss_final_epoch_mean``: mean, std (ddof 0), std_sample (ddof 1),
          median, min, max and per_seed;
        * ``speed``: epochs to the convergence performance;
        * ``learning_rate_sensitivity``: one entry per learning rate; ``relative_performance`` is
          value / best for accuracies, best / value for losses, 0 where it is not finite;
        * ``learning_rate_tolerance_seed42``: how many rates stay within a share of the best, and
          the unbroken range around it.

        What does not exist or is not finite is None.
    """
    grid = sorted((r for r in rows if r.seed == FIRST_SEED), key=lambda r: r.learning_rate)
    by_rate: dict[float, list[TableRow]] = {}
    for row in sorted(rows, key=lambda r: r.seed):
        by_rate.setdefault(row.learning_rate, []).append(row)
    best_rate = max(by_rate, key=lambda rate: len(by_rate[rate]))
    tuned = by_rate[best_rate]
    finals = [row.metrics[facts["metric"]].final for row in tuned]
    recorded = [metric for metric in METRICS if metric in tuned[0].metrics]
    return {
        "best_learning_rate": best_rate,
        "selection": {
            "num_seeds_at_best_learning_rate": len(tuned),
            "seeds": [row.seed for row in tuned],
            "learning_rate_each_rule_would_pick": _rules(grid, by_rate, facts["metric"]),
            "final_at_seed42": finals[0],
            "final_mean_over_the_nine_other_seeds": _mean(finals[1:]),
        },
        "final_performance": _spread(finals),
        "outcomes_at_best_learning_rate": [row.outcome for row in tuned],
        "final_all_metrics": {
            metric: _spread([row.metrics[metric].final for row in tuned]) for metric in recorded
        },
        "best_over_epochs_all_metrics": {
            metric: _spread([row.metrics[metric].best for row in tuned]) for metric in recorded
        },
        "minibatch_train_loss_final_epoch_mean": _spread([row.minibatch_loss for row in tuned]),
        "speed": _speed(tuned, facts),
        "learning_rate_grid": [row.learning_rate for row in grid],
        "outcome_counts_on_grid_seed42": {
            outcome: sum(row.outcome == outcome for row in grid)
            for outcome in ("ok", "trivial", "never_below_initial", "nonfinite")
        },
        "num_learning_rates_reaching_convergence_performance_seed42": sum(
            row.epochs_to_target is not None for row in grid
        ),
        "learning_rate_tolerance_seed42": _tolerance(grid, facts["metric"]),
        "learning_rate_sensitivity": _sensitivity(grid, by_rate, facts["metric"]),
    }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    several = len(values) > 1
    numbers = {
        "mean": _mean(values),
        "std": statistics.pstdev(values) if several else 0.0,
        "std_sample": statistics.stdev(values) if several else math.nan,
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
    }
    found: dict[str, Any] = {name: _number(value) for name, value in numbers.items()}
    return {**found, "per_seed": [_number(value) for value in values]}


def _speed(tuned: Sequence[TableRow], facts: dict[str, Any]) -> dict[str, Any]:
    epochs = [row.epochs_to_target for row in tuned]
    reached = [epoch for epoch in epochs if epoch is not None]
    never = facts["num_epochs"] + 1
    return {
        "convergence_performance": facts["convergence_performance"],
        "unit": "epochs",
        "per_seed": epochs,
        "num_seeds_reached": len(reached),
        "deepobs_mean": _mean([never if epoch is None else epoch for epoch in epochs]),
        "mean_over_seeds_that_reached": _number(_mean(reached)),
    }


def _rules(
    grid: Sequence[TableRow], by_rate: dict[float, list[TableRow]], metric: str
) -> dict[str, float]:
    higher = metric.endswith("accuracy")

    def final_mean(row: TableRow) -> float:
        return _mean([r.metrics[metric].final for r in by_rate[row.learning_rate]])

    return {
        "final_metric_seed42": _pick(grid, lambda r: r.metrics[metric].final, higher),
        "best_metric_seed42": _pick(grid, lambda r: r.metrics[metric].best, higher),
        "final_test_loss_seed42": _pick(grid, lambda r: r.metrics["test_loss"].final, False),
        "best_test_loss_seed42": _pick(grid, lambda r: r.metrics["test_loss"].best, False),
        "final_train_loss_seed42": _pick(grid, lambda r: r.metrics["train_loss"].final, False),
        "final_metric_mean_over_available_seeds": _pick(grid, final_mean, higher),
    }


def _pick(grid: Iterable[TableRow], key: Callable[[TableRow], float], higher: bool) -> float:
    finite = [row for row in grid if math.isfinite(key(row))]
    sign = -1 if higher else 1
    return min(finite, key=lambda row: sign * key(row)).learning_rate


def _relative(values: Sequence[float], higher: bool) -> list[float]:
    finite = [value for value in values if math.isfinite(value)]
    best = max(finite) if higher else min(finite)
    return [
        0.0 if not math.isfinite(value) else value / best if higher else best / value
        for value in values
    ]


def _tolerance(grid: Sequence[TableRow], metric: str) -> dict[str, Any]:
    relative = _relative([row.metrics[metric].final for row in grid], metric.endswith("accuracy"))
    best = max(range(len(grid)), key=relative.__getitem__)
    found = {}
    for tolerance in TOLERANCES:
        good = [value >= tolerance for value in relative]
        low = high = best
        while low > 0 and good[low - 1]:
            low -= 1
        while high + 1 < len(grid) and good[high + 1]:
            high += 1
        ends = grid[low].learning_rate, grid[high].learning_rate
        found[f"{tolerance:g}"] = {
            "num_learning_rates": sum(good),
            "interval_low": ends[0],
            "interval_high": ends[1],
            "interval_decades": math.log10(ends[1] / ends[0]),
        }
    return found


def _sensitivity(
    grid: Sequence[TableRow], by_rate: dict[float, list[TableRow]], metric: str
) -> list[dict[str, Any]]:
    higher = metric.endswith("accuracy")
    means = [_mean([r.metrics[metric].final for r in by_rate[row.learning_rate]]) for row in grid]
    single = _relative([row.metrics[metric].final for row in grid], higher)
    pooled = _relative(means, higher)
    return [
        {
            "learning_rate": row.learning_rate,
            "num_seeds": len(by_rate[row.learning_rate]),
            "final_seed42": _number(row.metrics[metric].final),
            "best_seed42": _number(row.metrics[metric].best),
            "final_mean": _number(mean),
            "relative_performance_seed42": relative,
            "relative_performance_deepobs": relative_mean,
            "epochs_to_convergence_performance_seed42": row.epochs_to_target,
            "outcome_seed42": row.outcome,
        }
        for row, mean, relative, relative_mean in zip(grid, means, single, pooled, strict=True)
    ]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
