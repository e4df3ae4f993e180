"""Imports: every dialect, folders and archives, once each."""

import json

import pytest

from alig_deepobs.analysis import known, load_results
from alig_deepobs.analysis.render import to_text
from alig_deepobs.baselines import (
    import_results,
    published_grid,
    published_runs,
    remove_import,
    stored_imports,
)
from alig_deepobs.baselines.fetch import verify
from alig_deepobs.baselines.imports import imports_folder
from alig_deepobs.errors import DataError, ResultError, UsageError
from alig_deepobs.results import write_result
from alig_deepobs.run import Outcome

from .conftest import own_run
from .test_archive import tar_of, zip_of


def imported(problem):
    return [
        run
        for of in stored_imports()
        if (of.folder / problem).is_dir()
        for run in load_results(of.folder / problem).results
    ]


def test_own_results(tmp_path):
    write_result(own_run(), tmp_path / "r")
    write_result(own_run(1000, purpose="tuning"), tmp_path / "r" / "tuning")
    report = import_results(tmp_path / "r", "mine")
    assert (report.added, report.known, report.problems) == (2, 0, {})
    assert report.testproblems == ["quadratic_deep"]
    (of,) = stored_imports()
    assert (of.name, of.source, of.runs) == ("mine", str(tmp_path / "r"), 2)
    # All but the mini-batch losses, to the last digit.
    assert load_results(of.folder).results == [own_run(minibatch_train_losses=[])]
    assert len(load_results(of.folder, with_tuning=True).results) == 2
    again = import_results(tmp_path / "r", "mine")
    assert (again.added, again.known) == (0, 2)


def test_another_try_of_a_run_is_new(tmp_path):
    write_result(own_run(), tmp_path / "r")
    assert import_results(tmp_path / "r").added == 1
    later = own_run(started="2026-02-02T03:04:05+00:00", test_losses=[354.0, 91.0, 80.0])
    write_result(later, tmp_path / "r")
    report = import_results(tmp_path / "r")
    assert (report.added, report.known) == (1, 1)
    (run,) = imported("quadratic_deep")
    assert run.test_losses[-1] == 80.0


def test_official_files_from_a_clone_and_an_archive(tmp_path, official_folder, official_files):
    first = import_results(official_folder)
    assert (first.added, first.name) == (62, "DeepOBS_Baselines")
    assert first.testproblems == ["fmnist_2c2d", "quadratic_deep"]
    files = sorted(imports_folder().rglob("*"))
    for path in (
        official_folder,
        tar_of(official_files, tmp_path / "official.tar.gz"),
        zip_of(official_files, tmp_path / "official.zip"),
    ):
        again = import_results(path)
        assert (again.added, again.known) == (0, 62)
    assert [of.name for of in stored_imports()] == ["DeepOBS_Baselines"]
    assert sorted(imports_folder().rglob("*")) == files
    runs = imported("quadratic_deep")
    assert len(runs) == 32
    assert sum(run.outcome is Outcome.DIVERGED for run in runs) == 2
    # Under our names, so they are the same runs as those that are committed.
    for problem in ("quadratic_deep", "fmnist_2c2d"):
        found = {run.identity(): run for run in imported(problem)}
        for run in published_runs(problem):
            assert found[run.identity()].test_losses == run.test_losses
            assert found[run.identity()].optimizer == run.optimizer
            assert run.setting() in {other.setting() for other in found.values()}


def test_official_files_are_verified(official_folder, official_files):
    report = import_results(official_folder)
    found = verify(report.results)
    assert (found.agreeing, found.differing, found.missing) == (62, [], 1080 - 62)
    report.results[3].test_losses[-1] *= 1 + 1e-6
    report.results[4].outcome = Outcome.DIVERGED
    report.results[5].random_seed = 7
    changed = verify(report.results)
    assert (changed.agreeing, len(changed.differing), changed.missing) == (59, 3, 1080 - 61)
    assert changed.differing[2].startswith("fmnist_2c2d ")
    assert changed.differing[2].endswith(" 7")


def test_every_published_run_agrees_with_itself():
    runs = {run.identity(): run for optimizer in ("sgd", "momentum", "adam")
            for run in published_grid("svhn_wrn164", optimizer)}  # fmt: skip
    assert verify(runs.values()) == (108, [], 1080 - 108)


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
    (run,) = imported("mnist_mlp")
    assert (run.valid_accuracies, run.framework, run.schema_version) == ([0.1, 0.25], "pytorch", 0)
    assert run.optimizer_name == "SGD"


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


