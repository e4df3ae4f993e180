"""``alig-deepobs compare``."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from alig_deepobs.comparison import Comparison
from alig_deepobs.results import read_result

QUICK = ("-N", 1, "--synthetic", "--device", "cpu")


@pytest.fixture
def compared(call, tmp_path):
    called = call("compare", "digits_logreg", "--seeds", 3, *QUICK)
    assert called.code == 0, called.err
    return called, tmp_path / "results"


def test_every_optimizer_and_seed_is_run_and_shown(compared):
    called, folder = compared
    assert "[32/32]" in called.out  # 4 grids of 5, then 4 optimizers with 3 seeds
    board = called.out[called.out.index("Digits LogReg") :]
    for label in ("AliG", "SGD", "Momentum", "Adam"):
        assert label in board
    assert "best of 5 settings by validation data, last epoch, seed 1000" in " ".join(board.split())
    assert board.count("%") >= 4
    assert "[" in board  # intervals, never bare means
    results = [read_result(path) for path in folder.glob("digits_logreg/**/*.json")]
    assert len(results) == 12
    assert {result.random_seed for result in results} == {42, 43, 44}
    assert all(result.split == "full" for result in results)


def test_tuning_runs_are_kept_apart(compared):
    _, folder = compared
    results = [read_result(path) for path in folder.glob("tuning/**/*.json")]
    assert len(results) == 20
    assert {result.random_seed for result in results} == {1000}
    assert all(result.split == "validation" for result in results)


def test_files(compared):
    _, folder = compared
    table = pd.read_csv(folder / "leaderboard_digits_logreg.csv")
    assert set(table["label"]) == {"AliG", "SGD", "Momentum", "Adam"}
    assert (table["headline_low"] <= table["headline_mean"]).all()
    assert len(pd.read_csv(folder / "runs_digits_logreg.csv")) == 12
    assert (folder / "curves_digits_logreg.png").read_bytes().startswith(b"\x89PNG")


def test_the_chosen_setting_is_the_one_that_is_run(compared):
    _, folder = compared
    tuning = [read_result(path) for path in folder.glob("tuning/*/SGD/**/*.json")]
    best = max(tuning, key=lambda run: (run.valid_accuracies[-1], -run.valid_data_losses[-1]))
    rates = {
        json.loads(path.read_text())["learning_rate"]
        for path in folder.glob("digits_logreg/SGD/**/*.json")
    }
    assert rates == {best.learning_rate}


def test_known_settings_need_no_tuning(call, tmp_path):
    called = call(
        "compare", "quadratic_deep", "--optimizers", "sgd,momentum,adam,alig[max_lr=0.01]",
        "--seeds", 2, *QUICK,
    )  # fmt: skip
    assert called.code == 0
    assert "[8/8]" in called.out
    words = " ".join(called.out.split())  # long lines are wrapped
    assert "DeepOBS baselines (36 rates" in words
    assert "given on the command line" in words
    (path, _) = (tmp_path / "results" / "quadratic_deep" / "Momentum").rglob("*.json")
    assert read_result(path).hyperparams["momentum"] == 0.99


def test_two_problems_and_no_tuning(call, tmp_path):
    called = call(
        "compare", "digits_logreg", "two_d_branin", "--optimizers", "alig,adam", "--seeds", 2,
        "--no_tuning", *QUICK,
    )  # fmt: skip
    assert called.code == 0
    assert "[8/8]" in called.out
    for problem in ("digits_logreg", "two_d_branin"):
        table = pd.read_csv(tmp_path / "results" / f"leaderboard_{problem}.csv")
        assert list(table["testproblem"]) == [problem] * 2
    assert (tmp_path / "results" / "curves_two_d_branin.png").exists()


def test_one_seed_has_no_interval(call):
    called = call("compare", "digits_logreg", "--optimizers", "adam", "--seeds", 1, "--no_tuning",
                  *QUICK)  # fmt: skip
    assert called.code == 0
    assert "n=1" in called.out


def test_a_broken_plot_ends_nothing(call, tmp_path, monkeypatch):
    def breaks(*args):
        raise RuntimeError("no fonts")

    monkeypatch.setattr(Comparison, "plot", breaks)
    done = call(
        "compare", "two_d_branin", "two_d_beale", "--optimizers", "sgd[lr=0.001]", "-N", "1",
        "--seeds", "1", "--output_dir", tmp_path,
    )  # fmt: skip
    assert done.code == 0
    assert done.out.count("Results are in") == 2
    assert done.err.count("is not drawn: RuntimeError: no fonts") == 2
    assert len(list(tmp_path.glob("leaderboard_*.csv"))) == 2
