"""Faults of the place: nothing that was measured is lost, and nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from studies import results

from alig_deepobs import files
from alig_deepobs.analysis import load_results
from alig_deepobs.errors import ResultError
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import Callback, Cell, Store, Study
from alig_deepobs.runners.study import Silent, local

PLAN = [
    Cell((RunSpec("two_d_branin", "sgd", {"lr": 1e-3}, num_epochs=1, device="cpu"),), (1, 2, 3, 4))
]


class Acts(Silent):
    """Does something when the run of a seed has ended, before it is written."""

    def __init__(self, **acts):
        self.acts = {int(name.strip("_")): act for name, act in acts.items()}

    def callback(self, run):
        act = self.acts.get(run.random_seed)

        class Does(Callback):
            def finished(self, result):
                if act is not None:
                    act()

        return Does()


@pytest.fixture
def blocked(tmp_path):
    """A results folder that can be taken away and given back: a file stands in its place."""
    folder, aside = tmp_path / "results", tmp_path / "aside"

    def away():
        folder.rename(aside)
        folder.write_text("")

    def back():
        folder.unlink()
        aside.rename(folder)

    return folder, away, back


def test_what_cannot_be_written_waits_in_memory(blocked, caplog):
    folder, away, back = blocked
    outcomes = Study(PLAN, Store(folder)).carry_out(progress=Acts(_2=away, _4=back))
    assert len(outcomes[0].runs) == len(results(folder)) == 4
    assert "2 results could not be written" in caplog.text
    assert "kept in memory and tried again" in caplog.text


def test_the_end_says_what_is_missing(blocked):
    folder, away, back = blocked
    with pytest.raises(
        ResultError, match=r"3 results could not be written: cannot write .*results"
    ):
        Study(PLAN, Store(folder)).carry_out(progress=Acts(_2=away))
    back()
    assert len(results(folder)) == 1
    ran = []
    Study(PLAN, Store(folder)).carry_out(progress=Acts(_2=lambda: ran.append(2)))
    assert ran == [2]
    assert len(results(folder)) == 4


def test_a_folder_that_vanishes_is_made_again(tmp_path):
    folder = tmp_path / "results"
    Study(PLAN, Store(folder)).carry_out(progress=Acts(_2=lambda: shutil.rmtree(folder)))
    assert len(results(folder)) == 3


LIMITED = """
import resource, signal, sys
from alig_deepobs.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
main(sys.argv[2:])
"""
WORDS = ["run", "two_d_branin", "--optimizer", "sgd", "-N", "1", "--seeds", "3", "--device", "cpu"]


def call(folder, *words, limit=None, stdout=subprocess.PIPE, **variables):
    start = ["-m", "alig_deepobs"] if limit is None else ["-c", LIMITED, str(limit)]
    return subprocess.run(
        [sys.executable, *start, *WORDS, *words, "--output_dir", str(folder)],
        stdout=stdout, stderr=subprocess.PIPE, text=True, errors="replace",
        env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
    )  # fmt: skip


def test_a_full_disk(tmp_path):
    """No file may be larger than a result is: as on a disk that is full in mid-write."""
    folder = tmp_path / "results"
    assert call(folder, "--seeds", "1").returncode == 0
    before = results(folder)
    full = call(folder, limit=2048)
    assert full.returncode == 1
    assert "2 results could not be written" in full.stderr
    assert "File too large" in full.stderr
    assert results(folder) == before
    assert not list(tmp_path.rglob("*.part"))
    # A disk without any room is found before the first run.
    assert "is not writable: File too large" in call(folder, limit=0).stderr
    assert call(folder).returncode == 0
    assert len(results(folder)) == 3


def test_output_that_cannot_be_shown_ends_nothing(tmp_path):
    with Path("/dev/full").open("w") as full:
        done = call(tmp_path / "full", stdout=full)
    assert done.returncode == 1
    assert "the output could not be written: No space left" in done.stderr
    assert len(results(tmp_path / "full")) == 3
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        done = call(tmp_path / "pipe", stdout=pipe)
    assert (done.returncode, done.stderr) == (1, "")
    assert len(results(tmp_path / "pipe")) == 3


def test_a_folder_that_becomes_read_only():
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are for their owner alone
        folder, user = Path(place) / "results", os.geteuid()
        Path(place).chmod(0o755)

        def lock():
            for path in (folder, *folder.rglob("*")):
                path.chmod(0o555 if path.is_dir() else 0o444)
            if user == 0:  # who may write anywhere
                os.seteuid(65534)

        try:
            message = r"3 results could not be written: .*Permission denied"
            with pytest.raises(ResultError, match=message):
                Study(PLAN, Store(folder)).carry_out(progress=Acts(_2=lock))
            with pytest.raises(ResultError, match="not writable: Permission denied"):
                Study(PLAN, Store(folder))
        finally:
            os.seteuid(user)
        assert len(results(folder)) == 1
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)
        Study(PLAN, Store(folder)).carry_out()
        assert len(results(folder)) == 4


@pytest.mark.parametrize(
    "name", ["with blank", "[1]*?", "日本語", "new\nline", "-x", "$(false)", "ü" * 100]
)
def test_names_of_folders(tmp_path, name):
    folder = tmp_path / name
    Study(PLAN, Store(folder)).carry_out()
    study = Study(PLAN, Store(folder))
    assert (len(study.found), len(study.missing)) == (4, 0)
    assert len(load_results(folder).results) == 4


def test_a_name_that_is_too_long_is_found_before_the_first_run(tmp_path):
    with pytest.raises(ResultError, match="not writable: File name too long"):
        Study(PLAN, Store(tmp_path / ("x" * 300)))


def test_links_pipes_and_devices_in_a_results_folder(tmp_path):
    real, shown = tmp_path / "real", tmp_path / "shown"
    Study(PLAN, Store(real)).carry_out()
    shown.mkdir()
    (shown / "linked").symlink_to(real)
    (shown / "again").symlink_to(real)
    (shown / "loop").symlink_to(shown)
    setting = next(real.rglob("random_seed__1__*.json")).parent
    os.mkfifo(setting / "random_seed__1__pipe.json")
    (setting / "random_seed__1__zero.json").symlink_to("/dev/zero")
    found = load_results(shown)
    assert len(found.results) == 4
    assert [problem.path.name for problem in found.problems] == [
        "random_seed__1__pipe.json", "random_seed__1__zero.json",
    ]  # fmt: skip
    assert all("not a regular file" in problem.reason for problem in found.problems)
    assert len(Study(PLAN, Store(real)).found) == 4


def test_no_file_takes_the_place_of_a_pipe_or_a_device(tmp_path):
    """What is asked for at ``/dev/stdout``, say, goes there."""
    master, slave = os.openpty()
    files.write_text_atomically(Path(os.ttyname(slave)), "shown\n")
    assert os.read(master, 100) == b"shown\r\n"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ResultError, match=r"cannot write .*pipe: No such device"):
        files.write_text_atomically(tmp_path / "pipe", "nobody reads")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE, text=True) as reader:
        while reader.poll() is None:
            with contextlib.suppress(ResultError):  # it has not opened it yet
                files.write_text_atomically(tmp_path / "pipe", "read\n" * 20_000)
                break
        assert reader.stdout.read() == "read\n" * 20_000
    (tmp_path / "link").symlink_to(os.ttyname(slave))  # which a stranger may have put there
    files.write_text_atomically(tmp_path / "link", "replaced")
    assert (tmp_path / "link").read_text() == "replaced"
    assert not (tmp_path / "link").is_symlink()


def test_a_clock_that_goes_backwards(tmp_path, monkeypatch):
    from alig_deepobs.runners import study, training

    Study(PLAN, Store(tmp_path)).carry_out()
    for module in (study, training):
        monkeypatch.setattr(module, "now", lambda: "2001-01-01T00:00:00.000000+00:00")
    ended = Study(PLAN, Store(tmp_path), force=True).carry_out()
    assert len(results(tmp_path)) == 4  # one of each: the new ones
    assert all(run.started.startswith("2001") for run in load_results(tmp_path).results)
    assert len(ended[0].runs) == 4


@pytest.mark.parametrize(
    "variables",
    [
        {
            "LANG": "C",
            "LC_ALL": "C",
            "PYTHONUTF8": "0",
            "PYTHONCOERCECLOCALE": "0",
            "HOME": "",
            "XDG_CACHE_HOME": "",
            "ALIG_DEEPOBS_CACHE": "",
            "MPLBACKEND": "no_such_backend",
        },
        {
            "PYTHONIOENCODING": "cp1252",
            "HOME": "/nowhere",
            "ALIG_DEEPOBS_CACHE": "/proc/nowhere",
            "MPLBACKEND": "module://no_such.backend",
            "MPLCONFIGDIR": "/proc/nowhere",
        },
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_surroundings(tmp_path, variables):
    """Comparisons print a table with ± and lines, and draw a picture."""
    done = subprocess.run(
        [sys.executable, "-m", "alig_deepobs", "compare", "two_d_branin", "-N", "1", "--seeds",
         "2", "--optimizers", "sgd[lr=0.001],adam[lr=0.001]", "--output_dir", str(tmp_path)],
        capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert (tmp_path / "curves_two_d_branin.png").stat().st_size > 0
    assert len(results(tmp_path)) == 4


# --- After SIGKILL -------------------------------------------------------------------------------


def dead_process():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_process_left_is_cleared_by_the_next_start(tmp_path, monkeypatch):
    host = files.own_mark().rpartition("-")[0]
    Study(PLAN, Store(tmp_path)).carry_out()
    setting = next(tmp_path.rglob("random_seed__*.json")).parent
    dead = setting / f".{host}-{dead_process()}.abc.part"
    alive = setting / f".{files.own_mark()}.abc.part"
    for path in (dead, alive, tmp_path / ".claims" / "run-old", tmp_path / ".checkpoints" / "x"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    store = Store(tmp_path)
    left = store.checkpoint(Study(PLAN, store).found[0])
    left.touch()
    more = [Cell(PLAN[0].candidates, (1, 2, 3, 4, 5))]
    Study(more, store).carry_out()
    assert not dead.exists()
    assert alive.exists()
    assert not (tmp_path / ".claims").exists()
    assert not left.exists()

    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(tmp_path))
    for pid in (dead_process(), os.getpid()):
        (tmp_path / f"alig-deepobs-{host}-{pid}-x").mkdir()
    files.clear_temporary_folders()
    assert [path.name for path in tmp_path.glob("alig-deepobs-*")] == [
        f"alig-deepobs-{files.own_mark()}-x"
    ]


# --- Outcomes ------------------------------------------------------------------------------------

MINE = """
import torch