def test_a_corrupt_archive_leaves_nothing(tmp_path, official_files):
    whole = tar_of(official_files, tmp_path / "a.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: 2 * len(whole) // 3])
    with pytest.raises(DataError, match="truncated"):
        import_results(tmp_path / "cut.tar.gz")
    assert stored_imports() == []
    assert not list(imports_folder().rglob("*.json"))


def test_names(tmp_path):
    write_result(own_run(1), tmp_path / "a" / "results")
    write_result(own_run(2), tmp_path / "b" / "results")
    import_results(tmp_path / "a" / "results")
    with pytest.raises(UsageError, match="give this one another --name"):
        import_results(tmp_path / "b" / "results")
    import_results(tmp_path / "b" / "results", "b")
    assert [of.name for of in stored_imports()] == ["b", "results"]
    write_result(own_run(3), tmp_path / "a" / "results")
    assert import_results(tmp_path / "a" / "results").added == 1
    assert [of.runs for of in stored_imports()] == [1, 2]
    assert remove_import("results") == 2
    assert [run.random_seed for run in imported("quadratic_deep")] == [2]
    with pytest.raises(UsageError, match="no import 'results'"):
        remove_import("results")
    for name in ("../out", "", ".hidden", "a/b"):
        with pytest.raises((ResultError, UsageError)):
            import_results(tmp_path / "a" / "results", name or "..")


def test_no_import_and_no_source(tmp_path):
    assert stored_imports() == []
    assert not imports_folder().exists()  # looking makes no folder
    with pytest.raises(UsageError, match="no folder or archive"):
        import_results(tmp_path / "nowhere")


HOSTILE = [
    {"testproblem": "[/x]"}, {"testproblem": "[x]"}, {"testproblem": "../../x"},
    {"testproblem": "/x"},
    {"testproblem": ""}, {"testproblem": ".x"}, {"testproblem": ["a"]}, {"testproblem": "x" * 150},
    {"optimizer_name": "../../x"}, {"optimizer_name": "a/b"}, {"optimizer_name": "\ud800"},
    {"optimizer_name": "[/bold]"}, {"optimizer_name": "\x1b[2J"}, {"purpose": "../../../x"},
    {"purpose": "/x"}, {"optimizer_hyperparams": {"lr": [[1]]}}, {"random_seed": "../x"},
    {"random_seed": 2**70}, {"framework": "../x"}, {"environment": {"device_name": ["[/x]"]}},
]  # fmt: skip


def test_one_hostile_file_stops_neither_an_import_nor_what_is_shown(tmp_path):
    """`[x]` and `[/bold]` may be names; none of the others leaves the folder of the import."""
    path = write_result(own_run(), tmp_path / "r")
    good = json.loads(path.read_text())
    for number, changes in enumerate(HOSTILE):
        path.with_name(f"random_seed__{number}.json").write_text(json.dumps(good | changes))
    before = set(tmp_path.rglob("*"))
    report = import_results(tmp_path / "r", "mine")
    assert report.added >= 1
    assert len(report.problems) >= 14
    assert all(str(name) in reason or reason for name, reason in report.problems.items())
    assert set(tmp_path.rglob("*")) == before
    cache = imports_folder().parent
    inside = imports_folder() / "mine"
    assert all(path.is_relative_to(inside) for path in cache.rglob("*.json"))
    for problem in known.known_problems():
        to_text(known.known_table(problem))
    # What is damaged afterwards does not stop the next import.
    for path in inside.rglob("random_seed__*.json"):
        path.write_text("{")
    assert import_results(tmp_path / "r", "again").added >= 1


def test_what_a_check_refuses_is_not_kept(tmp_path):
    write_result(own_run(), tmp_path / "r")

    def refuse(results):
        assert len(results) == 1
        raise DataError("not these")

    with pytest.raises(DataError, match="not these"):
        import_results(tmp_path / "r", "mine", refuse)
    assert not imports_folder().exists()


@pytest.mark.parametrize("value", ["Infinity", "-Infinity", "NaN", "1e999"])
def test_a_result_that_cannot_be_written_is_left_out_alone(tmp_path, value):
    paths = [write_result(own_run(seed), tmp_path / "r") for seed in (1, 2, 3)]
    record = json.loads(paths[1].read_text())
    record["optimizer_hyperparams"]["max_lr"] = "VALUE"
    paths[1].write_text(json.dumps(record).replace('"VALUE"', value))
    report = import_results(tmp_path / "r")
    assert report.added == 2
    ((name, reason),) = report.problems.items()
    assert paths[1].name in name
    assert "max_lr" in reason or "cannot be written: Out of range float" in reason
