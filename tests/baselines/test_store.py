"""The store: every dialect, folders and archives, once each."""

import json
import sqlite3

import pytest

from alig_deepobs.baselines import import_results, stored_imports, stored_results
from alig_deepobs.baselines.compact import decode, encode, rounded
from alig_deepobs.baselines.store import remove_import, store_path
from alig_deepobs.errors import DataError, ResultError, UsageError
from alig_deepobs.results import write_result
from alig_deepobs.run import Outcome, RunResult

from .test_distil import tar_of, zip_of


def own_run(seed=42, **changes):
    values = {
        "testproblem": "quadratic_deep",
        "optimizer_name": "AliG",
        "optimizer": "alig",
        "optimizer_hyperparams": {"max_lr": float("inf"), "momentum": 0.9, "max_norm": None},
        "batch_size": 128,
        "num_epochs": 2,
        "random_seed": seed,
        "train_losses": [353.0, 90.123456789, 87.0],
        "train_data_losses": [353.0, 90.123456789, 87.0],
        "test_losses": [354.0, 91.0, 88.0],
        "test_data_losses": [353.5, 90.5, 87.5],
        "minibatch_train_losses": [100.0],
        "step_sizes": [{"mean": 0.1, "clipped_fraction": 1.0}, {"mean": 0.2}],
        "training_seconds": [0.5, 0.6],
        "data_label": "Quadratic",
        "environment": {"device": "cpu", "started": "2026-01-02T03:04:05+0000"},
    }
    return RunResult(**{**values, **changes})


def test_own_results(tmp_path):
    write_result(own_run(), tmp_path / "r")
    write_result(own_run(1000, purpose="tuning"), tmp_path / "r" / "tuning")
    report = import_results(tmp_path / "r", "mine")
    assert (report.added, report.known, report.problems) == (2, 0, {})
    assert report.testproblems == ("quadratic_deep",)
    ((name, run),) = stored_results("quadratic_deep")
    assert name == "mine"
    # All but the mini-batch losses, to the last digit.
    assert run == own_run(minibatch_train_losses=[])
    assert len(list(stored_results(with_tuning=True))) == 2
    assert list(stored_results("mnist_mlp")) == []
    (item,) = stored_imports()
    assert (item.name, item.runs) == ("mine", 2)


def test_official_files_from_a_clone_and_an_archive(tmp_path, official_folder, official_files):
    first = import_results(official_folder)
    assert (first.added, first.name) == (61, "DeepOBS_Baselines")
    assert first.testproblems == ("fmnist_2c2d", "quadratic_deep")
    size = store_path().stat().st_size
    for path in (
        official_folder,
        tar_of(official_files, tmp_path / "official.tar.gz"),
        zip_of(official_files, tmp_path / "official.zip"),
    ):
        again = import_results(path)
        assert (again.added, again.known) == (0, 61)
    assert [item.name for item in stored_imports()] == ["DeepOBS_Baselines"]
    assert store_path().stat().st_size == size
    runs = [run for _, run in stored_results("quadratic_deep")]
    assert len(runs) == 31
    assert sum(run.outcome is Outcome.DIVERGED for run in runs) == 1
    assert {run.framework for run in runs} == {"tensorflow"}


def test_results_of_deepobs_12(tmp_path):
    setting = "num_epochs__1__batch_size__128__lr__1.e-02"
    folder = tmp_path / "results" / "mnist_mlp" / "SGD" / setting
    folder.mkdir(parents=True)
    record = {
        "train_losses": [2.1, 1.9], "valid_losses": [2.2, 2.0], "test_losses": [2.3, 2.05],
        "minibatch_train_losses": [2.0], "train_accuracies": [0.1, 0.3],
        "valid_accuracies": [0.1, 0.25], "test_accuracies": [0.1, 0.2],
        "optimizer_name": "SGD", "optimizer_hyperparams": {"lr": 0.01},
        "training_params": {}, "testproblem": "mnist_mlp", "weight_decay": None,
        "batch_size": 128, "num_epochs": 1, "random_seed": 43,
    }  # fmt: skip
    (folder / "random_seed__43__x.json").write_text(json.dumps(record))
    assert import_results(tmp_path / "results").added == 1
    # A setting folder alone is enough, too.
    assert import_results(folder).known == 1
    ((_, run),) = stored_results()
    assert (run.valid_accuracies, run.framework, run.schema_version) == ([0.1, 0.25], "pytorch", 0)


def test_bad_files_are_left_out(tmp_path):
    folder = write_result(own_run(), tmp_path / "r").parent
    (folder / "cut.json").write_text('{"test_losses": [1')
    (folder / "other.json").write_text("[1]")
    (folder / "kind.json").write_text('{"test_losses": 3, "schema_version": 0}')
    (folder / "dangling.json").symlink_to(folder / "nowhere")
    report = import_results(tmp_path / "r")
    assert report.added == 1
    assert {name.rpartition("/")[2] for name in report.problems} >= {
        "cut.json", "other.json", "kind.json"
    }  # fmt: skip


def test_an_import_is_there_whole_or_not_at_all(tmp_path, official_files):
    whole = tar_of(official_files, tmp_path / "a.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: 2 * len(whole) // 3])
    with pytest.raises(DataError, match="truncated"):
        import_results(tmp_path / "cut.tar.gz")
    assert stored_imports() == []
    assert list(stored_results()) == []


def test_names(tmp_path):
    write_result(own_run(1), tmp_path / "a" / "results")
    write_result(own_run(2), tmp_path / "b" / "results")
    import_results(tmp_path / "a" / "results")
    import_results(tmp_path / "b" / "results")
    assert [item.name for item in stored_imports()] == ["results", str(tmp_path / "b" / "results")]
    write_result(own_run(3), tmp_path / "a" / "results")
    assert import_results(tmp_path / "a" / "results").added == 1
    assert [item.runs for item in stored_imports()] == [2, 1]
    assert remove_import("results") == 2
    assert [run.random_seed for _, run in stored_results()] == [2]
    with pytest.raises(UsageError, match="no import 'results'"):
        remove_import("results")


def test_no_store_and_no_source(tmp_path):
    assert stored_imports() == []
    assert list(stored_results()) == []
    assert not store_path().exists()  # looking makes no file
    with pytest.raises(UsageError, match="no folder or archive"):
        import_results(tmp_path / "nowhere")


def test_a_file_that_is_no_store(tmp_path):
    (tmp_path / "x").write_text("text " * 1000)
    with pytest.raises(ResultError, match="delete it and import again"):
        stored_imports(tmp_path / "x")


def test_a_stream_is_lazy(tmp_path):
    for seed in range(3):
        write_result(own_run(seed), tmp_path / "r")
    import_results(tmp_path / "r")
    stream = stored_results()
    assert next(stream)[1].random_seed == 0
    stream.close()  # the connection is closed, too
    sqlite3.connect(store_path()).execute("DROP TABLE runs")


def test_records():
    run = own_run()
    record = encode(run)
    assert "minibatch_train_losses" not in record
    assert record["train_losses"] == "data"  # the same numbers twice
    assert record["test_losses"] == [354.0, 91.0, 88.0]
    assert record["optimizer_hyperparams"]["max_lr"] == "inf"
    json.dumps(record, allow_nan=False)
    assert decode(json.loads(json.dumps(record))) == own_run(minibatch_train_losses=[])
    assert encode(run, digits=3)["train_data_losses"] == [353.0, 90.1, 87.0]
    assert rounded({"a": [1.23456, 7]}, 2) == {"a": [1.2, 7]}
    with pytest.raises(ResultError, match="compact"):
        decode({"outcome": "done"})
