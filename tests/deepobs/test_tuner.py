"""The tuner and the analyses of deepobs, as this package provides them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from alig_deepobs.errors import UsageError
from alig_deepobs.results import read_result, write_result
from alig_deepobs.run import RunResult
from alig_deepobs.runners.deepobs import analyzer
from alig_deepobs.runners.deepobs.runners import (
    StandardRunner,
)
from alig_deepobs.runners.deepobs.shared_utils import create_setting_analyzer_ranking
from alig_deepobs.runners.deepobs.tuner import GridSearch, RandomSearch
from alig_deepobs.runners.deepobs.tuner_utils import log_uniform, rank_settings, rerun_setting

pytestmark = pytest.mark.usefixtures("script")
LR = {"lr": {"type": float}}
QUICK = {"testproblem": "digits_logreg", "num_epochs": 1}


def test_grid_search(tmp_path):
    search = GridSearch(torch.optim.SGD, LR, {"lr": [1e-4, 0.1]}, 2, StandardRunner)
    best = search.tune("digits_logreg", num_epochs=1)
    assert best == {"lr": 0.1}
    files = set((tmp_path / "results").rglob("*.json"))
    runs = [read_result(path) for path in files]
    assert sorted(run.random_seed for run in runs) == [42, 42, *range(43, 52)]
    assert {run.hyperparams["lr"] for run in runs if run.random_seed > 42} == {0.1}
    # Again, and with one setting more: only what is missing is run.
    assert search.tune("digits_logreg", num_epochs=1) == best
    assert set((tmp_path / "results").rglob("*.json")) == files
    more = GridSearch(torch.optim.SGD, LR, {"lr": [1e-4, 1e-3, 0.1]}, 3, StandardRunner)
    assert more.tune("digits_logreg", num_epochs=1) == best
    new = set((tmp_path / "results").rglob("*.json")) - files
    assert [read_result(path).hyperparams for path in new] == [{"lr": 1e-3}]


def test_a_search_in_several_processes_finds_the_same(tmp_path):
    search = GridSearch(torch.optim.SGD, LR, {"lr": [1e-4, 0.1]}, 2, StandardRunner)
    arguments = {"num_epochs": 1, "rerun_best_setting": False}
    search.tune("digits_logreg", output_dir="one", **arguments)
    search.tune("digits_logreg", output_dir="two", jobs=2, **arguments)
    one, two = (
        {r.identity(): r.test_losses for r in map(read_result, (tmp_path / name).rglob("*.json"))}
        for name in ("one", "two")
    )
    assert one == two
    assert len(one) == 2


class Counting(StandardRunner):
    """A runner with a training of its own."""

    calls = 0

    def training(self, *arguments, **training_params):
        Counting.calls += 1
        return super().training(*arguments, **training_params)


def test_a_search_with_a_runner_that_trains_itself(caplog, monkeypatch):
    monkeypatch.setattr(Counting, "calls", 0)
    search = GridSearch(torch.optim.SGD, LR, {"lr": [1e-4, 0.1]}, 2, Counting)
    for _ in range(2):
        best = search.tune("digits_logreg", num_epochs=1, rerun_best_setting=False, jobs=2)
        assert best == {"lr": 0.1}
    assert Counting.calls == 2
    assert "Counting: runs go one after the other" in caplog.text


def test_a_search_for_a_class_that_cannot_be_imported():
    class Local(torch.optim.SGD):
        pass

    search = GridSearch(Local, LR, {"lr": [1e-4, 0.1]}, 2, StandardRunner)
    assert search.tune("digits_logreg", num_epochs=1, rerun_best_setting=False) == {"lr": 0.1}


def test_a_search_in_which_everything_diverges():
    search = GridSearch(torch.optim.SGD, LR, {"lr": [1e30, 1e35]}, 2, StandardRunner)
    with pytest.raises(UsageError, match="no setting of SGD on digits_mlp came to its end"):
        search.tune("digits_mlp", num_epochs=2)


def test_grid_larger_than_the_resources():
    with pytest.raises(UsageError, match="the grid has 4 settings, but ressources allows 3"):
        GridSearch(torch.optim.SGD, LR, {"lr": [1, 2], "momentum": [0, 1]}, 3, StandardRunner)


def test_random_search_draws_the_same_settings_again():
    search = RandomSearch(torch.optim.SGD, LR, {"lr": log_uniform(-4, -1)}, 5, StandardRunner)
    settings = search.sample(3)
    assert settings == search.sample(3)
    assert len({setting["lr"] for setting in settings}) == 5
    assert all(1e-4 <= setting["lr"] <= 0.1 for setting in settings)


def test_distributions_and_searches_of_ones_own():
    """As in DeepOBS: `rvs` without arguments and `_sample`, under NumPy's global seed."""

    class Choice:
        def rvs(self):
            return np.random.choice([0.1, 0.2, 0.3])

    search = RandomSearch(torch.optim.SGD, LR, {"lr": Choice()}, 9, StandardRunner)
    np.random.seed(3)
    assert search._sample() == search.sample(3)
    assert {setting["lr"] for setting in search.sample(3)} <= {0.1, 0.2, 0.3}
    grid = GridSearch(torch.optim.SGD, LR, {"lr": [1, 2]}, 2, StandardRunner)
    assert grid._sample() == [{"lr": 1}, {"lr": 2}]
    np.random.seed(3)
    exponent = np.random.uniform(-4, -1)
    np.random.seed(3)
    assert log_uniform(-4, -1).rvs() == pytest.approx(10**exponent)


