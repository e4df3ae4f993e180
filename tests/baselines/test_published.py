"""The published figures: everything is computed from the table of runs and must give DeepOBS's."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from alig_deepobs.baselines import (
    published_curves,
    published_grid,
    published_problems,
    published_result,
    published_runs,
)
from alig_deepobs.baselines.published import (
    published_facts,
    published_rows,
    published_table,
    tuned_rows,
)
from alig_deepobs.baselines.summary import summarize
from alig_deepobs.baselines.tables import metric_facts, read_rows, write_rows

OPTIMIZERS = ("sgd", "momentum", "adam")
PAIRS = [(problem, name) for problem in published_problems() for name in OPTIMIZERS]

# The summary of the official 1.4 GB of JSON, made from it by other code; 12 significant digits.
OFFICIAL = json.loads(Path(__file__).with_name("deepobs_summary.json").read_text())

# DeepOBS's overview table: problem -> mean final metric of SGD, Momentum and Adam (accuracies in
# percent), and mean epochs to the convergence performance.
TABLE = {
    "quadratic_deep": ((87.40, 87.05, 87.11), (51.1, 70.5, 39.9)),
    "mnist_vae": ((38.46, 52.93, 27.83), (1.0, 1.0, 1.0)),
    "fmnist_2c2d": ((92.27, 92.14, 92.34), (40.6, 59.1, 40.1)),
    "cifar10_3c3d": ((83.71, 84.41, 84.75), (42.5, 40.7, 36.0)),
    "fmnist_vae": ((23.80, 59.23, 23.07), (1.0, 1.0, 1.0)),
    "cifar100_allcnnc": ((57.06, 60.33, 56.15), (128.7, 72.8, 152.6)),
    "svhn_wrn164": ((95.37, 95.53, 95.25), (28.3, 10.8, 12.1)),
    "tolstoi_char_rnn": ((62.07, 61.30, 61.23), (47.7, 88.0, 62.8)),
}


def assert_same(mine, official, where):
    if isinstance(official, dict):
        for key, value in official.items():
            assert_same(mine[key], value, f"{where}/{key}")
    elif isinstance(official, float):
        # The inputs have 12 digits, of which the difference of near numbers keeps fewer.
        tolerance = 3e-9 if "std" in where.rpartition("/")[2] else 1e-11
        assert mine == pytest.approx(official, rel=tolerance), where
    else:
        assert mine == official, where


@pytest.mark.parametrize(("problem", "optimizer"), PAIRS)
def test_summary(problem, optimizer):
    found = summarize(published_rows(problem, optimizer), published_facts(problem))
    assert_same(found, OFFICIAL[problem][optimizer], f"{problem}/{optimizer}")


@pytest.mark.parametrize("problem", TABLE)
def test_the_table_of_deepobs(problem):
    means, speeds = TABLE[problem]
    for optimizer, mean, speed in zip(OPTIMIZERS, means, speeds, strict=True):
        found = published_result(problem, optimizer)
        percent = 100 if found.metric == "test_accuracy" else 1
        assert f"{percent * found.mean:.2f}" == f"{mean:.2f}"
        assert f"{found.deepobs_speed:.1f}" == f"{speed:.1f}"


@pytest.mark.parametrize(("problem", "optimizer"), PAIRS)
def test_curves_and_table_agree(problem, optimizer):
    facts, found = published_facts(problem), published_result(problem, optimizer)
    curves = published_curves(problem, optimizer)
    headline = curves[facts["metric"]]
    assert headline.shape == (10, facts["num_epochs"] + 1)
    assert headline[:, -1] == pytest.approx(list(found.per_seed.values()), rel=1e-6)
    good = (headline - facts["convergence_performance"]) * (
        1 if facts["metric"] == "test_accuracy" else -1
    ) >= 0
    reached = [int(row.argmax()) if row.any() else None for row in good]
    assert reached == list(found.epochs_to_target.values())
    for row, *lines in zip(tuned_rows(problem, optimizer), *curves.values(), strict=True):
        for metric, line in zip(curves, lines, strict=True):
            assert line[-1] == pytest.approx(row.metrics[metric].final, rel=1.3e-4)
            assert np.isfinite(line).all()


def test_all_runs_are_there():
    table = published_table()
    assert len(table) == 1080
    counts = dict.fromkeys(("nonfinite", "never_below_initial", "trivial", "ok"), 0)
    for row in table:
        counts[row.outcome] += 1
    assert counts == {"nonfinite": 223, "never_below_initial": 92, "trivial": 139, "ok": 626}
    text = write_rows(table)
    assert write_rows(read_rows(text)) == text


@pytest.mark.parametrize(("problem", "optimizer"), PAIRS)
def test_grids(problem, optimizer):
    grid = published_grid(problem, optimizer)
    rates = [point.learning_rate for point in grid]
    assert rates == pytest.approx([10 ** (-5 + 0.2 * k) for k in range(36)], rel=1e-9)
    # DeepOBS chose the rate with the best final metric of seed 42.
    sign = 1 if published_facts(problem)["metric"] == "test_accuracy" else -1
    best = max((p for p in grid if not math.isnan(p.final)), key=lambda p: sign * p.final)
    assert best.learning_rate == published_result(problem, optimizer).params["lr"]


def test_a_network_of_nans_has_no_result():
    (point,) = (p for p in published_grid("cifar10_3c3d", "sgd") if p.learning_rate == 0.1)
    assert point.outcome == "nonfinite"
    assert math.isnan(point.final)  # recorded was the accuracy of one class, 9.99 %
    assert point.best == pytest.approx(0.843048878205)


def test_runs_as_results():
    runs = published_runs("cifar10_3c3d")
    assert [run.optimizer for run in runs] == ["sgd"] * 10 + ["momentum"] * 10 + ["adam"] * 10
    assert {run.random_seed for run in runs} == set(range(42, 52))
    assert runs[0].effective_weight_decay == 0.002
    assert runs[0].regularization == "l2"
    assert len(runs[0].test_accuracies) == 101
    assert published_runs("mnist_mlp") == []
    assert published_curves("mnist_mlp", "sgd") == {}
    assert published_grid("quadratic_deep", "alig") == []


def test_metric_facts():
    facts = metric_facts([0.1, 0.5, 0.5, math.inf], higher_is_better=True)
    assert (facts.best, facts.best_epoch, facts.final) == (0.5, 1, math.inf)
    assert metric_facts([math.nan], False).best_epoch is None
