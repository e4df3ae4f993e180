"""The entry point, ``list`` and ``doctor``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from importlib import metadata
from operator import truediv

import pytest

import alig_deepobs
from alig_deepobs import registry
from alig_deepobs.cli.output import in_columns


def test_help_is_quick_and_imports_no_framework():
    code = (
        "import resource, sys\n"
        "from alig_deepobs.cli.main import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "heavy = {'torch', 'tensorflow', 'numpy', 'pandas', 'rich'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "heavy: []" in done.stderr
    for verb in ("list", "run", "compare", "data", "doctor"):
        assert verb in done.stdout


def test_version(call):
    assert alig_deepobs.__version__ in call("--version").out


def test_every_verb_explains_itself(call):
    for verb in ("list", "run", "compare", "data", "doctor"):
        called = call(verb, "-h")
        assert called.code == 0
        assert "Usage: alig-deepobs" in called.out


def test_list(call):
    called = call("list")
    for name in (*registry.testproblems(), *registry.optimizers()):
        assert name in called.out
    assert "sgd" not in call("list", "problems").out.split()


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (None, ["name   data", "short  digits  a text of thirty letters or so"]),
        (50, ["name   data", "short  digits  a text of thirty letters or so"]),
        (24, ["name   data", "short  digits", "    a text of thirty", "    letters or so"]),
        (12, ["name", "    data", "short", "    digits", "    a text", "    of", "    thirty",
              "    letters", "    or so"]),
    ],
)  # fmt: skip
def test_tables_fit_into_a_terminal(monkeypatch, width, expected):
    monkeypatch.setattr("sys.stdout.isatty", lambda: width is not None)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((width, 24)))
    rows = [("name", "data", ""), ("short", "digits", "a text of thirty letters or so")]
    assert in_columns(rows).splitlines() == expected


def test_list_as_json(call):
    listing = json.loads(call("list", "--json").out)
    assert {entry["name"] for entry in listing["testproblems"]} == set(registry.testproblems())
    alig = next(entry for entry in listing["optimizers"] if entry["name"] == "alig")
    assert alig["needs_loss"] == "value"
    assert alig["hyperparameters"]["max_lr"]["type"] == "float"
    assert set(json.loads(call("list", "optimizers", "--json").out)) == {"optimizers"}


def test_doctor(call):
    called = call("doctor")
    assert called.code == 0
    assert "step size 0.5, as it must be" in called.out
    checks = json.loads(call("doctor", "--json").out)
    assert all(check["state"] != "broken" for check in checks)


def test_doctor_reports_what_is_broken(call, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ALIG_DEEPOBS_CACHE", str(tmp_path / "file"))
    called = call("doctor")
    assert called.code == 1
    assert "broken" in called.out


def test_doctor_finds_packages_that_are_missing_or_old(call, monkeypatch):
    installed = metadata.version

    def version(name):
        if name == "optuna":
            raise metadata.PackageNotFoundError(name)
        return {"pandas": "1.5.3", "jax": "0.4"}.get(name) or installed(name)

    monkeypatch.setattr(metadata, "version", version)
    called = call("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(called.out)}
    assert called.code == 1
    assert checks["pandas"]["state"] == "broken"
    assert checks["pandas"]["detail"].startswith("1.5.3, but >=")
    for name in ("optuna", "jax"):
        assert checks[name]["state"] == "missing"
        assert f"pip install 'alig-deepobs[{name}]'" in checks[name]["detail"]
    assert "pytest" not in checks


def test_lazy_public_names():
    for name in alig_deepobs.__all__:
        assert getattr(alig_deepobs, name) is not None
        assert name in dir(alig_deepobs)
    shown = {name for name in dir(alig_deepobs) if not name.startswith("_")}
    assert shown == {*alig_deepobs.__all__} - {"__version__"}


def test_a_bug_is_one_line_too(call, monkeypatch):
    monkeypatch.setattr(registry, "testproblems", partial(truediv, 1, 0))
    from alig_deepobs.cli import listing

    monkeypatch.setattr(listing, "testproblems", partial(truediv, 1, 0))
    called = call("list")
    assert called.code == 1
    assert "Error: ZeroDivisionError: division by zero (this is a bug; --debug" in called.err


@pytest.mark.parametrize("verb", ["run", "compare", "report"])
def test_every_example_has_a_line_of_its_own(call, verb):
    lines = [line.strip() for line in call(verb, "--help").out.splitlines()]
    examples = [line for line in lines if line.startswith(f"alig-deepobs {verb} ")]
    assert len(examples) >= 3
    assert not any(line.count("alig-deepobs") > 1 or "\\b" in line for line in lines)
