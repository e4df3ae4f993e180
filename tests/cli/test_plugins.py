"""Code that is not ours: run only when asked for, and its failures are its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from alig_deepobs import registry
from alig_deepobs.errors import RunError, UsageError
from alig_deepobs.plugins import FOLDER_VARIABLE, Interrupted, calling, is_interrupt, load_object
from alig_deepobs.registry import HyperParameter, OptimizerEntry, ProblemEntry, entry_of_class
from alig_deepobs.results import read_result
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import execute

QUICK = ("-N", 1, "--synthetic", "--device", "cpu")
OPTIONAL = ("org", "numexpr", "bottleneck", "tensorboard", "apex", "triton", "wandb", "absl")
DEPENDENCIES = (
    "PIL", "charset_normalizer", "click", "cloudpickle", "cycler", "dateutil", "deepobs",
    "filelock", "fontTools", "jinja2", "joblib", "kiwisolver", "matplotlib", "mpl_toolkits",
    "narwhals", "numpy", "opt_einsum", "packaging", "pandas", "platformdirs", "pooch",
    "psutil", "pyarrow", "pyparsing", "rich", "scipy", "six", "sklearn", "tensorflow",
    "threadpoolctl", "torch", "torchgen", "tqdm", "typing_extensions", "xxhash",
    "sitecustomize", "usercustomize",
)  # fmt: skip
TRAPS = (*OPTIONAL, *DEPENDENCIES, *sorted(sys.stdlib_module_names))
ENDINGS = ["SystemExit(0)", "SystemExit", "GeneratorExit", "KeyboardInterrupt", "StopIteration",
           "RuntimeError('x')", "BaseException('x')"]  # fmt: skip


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a module into the current folder, under a name that no other test has."""
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    names = []

    def module(code):
        names.append(f"stranger_{len(names)}_{os.urandom(4).hex()}")
        (tmp_path / f"{names[-1]}.py").write_text(textwrap.dedent(code))
        return names[-1]

    yield module
    for name in names:
        sys.modules.pop(name, None)


SGD = """
    import os, torch

    class Mine(torch.optim.SGD):
        def {method}(self, *args, **kwargs):
            {code}
            super().{method}(*args, **kwargs)
"""


RUN = ["run", "digits_logreg", *map(str, QUICK)]


@pytest.mark.parametrize(
    ("words", "safe"),
    [
        (["-m", "alig_deepobs", "list"], False),
        (["-Bmalig_deepobs", "list"], False),
        (["-malig_deepobs", "list"], False),
        (["-m", "alig_deepobs", "report", "."], False),
        pytest.param(
            ["-m", "alig_deepobs", *RUN, "--seeds", "2", "--jobs", "2"],
            False,
            marks=pytest.mark.slow,
        ),
        pytest.param(["-m", "alig_deepobs", *RUN, "--ddp", "2"], False, marks=pytest.mark.slow),
        (["-m", "alig_deepobs.tensorflow", "none.py"], False),
        # `-c` puts the folder first itself, unless it is told not to.
        (["-c", "import alig_deepobs.cli.main as m; m.main()", *RUN], True),
    ],
)
def test_nothing_in_the_current_folder_runs_unasked(tmp_path, words, safe):
    (tmp_path / "downloaded").mkdir()
    for name in TRAPS:
        trap = f"open({str(tmp_path / 'ran')!r}, 'a').write({f'{name} '!r})"
        (tmp_path / "downloaded" / f"{name}.py").write_text(trap)
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONSAFEPATH", None)
    if safe:
        environment["PYTHONSAFEPATH"] = "1"
    ended = subprocess.run(
        [sys.executable, *words], cwd=tmp_path / "downloaded", env=environment,
        capture_output=True, timeout=120, check=False, text=True,
    )  # fmt: skip
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_processes_of_runs_do_not_look_in_the_current_folder(tmp_path):
    for name in ("json", "multiprocessing", "torch"):
        trap = f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})"
        (tmp_path / f"{name}.py").write_text(trap)
    script = tmp_path / "scripts" / "study.py"
    script.parent.mkdir()
    script.write_text(
        "from alig_deepobs import compare\n"
        "if __name__ == '__main__':\n"
        "    compare(['digits_logreg'], ['sgd[lr=0.1]'], seeds=2, num_epochs=1, jobs=2)\n"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONSAFEPATH", None)
    subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, timeout=120, check=True)
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


