"""The example of an optimizer of one's own, in each of the ways to benchmark it."""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path

import pytest

from alig_deepobs import registry
from alig_deepobs.results import read_result

EXAMPLE = Path(__file__).parents[2] / "examples" / "benchmark_my_optimizer.py"
QUICK = ("digits_mlp", "--seeds", "1", "-N", "1", "--synthetic")


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    """What is registered here, and the example's module, are forgotten afterwards."""
    monkeypatch.setattr(registry, "_optimizers", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("benchmark_my_optimizer", None)


def labels(folder):
    return {read_result(path).optimizer_name for path in folder.rglob("random_seed__*.json")}


def test_by_its_path(call, tmp_path):
    shutil.copy(EXAMPLE, tmp_path)
    called = call("compare", *QUICK, "--optimizers", "benchmark_my_optimizer:PolyakSign,sgd")
    assert called.code == 0, called.err
    assert "PolyakSign" in called.out
    assert labels(tmp_path / "results") == {"PolyakSign", "SGD"}
    grid = (tmp_path / "results" / "tuning").rglob("PolyakSign/*/*.json")
    assert len(list(grid)) >= 27  # tuned like the others


def test_by_an_entry_point(call, tmp_path, monkeypatch):
    site = tmp_path / "site"
    info = site / "benchmark_my_optimizer-1.0.dist-info"
    info.mkdir(parents=True)
    shutil.copy(EXAMPLE, site)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: benchmark_my_optimizer\n")
    (info / "entry_points.txt").write_text(
        "[alig_deepobs.optimizers]\npolyak_sign = benchmark_my_optimizer:ENTRY\n"
    )
    monkeypatch.syspath_prepend(site)
    assert "polyak_sign" in call("list", "optimizers").out
    called = call("run", "digits_mlp", "--optimizer", "polyak_sign[lr=0.003]", *QUICK[3:])
    assert called.code == 0, called.err
    (path,) = (tmp_path / "results").rglob("*.json")
    result = read_result(path)
    assert result.hyperparams == {"lr": 0.003}
    assert result.test_losses[1] < result.test_losses[0]


def test_as_a_script(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLE.parent)  # as Python does for a script
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *QUICK, "--protocol", "defaults"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert not ended.value.code
    assert labels(tmp_path / "results") == {"PolyakSign", "AliG", "SGD", "Adam"}
    assert "PolyakSign" in capsys.readouterr().out
