"""The measured baselines: what they claim is checked against what is in them."""

import math

import pytest

from alig_deepobs.analysis import budget_curve, leaderboard
from alig_deepobs.baselines import (
    known_setting,
    measured_grid,
    measured_problems,
    measured_results,
    published_result,
)
from alig_deepobs.baselines.compact import read_compact
from alig_deepobs.baselines.condense import grid_run, write_compact
from alig_deepobs.baselines.published import tuples_for_lists
from alig_deepobs.errors import ResultError
from alig_deepobs.registry import find_testproblem, resolve_optimizer
from alig_deepobs.run import Outcome
from alig_deepobs.settings import Setting

from .test_store import own_run

OPTIMIZERS = {"alig", "sgd", "momentum", "adam"}


@pytest.mark.parametrize("problem", measured_problems())
def test_every_file(problem):
    entry = find_testproblem(problem)
    runs = measured_results(problem)
    assert {run.optimizer for run in runs} == OPTIMIZERS
    seeds = {}
    for run in runs:
        setting = run.optimizer, str(run.hyperparams)
        seeds.setdefault(setting, set()).add(run.random_seed)
        resolve_optimizer(Setting(run.optimizer, tuples_for_lists(run.hyperparams)))
        assert run.testproblem == problem
        assert run.data_label
        assert "synthetic" not in run.data_label
        assert run.setting_source
        assert {"torch", "cpu", "python", "note"} <= run.environment.keys()
        assert run.outcome is Outcome.DONE
        assert len(run.test_data_losses) == run.num_epochs + 1
        assert len(run.training_seconds) == run.num_epochs
    # Every optimizer has the same seeds, and at least three.
    assert len(set(map(frozenset, seeds.values()))) == 1
    assert len(next(iter(seeds.values()))) >= 3
    board = leaderboard(runs, entry)
    assert len(board.rows) == len(seeds)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_quadratic_deep_lies_with_the_published_seeds(optimizer):
    published = published_result("quadratic_deep", optimizer)
    runs = [run for run in measured_results("quadratic_deep") if run.optimizer == optimizer]
    finals = [run.test_data_losses[-1] for run in runs]
    assert len(finals) == 10
    mean = math.fsum(finals) / 10
    # Two standard errors of the difference of two means of ten, the published spread taken twice.
    assert abs(mean - published.mean) < 4 * published.std_sample * math.sqrt(2 / 10)


def test_the_known_setting_is_the_chosen_one():
    grid = [p for p in measured_grid("quadratic_deep", "alig")
            if p.params["momentum"] == 0.9 and p.params["f_min"] == 0.0]  # fmt: skip
    assert len(grid) == 36
    best = min((p for p in grid if p.valid is not None), key=lambda p: p.valid)
    known = known_setting("quadratic_deep", "alig")
    assert best.params["max_lr"] == known.params["max_lr"]
    assert best.params["momentum"] == known.params["momentum"]


def test_grids_give_a_budget_curve():
    points = measured_grid("quadratic_deep", "sgd")
    nan = math.nan
    curve = budget_curve(
        [nan if p.test is None else p.test for p in points],
        higher_is_better=False,
        failed=points[0].initial,
        chosen_by=[nan if p.valid is None else p.valid for p in points],
    )
    assert len(curve.budgets) == 36
    assert curve.expected[0] > curve.expected[5] > curve.expected[-1]
    assert curve.all_failed[0] == pytest.approx(sum(p.test is None for p in points) / 36)


def test_nothing_measured():
    assert measured_results("imagenet_vgg16") == []
    assert measured_grid("imagenet_vgg16") == []


def test_files_of_runs(tmp_path):
    tuning = own_run(1000, purpose="tuning", valid_data_losses=[350.0, 92.0, 89.0])
    failed = own_run(1001, purpose="tuning", outcome=Outcome.DIVERGED)
    runs = [own_run(1), own_run(2, test_data_losses=[353.5, 90.123456789, 87.5])]
    path = tmp_path / "new" / "quadratic_deep.json"
    write_compact([*runs, tuning, failed], path, note="a note")
    back, grid = read_compact(path.read_bytes(), path.name)
    assert [run.random_seed for run in back] == [1, 2]
    assert back[1].test_data_losses == [353.5, 90.1235, 87.5]
    assert back[0].step_sizes == runs[0].step_sizes
    assert back[0].train_losses == back[0].train_data_losses
    assert back[0].environment == {"device": "cpu", "started": "2026-01-02", "note": "a note"}
    assert grid == [grid_run(tuning), grid_run(failed)]
    assert (grid[0].valid, grid[0].test, grid[0].initial) == (89.0, 87.5, 353.5)
    assert grid[0].metric == "loss"
    assert (grid[1].valid, grid[1].test, grid[1].outcome) == (None, None, "diverged")


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"format_version": 1}', b'{"format_version": 9}'])
def test_files_that_are_none(raw):
    with pytest.raises(ResultError):
        read_compact(raw, "x.json")
