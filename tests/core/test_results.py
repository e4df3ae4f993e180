"""The result record: strict, atomic, never sharing a name, and reading older dialects."""

from __future__ import annotations

import json
import math
import os

import pytest

from alig_deepobs.errors import ResultError
from alig_deepobs.files import check_writable
from alig_deepobs.results import float_text, read_result, setting_folder, write_result
from alig_deepobs.run import Outcome, RunResult


@pytest.fixture
def result():
    return RunResult(
        testproblem="quadratic_deep",
        optimizer_name="SGD",
        hyperparams={"lr": 0.01, "momentum": 0.9, "betas": (0.9, 0.999)},
        batch_size=128,
        num_epochs=1,
        random_seed=42,
        train_losses=[3.0, 2.0],
        test_losses=[3.5, 2.5],
        train_data_losses=[3.0, 2.0],
        test_data_losses=[3.5, 2.5],
        optimizer="sgd",
    )


def test_round_trip(result, tmp_path):
    path = write_result(result, tmp_path)
    read = read_result(path)
    result.hyperparams["betas"] = [0.9, 0.999]  # JSON has no tuples
    assert read == result


def test_place_and_keys_are_those_of_deepobs(result, tmp_path):
    path = write_result(result, tmp_path)
    parts = path.relative_to(tmp_path).parts
    assert parts[:2] == ("quadratic_deep", "SGD")
    name = "num_epochs__1__batch_size__128__betas__(0.9, 0.999)__lr__1.e-02__momentum__9.e-01"
    assert parts[2] == f"{name}__id__{result.setting()[:10]}"
    assert parts[3].startswith("random_seed__42__2")
    record = json.loads(path.read_text())
    # DeepOBS 1.2
    assert {
        "optimizer_name",
        "optimizer_hyperparams",
        "training_params",
        "testproblem",
        "train_losses",
        "valid_losses",
        "test_losses",
        "minibatch_train_losses",
    } <= set(record)
    # DeepOBS 1.1.2
    assert record["learning_rate"] == 0.01
    assert record["hyperparams"] == {"momentum": 0.9, "betas": [0.9, 0.999]}
    assert "test_accuracies" not in record  # left out where there is none, as DeepOBS does


def test_no_two_runs_share_a_name(result, tmp_path):
    assert len({write_result(result, tmp_path) for _ in range(20)}) == 20


def test_a_number_that_is_not_finite_never_gets_into_a_file(result, tmp_path):
    result.test_losses.append(math.nan)
    with pytest.raises(ResultError, match="cannot be written"):
        write_result(result, tmp_path)
    assert list(tmp_path.rglob("*.json")) == []


def test_an_infinite_hyperparameter_never_gets_into_a_file(result, tmp_path):
    result.hyperparams = {"max_lr": math.inf}
    with pytest.raises(ResultError, match="cannot be written"):
        write_result(result, tmp_path)


def test_nothing_half_written(result, tmp_path, monkeypatch):
    def broken(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdopen", broken)
    with pytest.raises(ResultError, match="No space left on device; give a path"):
        write_result(result, tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_output_folder_that_is_a_file(result, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="not writable"):
        check_writable(tmp_path / "file" / "results")
    with pytest.raises(ResultError, match="cannot write"):
        write_result(result, tmp_path / "file" / "results")


def test_settings_never_share_a_folder(result):
    first = setting_folder(result)
    result.hyperparams["mode"] = "fast/slow"
    second = setting_folder(result)
    result.hyperparams["mode"] = "fast-slow"
    third = setting_folder(result)
    assert len({first, second, third}) == 3
    assert "/" not in second
    result.hyperparams["mode"] = "x" * 500
    assert len(setting_folder(result)) <= 220
    result.hyperparams["mode"] = "\N{SNOWMAN}" * 500  # names are limited in bytes, not characters
    assert len(setting_folder(result).encode()) <= 220


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.01, "1.e-02"), (0.0, "0.e+00"), (10**-0.8, "1.5848931925e-01"), (1e-4, "1.e-04")],
)
def test_float_text(value, text):
    assert float_text(value) == text


