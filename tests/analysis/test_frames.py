import dataclasses
import json
import math

import pandas as pd
import pytest

from alig_deepobs.analysis import epochs_frame, load_results, runs_frame, write_csv
from alig_deepobs.errors import UsageError
from alig_deepobs.results import write_result
from alig_deepobs.run import Outcome, RunResult


@pytest.fixture
def write_deepobs_11():
    """Writes a file in DeepOBS 1.1's form; NaN stands in it as a bare token."""

    def write(folder, test_losses=(2.0, 1.0)):
        setting = "num_epochs__1__batch_size__128__momentum__9.9e-01__lr__1.e-02"
        path = folder / "mnist_mlp" / "MomentumOptimizer" / setting
        path.mkdir(parents=True, exist_ok=True)
        record = {
            "train_losses": [2.1, 0.9], "test_losses": list(test_losses),
            "minibatch_train_losses": [2.0, 1.5], "train_accuracies": [0.1, 0.8],
            "test_accuracies": [0.1, 0.7], "optimizer": "MomentumOptimizer",
            "testproblem": "mnist_mlp", "weight_decay": None, "batch_size": 128, "num_epochs": 1,
            "learning_rate": 0.01, "lr_sched_epochs": None, "lr_sched_factors": None,
            "random_seed": 42, "train_log_interval": 10,
            "hyperparams": {"momentum": 0.99, "use_nesterov": False},
        }  # fmt: skip
        (path / "random_seed__42__2019-02-13-14-35-01.json").write_text(json.dumps(record))
        return path

    return write


@pytest.fixture
def write_deepobs_12():
    """Writes a file in DeepOBS 1.2's form."""

    def write(folder):
        path = folder / "mnist_mlp" / "SGD" / "num_epochs__1__batch_size__128__lr__1.e-02"
        path.mkdir(parents=True)
        record = {
            "train_losses": [2.1, 1.9], "valid_losses": [2.2, 2.0], "test_losses": [2.3, 2.05],
            "minibatch_train_losses": [2.0], "train_accuracies": [0.1, 0.3],
            "valid_accuracies": [0.1, 0.25], "test_accuracies": [0.1, 0.2],
            "optimizer_name": "SGD", "optimizer_hyperparams": {"lr": 0.01},
            "training_params": {}, "testproblem": "mnist_mlp", "weight_decay": None,
            "batch_size": 128, "num_epochs": 1, "random_seed": 43,
        }  # fmt: skip
        (path / "random_seed__43__2020-08-01-10-00-00.json").write_text(
            json.dumps(record, indent=4)
        )

    return write


def test_loads_all_dialects(tmp_path, make_run, write_deepobs_11, write_deepobs_12):
    write_deepobs_11(tmp_path)
    write_deepobs_12(tmp_path)
    write_result(make_run("AliG", seed=7), tmp_path)
    loaded = load_results(tmp_path)
    assert loaded.problems == []
    frame = runs_frame(loaded.results).set_index("optimizer_name")
    assert set(frame.index) == {"AliG", "MomentumOptimizer", "SGD"}
    assert frame.loc["MomentumOptimizer", "final_test_data_loss"] == 1.0
    assert frame.loc["MomentumOptimizer", "loss_kind"] == "as recorded"
    assert frame.loc["MomentumOptimizer", "setting"].startswith("momentum=0.99")
    assert frame.loc["SGD", "final_valid_accuracy"] == 0.25
    assert frame.loc["AliG", "loss_kind"] == "data term"
    assert frame.loc["AliG", "final_test_data_loss"] == pytest.approx(0.1)
    assert frame.loc["AliG", "environment.device"] == "cpu"


def test_a_subfolder_will_do(tmp_path, write_deepobs_11):
    setting = write_deepobs_11(tmp_path)
    assert len(load_results(setting).results) == 1


def test_diverged_file_of_deepobs(tmp_path, write_deepobs_11):
    write_deepobs_11(tmp_path, test_losses=(2.0, math.nan))
    (result,) = load_results(tmp_path).results
    row = runs_frame([result]).iloc[0]
    assert result.outcome is Outcome.DIVERGED
    assert math.isnan(row["final_test_data_loss"])
    assert row["best_test_data_loss"] == 2.0


