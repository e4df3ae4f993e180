"""The verb ``baselines``; the only network is a server on this machine."""

import gzip
import io
import json
import os
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from alig_deepobs.baselines import published_runs
from alig_deepobs.results import float_text, write_result
from alig_deepobs.run import RunResult


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path_factory):
    """A folder and the address at which it is served."""
    folder = tmp_path_factory.mktemp("served")
    handler = partial(Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def official_archive(path, change=None):
    """Two official runs of quadratic_deep, whose test loss may be changed."""
    with tarfile.open(path, "w:gz") as archive:
        for run in published_runs("quadratic_deep", "sgd")[:2]:
            rate = run.hyperparams["lr"]
            record = {
                "train_losses": run.train_losses, "test_losses": run.test_losses,
                "minibatch_train_losses": [1.0] * 700, "optimizer": "GradientDescentOptimizer",
                "testproblem": run.testproblem, "weight_decay": None, "batch_size": 128,
                "num_epochs": 100, "learning_rate": rate, "lr_sched_epochs": None,
                "lr_sched_factors": None, "random_seed": run.random_seed,
                "train_log_interval": 1, "hyperparams": {},
            }  # fmt: skip
            if change is not None:
                record["test_losses"] = [*run.test_losses[:-1], change]
            raw = json.dumps(record).encode()
            setting = f"num_epochs__100__batch_size__128__lr__{float_text(rate)}"
            name = f"x/quadratic_deep/GradientDescentOptimizer/{setting}/s{run.random_seed}.json"
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))


def own_results(folder, random_seed=42, **changes):
    run = RunResult(
        "quadratic_deep", "AliG", {"max_lr": 0.01}, batch_size=128, num_epochs=2,
        random_seed=random_seed, optimizer="alig",
        test_data_losses=[353.0, 90.0, 87.25], test_losses=[353.0, 90.0, 87.25],
        **changes,
    )  # fmt: skip
    return write_result(run, folder)


def rows(text, source):
    return [line.split() for line in text.splitlines() if line.startswith(f" {source}")]


def test_show(call):
    called = call("baselines", "show", "quadratic_deep")
    assert called.code == 0
    assert "Quadratic Deep (quadratic_deep)" in called.out.splitlines()
    published = rows(called.out, "published")
    assert [row[1] for row in published] == ["Momentum", "Adam", "SGD"]  # best first
    assert "87.40 [87.28, 87.52]" in called.out
    assert "55 (10 of 10)" in called.out
    assert sum(row[1] == "AliG" for row in rows(called.out, "measured")) == 2
    assert "max_lr=0.00316, momentum=0.9 " in called.out  # defaults are left out
    assert "MIT" in called.out
    assert "3da285a" in called.out


def test_show_all_and_grid(call):
    assert "tolstoi_char_rnn" in call("baselines", "show").out
    called = call("baselines", "show", "fmnist_2c2d", "--grid")
    assert "92.94 %" in called.out  # Adam's best rate, seed 42
    assert "diverged" in call("baselines", "show", "quadratic_deep", "--grid").out
    assert called.out.count("\n") > 36
    assert "no baselines" in call("baselines", "show", "imagenet_vgg16").out


def test_collapsed_baselines_are_marked(call):
    shown = " ".join(call("baselines", "show", "mnist_vae").out.split())
    assert "10 of 10 no better than a constant prediction" in shown


def test_show_json(call):
    document = json.loads(call("baselines", "show", "quadratic_deep", "--json", "--grid").out)
    found = document["problems"]["quadratic_deep"]
    assert {row["source"] for row in found} == {"published", "measured"}
    (sgd,) = (row for row in found if (row["source"], row["optimizer"]) == ("published", "SGD"))
    assert sgd["headline_mean"] == pytest.approx(87.3974744524, rel=1e-11)
    assert (sgd["median"], sgd["to_target"]) == (pytest.approx(87.4906387329), 55)
    assert sgd["setting"] == "lr=0.015848931925"
    grid = document["grids"]["quadratic_deep"]
    assert len(grid) == 36
    assert grid[-1]["sgd"] is None  # diverged
    assert document["about"]["licence"].startswith("MIT")


def test_runs_of_other_settings_have_rows_of_their_own(call, tmp_path):
    """Also where the hyper-parameters are the same."""
    for seed, factor in ((42, None), (43, None), (42, 0.01)):
        own_results(tmp_path / "mine", random_seed=seed, weight_decay=factor)
    call("baselines", "import", "mine")
    assert len(rows(call("baselines", "show", "quadratic_deep").out, "mine")) == 2


def test_show_unknown(call):
    called = call("baselines", "show", "quadratic_dep")
    assert called.code == 2
    assert "did you mean quadratic_deep" in called.err


def test_import_and_show(call, tmp_path):
    path = own_results(tmp_path / "mine")
    called = call("baselines", "import", "mine")
    assert called.code == 0
    assert "mine: 1 run imported; test problems: quadratic_deep" in called.out
    assert "1 were already there" in call("baselines", "import", "mine").out
    shown = call("baselines", "show", "quadratic_deep").out
    assert "87.25" in shown
    assert f"Imported: mine, 1 run, from {tmp_path / 'mine'}" in shown.replace("\n", "")
    (path.parent / "cut.json").write_text("{")
    called = call("baselines", "import", "mine", "--name", "again")
    assert called.code == 1
    assert "cut.json" in called.err
    assert "1 left out" in called.out
    assert call("baselines", "remove", "mine").code == 0
    assert call("baselines", "remove", "mine").code == 2


def test_import_of_nothing(call, tmp_path):
    (tmp_path / "empty").mkdir()
    called = call("baselines", "import", "empty")
    assert called.code == 1
    assert "holds no result" in called.err
    assert call("baselines", "import", "nowhere").code == 2


def list_files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def cache():
    return Path(os.environ["ALIG_DEEPOBS_CACHE"])


def test_fetch(call, server, cache):
    folder, address = server
    official_archive(folder / "official.tar.gz")
    called = call("baselines", "fetch", "--url", f"{address}/official.tar.gz")
    # Two of 1,080 runs: they agree, and the others are missed.
    assert "2 runs agree with those of this package" in called.out
    assert called.code == 1
    assert "1078 are missing; nothing of it was kept" in called.err
    assert list_files(cache) == []


def test_fetch_of_something_else(call, server, cache):
    folder, address = server
    official_archive(folder / "changed.tar.gz", change=80.0)
    called = call("baselines", "fetch", "--url", f"{address}/changed.tar.gz")
    assert called.code == 1
    assert "differs: quadratic_deep sgd" in called.err
    assert "is not the official archive" in called.err
    assert list_files(cache) == []


def test_a_broken_download_is_not_kept(call, server, tmp_path):
    folder, address = server
    official_archive(folder / "official.tar.gz")
    whole = (folder / "official.tar.gz").read_bytes()
    (folder / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    called = call("baselines", "fetch", "--url", f"{address}/cut.tar.gz")
    assert called.code == 1
    assert "truncated" in called.err
    again = call("baselines", "fetch", "--url", f"{address}/official.tar.gz")
    assert "2 runs agree" in again.out


def test_no_network(call):
    called = call("baselines", "fetch", "--url", "http://127.0.0.1:9/x.tar.gz")
    assert called.code == 1
    assert "could not be downloaded" in called.err
    assert "baselines import" in called.err
    assert called.err.count("\n") == 1


def test_gzip_of_something_else(call, tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(b"no tar file"))
    called = call("baselines", "import", "x.tar.gz")
    assert called.code == 1
    assert "expected a .tar.gz file" in called.err
