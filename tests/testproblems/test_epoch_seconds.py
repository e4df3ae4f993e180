"""The table of seconds of an epoch, and the tool that measures it."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from alig_deepobs import registry
from alig_deepobs.testproblems import epoch_seconds
from alig_deepobs.testproblems.epoch_seconds import seconds_per_epoch

TOOL = Path(__file__).parents[2] / "tools" / "measure_epoch_seconds.py"


@pytest.mark.parametrize("name", sorted(registry.testproblems()))
def test_every_problem_has_a_row(name):
    entry = registry.find_testproblem(name)
    row = epoch_seconds._table()[name]
    assert row["batch_size"] == entry.batch_size
    assert 0 <= row["step_share"] <= 1
    assert seconds_per_epoch(name, entry.batch_size) == row["seconds"] > 0


def test_other_batch_sizes(monkeypatch):
    table = {"toy": {"batch_size": 32, "seconds": 10.0, "step_share": 0.4}}
    monkeypatch.setattr(epoch_seconds, "_table", lambda: table)
    # 4 s are spent once per step, 6 s once per example.
    assert seconds_per_epoch("toy", 16) == pytest.approx(14.0)
    assert seconds_per_epoch("toy", 64) == pytest.approx(8.0)
    assert seconds_per_epoch("not measured", 64) is None


def test_larger_problems_take_longer():
    names = ("quadratic_deep", "digits_mlp", "mnist_mlp", "mnist_2c2d", "cifar100_wrn404",
             "imagenet_vgg16")  # fmt: skip
    times = [seconds_per_epoch(name, 128) for name in names]
    assert times == sorted(times)
    assert 1e-3 < times[0] < 0.1
    assert times[-1] > 1e5


def test_the_tool(tmp_path, monkeypatch, capsys):
    output = tmp_path / "seconds.json"
    monkeypatch.setattr(
        sys, "argv",
        [str(TOOL), "digits_mlp", "mnist_logreg", "--seconds", "0.5", "--output", str(output)],
    )  # fmt: skip
    runpy.run_path(str(TOOL), run_name="__main__")
    record = json.loads(output.read_text())
    assert list(record["problems"]) == ["digits_mlp", "mnist_logreg"]
    for name, row in record["problems"].items():
        committed = epoch_seconds._table()[name]
        assert row.keys() == committed.keys()
        # The order of magnitude: other machines, and other work on this one, differ by less.
        assert committed["seconds"] / 30 < row["seconds"] < committed["seconds"] * 30
    assert record["environment"]["threads"] == 1