OLD = {
    "train_losses": [3.0, 2.0, math.nan],
    "test_losses": [3.5, 2.5, math.inf],
    "minibatch_train_losses": [3.0, 2.0, math.nan, 1.0],
    "optimizer": "MomentumOptimizer",
    "testproblem": "quadratic_deep",
    "weight_decay": None,
    "batch_size": 128,
    "num_epochs": 2,
    "learning_rate": 0.1,
    "lr_sched_epochs": [1],
    "lr_sched_factors": [0.1],
    "random_seed": 42,
    "train_log_interval": 1,
    "hyperparams": {"momentum": 0.99},
}


def test_reads_deepobs_1_1(tmp_path):
    path = tmp_path / "old.json"
    path.write_text(json.dumps(OLD))  # with the bare tokens NaN and Infinity
    read = read_result(path)
    assert read.outcome is Outcome.DIVERGED
    assert read.test_losses == [3.5, 2.5]
    assert read.minibatch_train_losses == [3.0, 2.0]
    assert read.hyperparams == {"momentum": 0.99, "learning_rate": 0.1}
    assert read.training_params == {"lr_sched_epochs": [1], "lr_sched_factors": [0.1]}
    assert read.schema_version == 0
    assert read.learning_rate == 0.1


def test_reads_deepobs_1_2_and_its_later_name_for_weight_decay(tmp_path):
    record = {
        "testproblem": "mnist_vae", "optimizer_name": "SGD", "batch_size": 64, "num_epochs": 1,
        "random_seed": 43, "l2_reg": 0.1, "optimizer_hyperparams": {"lr": 0.1},
        "training_params": {}, "train_losses": [2.0, 1.0], "valid_losses": [2.1, 1.1],
        "test_losses": [2.2, 1.2], "minibatch_train_losses": [2.0],
    }  # fmt: skip
    path = tmp_path / "new.json"
    path.write_text(json.dumps(record))
    read = read_result(path)
    assert read.outcome is Outcome.DONE
    assert read.weight_decay == 0.1
    assert read.valid_losses == [2.1, 1.1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a JSON file"),
        ("[1]", "is not a result"),
        ("{}", "has no test_losses"),
        ('{"test_losses": [], "schema_version": 99}', "reads up to 2: update it"),
        ('{"test_losses": [], "schema_version": "x"}', "schema_version is 'x'"),
        ('{"test_losses": [], "schema_version": 1}', "not a complete result"),
        ('{"test_losses": [1.0]}', "not a complete result of DeepOBS"),
        (json.dumps({**OLD, "train_losses": [], "test_losses": []}), "its lists are empty"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, text, message):
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(ResultError, match=message) as caught:
        read_result(path)
    assert "odd.json" in str(caught.value)
    with pytest.raises(ResultError, match="cannot read"):
        read_result(tmp_path / "missing.json")


def test_frameworks_never_share_a_folder(result):
    folder = setting_folder(result)
    result.framework = "tensorflow"
    assert setting_folder(result) != folder


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_epochs": 50}, "ends after 1 of 50 epochs, but the outcome is done"),
        ({"num_epochs": 0}, "has 2 entries for 0 epochs"),
        ({"test_accuracies": [0.1, 5.0]}, "test_accuracies is 5.0; expected fractions"),
        ({"test_accuracies": [-3.0, 0.5]}, "test_accuracies is -3.0; expected fractions"),
        ({"test_accuracies": [True, 0.5]}, "test_accuracies is True; expected a number"),
        ({"test_losses": [1.0, 1e300]}, "expected a finite number"),
        ({"test_losses": [], "test_data_losses": []}, "ends after 0 of 1 epoch"),
        ({"test_losses": [3.5, None]}, "test_losses is None; expected a number"),
        ({"valid_losses": [1.0]}, "valid_losses ends after 0 of 1 epoch"),
        ({"testproblem": ["a"]}, r"testproblem is \['a'\]; expected text"),
        ({"optimizer_name": "x" * 201}, "expected a shorter text"),
        ({"random_seed": 1.0}, "random_seed is 1.0; expected an integer"),
        ({"batch_size": 0}, "expected at least 1"),
        ({"synthetic": 1}, "expected true or false"),
        ({"framework": "caffe"}, "expected pytorch or tensorflow"),
        ({"purpose": "../../x"}, "purpose is '../../x'; expected tuning"),
        ({"split": "odd"}, "expected full or validation"),
        ({"max_norm": "1"}, "max_norm is '1'; expected a number"),
        ({"max_norm": True}, "max_norm is True; expected a number"),
        ({"optimizer_hyperparams": {"lr": {"a": 1}}}, r"hyperparams.lr is \{'a': 1\}"),
        ({"optimizer_hyperparams": {"lr": math.nan}}, "hyperparams.lr is nan"),
        ({"guarded_steps": {"a": "1"}}, "guarded_steps.a is '1'"),
        ({"step_sizes": [{"mean": "x"}]}, "step_sizes.mean is 'x'"),
        ({"step_sizes": [{}, {}]}, "step_sizes has 2 entries for 1 epoch"),
        ({"training_seconds": [1.0, 1.0]}, "training_seconds has 2 entries for 1 epoch"),
        ({"training_seconds": [-1.0]}, "training_seconds is -1.0"),
        ({"best_valid_epoch": 2}, "best_valid_epoch is 2; expected at most 1"),
        ({"environment": [1]}, r"environment is \[1\]; expected an object"),
        ({"outcome": 3}, "3 is not a valid Outcome"),
    ],
)  # fmt: skip
def test_a_record_that_makes_no_sense_is_no_result(result, tmp_path, changes, words):
    path = write_result(result, tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ResultError, match=f"not a complete result: .*{words}") as caught:
        read_result(path)
    assert str(path) in str(caught.value)