def test_a_kernel_of_scikit_learn():
    pytest.importorskip("skopt")
    from sklearn.gaussian_process.kernels import Matern

    from alig_deepobs.runners.deepobs.bayesian import GP

    search = GP(torch.optim.SGD, LR, {"lr": (-3, 0)}, 4, StandardRunner, {"lr": lambda x: 10**x})
    best = search.tune("digits_logreg", num_epochs=1, n_init_samples=2, kernel=Matern(nu=2.5))
    assert 1e-3 <= best["lr"] <= 1


def test_analyses_of_ones_own(tmp_path, capsys):
    def planted(rate, seed, accuracies):
        result = RunResult(
            "digits_logreg", "SGD", {"lr": rate}, batch_size=32, num_epochs=2, random_seed=seed,
            train_losses=[1.0] * 3, valid_losses=[1.0] * 3, valid_accuracies=accuracies,
            test_losses=[1.0] * 3, test_accuracies=accuracies,
        )  # fmt: skip
        write_result(result, tmp_path)

    planted(0.1, 42, [0.1, 0.9, 0.5])
    planted(0.2, 42, [0.1, 0.6, 0.7])
    planted(0.2, 43, [0.1, 0.8, 0.7])
    path = tmp_path / "digits_logreg" / "SGD"
    rates = {
        mode: [
            setting.aggregate["optimizer_hyperparams"]["lr"]
            for setting in create_setting_analyzer_ranking(path, mode, "valid_accuracies")
        ]
        for mode in ("final", "best", "most")
    }
    assert rates == {"final": [0.2, 0.1], "best": [0.1, 0.2], "most": [0.2, 0.1]}
    first = create_setting_analyzer_ranking(path)[0]
    assert first.n_runs == 2
    assert first.aggregate["test_accuracies"]["mean"] == pytest.approx([0.1, 0.7, 0.7])
    assert first.aggregate["test_accuracies"]["std"] == pytest.approx([0.0, 0.1, 0.0])
    assert first.get_all_final_values("test_accuracies") == [0.7, 0.7]
    assert Path(first.path).parent == path
    with pytest.raises(UsageError, match="train_accuracies"):
        first.get_final_value("train_accuracies")
    (tmp_path / "conv.json").write_text('{"digits_logreg": 0.8}')
    assert first.calculate_speed(tmp_path / "conv.json") == 2.0  # never (3), and after 1
    # What an optimizer reaches is told as the setting was chosen; the lines are those tools parse.
    assert analyzer.get_performance_dictionary(path, mode="best")["Performance"] == 0.9
    assert analyzer.get_performance_dictionary(path, mode="final")["Performance"] == 0.7
    assert analyzer.check_output(tmp_path) == []
    printed = capsys.readouterr().out.splitlines()
    assert sorted(printed) == [
        "digits_logreg | SGD: 1 setting(s) with 1 seed(s).",
        "digits_logreg | SGD: 1 setting(s) with 2 seed(s).",
    ]