def test_bad_files_are_reported_and_the_rest_loads(tmp_path, make_run, write_deepobs_11):
    folder = write_deepobs_11(tmp_path)
    (folder / "broken.json").write_text('{"test_losses": [1.0')
    (folder / "other.json").write_text("[1, 2]")
    (folder / "text.json").write_text('{"test_losses": "abc", "schema_version": "new"}')
    (folder / "empty.json").write_text("")
    (folder / "binary.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "mnist_mlp" / "summary.json").write_text("{")  # outside a setting folder
    write_result(make_run(), tmp_path)
    loaded = load_results(tmp_path)
    assert len(loaded.results) == 2
    reasons = {problem.path.name: problem.reason for problem in loaded.problems}
    assert set(reasons) == {
        "broken.json", "other.json", "text.json", "empty.json", "binary.json"
    }  # fmt: skip
    assert "not a JSON file" in reasons["broken.json"]
    assert "test_losses" in reasons["other.json"]


def test_missing_folder(tmp_path):
    with pytest.raises(UsageError, match="no results folder"):
        load_results(tmp_path / "nowhere")


def test_epochs_frame(make_run):
    frame = epochs_frame([make_run(epochs=3), make_run(seed=2, diverged_after=1, epochs=3)])
    assert list(frame["epoch"]) == [0, 1, 2, 3, 0, 1]
    assert math.isnan(frame["training_seconds"][0])
    assert frame["training_seconds"][1] == 2.0
    assert frame["test_accuracy"][3] == 0.9


def test_empty_frames_have_their_columns():
    assert "outcome" in runs_frame([]).columns
    assert "epoch" in epochs_frame([]).columns


def test_csv_roundtrip(tmp_path, make_run):
    runs = [make_run(final=1 / 3), make_run(seed=2, diverged_after=1)]
    path = write_csv(runs, tmp_path / "deep" / "runs.csv")
    back = pd.read_csv(path)
    frame = runs_frame(runs)
    assert list(back.columns) == list(frame.columns)
    assert back["final_test_accuracy"][0] == 1 / 3
    assert math.isnan(back["final_test_accuracy"][1])
    assert list(back["outcome"]) == ["done", "diverged"]
    assert list(tmp_path.rglob("*.part")) == []


def test_zero_evaluation_seconds_are_not_missing(make_run):
    timed = make_run(evaluation_seconds=[0.0, 0.0, 0.0])
    assert runs_frame([timed])["evaluation_seconds"][0] == 0.0
    assert math.isnan(runs_frame([make_run(evaluation_seconds=[])])["evaluation_seconds"][0])


def test_every_hyper_parameter_has_a_column(make_run):
    runs = [
        make_run("A", hyperparams={"lr": 0.1, "betas": (0.9, 0.99)}),
        make_run("B", hyperparams={"lr": 0.2}, training_params={"clip_norm": 1.0}),
    ]
    frame = runs_frame(runs)
    assert frame["hyperparams.lr"].tolist() == [0.1, 0.2]
    assert frame["hyperparams.betas"].isna().tolist() == [False, True]
    assert frame["training_params.clip_norm"].tolist()[1] == 1.0
    assert frame["environment.device"].tolist() == ["cpu", "cpu"]
    assert frame["identity"].tolist() == [run.identity() for run in runs]
    assert frame["setting_id"].tolist() == [run.setting() for run in runs]


def test_every_field_of_a_run_is_in_the_frame(make_run):
    """Curves are in `epochs_frame`; a field that is added is a column without further ado."""
    run = make_run(
        guarded_steps={"g": 1}, training_params={"clip_norm": 1.0}, problem_options={"dim": 3},
        tuning={"trials": 5},
    )  # fmt: skip
    names = set(runs_frame([run]).columns)
    known = {name.partition(".")[0] for name in names}
    for item in dataclasses.fields(RunResult):
        is_curve = (
            str(item.type).startswith("list") and item.name != "evaluation_seconds"
        )  # the sum
        assert (item.name in known) != is_curve, item.name


def test_epochs_are_joined_to_runs_by_identity(make_run):
    runs = [make_run(hyperparams={"lr": rate}) for rate in (0.1, 0.2)]
    joined = epochs_frame(runs).merge(runs_frame(runs)[["identity", "hyperparams.lr"]])
    assert joined["hyperparams.lr"].tolist() == [0.1] * 3 + [0.2] * 3