class Breaks(torch.optim.SGD):
    def step(self, closure=None):
        {body}
"""


@pytest.mark.parametrize(
    ("body", "outcome", "reason"),
    [
        ("torch.empty(1 << 60, dtype=torch.uint8)", Outcome.OUT_OF_MEMORY, "can't allocate memory"),
        ("raise MemoryError", Outcome.OUT_OF_MEMORY, "MemoryError"),
        ("torch.ones(2) + torch.ones(3)", Outcome.FAILED, r"breaks.py, line 6\)"),
        ("raise ValueError", Outcome.FAILED, r"ValueError \(.*breaks.py, line 6\)"),
    ],
)
@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_breaks_a_run_is_named(tmp_path, monkeypatch, body, outcome, reason, jobs):
    (tmp_path / "breaks.py").write_text(MINE.format(body=body))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "breaks", raising=False)
    plan = [Cell((RunSpec("two_d_branin", "breaks:Breaks", {"lr": 0.1}, num_epochs=1),), (1,))]
    store = Store(tmp_path / "results")
    ((run,),) = [found.runs for found in Study(plan, store).carry_out(local(jobs))]
    assert run.outcome is outcome
    assert re.search(reason, run.outcome_reason)
    assert len(Study(plan, store).missing) == 1  # tried again by the next command


UNGUARDED = """
from alig_deepobs import compare

compare("two_d_branin", ["sgd"], seeds=1, num_epochs=1, protocol="defaults", jobs=2)
"""


def test_a_script_without_a_guarded_main_program_ends_with_advice(tmp_path):
    (tmp_path / "script.py").write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert 'under `if __name__ == "__main__":`' in done.stderr
    (file,) = (tmp_path / "results").rglob("random_seed*.json")
    assert "the process of the run died (of an error above" in file.read_text()


def test_a_time_limit_counts_for_the_store(tmp_path):
    def plan(limit):
        spec = RunSpec("digits_mlp", "sgd", num_epochs=5000, synthetic=True, time_limit=limit)
        return Study([Cell((spec,), (1,))], Store(tmp_path))

    (run,) = plan(0.3).carry_out()[0].runs
    assert run.outcome is Outcome.TIMEOUT
    assert [len(plan(limit).missing) for limit in (0.1, 0.3, 0.6, None)] == [0, 0, 1, 1]
    assert list((tmp_path / ".checkpoints").iterdir())
    (longer,) = plan(0.6).carry_out()[0].runs
    assert longer.steps > run.steps
    assert longer.environment["resumed_after_steps"] == [run.steps]
