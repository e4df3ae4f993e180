"""Bundles, and the tool that makes those of the package."""

import gzip
import tarfile
from dataclasses import fields, replace

import bundle_baselines
import pytest
from click.testing import CliRunner

from alig_deepobs import bundles
from alig_deepobs.analysis import load_results
from alig_deepobs.baselines import import_results, published_grid, published_runs
from alig_deepobs.bundles import read_bundle, write_bundle
from alig_deepobs.errors import DataError, ResultError
from alig_deepobs.results import write_result
from alig_deepobs.run import Outcome, RunResult

from .conftest import own_run
from .test_archive import tar_of


def test_results_come_back_whole(tmp_path):
    runs = [own_run(1), own_run(2, outcome=Outcome.DIVERGED, outcome_reason="why")]
    path = tmp_path / "new" / "x.jsonl.gz"
    write_bundle(runs, path)
    assert read_bundle(path) == runs
    again = tmp_path / "y.jsonl.gz"
    write_bundle(runs, again)
    assert path.read_bytes() == again.read_bytes()


def test_losses_of_deepobs_stay_as_recorded(tmp_path):
    """Its runs are known by their version of the numbers, in whatever file they are."""
    run = published_runs("cifar10_3c3d")[0]
    assert run.schema_version == run.numbers_version == 0
    write_result(run, tmp_path)
    write_bundle([run], tmp_path / "x.jsonl.gz")
    found = load_results(tmp_path)
    assert (found.results, found.problems, found.repeated) == ([run], [], 1)


def test_files_that_are_none(tmp_path):
    path = tmp_path / "x.jsonl.gz"
    write_bundle([own_run(1)], path)
    whole = path.read_bytes()
    for raw in (b"{", whole[: len(whole) // 2], gzip.compress(b"{}"), gzip.compress(b"no JSON")):
        path.write_bytes(raw)
        with pytest.raises(ResultError, match=r"x\.jsonl\.gz"):
            read_bundle(path)
        assert [problem.path for problem in load_results(tmp_path).problems] == [path]
    with pytest.raises(ResultError, match="cannot be written"):
        write_bundle([own_run(1, hyperparams={"max_lr": float("inf")})], path)
    with pytest.raises(ResultError, match="cannot read"):
        read_bundle(tmp_path / "nowhere.jsonl.gz")


def test_reports_read_the_committed_baselines(tmp_path):
    runs = [own_run(1), own_run(1000, purpose="tuning", split="validation")]
    write_bundle(runs, tmp_path / "quadratic_deep.jsonl.gz")
    assert load_results(tmp_path).results == runs[:1]
    found = load_results(tmp_path, with_tuning=True, light=True).results
    assert [run.minibatch_train_losses for run in found] == [[], []]


def test_what_is_committed_is_short():
    tuning = own_run(1000, purpose="tuning", valid_data_losses=[350.0, 92.0, 89.0])
    first, second, tried = bundle_baselines.bundled([tuning, own_run(2), own_run(1)], note="a note")
    assert [run.random_seed for run in (first, second, tried)] == [1, 2, 1000]
    assert first.train_data_losses == [353.0, 90.1235, 87.0]
    assert first.step_sizes == [{"mean": 0.123, "clipped_fraction": 1.0}, {"mean": 0.2}]
    assert first.minibatch_train_losses == []
    assert first.environment == {"device": "cpu", "note": "a note"}
    assert tried.valid_data_losses == [350.0, 89.0]
    assert tried.environment["note"] == "a note; only the ends of the curves were kept"
    kept = bundle_baselines.bundled([own_run(1, test_data_losses=[353.5, 80.123456789, 87.5])])
    assert kept[0].test_data_losses == [353.5, 80.123456789, 87.5]  # the best is exact
    ties = own_run(3, test_data_losses=[353.5, 80.12345612, 80.12345678, 87.5])
    twice = [replace(run, started="2026-11-28T04:00:00+00:00") for run in (ties, ties)]
    assert len(bundle_baselines.bundled(twice)) == 1  # it lies in two folders
    once = bundle_baselines.bundled([ties], note="a note")
    assert bundle_baselines.bundled(once, note="another") == once


def test_the_committed_bundles_are_made_of_the_official_files(tmp_path, official_files):
    archive = tar_of(official_files, tmp_path / "a.tar.gz")
    arguments = [str(archive), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(bundle_baselines.main, arguments, catch_exceptions=False)
    assert "quadratic_deep.jsonl.gz: 32 runs" in done.output
    for problem in ("quadratic_deep", "fmnist_2c2d"):
        made = {
            run.identity(): run for run in read_bundle(tmp_path / "out" / f"{problem}.jsonl.gz")
        }
        for run in published_runs(problem):
            found = made.pop(run.identity())
            for item in fields(RunResult):
                mine, shipped = getattr(found, item.name), getattr(run, item.name)
                if mine and item.type == "list[float]":
                    assert mine == pytest.approx(shipped, rel=1e-5)
                else:
                    assert mine == shipped, item.name
        for run in made.values():  # those that blew up
            (shipped,) = (
                known for known in published_grid(problem, run.optimizer)
                if known.identity() == run.identity()
            )  # fmt: skip
            assert (run.outcome, run.purpose) == (shipped.outcome, shipped.purpose)
            assert (run.outcome, run.purpose) == (Outcome.DIVERGED, "tuning")
        assert len(made) == (2 if problem == "quadratic_deep" else 0)


def test_the_items_of_all_lines_are_bounded(tmp_path, monkeypatch):
    path = tmp_path / "x.jsonl.gz"
    write_bundle([own_run(seed) for seed in range(20)], path)
    monkeypatch.setattr(bundles, "MOST_ITEMS", 1000)
    with pytest.raises(ResultError, match=r"x\.jsonl\.gz: more than 1,000 items"):
        read_bundle(path)


def test_a_small_file_does_not_take_the_memory_of_a_large_one(tmp_path):
    """Of numbers that are all alike a file of nothing holds any number; of losses it may."""
    path = tmp_path / "x.jsonl.gz"
    long = {"num_epochs": 99_999, "train_losses": [], "train_data_losses": [], "test_losses": []}
    run = replace(own_run(), **long, test_data_losses=[1.0] * 100_000)
    run.test_accuracies = [0.5] * 100_000
    write_bundle([run], path)
    with pytest.raises(ResultError, match=r"x\.jsonl\.gz: more items in its lists than a file of"):
        read_bundle(path)
    write_result(run, tmp_path / "r")
    with tarfile.open(tmp_path / "r.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "r", "r")
    with pytest.raises(DataError, match=r"r\.tar\.gz: more in its results than a file of its size"):
        import_results(tmp_path / "r.tar.gz")
    assert import_results(tmp_path / "r").added == 1
    losses = [replace(own_run(s), minibatch_train_losses=[1.0] * 100_000) for s in (1, 2)]
    write_bundle(losses, path)
    assert len(read_bundle(path)) == 2