def test_the_folder_is_searched_for_what_is_asked_for(call, write, tmp_path):
    name = write(SGD.format(method="step", code="pass"))
    called = call("run", "digits_logreg", "--optimizer", f"{name}:Mine[lr=0.1]", *QUICK)
    assert called.code == 0, called.err
    assert "" not in sys.path
    assert str(tmp_path) not in sys.path
    called = call("run", "digits_logreg", "--optimizer", f"{name}:Mine[lr=0.2]", "--jobs", 2,
                  "--seeds", 2, *QUICK)  # fmt: skip
    assert called.code == 0, called.err


def test_in_python_the_folder_is_not_searched(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = write("class Mine: pass")
    with pytest.raises(UsageError, match=f"cannot import '{name}:Mine'"):
        load_object(f"{name}:Mine")


@pytest.mark.parametrize(
    "path", ["a/b:C", "..x:C", ".:C", ":", "a:", "x\0:C", "os:no.such", "a b:C"]
)
def test_paths_that_are_none(path):
    with pytest.raises(UsageError, match="import"):
        load_object(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_import_that_ends(call, write, tmp_path, ending):
    name = write(f"\nraise {ending}")
    called = call("run", "digits_logreg", "--optimizer", f"{name}:Mine", *QUICK)
    assert called.code == 2
    assert f"Error: importing '{name}:Mine' failed: {ending[:9]}" in called.err
    assert f"{name}.py, line 2)" in called.err
    assert "bug" not in called.err


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_constructor_that_ends(call, write, ending):
    name = write(SGD.format(method="__init__", code=f"raise {ending}"))
    called = call("run", "digits_logreg", "--optimizer", f"{name}:Mine[lr=0.1]", *QUICK)
    assert called.code == 2
    assert f"Error: {name}:Mine: its constructor failed: {ending[:9]}" in called.err
    assert f"{name}.py, line 6)" in called.err
    assert "bug" not in called.err


@pytest.mark.parametrize(
    ("ending", "jobs"), [*((ending, 1) for ending in ENDINGS), ("SystemExit(0)", 2)]
)
def test_a_step_that_ends(call, write, tmp_path, ending, jobs):
    name = write(SGD.format(method="step", code=f"raise {ending}"))
    words = ("run", "digits_logreg", "--optimizer", f"{name}:Mine[lr=0.1]", *QUICK)
    called = call(*words, "--jobs", jobs)
    assert called.code == 1
    assert f"{name}.py, line 6)" in called.err
    assert "bug" not in called.err
    (path,) = (tmp_path / "results").rglob("*.json")
    result = read_result(path)
    assert result.outcome is Outcome.FAILED
    assert result.outcome_reason.startswith(ending[:9])
    assert len(result.test_losses) == 1


def test_stop_iteration_out_of_a_step_is_a_failure(write):
    class Stops(torch.optim.SGD):
        calls = 0

        def step(self, closure=None):
            Stops.calls += 1
            if Stops.calls > 10:
                raise StopIteration
            super().step()

    with pytest.raises(RunError, match="broke after 10 steps: StopIteration") as caught:
        execute(RunSpec("digits_mlp", "sgd", num_epochs=1, synthetic=True), optimizer_class=Stops)
    assert caught.value.result.outcome is Outcome.FAILED


MUTE = """
    import torch

    class Mute(Exception):
        def __str__(self):
            raise SystemExit(3)

    class Mine(torch.optim.SGD):
        def step(self, closure=None):
            raise Mute
"""
META = """
    import torch

    class Meta(type(torch.optim.SGD)):
        def __getattribute__(cls, name):
            if name == "needs_loss":
                raise SystemExit
            return super().__getattribute__(name)

    class Mine(torch.optim.SGD, metaclass=Meta):
        pass
"""


def test_an_error_without_a_message(call, write, tmp_path):
    name = write(MUTE)
    called = call("run", "digits_logreg", "--optimizer", f"{name}:Mine[lr=0.1]", *QUICK)
    assert called.code == 1
    assert "Mute: its message cannot be read (" in called.err
    assert f"{name}.py, line 10)" in called.err
    assert "bug" not in called.err


def test_a_class_that_cannot_be_looked_at(call, write):
    name = write(META)
    called = call("run", "digits_logreg", "--optimizer", f"{name}:Mine[lr=0.1]", *QUICK)
    assert called.code == 2
    assert f"Error: looking at the class {name}:Mine failed: SystemExit (" in called.err
    assert f"{name}.py, line 7)" in called.err


@pytest.mark.parametrize("code", ["sys.stdout.close(); sys.stderr.close()", "sys.stdout = 3"])
def test_a_closed_output_costs_the_output_alone(write, tmp_path, code):
    name = write(SGD.format(method="step", code=f"import sys; {code}"))
    words = ["--optimizer", f"{name}:Mine[lr=0.1]", "--seeds", "2"]
    ended = subprocess.run(
        [sys.executable, "-m", "alig_deepobs", *RUN, *words],
        cwd=tmp_path, capture_output=True, timeout=120, check=False, text=True,
    )  # fmt: skip
    assert ended.returncode == 1
    if "stderr" not in code:
        words = "the output could not be written: code that is no part of alig-deepobs has closed"
        assert words in ended.stderr
    assert "bug" not in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(list((tmp_path / "results").rglob("*.json"))) == 2


LYING = """
    import torch

    class Lying({base}):
        __traceback__ = property(lambda self: {found}, lambda self, value: None)

    class Mine(torch.optim.SGD):
        def step(self, closure=None):
            {how}
"""


@pytest.mark.parametrize(
    ("base", "found", "how"),
    [
        ("Exception", "'x'", "raise Lying"),
        ("Exception", "1 / 0", "raise Lying"),
        ("KeyboardInterrupt", "None", "raise Lying"),
        ("KeyboardInterrupt", "None", "(_ for _ in ()).throw(Lying())"),
        ("Exception", "None", "(_ for _ in ()).throw(KeyboardInterrupt())"),
        ("SyntaxError", "None", "error = Lying(); error.filename = 3; raise error"),
    ],
)
def test_an_error_that_hides_where_it_comes_from(call, write, tmp_path, base, found, how):
    name = write(LYING.format(base=base, found=found, how=how))
    called = call("run", "digits_logreg", "--optimizer", f"{name}:Mine[lr=0.1]", *QUICK)
    assert called.code == 1
    assert f"{name}.py, line 9)" in called.err
    assert "bug" not in called.err
    (path,) = (tmp_path / "results").rglob("*.json")
    assert read_result(path).outcome is Outcome.FAILED


@pytest.mark.parametrize("code", ["raise SystemExit", "return 3", "raise ValueError"])
def test_what_takes_the_place_of_json_costs_no_result(call, write, tmp_path, monkeypatch, code):
    monkeypatch.setattr(json, "dumps", json.dumps)  # comes back
    lines = ["import json", "def dumps(*a, **k):", f"    {code}", "json.dumps = dumps"]
    name = write(SGD.format(method="step", code="\n            ".join(lines)))
    call("run", "digits_logreg", "--optimizer", f"{name}:Mine[lr=0.1]", *QUICK)
    (path,) = (tmp_path / "results").rglob("*.json")
    assert read_result(path).outcome is Outcome.DONE


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ("{'a': float('nan'), 'b': 2}", "guarded_steps of Mine are left out: a is no count"),
        ("{'a': 'x', 'b': True}", "a, b is no count"),
        ("3", "reading guarded_steps of Mine failed: TypeError"),
        ("1 / 0", "reading guarded_steps of Mine failed: ZeroDivisionError"),
        ("{'a' * 5000: 1, chr(0xd800): 2}", ""),
    ],
)
def test_odd_counts_cost_no_result(call, write, tmp_path, caplog, counts, words):
    name = write(f"""
    import torch

    class Mine(torch.optim.SGD):
        @property
        def guarded_steps(self):
            return {counts}
    """)
    called = call("run", "digits_logreg", "--optimizer", f"{name}:Mine[lr=0.1]", *QUICK)
    assert called.code == 0, called.err
    assert words in caplog.text
    (path,) = (tmp_path / "results").rglob("*.json")
    result = read_result(path)
    assert result.outcome is Outcome.DONE
    assert result.guarded_steps.get("b", 2) == 2


