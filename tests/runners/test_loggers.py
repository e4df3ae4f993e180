"""Runs logged while they go on: what stands in the logs is what stands in the results."""

from __future__ import annotations

import csv
import logging

import pytest

from alig_deepobs.errors import UsageError
from alig_deepobs.run import RunSpec
from alig_deepobs.runners import loggers
from alig_deepobs.runners.callbacks import Several
from alig_deepobs.runners.cells import Cell
from alig_deepobs.runners.loggers import FOLDER, Logged, RunLog, check_loggers
from alig_deepobs.runners.store import Store
from alig_deepobs.runners.study import Silent, Study, local


def study(folder, kinds, seeds=(42, 43), jobs=1, epochs=3, progress=None, **options):
    """Runs ALI-G on Beale's function, logged."""
    spec = RunSpec("two_d_beale", "alig", hyperparams={"max_lr": 0.01}, num_epochs=epochs,
                   train_log_interval=3, **options)  # fmt: skip
    logged = Logged(progress or Silent(), kinds, folder)
    outcomes = Study([Cell((spec,), seeds)], Store(folder)).carry_out(local(jobs), logged)
    assert logged.logs == {}
    return outcomes[0].runs


def lines_of(folder, seed):
    (path,) = (folder / FOLDER / "csv").rglob(f"seed {seed}.csv")
    with path.open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["of", "at", "name", "value"]
    return lines


def expected(run):
    """Every number of a run's log, from its result."""
    found = set()
    for of in ("train", "test"):
        for kind in ("losses", "data_losses"):
            name = f"{of}/{'loss' if kind == 'losses' else 'data_loss'}"
            values = getattr(run, f"{of}_{kind}")
            found |= {("epoch", str(e), name, repr(v)) for e, v in enumerate(values)}
    steps = run.steps // run.num_epochs
    places = [epoch * steps + i for epoch in range(run.num_epochs) for i in range(0, steps, 3)]
    losses = zip(places, run.minibatch_train_losses, strict=True)
    found |= {("step", str(at), "mini_batch/loss", repr(loss)) for at, loss in losses}
    for epoch, (seconds, sizes) in enumerate(
        zip(run.training_seconds, run.step_sizes, strict=True), 1
    ):
        found |= {("epoch", str(epoch), "training_seconds", repr(seconds))}
        found |= {("epoch", str(epoch), f"step_size/{k}", repr(v)) for k, v in sizes.items()}
    return found | {("run", "", "outcome", run.outcome.value)}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_log_has_every_number_of_the_result_once(tmp_path, jobs):
    """Also where the runs are in other processes, whose reports may come late."""
    runs = study(tmp_path, ["csv"], jobs=jobs)
    for run in runs:
        lines = lines_of(tmp_path, run.random_seed)
        assert {tuple(line) for line in lines} == expected(run)
        assert len(lines) == len({tuple(line) for line in lines})
        assert lines[-1][2] == "outcome"


def test_a_line_is_there_before_the_run_is_over(tmp_path):
    class Watching(Silent):
        """Counts the lines after each evaluation, when the log has heard of the one before."""

        counts: list[int] = []  # noqa: RUF012 - one study

        def callback(self, run):
            counts = self.counts

            class Counting(loggers.Callback):
                def evaluated(self, epoch, evaluations):
                    if epoch:
                        counts.append(len(lines_of(tmp_path, 42)))

            return Counting()

    study(tmp_path, ["csv"], seeds=(42,), progress=Watching())
    assert len(Watching.counts) == 3
    assert 0 < Watching.counts[0] < Watching.counts[1] < Watching.counts[2]


def test_logs_are_no_results(tmp_path):
    study(tmp_path, ["csv"], seeds=(42,))
    from alig_deepobs.analysis import load_results

    loaded = load_results(tmp_path)
    assert (len(loaded.results), loaded.problems) == (1, [])


def test_a_run_that_nobody_heard_of_is_logged_from_its_result(tmp_path):
    """As on a cluster, or where runs are computed together."""
    (run,) = study(tmp_path / "a", [], seeds=(42,))
    log = RunLog("csv", "seed 42", "group", tmp_path / FOLDER / "csv")
    log.finished(run)
    log.finished(run)
    log.stepped(1, 0, 1.0)
    assert {tuple(line) for line in lines_of(tmp_path, 42)} == expected(run)


