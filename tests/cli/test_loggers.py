"""``--log``: one line before the first run where it cannot work; one file for each run."""

from __future__ import annotations

import importlib.util

from alig_deepobs.results import read_result
from alig_deepobs.runners import loggers
from alig_deepobs.runners.loggers import FOLDER


def test_what_cannot_work_is_refused_before_the_first_run(call, tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(loggers, "find_spec", lambda name: None if name == "mlflow" else real(name))
    called = call("run", "two_d_beale", "--optimizer", "sgd[lr=1e-5]", "-N", 1, "--log", "mlflow")
    assert called.code == 2
    assert called.err.strip() == (
        "Error: logging to mlflow needs the package mlflow: pip install 'alig-deepobs[log]'"
    )
    assert not list(tmp_path.rglob("*.json"))


def test_the_command_line_logs(call, tmp_path):
    called = call("compare", "two_d_beale", "--optimizers", "sgd[lr=1e-5],adam[lr=0.1]", "-N", 1,
                  "--seeds", 2, "--log", "csv")  # fmt: skip
    assert called.code == 0, called.err
    files = list((tmp_path / "results" / FOLDER / "csv" / "two_d_beale").rglob("*.csv"))
    assert len(files) == 4
    (path,) = (tmp_path / "results").rglob("*/SGD/*/random_seed__42__*.json")
    (log,) = (file for file in files if "SGD" in file.parts and file.stem == "seed 42")
    assert repr(read_result(path).test_losses[-1]) in log.read_text()
