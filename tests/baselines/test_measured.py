"""The measured baselines: what they claim is checked against what is in them."""

import math

import pytest

from alig_deepobs.analysis import budget_curve, leaderboard
from alig_deepobs.analysis.frames import final_headline
from alig_deepobs.baselines import (
    known_setting,
    measured_grid,
    measured_problems,
    measured_results,
    published_runs,
)
from alig_deepobs.registry import find_testproblem, resolve_optimizer
from alig_deepobs.run import Outcome
from alig_deepobs.settings import Setting

OPTIMIZERS = {"alig", "sgd", "momentum", "adam"}


@pytest.mark.parametrize("problem", measured_problems())
def test_every_file(problem):
    entry = find_testproblem(problem)
    runs = measured_results(problem)
    assert {run.optimizer for run in runs} == OPTIMIZERS
    seeds = {}
    for run in runs:
        seeds.setdefault(run.setting(), set()).add(run.random_seed)
        resolve_optimizer(Setting(run.optimizer, run.setting_params()))
        assert run.testproblem == problem
        assert run.data_label
        assert run.data_source in ("official", "bundled", "generated")
        assert not run.synthetic
        assert run.reshuffle == entry.reshuffles
        assert run.weight_decay == entry.weight_decay
        assert run.setting_source
        assert {"torch", "cpu", "python", "note"} <= run.environment.keys()
        assert run.started.startswith("2026-11-2")
        assert run.outcome is Outcome.DONE
        assert len(run.test_data_losses) == run.num_epochs + 1
        assert len(run.training_seconds) == run.num_epochs
    # Every optimizer has the same seeds, and at least three.
    assert len(set(map(frozenset, seeds.values()))) == 1
    assert len(next(iter(seeds.values()))) >= 3
    board = leaderboard(runs, entry)
    assert len(board.rows) == len(seeds)


# Mean of the final headline metric of ALI-G, SGD, Momentum and Adam, as docs/baselines.md has it.
MEANS = {
    "digits_logreg": ("95.14", "94.77", "94.69", "94.49"),
    "digits_mlp": ("97.76", "97.47", "98.21", "97.41"),
    "mnist_logreg": ("92.24", "92.30", "92.32", "92.60"),
    "mnist_mlp": ("96.93", "97.29", "96.93", "97.33"),
    "mnist_2c2d": ("98.39", "98.52", "98.80", "98.21"),
    "quadratic_deep": ("87.12", "87.36", "87.04", "87.13"),
    "two_d_branin": ("0.40", "0.40", "0.40", "0.40"),
}


@pytest.mark.parametrize("problem", MEANS)
def test_the_table_of_the_documentation(problem):
    entry = find_testproblem(problem)
    rows = {}
    for row in leaderboard(measured_results(problem), entry).rows:
        known = known_setting(problem, row.group.optimizer)
        if known is None or row.group.runs[0].setting_params().items() >= known.params.items():
            rows.setdefault(row.group.optimizer, row)
    percent = 100 if entry.metric == "accuracy" else 1
    means = [f"{percent * rows[name].headline.mean:.2f}"
             for name in ("alig", "sgd", "momentum", "adam")]  # fmt: skip
    assert tuple(means) == MEANS[problem]


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_quadratic_deep_lies_with_the_published_seeds(optimizer):
    entry = find_testproblem("quadratic_deep")
    published = leaderboard(published_runs("quadratic_deep", optimizer), entry).rows[0].headline
    runs = [run for run in measured_results("quadratic_deep") if run.optimizer == optimizer]
    finals = [run.test_data_losses[-1] for run in runs]
    assert len(finals) == 10
    # Four standard errors of the published mean; 2.262 is Student's quantile for ten seeds.
    error = (published.high - published.low) / 2 / 2.262
    assert abs(math.fsum(finals) / 10 - published.mean) < 4 * math.sqrt(2) * error


def test_the_known_setting_is_the_chosen_one():
    grid = [
        run for run in measured_grid("quadratic_deep", "alig")
        if run.hyperparams["momentum"] == 0.9 and run.hyperparams["f_min"] == 0.0
    ]  # fmt: skip
    assert len(grid) == 36
    best = min(
        (run for run in grid if run.valid_data_losses), key=lambda r: r.valid_data_losses[-1]
    )
    known = known_setting("quadratic_deep", "alig")
    assert best.hyperparams["max_lr"] == known.params["max_lr"]
    assert best.hyperparams["momentum"] == known.params["momentum"]


def test_grids_give_a_budget_curve():
    entry = find_testproblem("quadratic_deep")
    runs = measured_grid("quadratic_deep", "sgd")
    curve = budget_curve(
        [final_headline(run, entry) for run in runs],
        higher_is_better=False,
        failed=runs[0].test_data_losses[0],
        chosen_by=[
            run.valid_data_losses[-1] if run.valid_data_losses else math.nan for run in runs
        ],
    )
    failed = sum(run.outcome is Outcome.DIVERGED for run in runs)
    assert failed > 0
    assert len(curve.budgets) == 36
    assert curve.expected[0] > curve.expected[5] > curve.expected[-1]
    assert curve.all_failed[0] == pytest.approx(failed / 36)


def test_nothing_measured():
    assert measured_results("imagenet_vgg16") == []
    assert measured_grid("imagenet_vgg16") == []