def test_a_run_that_goes_on_has_its_beginning_in_the_log(tmp_path):
    (run,) = study(tmp_path / "a", [], seeds=(42,))
    log = RunLog("csv", "seed 42", "group", tmp_path / FOLDER / "csv")
    log.started(run, run.steps // run.num_epochs)
    log.evaluated(1, {})  # heard again
    log.finished(run)
    assert {tuple(line) for line in lines_of(tmp_path, 42)} == expected(run)


@pytest.mark.parametrize("where", ["open", "log", "close"])
def test_a_broken_logger_costs_no_run(tmp_path, monkeypatch, caplog, where):
    class Broken:
        def __init__(self, *arguments):
            if where == "open":
                raise OSError("no network")

        def log(self, *arguments):
            if where == "log":
                raise OSError("no network")

        def close(self, outcome):
            if where == "close":
                raise OSError("no network")

    monkeypatch.setattr(loggers, "SINKS", {**loggers.SINKS, "wandb": ("", Broken)})
    with caplog.at_level(logging.WARNING):
        (run,) = study(tmp_path, ["wandb", "csv"], seeds=(42,))
    assert run.outcome.value == "done"
    said = [r.getMessage() for r in caplog.records if "is not logged any more" in r.getMessage()]
    assert len(said) == 1
    assert "OSError: no network" in said[0]
    assert {tuple(line) for line in lines_of(tmp_path, 42)} == expected(run)


def test_an_unknown_logger_is_refused(tmp_path):
    with pytest.raises(UsageError, match="unknown logger 'wandbb'; did you mean wandb"):
        check_loggers(["wandbb"])
    with pytest.raises(UsageError, match="unknown logger 'x'"):
        Logged(Silent(), ["x"], tmp_path)


def test_several_hear_of_everything():
    heard = []

    class Ear(loggers.Callback):
        def __init__(self, name):
            self.name = name

        def started(self, *arguments):
            heard.append((self.name, "started"))

        def evaluated(self, *arguments):
            heard.append((self.name, "evaluated"))

        def ticked(self, *arguments):
            heard.append((self.name, "ticked"))

        def stepped(self, *arguments):
            heard.append((self.name, "stepped"))

        def finished(self, *arguments):
            heard.append((self.name, "finished"))

    both = Several([Ear("a"), Ear("b")])
    both.started(None, 1)
    both.evaluated(0, {})
    both.ticked(1, 1)
    both.stepped(1, 1, 0.5)
    both.finished(None)
    words = ("started", "evaluated", "ticked", "stepped", "finished")
    assert heard == [(name, word) for word in words for name in "ab"]


# --- The packages ----------------------------------------------------------------------------


@pytest.mark.slow
def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    runs = study(tmp_path, ["tensorboard"])
    for run in runs:
        (path,) = (tmp_path / FOLDER / "tensorboard").rglob(f"seed {run.random_seed}")
        events = EventAccumulator(str(path)).Reload()
        scalars = [(event.step, event.value) for event in events.Scalars("test/data_loss")]
        assert [step for step, _ in scalars] == [0, 1, 2, 3]
        assert [value for _, value in scalars] == pytest.approx(run.test_data_losses)
        assert len(events.Scalars("mini_batch/loss")) == len(run.minibatch_train_losses)
        assert "step_size/mean" in events.Tags()["scalars"]


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_wandb_offline(tmp_path, monkeypatch, jobs):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_PROJECT", "my-project")
    runs = study(tmp_path / "my-study", ["wandb"], jobs=jobs)
    files = list((tmp_path / "my-study" / FOLDER / "wandb").rglob("*.wandb"))
    assert len(files) == len(runs)  # one run each
    for path in files:
        content = path.read_bytes()
        for text in (b"my-study", b"my-project", b"two_d_beale", b"test/data_loss",
                     b"mini_batch/loss", b"hyperparams", b"outcome"):  # fmt: skip
            assert text in content, text
    finals = [repr(run.test_data_losses[-1]).encode() for run in runs]
    assert all(any(final in path.read_bytes() for path in files) for final in finals)


@pytest.mark.slow
def test_mlflow(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "my-study"
    runs = study(folder, ["mlflow"], jobs=2)
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/{FOLDER}/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("my-study")
    found = {
        int(r.data.params["random_seed"]): r for r in client.search_runs([experiment.experiment_id])
    }
    assert set(found) == {42, 43}
    for run in runs:
        logged = found[run.random_seed]
        assert (logged.info.status, logged.data.tags["outcome"]) == ("FINISHED", "done")
        assert float(logged.data.params["hyperparams.max_lr"]) == 0.01
        history = client.get_metric_history(logged.info.run_id, "test/data_loss")
        values = [m.value for m in sorted(history, key=lambda m: m.step)]
        assert values == pytest.approx(run.test_data_losses)