def test_rerun_setting(tmp_path):
    StandardRunner(torch.optim.SGD, LR).run(hyperparams={"lr": 0.1}, **QUICK)
    path = tmp_path / "results" / "digits_logreg" / "SGD"
    rerun_setting(StandardRunner, torch.optim.SGD, LR, str(path), seeds=np.array([50]))
    (setting,) = rank_settings(path)  # the new run is one more seed of the same setting
    assert sorted(run.random_seed for run in setting) == [42, 50]
    with pytest.raises(UsageError, match="no finished run"):
        rank_settings(tmp_path / "nothing")
    with pytest.raises(UsageError, match="rank must be from 1 to 1, not 2"):
        rerun_setting(StandardRunner, torch.optim.SGD, LR, str(path), rank=2)


def test_ranks(tmp_path):
    def planted(rate, seed, valid, test):
        result = RunResult(
            "digits_logreg", "SGD", {"lr": rate}, batch_size=32, num_epochs=2, random_seed=seed,
            train_losses=[1.0] * 3, valid_losses=[1.0] * 3, valid_accuracies=valid,
            test_losses=[1.0] * 3, test_accuracies=test,
        )  # fmt: skip
        write_result(result, tmp_path)

    planted(0.1, 42, [0.1, 0.9, 0.5], [0.1, 0.1, 0.1])  # the best epoch of all
    planted(0.2, 42, [0.1, 0.6, 0.6], [0.1, 0.2, 0.3])  # the best on average at the end
    planted(0.2, 43, [0.1, 0.6, 0.8], [0.1, 0.2, 0.3])
    planted(0.3, 42, [0.1, 0.4, 0.4], [0.1, 0.9, 0.9])  # the best on the test set

    def best(**options):
        ranked = rank_settings(tmp_path / "digits_logreg" / "SGD", **options)
        return [setting[0].hyperparams["lr"] for setting in ranked]

    assert best() == [0.2, 0.1, 0.3]
    assert best(mode="best") == [0.1, 0.2, 0.3]
    assert best(mode="most")[0] == 0.2
    assert best(metric="test_accuracies") == [0.3, 0.2, 0.1]
    with pytest.raises(UsageError, match="unknown metric 'accuracy'"):
        best(metric="accuracy")
    with pytest.raises(UsageError, match="unknown mode 'first'"):
        best(mode="first")


def test_commands_script(tmp_path):
    search = GridSearch(torch.optim.SGD, LR, {"lr": [0.1, 0.2]}, 5, StandardRunner)
    path = search.generate_commands_script("mnist_mlp", "my run.py", no_logs=False, tb_log=True)
    lines = Path(path).read_text().splitlines()
    assert lines[0] == (
        "python3 'my run.py' mnist_mlp --lr 0.1 --random_seed 42 --output_dir ./results --tb_log"
    )
    assert len(lines) == 2


def test_tune_on_testset():
    search = GridSearch(torch.optim.SGD, LR, {"lr": [0.1]}, 1, StandardRunner)
    best = search.tune_on_testset(["digits_logreg"], rerun_best_setting=False, num_epochs=1)
    assert best == {"digits_logreg": {"lr": 0.1}}
