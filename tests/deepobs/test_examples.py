"""The scripts of examples/deepobs, each in a process and a folder of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "deepobs"
QUICK = ("curvature", "modules", "own_problem")
NEEDS = {
    "gp_tuner": "skopt",
    "tf1": "tensorflow",
    "backpack_extensions": "backpack",
    "cockpit_run": "cockpit",
}


def of(path):
    needed = NEEDS.get(path.stem)
    missing = needed is not None and importlib.util.find_spec(needed) is None
    marks = [] if path.stem in QUICK else [pytest.mark.slow]
    marks += [pytest.mark.skipif(missing, reason=f"{needed} is not installed")]
    return pytest.param(path, id=path.stem, marks=marks)


def test_there_are_enough():
    assert len(list(FOLDER.glob("*.py"))) >= 20


@pytest.mark.parametrize("path", [of(path) for path in sorted(FOLDER.glob("*.py"))])
def test_runs(path, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:deepobs", str(path)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "MPLBACKEND": "agg"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="needs TensorFlow")
def test_a_script_of_tensorflow_1_as_it_is(tmp_path):
    script = FOLDER / "tensorflow" / "momentum.py"
    subprocess.run(
        [sys.executable, "-m", "alig_deepobs.tensorflow", str(script), "quadratic_deep",
         "--bs", "128", "--lr", "0.01", "-N", "1"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (path,) = (tmp_path / "results" / "quadratic_deep" / "MomentumOptimizer").rglob("*.json")
    losses = json.loads(path.read_text())["test_losses"]
    assert losses[0] == pytest.approx(353.447, abs=1e-3)
    assert losses[1] < losses[0]


def run_script(folder, *words):
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, check=False
    )


def test_alig_as_a_run_script(tmp_path):
    words = ("digits_logreg", "--max_lr", "0.2", "-N", "1")
    done = run_script(tmp_path, "alig_deepobs.runners.alig", *words)
    assert "After 1 epoch" in done.stdout, done.stderr
    (path,) = (tmp_path / "results" / "digits_logreg" / "AliG").rglob("*.json")
    assert json.loads(path.read_text())["optimizer_hyperparams"]["max_lr"] == 0.2


def test_run_script_of_any_optimizer(tmp_path):
    """The flags, their types and the run are those of `alig-deepobs run`."""
    flags = ("--betas", "(0.8,0.9)", "--lr", "0.01", "-N", "1")
    done = run_script(tmp_path, "alig_deepobs.runners", "adam", "digits_logreg", *flags)
    assert "After 1 epoch" in done.stdout, done.stderr
    (path,) = (tmp_path / "results" / "digits_logreg" / "Adam").rglob("*.json")
    record = json.loads(path.read_text())
    assert record["optimizer_hyperparams"] == {"lr": 0.01, "betas": [0.8, 0.9], "eps": 1e-8}
    again = ["alig_deepobs", "run", "digits_logreg", "--optimizer", "adam[lr=0.01,betas=(0.8,0.9)]"]
    more = ["-N", "1", "--dry_run", "--split", "validation", "--device", "cpu"]
    assert "1 there already" in run_script(tmp_path, *again, *more).stdout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "optimizers: alig, "),
        (["momentum", "digits_logreg", "--nesterov", "--momentum", "much"], "must be a number"),
        pytest.param(["sdg", "digits_logreg"], "did you mean sgd", marks=pytest.mark.slow),
        pytest.param(
            ["sgd", "digits_logrge"], "did you mean digits_logreg", marks=pytest.mark.slow
        ),
    ],
)
def test_run_script_with_wrong_words(words, line, tmp_path):
    done = run_script(tmp_path, "alig_deepobs.runners", *words)
    assert done.returncode != 0
    assert line in done.stderr
    assert "Traceback" not in done.stderr


def test_run_script_finds_what_is_in_the_folder(tmp_path):
    """A class and a problem of the user's, by their names; `--debug` shows their tracebacks."""
    (tmp_path / "mine.py").write_text(
        "import torch\n\n\nclass Broken(torch.optim.SGD):\n"
        "    def step(self, closure=None):\n        raise RuntimeError('my step')\n"
    )
    own = FOLDER / "own" / "my_problem.py"
    (tmp_path / own.name).write_text(own.read_text())
    words = ("alig_deepobs.runners", "mine:Broken", "my_problem", "--lr", "0.1", "-N", "1",
             "--bs", "20")  # fmt: skip
    done = run_script(tmp_path, *words)
    assert done.stderr.startswith("Error: mine:Broken on my_problem broke after 0 steps")
    assert "mine.py, line 6" in done.stderr
    done = run_script(tmp_path, *words, "--debug")
    assert "Traceback" in done.stderr
    assert 'mine.py", line 6, in step' in done.stderr
