"""Studies on a Ray cluster and as jobs of submitit: the same results."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from studies import results

from alig_deepobs.errors import UsageError
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import Callback, Cell, Store, Study
from alig_deepobs.runners.places import Place
from alig_deepobs.runners.resolve import resolve

HERE = Path(__file__).parent


def plan(optimizer="sgd", epochs=2, mark=None, **fields):
    params = {"lr": 0.1} if mark is None else {"lr": 0.1, "mark": str(mark)}
    spec = RunSpec(
        "digits_mlp", optimizer, params, num_epochs=epochs, synthetic=True, device="cpu", **fields
    )
    return [Cell((spec,), (42, 43, 44))]


def carry_out(folder, place, **fields):
    return Study(plan(**fields), Store(folder)).carry_out(place.start)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    Study(plan(), Store(folder)).carry_out()
    return results(folder)


@pytest.fixture
def dies_once(tmp_path, monkeypatch):
    """A plan whose optimizer lets its process die once; the file says whether it has."""
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("PYTHONPATH", f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return {
        "optimizer": "stop_at:DiesOnce", "epochs": 8, "checkpoint_interval": 0.0,
        "mark": tmp_path / "died",
    }  # fmt: skip


def is_taken_up(outcomes):
    """Whether one run was taken up in its middle, and all are what SGD does undisturbed."""
    runs = outcomes[0].runs
    undisturbed = Study(plan(epochs=8), None).carry_out()[0].runs
    assert [run.outcome for run in runs] == [Outcome.DONE] * 3, runs[0].outcome_reason
    assert [run.test_losses for run in runs] == [run.test_losses for run in undisturbed]
    return sum("resumed_after_steps" in run.environment for run in runs) == 1


# --- Ray -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ray_cluster():
    """A cluster of two nodes on this machine."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20, include_dashboard=False)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


@pytest.mark.slow
def test_a_ray_cluster_gives_the_same_results(ray_cluster, tmp_path, undisturbed):
    place = Place("ray", address=ray_cluster.address)
    carry_out(tmp_path, place)
    assert results(tmp_path) == undisturbed


@pytest.mark.slow
def test_a_worker_of_ray_that_dies_is_tried_again_from_its_checkpoint(
    ray_cluster, tmp_path, dies_once
):
    place = Place("ray", address=ray_cluster.address)
    outcomes = carry_out(tmp_path / "results", place, **dies_once)
    assert dies_once["mark"].exists()
    assert is_taken_up(outcomes)


@pytest.mark.slow
def test_a_run_that_no_node_has_room_for(ray_cluster, tmp_path):
    with pytest.raises(UsageError, match="2 CPUs and 0 GPUs, which is no room for a run with 9"):
        carry_out(tmp_path, Place("ray", address=ray_cluster.address, cpus=9))


# --- submitit ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_jobs_give_the_same_results(tmp_path, undisturbed):
    pytest.importorskip("submitit")
    carry_out(tmp_path, Place("slurm", jobs=2, folder=str(tmp_path)))
    assert results(tmp_path) == undisturbed
    assert not (tmp_path / ".slurm").exists()


@pytest.mark.slow
def test_a_job_that_dies_is_submitted_again_from_its_checkpoint(tmp_path, dies_once):
    pytest.importorskip("submitit")
    place = Place("slurm", jobs=2, folder=str(tmp_path))
    outcomes = carry_out(tmp_path / "results", place, **dies_once)
    assert dies_once["mark"].exists()
    assert is_taken_up(outcomes)


@pytest.mark.slow
def test_a_job_whose_time_is_over_is_queued_again(tmp_path):
    pytest.importorskip("submitit")
    executors = []

    def start():
        executors.append(Place("slurm", jobs=1, folder=str(tmp_path)).start())
        return executors[0]

    (cell,) = plan(epochs=60, checkpoint_interval=0.2)
    cells = [Cell(cell.candidates, (42,))]
    study = Study(cells, Store(tmp_path / "results"))
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.extend(study.carry_out(start)))
    thread.start()
    while not list((tmp_path / "results").rglob("*.pt")):
        time.sleep(0.1)
    ((_, job, _),) = executors[0].jobs.values()
    children = Path(f"/proc/{job._process.pid}/task/{job._process.pid}/children").read_text()
    os.kill(int(children), signal.SIGUSR2)  # what Slurm sends ahead of the end
    thread.join(timeout=200)
    (run,) = outcomes[0].runs
    assert run.outcome is Outcome.DONE, run.outcome_reason
    assert "resumed_after_steps" in run.environment
    assert run.test_losses == Study(cells, None).carry_out()[0].runs[0].test_losses


def test_a_batch_system_that_refuses_jobs_costs_these_runs_alone(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    executor = Place("slurm", folder=str(tmp_path)).start()
    monkeypatch.setattr(executor, "executor", SimpleNamespace())  # has no submit
    run = resolve(RunSpec("two_d_beale", "sgd", num_epochs=1))
    result = executor.start(run, Callback()).result(timeout=10)
    executor.close()
    assert (result.outcome, executor.jobs) == (Outcome.FAILED, {})
    assert "submit" in result.outcome_reason


def test_unknown_options_of_slurm_are_refused(tmp_path):
    pytest.importorskip("submitit")
    for gpus, message in ((0.5, "whole GPUs"), (float("nan"), "give a number")):
        with pytest.raises(UsageError, match=message):
            Place("slurm", gpus=gpus, folder=str(tmp_path)).start()
    with pytest.raises(UsageError, match="--slurm"):
        carry_out(tmp_path, Place("slurm", slurm={"no_such": 1}, folder=str(tmp_path)))


@pytest.mark.parametrize(("executor", "extra"), [("ray", "ray"), ("slurm", "slurm")])
def test_what_is_missing_is_named(tmp_path, monkeypatch, executor, extra):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UsageError, match=rf"alig-deepobs\[{extra}\]"):
        carry_out(tmp_path, Place(executor))
