"""One run on two processes is the run of one process that sees the whole mini-batches."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from studies import results

from alig_deepobs import registry
from alig_deepobs.results import read_result
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import Cell, Store, Study
from alig_deepobs.runners.places import Place
from alig_deepobs.runners.weights import load_weights

RUN = RunSpec(
    "digits_mlp", "alig", num_epochs=2, batch_size=32, synthetic=True, device="cpu",
    split="validation", train_log_interval=1,
)  # fmt: skip
SETTINGS = {
    "plain": {"max_lr": 0.3},
    "momentum": {"max_lr": 0.3, "momentum": 0.9},
    "ball": {"max_lr": 0.3, "momentum": 0.9, "max_norm": 5.0},
}


def carry_out(cells, store, place=None):
    return Study(cells, store).carry_out(None if place is None else place.start)


def cells(folder):
    """ALI-G in its settings, and one optimizer for each other thing that a step may want."""
    specs = [dataclasses.replace(RUN, hyperparams=params) for params in SETTINGS.values()]
    specs += [
        dataclasses.replace(RUN, optimizer=name)
        for name in ("momentum", "sls", "alig_plus", "adamw")
        if name in registry.optimizers()
    ]
    return [Cell((dataclasses.replace(spec, keep_best=str(folder)),), (42,)) for spec in specs]


@pytest.mark.slow
def test_two_ranks_are_one_process(tmp_path):
    alone = carry_out(cells(tmp_path / "w1"), Store(tmp_path / "one"))
    together = carry_out(cells(tmp_path / "w2"), Store(tmp_path / "two"), Place("ddp", processes=2))
    for one, two in zip(alone, together, strict=True):
        (one,), (two,) = one.runs, two.runs
        assert two.outcome is Outcome.DONE, two.outcome_reason
        assert two.environment["processes"] == 2
        assert two.minibatch_train_losses == pytest.approx(one.minibatch_train_losses, rel=1e-5)
        assert two.best_valid_epoch == one.best_valid_epoch
        weights = [load_weights(run.best_weights) for run in (one, two)]
        for name, expected in weights[0].items():
            torch.testing.assert_close(weights[1][name], expected, rtol=1e-6, atol=1e-6)
    assert results(tmp_path / "two").keys() == results(tmp_path / "one").keys()


@pytest.mark.slow
def test_what_cannot_be_split_is_refused(tmp_path):
    specs = [
        dataclasses.replace(RUN, batch_size=33),
        RunSpec("tolstoi_char_rnn", "alig", num_epochs=1, synthetic=True, device="cpu"),
    ]
    plan = [Cell((spec,), (42,)) for spec in specs]
    found = carry_out(plan, None, Place("ddp", processes=2))
    odd, stateful = [outcome.runs[0] for outcome in found]
    assert "(size 33) are no 2 equal parts" in odd.outcome_reason
    assert "hands a state from one mini-batch to the next" in stateful.outcome_reason


WORDS = [
    "run", "digits_mlp", "--optimizer", "alig[max_lr=0.3]", "--synthetic", "--device", "cpu",
    "--batch_size", "32",
]  # fmt: skip


def start(folder, *words, launcher=()):
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "alig_deepobs", *WORDS, *words,
         "--output_dir", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


@pytest.mark.slow
def test_torchrun(tmp_path):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    process = start(tmp_path, "-N", "1", "--seeds", "2", launcher=launcher)
    printed = process.communicate(timeout=300)[0]
    assert process.returncode == 0, printed
    assert printed.count("2 runs: 2 to be run") == 1
    found = [read_result(path) for path in tmp_path.rglob("random_seed__*.json")]
    assert [run.environment["processes"] for run in found] == [2, 2]


@pytest.mark.slow
def test_a_signal_ends_all_ranks_and_the_run_is_taken_up(tmp_path):
    process = start(tmp_path, "-N", "400", "--ddp", "2", "--print_train_iter")
    for line in process.stdout:
        if "epoch 2" in line:
            break
    process.send_signal(signal.SIGTERM)
    printed = process.communicate(timeout=120)[0]
    assert process.returncode == 128 + signal.SIGTERM, printed[-2000:]
    assert list((tmp_path / ".checkpoints").iterdir())
    (path,) = tmp_path.rglob("random_seed__*.json")
    left = read_result(path)
    assert left.outcome is Outcome.INTERRUPTED
    process = start(tmp_path, "-N", "400", "--ddp", "2")
    printed = process.communicate(timeout=300)[0]
    assert process.returncode == 0, printed
    (path,) = tmp_path.rglob("random_seed__*.json")
    again = read_result(path)
    assert again.environment["resumed_after_steps"] == [left.steps]
    assert again.test_losses[: len(left.test_losses)] == left.test_losses
    assert not (tmp_path / ".checkpoints").exists()


@pytest.mark.slow
def test_a_rank_that_dies_is_named_and_the_run_is_taken_up(tmp_path):
    process = start(tmp_path, "-N", "400", "--ddp", "2", "--checkpoint_interval", "0.2",
                    "--print_train_iter")  # fmt: skip
    for line in process.stdout:
        if "epoch 2" in line:
            break
    while not (found := list(tmp_path.glob(".checkpoints/*.pt"))) and process.poll() is None:
        time.sleep(0.02)
    assert found
    (helper,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(helper), signal.SIGKILL)
    printed = process.communicate(timeout=120)[0]
    assert process.returncode == 1, printed[-2000:]
    assert "another process of the run died" in printed
    assert "gloo" not in printed
    process = start(tmp_path, "-N", "400", "--ddp", "2")
    printed = process.communicate(timeout=300)[0]
    assert process.returncode == 0, printed
    (path,) = tmp_path.rglob("random_seed__*.json")
    assert read_result(path).environment["resumed_after_steps"][0] > 0
