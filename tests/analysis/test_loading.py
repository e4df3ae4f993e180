import json
import math

import pytest

from alig_deepobs.analysis import (
    Found,
    LoadProblem,
    epochs_frame,
    group_runs,
    iter_results,
    load_results,
    runs_frame,
    seed_gaps,
)
from alig_deepobs.errors import UsageError
from alig_deepobs.results import write_result


def broken(path, **changes):
    """A copy of a good file with some values replaced."""
    record = json.loads(path.read_text())
    other = path.with_name("changed.json")
    other.write_text(json.dumps({**record, **changes}))
    return other


def reasons(loaded):
    return {problem.path.name: problem.reason for problem in loaded.problems}


def test_copies_are_counted(tmp_path, make_run):
    path = write_result(make_run(), tmp_path / "a")
    copy = tmp_path / "b" / path.relative_to(tmp_path / "a")
    copy.parent.mkdir(parents=True)
    copy.write_bytes(path.read_bytes())
    loaded = load_results([tmp_path / "a", tmp_path / "b"])
    assert len(loaded.results) == 1
    assert (loaded.problems, loaded.repeated) == ([], 1)
    # The same folder twice is no repetition.
    assert load_results([tmp_path / "a", tmp_path / "a" / "toy"]).repeated == 0


def test_the_last_run_of_a_seed_counts(tmp_path, make_run):
    write_result(make_run(final=0.8), tmp_path / "a")
    write_result(make_run(final=0.9), tmp_path / "b")
    write_result(make_run(final=0.7, seed=2), tmp_path / "b")
    write_result(make_run(final=0.7, hyperparams={"lr": 0.2}), tmp_path / "b")
    loaded = load_results([tmp_path / "a", tmp_path / "b"])
    assert sorted(run.test_accuracies[-1] for run in loaded.results) == [0.7, 0.7, 0.9]
    assert (loaded.problems, loaded.repeated) == ([], 1)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"num_epochs": "2"}, "num_epochs"),
        ({"random_seed": True}, "random_seed"),
        ({"test_accuracies": [0.1, math.nan]}, "expected a finite number"),
        ({"test_accuracies": [0.1, "x"]}, "not a complete result"),
        ({"train_data_losses": 3.0}, "train_data_losses"),
        ({"optimizer_hyperparams": [1]}, "not a complete result"),
        ({"outcome": "odd"}, "odd"),
        ({"schema_version": 99}, "update it"),
        ({"schema_version": "1"}, "schema_version"),
    ],
)
def test_values_of_a_wrong_kind(tmp_path, make_run, changes, word):
    path = write_result(make_run(), tmp_path)
    changed = broken(path, **changes)
    loaded = load_results(tmp_path)
    assert len(loaded.results) == 1
    (problem,) = loaded.problems
    assert problem.path == changed
    assert word in problem.reason
    assert changed.name in problem.reason


def test_files_that_break_parsers(tmp_path, make_run):
    folder = write_result(make_run(), tmp_path).parent
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "digits.json").write_text('{"test_losses": [' + "9" * 5000 + "]}")
    (folder / "unreadable.json").symlink_to(folder / "nowhere")
    (folder / "itself.json").symlink_to(folder / "itself.json")
    loaded = load_results(tmp_path)
    assert len(loaded.results) == 1
    assert set(reasons(loaded)) == {"deep.json", "digits.json", "itself.json", "unreadable.json"}


def test_a_folder_with_nothing_in_it(tmp_path, make_run):
    (tmp_path / "empty").mkdir()
    write_result(make_run(), tmp_path / "full")
    loaded = load_results([tmp_path / "empty", tmp_path / "full"])
    assert len(loaded.results) == 1
    assert loaded.problems == [LoadProblem(tmp_path / "empty", "there is no result in this folder")]
    with pytest.raises(UsageError, match="no results folder"):
        load_results([tmp_path / "full", tmp_path / "nowhere"])


def test_tuning_runs_are_left_out(tmp_path, make_run):
    write_result(make_run(), tmp_path)
    write_result(make_run(seed=1000, purpose="tuning"), tmp_path / "tuning")
    assert len(load_results(tmp_path).results) == 1
    assert len(load_results(tmp_path, with_tuning=True).results) == 2


def test_light_runs_lack_the_mini_batches(tmp_path, make_run):
    write_result(make_run(minibatch_train_losses=[1.0, 2.0]), tmp_path)
    assert load_results(tmp_path).results[0].minibatch_train_losses == [1.0, 2.0]
    assert load_results(tmp_path, light=True).results[0].minibatch_train_losses == []


def test_a_stream_gives_the_same_frames(tmp_path, make_run):
    for seed in range(5):
        write_result(make_run(seed=seed, final=0.8 + seed / 100), tmp_path)
    write_result(make_run("Adam", diverged_after=1), tmp_path)
    held = load_results(tmp_path).results

    def stream():
        return (found.result for found in iter_results(tmp_path) if isinstance(found, Found))

    assert runs_frame(stream()).equals(runs_frame(held))
    assert epochs_frame(stream()).equals(epochs_frame(held))
    frame = epochs_frame(stream())
    assert len(frame) == 5 * 3 + 2
    assert frame["optimizer_name"].dtype == "category"
    assert frame["epoch"].dtype.itemsize < 8
    assert list(frame.loc[frame["optimizer_name"] == "Adam", "outcome"]) == ["diverged"] * 2


def test_only_one_run_is_held_at_a_time(tmp_path, make_run):
    for seed in range(3):
        write_result(make_run(seed=seed), tmp_path)
    stream = iter_results(tmp_path)
    assert isinstance(next(stream), Found)
    # What is not read yet may still change: nothing was read ahead.
    for path in tmp_path.rglob("random_seed__2*.json"):
        path.write_text("{")
    assert [type(found) for found in stream] == [Found, LoadProblem]


def test_unequal_seeds(make_run, accuracy_problem):
    runs = [make_run("SGD", seed) for seed in (1, 2, 3, 4)] + [make_run("Adam", 2)]
    groups = group_runs(runs, accuracy_problem)
    assert seed_gaps(groups) == ["Adam has no run of seeds 1, 3, 4"]
    assert seed_gaps(groups[1:]) == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"test_accuracies": []}, "no test accuracy, by which mnist_mlp is judged"),
        ({"num_epochs": 9}, "ends after 1 of 9 epochs"),
    ],
)
def test_runs_of_deepobs_that_cannot_be_judged(tmp_path, changes, word):
    folder = tmp_path / "mnist_mlp" / "SGD" / "num_epochs__1__batch_size__128__lr__1.e-02"
    folder.mkdir(parents=True)
    record = {
        "train_losses": [2.1, 1.9], "test_losses": [2.3, 2.05], "test_accuracies": [0.1, 0.2],
        "train_accuracies": [0.1, 0.2], "minibatch_train_losses": [2.0],
        "optimizer_name": "SGD", "optimizer_hyperparams": {"lr": 0.01}, "training_params": {},
        "testproblem": "mnist_mlp", "batch_size": 128, "num_epochs": 1, "random_seed": 43,
    }  # fmt: skip
    (folder / "good.json").write_text(json.dumps(record))
    (folder / "lacking.json").write_text(json.dumps({**record, **changes}))
    loaded = load_results(tmp_path)
    assert len(loaded.results) == 1
    assert word in reasons(loaded)["lacking.json"]
