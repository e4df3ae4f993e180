"""Single facts of reading results: older dialects, values of a wrong kind, names of folders."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from alig_deepobs.errors import ResultError
from alig_deepobs.registry import find_testproblem
from alig_deepobs.results import (
    check_folder_name,
    newest,
    read_result,
    run_folder,
    setting_folder,
    to_json,
    write_result,
)
from alig_deepobs.run import Outcome, RunResult


@pytest.fixture
def result():
    return RunResult(
        "quadratic_deep", "SGD", {"lr": 0.01, "momentum": 0.9}, optimizer="sgd", batch_size=128,
        num_epochs=1, random_seed=42, train_losses=[3.0, 2.0], test_losses=[3.5, 2.5],
    )  # fmt: skip


NEW = {
    "testproblem": "mnist_vae", "optimizer_name": "SGD", "batch_size": 64, "num_epochs": 1,
    "random_seed": 43, "optimizer_hyperparams": {"lr": 0.1}, "training_params": {"clip_norm": 1.0},
    "train_losses": [2.0, 1.0], "valid_losses": [2.1, 1.1], "test_losses": [2.2, 1.2],
    "minibatch_train_losses": [2.0],
}  # fmt: skip
OLD = {
    "testproblem": "mnist_mlp", "optimizer": "MomentumOptimizer", "batch_size": 64,
    "num_epochs": 1, "random_seed": 7, "learning_rate": 0.1, "hyperparams": {"momentum": 0.99},
    "train_losses": [3.0, 2.0], "test_losses": [3.5, 2.5], "train_accuracies": [0.1, 0.5],
    "test_accuracies": [0.2, 0.6], "weight_decay": None, "train_log_interval": 3,
}  # fmt: skip


def read(tmp_path, record, name="random_seed__43__2019-03-04-05-06-07.json"):
    folder = tmp_path / "digits_mlp" / "SGD" / "setting"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(record))
    return read_result(path)


def without(record, *keys):
    return {key: value for key, value in record.items() if key not in keys}


# --- DeepOBS's files -------------------------------------------------------------------------


def test_a_file_of_deepobs_1_2(tmp_path):
    found = read(tmp_path, NEW)
    assert (found.testproblem, found.optimizer_name, found.framework) == (
        "mnist_vae", "SGD", "pytorch",
    )  # fmt: skip
    assert (found.hyperparams, found.training_params) == ({"lr": 0.1}, {"clip_norm": 1.0})
    assert (found.batch_size, found.num_epochs, found.random_seed) == (64, 1, 43)
    assert (found.train_log_interval, found.numbers_version, found.schema_version) == (10, 0, 0)
    assert found.started == "2019-03-04T05:06:07"
    assert found.valid_losses == [2.1, 1.1]
    assert found.optimizer == ""
    assert read(tmp_path, without(NEW, "optimizer_name")).framework == "pytorch"
    assert read(tmp_path, NEW, "result.json").started == ""
    assert read(tmp_path, NEW, "seed__1__2019-03-04-05-06-07__ab.json").started[-2:] == "07"


def test_a_file_of_deepobs_1_1(tmp_path):
    found = read(tmp_path, OLD)
    assert (found.optimizer_name, found.framework) == ("MomentumOptimizer", "tensorflow")
    assert found.hyperparams == {"momentum": 0.99, "learning_rate": 0.1}
    assert (found.training_params, found.train_log_interval) == ({}, 3)
    assert (found.train_accuracies, found.test_accuracies) == ([0.1, 0.5], [0.2, 0.6])
    assert found.weight_decay == find_testproblem("mnist_mlp").weight_decay
    assert read(tmp_path, without(OLD, "optimizer")).optimizer_name == ""
    # The problem is told by the folder where the file does not say it.
    assert read(tmp_path, without(OLD, "testproblem")).testproblem == "digits_mlp"


@pytest.mark.parametrize("key", ["batch_size", "num_epochs", "random_seed", "hyperparams"])
def test_an_incomplete_file_of_deepobs(tmp_path, key):
    with pytest.raises(ResultError, match=f"not a complete result of DeepOBS: .*{key}"):
        read(tmp_path, without(OLD, key))
    with pytest.raises(ResultError, match="its lists are empty"):
        read(tmp_path, without(NEW, "train_losses", "valid_losses") | {"test_losses": []})


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_lists_end_together_before_a_number_that_is_not_finite(tmp_path, bad):
    found = read(tmp_path, NEW | {"train_losses": [2.0, 1.0, 0.5], "valid_losses": [2.1, 1.1, bad],
                                  "test_losses": [2.2, 1.2, 0.9]})  # fmt: skip
    assert (found.train_losses, found.valid_losses, found.test_losses) == (
        [2.0, 1.0], [2.1, 1.1], [2.2, 1.2],
    )  # fmt: skip
    assert (found.outcome, found.outcome_reason) == (Outcome.DIVERGED, "not finite at epoch 2")
    found = read(tmp_path, NEW | {"minibatch_train_losses": [2.0, 1.0, bad, 1.0]})
    assert found.minibatch_train_losses == [2.0, 1.0]
    assert found.outcome is Outcome.DIVERGED
    assert "mini-batch" in found.outcome_reason
    assert read(tmp_path, NEW).outcome is Outcome.DONE


# --- Files of ours ---------------------------------------------------------------------------


def schema_1(result, **changes):
    record = to_json(result) | {"schema_version": 1, **changes}
    for key in ("precision", "synthetic", "data_source", "identity", "started", "command"):
        record.pop(key, None)
    return record


@pytest.mark.parametrize(
    ("label", "source", "synthetic"),
    [
        ("Digits (scikit-learn)", "bundled", False),
        ("MNIST (synthetic twin)", "synthetic", True),
        ("MNIST (unverified files)", "unverified", False),
        ("MNIST", "", False),
    ],
)
def test_schema_1(tmp_path, result, label, source, synthetic):
    hyperparams = {"max_lr": "inf", "low": "-inf", "mode": "fast", "lr": 0.1}
    found = read(tmp_path, schema_1(result, data_label=label, optimizer_hyperparams=hyperparams))
    assert (found.data_source, found.synthetic, found.started) == (source, synthetic, "")
    expected = {"max_lr": math.inf, "low": -math.inf, "mode": "fast", "lr": 0.1}
    assert found.hyperparams == expected
    assert found.schema_version == 1


def test_runs_of_deepobs_in_a_file_of_ours(tmp_path, result):
    result.numbers_version = 0
    assert read_result(write_result(result, tmp_path)).schema_version == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer_name", 3), ("batch_size", "32"), ("batch_size", 32.5), ("num_epochs", True),
        ("reshuffle", "yes"), ("test_losses", 3.0), ("training_params", []), ("steps", None),
        ("outcome", "perfect"), ("test_losses", [1.0, math.nan]),
        ("test_losses", [1.0, math.inf]), ("test_losses", ["a"]), ("optimizer_hyperparams", 3),
    ],
)  # fmt: skip
def test_values_of_a_wrong_kind_are_found_when_the_file_is_read(tmp_path, result, key, value):
    with pytest.raises(ResultError, match="not a complete result"):
        read(tmp_path, to_json(result) | {key: value})


@pytest.mark.parametrize("key", ["outcome", "optimizer_hyperparams"])
def test_what_a_file_of_ours_must_have(tmp_path, result, key):
    with pytest.raises(ResultError, match=f"it has no '{key}'"):
        read(tmp_path, without(to_json(result), key))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a JSON file"), ("[]", "has no test_losses"), ("{}", "has no test_losses"),
        ('{"test_losses": [], "schema_version": "2"}', "its schema_version is '2'"),
        ('{"test_losses": [], "schema_version": 3}', "reads up to 2: update it"),
    ],
)  # fmt: skip
def test_files_that_are_no_results(tmp_path, text, message):
    path = tmp_path / "foreign.json"
    path.write_text(text)
    with pytest.raises(ResultError, match=message):
        read_result(path)
    with pytest.raises(ResultError, match=r"cannot read .*missing\.json"):
        read_result(tmp_path / "missing.json")


# --- Names and the choice between two ----------------------------------------------------------


def test_folders_say_whose_name_is_wrong(tmp_path, result):
    result.optimizer_name = "a/b"
    with pytest.raises(ResultError, match=r"^the optimizer's label 'a/b' cannot be"):
        run_folder(result, tmp_path)
    result.testproblem = ".hidden"
    with pytest.raises(ResultError, match=r"^the test problem '\.hidden' cannot be"):
        run_folder(result, tmp_path)
    assert check_folder_name("x" * 120, "it") == "x" * 120
    unseen = ("a\x7f", "a\u202eb", "\x9b31m", "\u2028", "\u200b", "\ud800")
    for bad in ("x" * 121, "\N{SNOWMAN}" * 41, "", *unseen):
        with pytest.raises(ResultError, match="it "):
            check_folder_name(bad, "it")


def test_folder_has_what_was_set_in_order(result):
    result.hyperparams = {"b": 2.0, "a": "x", "weight_decay": 0.1, "none": None}
    result.problem_options = {"c": 3}
    name, _, digest = setting_folder(result).partition("__id__")
    assert name == "num_epochs__1__batch_size__128__weight_decay__1.e-01__a__x__b__2.e+00__c__3"
    assert digest == result.setting()[:10]


def test_accuracies_are_left_out_where_there_are_none(result):
    record = to_json(result)
    assert not [key for key in record if key.endswith("_accuracies")]
    result.valid_accuracies = [0.5]
    assert [key for key in to_json(result) if key.endswith("_accuracies")] == ["valid_accuracies"]
    assert record["learning_rate"] == 0.01
    assert record["hyperparams"] == {"momentum": 0.9}
    assert (record["lr_sched_epochs"], record["lr_sched_factors"]) == (None, None)
    result.training_params = {"lr_sched_epochs": (1, 2), "lr_sched_factors": (0.5, 0.1)}
    record = to_json(result)
    assert (record["lr_sched_epochs"], record["lr_sched_factors"]) == ([1, 2], [0.5, 0.1])


def test_numbers_of_numpy_and_tuples_are_written_wherever_they_stand(result):
    odd = {"a": np.float32(0.5), "b": (1, {"c": np.int64(2)})}
    result.environment, result.steps = odd, np.int64(3)
    record = json.loads(json.dumps(to_json(result)))
    assert (record["environment"], record["steps"]) == ({"a": 0.5, "b": [1, {"c": 2}]}, 3)


@pytest.mark.parametrize("ended", [Outcome.INTERRUPTED, Outcome.FAILED])
def test_which_of_two_results_counts(result, ended):
    early = dataclasses.replace(result, started="2026-01-01")
    late = dataclasses.replace(result, started="2026-01-02")
    broken = dataclasses.replace(result, started="2026-01-03", outcome=ended)
    diverged = dataclasses.replace(result, started="2026-01-04", outcome=Outcome.DIVERGED)
    for one, two, counts in (
        (early, late, late), (late, broken, late), (broken, early, early),
        (late, diverged, diverged),
    ):  # fmt: skip
        assert newest(one, two) is counts
        assert newest(two, one) is counts
    same = dataclasses.replace(early)
    assert newest(early, same) is same
