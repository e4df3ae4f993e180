"""The study engine: what is there is not run again, whatever happened before."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time

import kill_study
import pytest
from studies import results

from alig_deepobs.comparison import compare
from alig_deepobs.errors import ResultError, UsageError
from alig_deepobs.protocols import Protocol
from alig_deepobs.results import read_result
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import Cell, Store, Study
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.runners.selection import Rule
from alig_deepobs.runners.study import local

COMMAND = [
    "compare", "digits_mlp", "-N", "2", "--seeds", "2", "--optimizers", "alig,sgd",
    "--protocol", "equal:5", "--tuning_seeds", "1", "--executor", "processes",
]  # fmt: skip
ALONE = {
    "seeds": 2, "num_epochs": 2, "executor": "processes",  # bit for bit
    "protocol": "equal:5", "tuning_seeds": 1,
}  # fmt: skip


def cells(*optimizers, seeds=(42, 43), epochs=1, problem="quadratic_deep"):
    return [
        Cell((RunSpec(problem, optimizer, {"lr": 0.01}, num_epochs=epochs),), seeds)
        for optimizer in optimizers
    ]


class Counter:
    """A `Progress` that counts."""

    def __init__(self):
        self.total = self.found = self.ran = 0

    def planned(self, total, found):
        self.total, self.found = total, found

    def grown(self, runs):
        self.total += runs

    def callback(self, run):
        from alig_deepobs.runners import Callback

        return Callback()

    def ended(self, run, result):
        self.ran += 1


def carry_out(store, plan, **options):
    counter = Counter()
    outcomes = Study(plan, store, **options).carry_out(progress=counter)
    return outcomes, counter


def start(folder, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "alig_deepobs", *(words or COMMAND), "--output_dir", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True,
        # Tests that were started in the background ignore Ctrl-C, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    compare("digits_mlp", "alig,sgd", output_dir=folder, **ALONE)
    return results(folder)


def test_only_what_is_missing_is_run(tmp_path):
    store = Store(tmp_path)
    _, first = carry_out(store, cells("sgd"))
    assert (first.total, first.found, first.ran) == (2, 0, 2)
    _, more_seeds = carry_out(store, cells("sgd", seeds=(42, 43, 44)))
    assert (more_seeds.total, more_seeds.found, more_seeds.ran) == (3, 2, 1)
    _, more_optimizers = carry_out(store, cells("sgd", "momentum", seeds=(42, 43, 44)))
    assert (more_optimizers.found, more_optimizers.ran) == (3, 3)
    outcomes, again = carry_out(store, cells("sgd", "momentum", seeds=(42, 43, 44)))
    assert (again.found, again.ran) == (6, 0)
    assert [run.random_seed for run in outcomes[1].runs] == [42, 43, 44]


def test_tuning_resumes_too(tmp_path):
    candidates = tuple(RunSpec("digits_mlp", "sgd", {"lr": lr}, num_epochs=1) for lr in (0.01, 0.3))
    plan = [Cell(candidates, (42,), Rule((1000, 1001)))]
    outcomes, first = carry_out(Store(tmp_path), plan)
    assert (first.total, first.ran) == (5, 5)
    assert outcomes[0].chosen == 1
    assert outcomes[0].runs[0].hyperparams["lr"] == 0.3
    assert "1000, 1001" in outcomes[0].runs[0].setting_source
    again, second = carry_out(Store(tmp_path), plan)
    assert (second.found, second.ran) == (5, 0)
    assert again[0].chosen == 1


def test_a_search_goes_on_where_it_stopped(tmp_path):
    """Rates that are far too small: the search leaves its range, and finds its way again."""
    protocol = Protocol.parse("equal:3", ["sgd:lr=1e-5..1e-3"], seeds=1)
    plan = [protocol.cell(RunSpec("quadratic_deep", "sgd", num_epochs=3), (42, 43))]
    outcomes, first = carry_out(Store(tmp_path), plan)
    tried = [spec.hyperparams["lr"] for spec in outcomes[0].candidates]
    assert tried == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    assert (first.found, first.total, first.ran) == (0, 7, 7)
    run = outcomes[0].runs[0]
    assert run.hyperparams["lr"] == 1e-2
    assert "at_end" not in run.tuning
    assert (run.tuning["trials"], run.tuning["range"]) == (5, "lr in 1e-05 to 0.1")
    again, second = carry_out(Store(tmp_path), plan)
    assert (second.found, second.total, second.ran) == (7, 7, 0)
    assert again[0].chosen == outcomes[0].chosen
    for path in (tmp_path / "tuning").rglob("*.json"):
        if read_result(path).learning_rate in (1e-5, 0.1):  # one of the range, one beyond it
            path.unlink()
    _, third = carry_out(Store(tmp_path), plan)
    assert third.ran == 2


def test_a_search_that_ends_at_its_limit_says_so(tmp_path):
    plan = [Protocol.parse("grid", ["sgd:lr=1e-5|1e-4|1e-3"], seeds=1)
            .cell(RunSpec("quadratic_deep", "sgd", num_epochs=3), (42,))]  # fmt: skip
    outcomes, _ = carry_out(Store(tmp_path), plan)
    run = outcomes[0].runs[0]
    assert run.tuning["at_end"] == "the largest lr that was tried: another may be better"
    assert run.setting_source.endswith(run.tuning["at_end"])


def test_force_runs_again_and_replaces(tmp_path):
    store = Store(tmp_path)
    (first,), _ = carry_out(store, cells("sgd"))
    (second,), counter = carry_out(store, cells("sgd"), force=True)
    assert counter.ran == 2
    assert second.runs[0].started > first.runs[0].started
    assert len(list(tmp_path.rglob("random_seed__*.json"))) == 2


def test_an_interrupted_or_failed_run_never_replaces_a_finished_one(tmp_path):
    store = Store(tmp_path)
    (outcome,), _ = carry_out(store, cells("sgd", seeds=(42,)))
    finished = outcome.runs[0]
    for ended in (Outcome.INTERRUPTED, Outcome.FAILED):
        store.write(dataclasses.replace(finished, outcome=ended, started="2999-01-01"))
    assert store.find(finished).outcome is Outcome.DONE
    store.write(dataclasses.replace(finished, started="2999-01-02"))
    assert len(list(tmp_path.rglob("random_seed__*.json"))) == 1


def test_an_optimizer_that_diverges_or_fails_is_a_row_and_not_the_end(tmp_path, monkeypatch):
    module = tmp_path / "as_planned.py"
    module.write_text(
        "import torch\n"
        "class Breaks(torch.optim.SGD):\n"
        "    def step(self, closure=None):\n"
        "        raise ValueError('as planned')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    plan = [
        Cell(tuple(RunSpec("quadratic_deep", "sgd", {"lr": lr}, num_epochs=3) for lr in (1e3, 1e5)),
             (42, 43)),
        Cell((RunSpec("quadratic_deep", "as_planned:Breaks", {"lr": 0.1}, num_epochs=1),),
             (42, 43)),
        *cells("momentum"),
    ]  # fmt: skip
    outcomes, _ = carry_out(Store(tmp_path / "results"), plan)
    kinds = [[run.outcome for run in outcome.runs] for outcome in outcomes]
    assert kinds == [[Outcome.DIVERGED] * 2, [Outcome.FAILED] * 2, [Outcome.DONE] * 2]
    assert "as planned" in outcomes[1].runs[0].outcome_reason


def test_processes_give_the_same_results_bit_for_bit(tmp_path, undisturbed):
    compare("digits_mlp", "alig,sgd", output_dir=tmp_path, jobs=2, **ALONE)
    assert results(tmp_path) == undisturbed


@pytest.mark.slow
def test_killed_at_random_moments_and_repeated(tmp_path, undisturbed):
    moments = random.Random(7)
    for _ in range(5):
        process = start(tmp_path)
        time.sleep(moments.uniform(2.5, 6.0))
        process.kill()
        process.communicate()
        results(tmp_path)  # nothing half-written, nothing twice
    process = start(tmp_path)
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    assert results(tmp_path) == undisturbed


@pytest.mark.slow
def test_twenty_runs_killed_in_their_middle(monkeypatch):
    """Five kills here; the tool does thirty."""
    words = ["--kills", "5", "--epochs", "20", "--longest", "5"]
    monkeypatch.setattr(sys, "argv", ["kill_study.py", *words])
    assert kill_study.main() == 0


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_share_the_work(tmp_path, undisturbed, count):
    processes = [start(tmp_path) for _ in range(count)]
    printed = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * count, printed
    assert results(tmp_path) == undisturbed
    ran = [sum(line.startswith("[") for line in text.splitlines()) for text in printed]
    assert sum(ran) == len(undisturbed), printed
    assert not (tmp_path / ".claims").exists()


@pytest.mark.parametrize(
    ("signum", "jobs"),
    [
        (signal.SIGINT, "1"),
        (signal.SIGTERM, "2"),
        pytest.param(signal.SIGINT, "2", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, "1", marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, "2", marks=pytest.mark.slow),
    ],
)
def test_signals_end_a_study_with_what_was_measured(tmp_path, signum, jobs):
    process = start(
        tmp_path, "run", "digits_mlp", "-N", "2000", "--seeds", "2", "--jobs", jobs,
        "--print_train_iter",
    )  # fmt: skip
    begun = set()  # the seeds whose runs are under way
    for line in process.stdout:
        if "epoch 2" in line:
            begun.add(line.partition("seed ")[2][:2])
        if len(begun) == int(jobs):
            break
    process.send_signal(signum)
    try:
        printed = process.communicate(timeout=120)[0][-2000:]
    finally:
        process.kill()
    assert process.returncode == 128 + signum, printed
    kept = [read_result(path) for path in tmp_path.rglob("random_seed__*.json")]
    assert [result.outcome for result in kept] == [Outcome.INTERRUPTED] * int(jobs), printed
    assert all(len(result.test_losses) > 1 for result in kept)
    assert len(list((tmp_path / ".checkpoints").iterdir())) == int(jobs)


def test_mistakes_are_found_before_the_first_run(tmp_path):
    plan = [*cells("sgd"), *cells("no_such_optimizer")]
    with pytest.raises(UsageError, match="unknown optimizer 'no_such_optimizer'"):
        Study(plan, Store(tmp_path))
    plan = [*cells("sgd"), Cell((RunSpec("quadratic_deep", "adam", {"eps": -1.0}),), (42,))]
    with pytest.raises(UsageError, match="eps"):
        Study(plan, Store(tmp_path))
    assert not any(tmp_path.iterdir())


def test_a_folder_that_is_not_writable_is_found_before_the_first_run(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="not writable"):
        Study(cells("sgd"), Store(tmp_path / "file" / "results"))


def test_a_claim_left_by_a_dead_process_does_not_count(tmp_path):
    store = Store(tmp_path)
    run = resolve(cells("sgd")[0].candidates[0])
    claim = tmp_path / ".claims" / f"run-{run.identity()}"
    claim.parent.mkdir()
    claim.touch()
    _, counter = carry_out(store, cells("sgd"))
    assert counter.ran == 2


def test_a_worker_that_dies_costs_its_own_run_alone(tmp_path, monkeypatch):
    module = tmp_path / "dies.py"
    module.write_text(
        "import os, torch\n"
        "class Dies(torch.optim.SGD):\n"
        "    def step(self, closure=None):\n"
        "        os._exit(9)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    dying = Cell((RunSpec("quadratic_deep", "dies:Dies", {"lr": 0.1}, num_epochs=1),), (42,))
    study = Study([dying, *cells("sgd")], Store(tmp_path / "results"))
    outcomes = study.carry_out(local(2))
    assert outcomes[0].runs[0].outcome is Outcome.FAILED
    assert "died" in outcomes[0].runs[0].outcome_reason
    assert [run.outcome for run in outcomes[1].runs] == [Outcome.DONE] * 2
