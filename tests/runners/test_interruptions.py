"""Signals at odd moments: nothing fails because of one, and a run that was left is taken up."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alig_deepobs.results import read_result
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import Callback, Cell, Store, Study
from alig_deepobs.runners.study import Silent

RUN = ["run", "digits_mlp", "--optimizer", "sgd", "--synthetic", "--device", "cpu"]
JOBS = ["--jobs", "2", "--executor", "processes", "--seeds", "2"]


def start(folder, *words, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "alig_deepobs", *RUN, *words, "--output_dir", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # Tests that were started in the background ignore Ctrl-C, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler), **options,
    )  # fmt: skip


def ended(process, timeout=120):
    """The exit code, and what was printed."""
    try:
        printed = process.communicate(timeout=timeout)[0]
    finally:
        process.kill()
    return process.returncode, printed


def outcomes(folder):
    return [read_result(path).outcome for path in folder.rglob("random_seed__*.json")]


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found


def children(process, what="spawn_main"):
    """The numbers of the processes that a process has started to carry out its runs."""
    found = Path(f"/proc/{process.pid}/task").glob("*/children")
    numbers = [int(number) for path in found for number in path.read_text().split()]
    return [n for n in numbers if what in Path(f"/proc/{n}/cmdline").read_text()]


def checkpoints(folder):
    return list((folder / ".checkpoints").glob("*.pt"))


def under_way(folder, count):
    """Waits until so many runs have a checkpoint."""
    wait_for(lambda: len(checkpoints(folder)) == count)


KEPT = ["-N", "100000", "--checkpoint_interval", "0.1"]


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_processes_start_costs_nothing(tmp_path, signum):
    process = start(tmp_path, *JOBS, *KEPT)
    under_way(tmp_path, 2)
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 128 + signal.SIGTERM
    process = start(tmp_path, *JOBS, *KEPT)
    wait_for(lambda: len(children(process)) == 2)
    os.killpg(process.pid, signum)  # as a terminal does
    code, printed = ended(process)
    assert code == 128 + signum, printed
    assert "Traceback" not in printed
    assert outcomes(tmp_path) == [Outcome.INTERRUPTED] * 2
    assert len(checkpoints(tmp_path)) == 2


@pytest.mark.parametrize(
    "signum", [signal.SIGHUP, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_signal_to_the_whole_group_lets_runs_be_left(tmp_path, signum):
    """It reaches the processes of the runs, too, and may come twice."""
    process = start(tmp_path, *JOBS, "-N", "100000", "--print_train_iter")
    begun = set()
    for line in process.stdout:
        begun |= {line.partition("seed ")[2][:2]} if "epoch 2" in line else set()
        if len(begun) == 2:
            break
    os.kill(process.pid, signum)
    os.killpg(process.pid, signum)
    code, printed = ended(process)
    assert code == 128 + signum, printed[-2000:]
    assert "Traceback" not in printed
    assert outcomes(tmp_path) == [Outcome.INTERRUPTED] * 2
    assert len(checkpoints(tmp_path)) == 2


@pytest.mark.slow
def test_a_run_whose_process_was_killed_goes_on(tmp_path):
    process = start(tmp_path, *JOBS, *KEPT)
    under_way(tmp_path, 2)
    killed = set(children(process))
    for child in killed:
        os.kill(child, signal.SIGKILL)
    while len(again := set(children(process)) - killed) < 2:  # each run is tried once more
        time.sleep(0.05)
    for child in again:
        os.kill(child, signal.SIGKILL)
    code, printed = ended(process)
    assert code == 1, printed
    assert outcomes(tmp_path) == [Outcome.FAILED] * 2
    assert len(checkpoints(tmp_path)) == 2
    process = start(tmp_path, *JOBS, *KEPT, "--time_limit", "2")
    assert ended(process)[0] == 0
    for path in tmp_path.rglob("random_seed__*.json"):
        result = read_result(path)
        assert result.outcome is Outcome.TIMEOUT
        assert "resumed_after_steps" in result.environment


@pytest.mark.slow
def test_runs_whose_command_was_killed_keep_their_checkpoints(tmp_path):
    """Their processes end, too; that nobody listens to them is no failure of a run."""
    process = start(tmp_path, *JOBS, *KEPT)
    under_way(tmp_path, 2)
    orphans = children(process)
    process.kill()
    process.communicate()
    wait_for(lambda: not any(Path(f"/proc/{orphan}").exists() for orphan in orphans))
    assert len(checkpoints(tmp_path)) == 2


@pytest.mark.slow
def test_the_process_of_tensorflow_ends_with_its_command(tmp_path):
    pytest.importorskip("deepobs")
    words = ["mnist_mlp", "--framework", "tensorflow", "--optimizer", "sgd", "-N", "100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "alig_deepobs", "run", *words, "--synthetic", "--device", "cpu",
         "--output_dir", str(tmp_path)],
    )  # fmt: skip
    (worker,) = wait_for(lambda: children(process, "tensorflow.worker"))
    process.kill()
    process.wait()
    wait_for(lambda: not Path(f"/proc/{worker}").exists(), seconds=30)


SLOW_STEP = """
import time
import torch