def test_records_that_are_in_order(result, tmp_path):
    kept = {"num_epochs": 50, "purpose": "tuning"}  # the ends of the curves alone were kept
    stopped = {"num_epochs": 50, "outcome": "interrupted"}
    rounded = {"test_accuracies": [0.1, 1.0000001]}
    nested = {"optimizer_hyperparams": {"betas": [[0.9, 0.99], 1], "lr": math.inf, "name": None}}
    for changes in (kept, stopped, rounded, nested):
        path = write_result(result, tmp_path)
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        found = read_result(path)
        assert isinstance(hash(tuple(found.setting_params().values())), int)


TEXTS = ("x" * 50_000, "a\ud800b", "\0\x1b[2J\u202e", "\n\r\t", "", "\ud83d" * 30_000, "NaN", "{}")
FREE = {
    **dict.fromkeys(
        ("outcome_reason", "best_weights", "optimizer_class", "command", "data_label",
         "setting_source", "regularization"), lambda text: text
    ),
    "environment": lambda text: {text[:1500]: text, "in": [text, (text,)]},
    "training_params": lambda text: {"x": text},
    "problem_options": lambda text: {"x": text},
    "guarded_steps": lambda text: {text: 3},
    "step_sizes": lambda text: [{text[:1500]: 0.5}],
    "tuning": lambda text: {text: [text]},
}  # fmt: skip


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("name", FREE)
def test_what_is_written_is_read_again(result, tmp_path, name, text):
    setattr(result, name, FREE[name](text))
    read = read_result(write_result(result, tmp_path))
    assert read.test_losses == result.test_losses
    if text.isprintable() and len(text) < 100:
        expected = json.loads(json.dumps(getattr(result, name)))
        assert getattr(read, name) == expected
