"""The scripts of examples/deepobs, each in a process and a folder of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "deepobs"
QUICK = ("curvature", "modules", "own_problem")
NEEDS = {"gp_tuner": "skopt", "tf1": "tensorflow", "backpack_extensions": "backpack"}


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