class Slow(torch.optim.SGD):
    def step(self, closure=None):
        print("stepping", flush=True)
        for _ in range(6000):
            time.sleep(0.01)
"""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_second_ctrl_c_ends_at_once(tmp_path, jobs):
    (tmp_path / "slow.py").write_text(SLOW_STEP)
    words = ["--optimizer", "slow:Slow[lr=0.1]", "-N", "1", "--jobs", jobs, "--seeds", jobs]
    process = start(tmp_path / "results", *words, cwd=tmp_path)
    for line in process.stdout:
        if "stepping" in line:
            break
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    assert ended(process)[0] == 128 + signal.SIGINT
    assert time.monotonic() - begin < 5


def test_a_folder_that_is_removed_in_mid_run_ends_nothing(tmp_path, monkeypatch):
    """The one that the command was started in; that of the results is made again."""
    here, folder = tmp_path / "here", tmp_path / "results"
    here.mkdir()
    monkeypatch.chdir(here)

    class Remove(Callback):
        def ticked(self, epoch, step):
            for path in (here, folder):
                shutil.rmtree(path, ignore_errors=True)

    class Removing(Silent):
        def callback(self, run):
            return Remove()

    spec = RunSpec("digits_mlp", "sgd", num_epochs=1, synthetic=True, checkpoint_interval=0.0)
    (outcome,) = Study([Cell((spec,), (1,))], Store(folder)).carry_out(progress=Removing())
    assert [run.outcome for run in outcome.runs] == [Outcome.DONE]
    assert outcomes(folder) == [Outcome.DONE]


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_runs_begin_where_the_current_folder_is_gone(tmp_path, jobs):
    here, folder = tmp_path / "here", tmp_path / "results"
    here.mkdir()
    words = ["digits_mlp", "--optimizer", "sgd", "-N", "1", "--device", "cpu", "--seeds", "3"]
    words += ["--jobs", jobs, "--executor", "processes", "--output_dir", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "alig_deepobs", "run", *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=here,
    )  # fmt: skip
    assert "3 runs" in process.stdout.readline()
    here.rmdir()
    code, printed = ended(process)
    assert code == 0, printed
    assert outcomes(folder) == [Outcome.DONE] * 3


def test_a_command_in_a_folder_that_is_gone_says_so(tmp_path):
    call = (
        "import os; os.rmdir(os.getcwd()); from alig_deepobs.cli.main import main; main(['list'])"
    )
    words = [sys.executable, "-c", call]
    called = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert called.returncode == 2
    assert called.stderr == "Error: the current folder does not exist any more: go to another one\n"