@pytest.mark.parametrize("method", ["__init__", "step"])
def test_results_do_not_move_with_the_process(call, write, tmp_path, method):
    (tmp_path / "elsewhere").mkdir()
    name = write(SGD.format(method=method, code=f"os.chdir({str(tmp_path / 'elsewhere')!r})"))
    called = call("compare", "digits_logreg", "--optimizers", f"{name}:Mine[lr=0.1]", "--seeds", 2,
                  *QUICK)  # fmt: skip
    assert called.code == 0, called.err
    assert len(list((tmp_path / "results" / "digits_logreg").rglob("*.json"))) == 2
    assert (tmp_path / "results" / "leaderboard_digits_logreg.csv").is_file()
    assert not list((tmp_path / "elsewhere").iterdir())
    assert Path.cwd() == tmp_path


def test_an_interrupt_is_told_from_an_error_of_that_name():
    def caught(function):
        try:
            function()
        except KeyboardInterrupt as error:
            return error
        raise AssertionError

    def stop():
        raise KeyboardInterrupt

    def stop_by_signal():
        raise Interrupted(signal.SIGTERM)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert is_interrupt(caught(lambda: signal.raise_signal(signal.SIGINT)))
        with pytest.raises(KeyboardInterrupt), calling("it"):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert is_interrupt(caught(stop_by_signal))
    assert not is_interrupt(caught(stop))
    assert not is_interrupt(ValueError())
    words = r"it failed: KeyboardInterrupt \(.*test_plugins.py, line"
    with pytest.raises(UsageError, match=words), calling("it"):
        stop()


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"regularization": "bal"}, "regularization must be l2 or ball or own or none, not 'bal'"),
        ({"regularization": None}, "regularization must be"),
        ({"needs_loss": "valeu"}, "needs_loss must be nothing or value or"),
        ({"needs_loss": ["value"]}, "needs_loss must be"),
        ({"run_arguments": {"n": "datasize"}}, "must be data_size or num_epochs or"),
        ({"run_arguments": "data_size"}, "run_arguments must be a mapping"),
    ],
)
def test_misspelt_declarations_are_refused(attributes, words):
    with pytest.raises(UsageError, match=words):
        entry_of_class(type("Mine", (torch.optim.SGD,), attributes))
    name, value = next(iter(attributes.items()))
    with pytest.raises(UsageError, match=words):
        OptimizerEntry("mine", "Mine", "torch.optim:SGD", **{name: value})


