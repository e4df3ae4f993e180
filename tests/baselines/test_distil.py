"""From the official JSON files to the tables; the files are rebuilt from the published curves."""

import io
import math
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest

from alig_deepobs.baselines.archive import Member, result_members
from alig_deepobs.baselines.distil import curves_bytes, distil, outcome_of
from alig_deepobs.baselines.published import published_curves, tuned_rows
from alig_deepobs.errors import DataError, ResultError, UsageError


def tar_of(files, path, prefix="DeepOBS_Baselines-3da285a/"):
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def zip_of(files, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"x/{name}", text)
    return path


def test_rows_are_those_of_the_shipped_table(official_folder):
    rows, curves = distil(result_members(official_folder))
    assert len(rows) == 61
    for problem in ("quadratic_deep", "fmnist_2c2d"):
        for optimizer in ("sgd", "momentum", "adam"):
            shipped = tuned_rows(problem, optimizer)
            mine = [
                row for row in rows
                if (row.testproblem, row.optimizer) == (problem, optimizer)
                and row.learning_rate == shipped[0].learning_rate
            ]  # fmt: skip
            assert [row.seed for row in mine] == list(range(42, 52))
            for a, b in zip(mine, shipped, strict=True):
                assert (a.outcome, a.epochs_to_target) == (b.outcome, b.epochs_to_target)
                for metric, facts in b.metrics.items():
                    assert a.metrics[metric].final == pytest.approx(facts.final, rel=1.3e-4)
            for metric, values in published_curves(problem, optimizer).items():
                assert curves[f"{problem}/{optimizer}/{metric}"] == pytest.approx(values)


def test_the_run_that_blew_up(official_folder):
    (row,) = (r for r in distil(result_members(official_folder))[0] if r.learning_rate == 0.1)
    assert row.outcome == "nonfinite"
    assert math.isnan(row.metrics["test_loss"].final)
    assert row.metrics["test_loss"].best_epoch == 0
    assert row.epochs_to_target is None


def test_minibatch_mean_is_of_the_last_epoch(official_folder):
    rows, _ = distil(result_members(official_folder))
    # The file has an epoch of nines, then one of ones and threes.
    (row,) = (r for r in rows if r.testproblem == "fmnist_2c2d" and r.seed == 43
              and r.optimizer == "adam")  # fmt: skip
    assert row.minibatch_loss == pytest.approx(2.0, abs=0.01)


def test_archives_give_the_same(tmp_path, official_folder, official_files):
    expected, curves = distil(result_members(official_folder))
    for path in (
        tar_of(official_files, tmp_path / "a.tar.gz"),
        zip_of(official_files, tmp_path / "a.zip"),
    ):
        rows, found = distil(result_members(path))
        assert repr(rows) == repr(expected)
        assert all((found[key] == values).all() for key, values in curves.items())


def test_nothing_is_unpacked(tmp_path, official_files):
    text = next(iter(official_files.values()))
    evil = {"../../num_epochs__1/random_seed__1.json": text}
    path = tar_of(evil, tmp_path / "evil.tar.gz", prefix="")
    before = sorted(tmp_path.rglob("*"))
    assert [member.raw for member in result_members(path)] == [text.encode()]
    assert sorted(tmp_path.rglob("*")) == before


def test_bad_archives(tmp_path, official_files):
    whole = tar_of(official_files, tmp_path / "a.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.tar.gz").write_text("no archive")
    for name in ("cut.tar.gz", "text.tar.gz"):
        with pytest.raises(DataError, match="truncated"):
            list(result_members(tmp_path / name))
    zipped = zip_of(official_files, tmp_path / "a.zip").read_bytes()
    damaged = bytearray(zipped)
    damaged[200:260] = bytes(60)
    (tmp_path / "bad.zip").write_bytes(damaged)
    with pytest.raises(DataError, match="corrupt"):
        list(result_members(tmp_path / "bad.zip"))
    with pytest.raises(UsageError, match="no folder or archive"):
        list(result_members(tmp_path / "nowhere"))


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"testproblem": "mnist_vae"}'])
def test_foreign_files(raw):
    with pytest.raises(ResultError, match="no result of DeepOBS"):
        distil([Member("a/num_epochs__1/b.json", raw)])


@pytest.mark.parametrize(
    ("train", "test", "accuracy", "outcome"),
    [
        ([2.3, 1.0], [2.3, 1.1], [0.1, 0.6], "ok"),
        ([2.3, math.nan], [2.3, 1.0], [0.1, 0.1], "nonfinite"),
        ([2.3, 2.4], [2.3, 2.4], [0.1, 0.6], "never_below_initial"),
        ([2.3, 2.0, 2.3], [2.3, 2.0, 2.2], [0.1, 0.2, 0.6], "trivial"),
        ([2.3, 2.29], [2.3, 2.3], [0.1, 0.104], "trivial"),
    ],
)
def test_outcomes(train, test, accuracy, outcome):
    curves = {"train_loss": train, "test_loss": test, "test_accuracy": accuracy}
    assert outcome_of("cifar10_3c3d", curves, [1.0]) == outcome
    assert outcome_of("cifar10_3c3d", curves, [math.inf]) == "nonfinite"


def test_outcome_of_an_auto_encoder():
    curves = {"train_loss": [180.0, 53.0], "test_loss": [180.0, 52.9]}
    assert outcome_of("mnist_vae", curves, [1.0]) == "trivial"
    assert outcome_of("fmnist_vae", curves, [1.0]) == "ok"  # its mean image is at 67.9


def test_curves_are_rounded_but_for_the_headline():
    values = np.array([[1.23456789, 87.1234567]], np.float32)
    raw = curves_bytes(
        {"quadratic_deep/sgd/train_loss": values, "quadratic_deep/sgd/test_loss": values}
    )
    with np.load(io.BytesIO(raw), allow_pickle=False) as found:
        assert (found["quadratic_deep/sgd/test_loss"] == values).all()
        rounded = found["quadratic_deep/sgd/train_loss"]
    assert (rounded != values).any()
    assert rounded == pytest.approx(values, rel=1e-4)


def test_command(tmp_path, official_folder):
    module = [sys.executable, "-m", "alig_deepobs.baselines.distil"]
    done = subprocess.run(
        [*module, official_folder, "-o", tmp_path / "out"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "61 runs" in done.stdout
    header = (tmp_path / "out" / "deepobs_runs.csv").read_text().splitlines()[0]
    assert header.startswith("testproblem,optimizer,learning_rate,seed,outcome")
