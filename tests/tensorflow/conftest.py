"""Runs what needs TensorFlow in processes of its own.

TensorFlow takes seconds to import, has settings that hold for a whole process, and does not get
along with every fork; so pytest's own process never imports it.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def _missing():
    return [name for name in ("tensorflow", "tf_keras") if importlib.util.find_spec(name) is None]


@pytest.fixture(scope="session")
def needs_tensorflow():
    if missing := _missing():
        pytest.skip(f"{' and '.join(missing)} not installed")


@pytest.fixture(scope="session")
def python(needs_tensorflow):
    """Runs a Python program in a process of its own; returns what it printed."""

    def run(*arguments, **variables):
        environment = {key: value for key, value in os.environ.items() if key[:3] != "TF_"}
        environment |= dict.fromkeys(THREADS, "1") | {"TF_CPP_MIN_LOG_LEVEL": "3"} | variables
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def worker(python, tmp_path_factory):
    """Runs one of the ``*_worker.py`` beside this file; returns its answers by problem.

    One process works on all problems it is given, because each start costs several seconds.
    """

    def run(name, *problems):
        folder = tmp_path_factory.mktemp(name)
        python(HERE / f"{name}.py", folder, *problems)
        return json.loads((folder / "answer.json").read_text())

    return run