class Point:
    """An entry point of an installed package."""

    def __init__(self, name, load):
        self.name, self.value, self.load = name, "package:ENTRY", load


def broken_entries():
    def ends(kind):
        def load():
            raise kind

        return load

    yield from (ends(kind) for kind in (SystemExit, GeneratorExit, KeyboardInterrupt, ValueError))
    good = {"name": "theirs", "label": "Theirs", "factory": "torch.optim:SGD"}
    for changes in (
        {"description": None}, {"name": "a b"}, {"name": "a[b]"}, {"name": ""}, {"label": 3},
        {"hyperparameters": None}, {"hyperparameters": {"lr": 0.1}}, {"hyperparameters": {1: 2}},
        {"hyperparameters": {"lr": HyperParameter("float")}},
        {"needs_loss": "no"}, {"framework": "jax"},
    ):  # fmt: skip
        yield lambda changes=changes: OptimizerEntry(**{**good, **changes})
    yield lambda: 3
    yield lambda: OptimizerEntry("sgd", "Theirs", "theirs:SGD")


def test_no_entry_point_breaks_the_list(call, monkeypatch, caplog):
    good = OptimizerEntry("good", "Good", "torch.optim:SGD",
                          hyperparameters={"lr": HyperParameter(float, 0.1)})  # fmt: skip
    points = [Point(f"p{i}", load) for i, load in enumerate(broken_entries())]
    groups = {"alig_deepobs.optimizers": [*points, Point("good", lambda: good)],
              "alig_deepobs.testproblems": [Point("p", lambda: ProblemEntry("digits_mlp", "Mine",
                                                  "their:problem", "x", 1, 1))]}  # fmt: skip
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: groups[group])
    monkeypatch.setattr(registry, "_optimizers", {})
    monkeypatch.setattr(registry, "_testproblems", {})
    for words in (["list"], ["list", "--json"]):
        called = call(*words)
        assert called.code == 0, called.err
        assert "good" in called.out
    for point in points:
        assert f"entry point {point.name}" in caplog.text
    # Both are named, and the one that was there stays.
    assert "the name sgd is taken by torch.optim:SGD, and this one is theirs:SGD" in caplog.text
    assert "the name digits_mlp is taken by alig_deepobs.testproblems" in caplog.text
    assert registry.find_optimizer("sgd").factory == "torch.optim:SGD"
