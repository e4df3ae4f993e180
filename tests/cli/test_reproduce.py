"""``alig-deepobs reproduce``."""

from __future__ import annotations

import subprocess
import sys

import pytest

from alig_deepobs.reproduce.targets import TARGETS
from alig_deepobs.results import read_result


def test_help_lists_all_targets_without_torch(call):
    code = (
        "import sys\n"
        "from alig_deepobs.cli.main import main\n"
        "try:\n    main(['reproduce', '--help'])\n"
        "except SystemExit:\n    pass\n"
        "assert 'torch' not in sys.modules, 'help imports torch'\n"
        "assert 'matplotlib' not in sys.modules, 'help imports matplotlib'\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name, text in TARGETS.items():
        assert f"{name:9s} {text}" in shown.stdout


def test_wrong_target(call):
    called = call("reproduce", "tabel3")
    assert called.code == 2
    assert "unknown target 'tabel3'; did you mean table3" in called.err


def test_wrong_method(call):
    called = call("reproduce", "fig3", "--methods", "ali", "--dry-run")
    assert called.code == 2
    assert "did you mean ali-g" in called.err


def test_fig1(call, tmp_path):
    called = call("reproduce", "fig1")
    assert called.code == 0
    assert "6 of 6 statements hold" in called.out
    assert (tmp_path / "results/reproduce/fig1/fig1.png").exists()


def test_theory_has_no_plan(call, tmp_path):
    called = call("reproduce", "theorems", "--dry-run")
    assert (called.code, called.out) == (
        0, "theorems trains nothing: it takes seconds, whatever the budget\n"
    )  # fmt: skip
    assert not list(tmp_path.rglob("*.json"))
    called = call("reproduce", "fig2", "--methods", "ali-g")
    assert (called.code, "leave out --methods" in called.err) == (2, True)


def test_knobs_can_be_changed_for_all_methods(call):
    options = ("--dry-run", "--device", "cpu", "--methods", "ali-g")
    called = call("reproduce", "fig3", *options, "--set", "hidden_dim=8", "--set", "batch_size=4")
    assert called.code == 0, called.err
    assert "budget full: changed: hidden_dim=8, batch_size=4" in called.out
    wrong = call("reproduce", "fig3", *options, "--set", "hiden_dim=8")
    assert wrong.code == 2
    assert "hiden_dim" in wrong.err
    assert call("reproduce", "fig3", *options, "--set", "8").code == 2


def test_a_violated_bound_is_an_error(call, monkeypatch):
    from alig_deepobs.reproduce.theory import figure1, pictures

    curve = figure1.Curve("w²", lambda w: (w**2, 2 * w), 1.0, 1, (0, 1), (0.25,))
    monkeypatch.setattr(figure1, "CURVES", (curve,))
    monkeypatch.setattr(pictures, "CURVES", (curve,))
    called = call("reproduce", "fig1")
    assert called.code == 1
    assert "VIOLATED  Figure 1: w²: distance from 0.25" in called.out
    assert "1 of 2 statements hold" in called.out


def test_dry_run_needs_no_data(call, tmp_path):
    options = ("--budget", "short", "--dry-run", "--offline", "--data_dir", tmp_path)
    called = call("reproduce", "table1", *options)
    assert called.code == 0, called.err
    assert "10 runs: " in called.out
    assert "No run is known as there already: SVHN" in called.err


def test_nobody_knows_how_long_synthetic_data_take(call):
    called = call("reproduce", "table1", "--budget", "smoke", "--dry-run", "--device", "cpu")
    assert called.code == 0, called.err
    # The times that are known are those of the official data, which are far larger.
    assert "12 runs: 0 there already, 12 to be run\nof 12 runs nobody knows" in called.out


def test_dry_run_trains_nothing(call, tmp_path):
    called = call("reproduce", "fig3", "--dry-run", "--device", "cpu")
    assert called.code == 0, called.err
    assert "126 runs: 0 there already, 126 to be run, about" in called.out
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_fig3_smoke(call, tmp_path):
    called = call("reproduce", "fig3", "--budget", "smoke", "--device", "cpu", "--jobs", 2)
    assert called.code == 0, called.err
    assert "[11/11]" in called.out
    assert "No value has learned the task" in called.out  # 100 iterations teach nothing
    folder = tmp_path / "results/reproduce/fig3/smoke"
    assert {"fig3.md", "fig3.csv", "fig3.png"} <= {path.name for path in folder.iterdir()}
    again = call("reproduce", "fig3", "--budget", "smoke", "--device", "cpu")
    assert "11 runs: 11 in results/reproduce/fig3/smoke, 0 to be run" in again.out


@pytest.mark.slow
@pytest.mark.parametrize("target", ["table1", "table2", "table3", "fig4", "fig5"])
def test_smoke(call, tmp_path, target):
    called = call("reproduce", target, "--budget", "smoke", "--device", "cpu")
    assert called.code == 0, called.err
    assert "synthetic twin" in called.out
    folder = tmp_path / "results/reproduce" / target / "smoke"
    assert {f"{target}.md", f"{target}.csv"} <= {p.name for p in folder.iterdir()}
    assert list(folder.glob(f"{target}*.png"))
    results = [read_result(path) for path in folder.rglob("random_seed__*.json")]
    assert {result.outcome.value for result in results} == {"done"}
    assert ("tuning" in {result.purpose for result in results}) == target.startswith("table")
