"""Logging of runs while they go on, each through the package that everybody knows it by.

A run becomes one run of TensorBoard, Weights & Biases or MLflow, or one CSV file, and a study their
group. What breaks a logger costs no run: it says so once and logs no more.
"""

from __future__ import annotations

import csv
import importlib
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from alig_deepobs.errors import UsageError, unknown_choice
from alig_deepobs.run import PARTS, Evaluation, ResolvedRun, RunResult
from alig_deepobs.runners.callbacks import Callback, Several

if TYPE_CHECKING:
    from alig_deepobs.runners.study import Progress

logger = logging.getLogger(__name__)

FOLDER = "log"
"""Of all that is logged, within the results folder; it holds no results."""


class Sink(Protocol):
    """Where one run is logged; made when the run starts."""

    def log(self, values: Mapping[str, float], of: str, at: int) -> None:
        """Takes numbers of a step or an epoch.

        Args:
            values: name -> number.
            of: ``step`` or ``epoch``.
            at: how many of these were over.
        """

    def close(self, outcome: str) -> None:
        """The run is over."""


class TensorBoard:
    """Event files, through torch's own writer."""

    def __init__(self, run: RunResult, name: str, group: str, folder: Path) -> None:
        writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter
        self.writer = writer(str(folder / name))
        self.writer.add_text("settings", "  \n".join(f"{k}: {v}" for k, v in facts(run).items()))

    def log(self, values: Mapping[str, float], of: str, at: int) -> None:
        """See `Sink.log`."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, at)

    def close(self, outcome: str) -> None:
        """See `Sink.close`."""
        self.writer.add_text("outcome", outcome)
        self.writer.close()


class WeightsAndBiases:
    """A run of Weights & Biases; its own variables (``WANDB_MODE``, ...) hold."""

    def __init__(self, run: RunResult, name: str, group: str, folder: Path) -> None:
        wandb = importlib.import_module("wandb")
        folder.mkdir(parents=True, exist_ok=True)
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "alig-deepobs"), group=group, name=name,
            config=facts(run), dir=str(folder), reinit="create_new", job_type=run.purpose or "run",
            settings=wandb.Settings(console="off", silent=True),
        )  # fmt: skip
        # Mini-batches and epochs count on axes of their own.
        for of in ("epoch", "step"):
            self.run.define_metric(of, hidden=True)
        self.run.define_metric("*", step_metric="epoch")
        self.run.define_metric(f"{MINI_BATCH}/*", step_metric="step")

    def log(self, values: Mapping[str, float], of: str, at: int) -> None:
        """See `Sink.log`."""
        self.run.log({**values, of: at})

    def close(self, outcome: str) -> None:
        """See `Sink.close`."""
        self.run.summary["outcome"] = outcome
        self.run.finish(exit_code=0 if outcome == "done" else 1)


class MLflow:
    """A run of MLflow, in an experiment for the study; its own variables hold.

    Without ``MLFLOW_TRACKING_URI`` it is kept in a database in the folder.
    """

    def __init__(self, run: RunResult, name: str, group: str, folder: Path) -> None:
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # it is read at the import
        tracking = importlib.import_module("mlflow.tracking")
        folder.mkdir(parents=True, exist_ok=True)
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.resolve()}/mlflow.db"
        self.client = tracking.MlflowClient(tracking_uri=uri)
        found = self.client.get_experiment_by_name(group)
        experiment = found.experiment_id if found else self.client.create_experiment(group)
        self.id = self.client.create_run(experiment, run_name=name).info.run_id
        for key, value in facts(run).items():
            self.client.log_param(self.id, key, value)

    def log(self, values: Mapping[str, float], of: str, at: int) -> None:
        """See `Sink.log`."""
        for name, value in values.items():
            self.client.log_metric(self.id, name, value, step=at)

    def close(self, outcome: str) -> None:
        """See `Sink.close`."""
        self.client.set_tag(self.id, "outcome", outcome)
        self.client.set_terminated(self.id, "FINISHED" if outcome == "done" else "FAILED")


class CsvFile:
    """One file with a line for each number, written while the run goes on."""

    def __init__(self, run: RunResult, name: str, group: str, folder: Path) -> None:
        path = folder / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("w", newline="", encoding="utf-8")
        self.writer = csv.writer(self.file)
        self.writer.writerow(("of", "at", "name", "value"))

    def log(self, values: Mapping[str, float], of: str, at: int) -> None:
        """See `Sink.log`."""
        self.writer.writerows((of, at, name, repr(value)) for name, value in values.items())
        self.file.flush()

    def close(self, outcome: str) -> None:
        """See `Sink.close`."""
        self.writer.writerow(("run", "", "outcome", outcome))
        self.file.close()


SINKS: Mapping[str, tuple[str, Callable[[RunResult, str, str, Path], Sink]]] = {
    "tensorboard": ("tensorboard", TensorBoard),
    "wandb": ("wandb", WeightsAndBiases),
    "mlflow": ("mlflow", MLflow),
    "csv": ("", CsvFile),
}
"""Name -> the package that it needs, and its class."""

MINI_BATCH = "mini_batch"


def check_loggers(names: Iterable[str]) -> None:
    """Refuses loggers that cannot work, before the first run.

    Raises:
        UsageError: there is no such logger, or its package is not installed.
    """
    for name in names:
        if name not in SINKS:
            raise unknown_choice("logger", name, SINKS)
        package = SINKS[name][0]
        if package and find_spec(package) is None:
            raise UsageError(
                f"logging to {name} needs the package {package}: pip install 'alig-deepobs[log]'"
            )


def facts(run: RunResult) -> dict[str, Any]:
    """What tells a run apart, for the loggers that keep settings."""
    names = ("testproblem", "optimizer_name", "random_seed", "batch_size", "num_epochs", "split",
             "weight_decay", "framework", "purpose", "data_label", "setting_source")  # fmt: skip
    return {
        **{name: getattr(run, name) for name in names},
        **{f"hyperparams.{name}": value for name, value in run.hyperparams.items()},
        **{f"training_params.{name}": value for name, value in run.training_params.items()},
        "identity": run.identity(),
    }


class RunLog(Callback):
    """Logs one run.

    Runs in other processes are heard of late, and on clusters only when they are over; what was
    not heard is taken from the result then.

    Args:
        kind: name in `SINKS`.
        name: of the run; a path of several parts for those that keep folders.
        group: of the study.
        folder: for what is kept in files.
    """

    def __init__(self, kind: str, name: str, group: str, folder: Path) -> None:
        self.kind = kind
        self.name = name
        self.group = group
        self.folder = folder
        self.sink: Sink | None = None
        self.steps_per_epoch = self.interval = 1
        self.epochs = self.steps = 0  # so many are logged
        self.is_open = self.is_over = self.is_broken = False
        self.lock = threading.RLock()

    def started(self, result: RunResult, steps_per_epoch: int) -> None:
        """Opens the log; what a run that goes on has measured before stands in it, too."""
        with self.lock:
            if self.is_open:
                return
            self.is_open = True
            self.steps_per_epoch = steps_per_epoch
            self.interval = result.train_log_interval
            self._guarded(lambda: self._open(result))
            self._catch_up(result)

    def evaluated(self, epoch: int, evaluations: dict[str, Evaluation]) -> None:
        """Logs losses and accuracies of every set."""
        with self.lock:
            if self.is_over or epoch < self.epochs:
                return
            self.epochs = epoch + 1
            values = {
                f"{of}/{name}": value
                for of, found in evaluations.items()
                for name, value in vars(found).items()
                if value is not None
            }
            self._log(values, "epoch", epoch)

    def stepped(self, epoch: int, step: int, loss: float) -> None:
        """Logs a mini-batch loss."""
        with self.lock:
            at = (epoch - 1) * self.steps_per_epoch + step
            if not self.is_over and at >= self._at(self.steps):
                self.steps += 1
                self._log({f"{MINI_BATCH}/loss": loss}, "step", at)

    def finished(self, result: RunResult) -> None:
        """Logs what is left, and what is known at the end alone; closes the log."""
        with self.lock:
            if self.is_over:
                return
            self.started(result, max(1, result.steps // max(1, len(result.training_seconds))))
            self._catch_up(result)
            self.is_over = True
            for epoch, seconds in enumerate(result.training_seconds, 1):
                sizes = result.step_sizes[epoch - 1] if epoch <= len(result.step_sizes) else {}
                values = {f"step_size/{name}": value for name, value in sizes.items()}
                self._log({"training_seconds": seconds, **values}, "epoch", epoch)
            if self.sink is not None:
                sink = self.sink
                self._guarded(lambda: sink.close(result.outcome.value))

    def _catch_up(self, result: RunResult) -> None:
        for epoch in range(self.epochs, len(result.test_losses)):
            self.evaluated(epoch, _evaluations(result, epoch))
        for loss in result.minibatch_train_losses[self.steps :]:
            self._log({f"{MINI_BATCH}/loss": loss}, "step", self._at(self.steps))
            self.steps += 1

    def _at(self, number: int) -> int:
        """The step of a logged mini-batch, over all epochs."""
        epoch, index = divmod(number, -(-self.steps_per_epoch // self.interval))
        return epoch * self.steps_per_epoch + index * self.interval

    def _open(self, result: RunResult) -> None:
        self.sink = SINKS[self.kind][1](result, self.name, self.group, self.folder)

    def _log(self, values: Mapping[str, float], of: str, at: int) -> None:
        if self.sink is not None and values:
            sink = self.sink
            self._guarded(lambda: sink.log(values, of, at))

    def _guarded(self, do: Callable[[], None]) -> None:
        """What a logger raises must not end the run that it is meant to show."""
        if self.is_broken:
            return
        try:
            do()
        except Exception as error:  # noqa: BLE001 - a network, a disk or a service may do anything
            self.is_broken = True
            text = " ".join(f"{type(error).__name__}: {error}".split())
            logger.warning("--log %s: %s is not logged any more: %s", self.kind, self.name, text)


def _evaluations(result: RunResult, epoch: int) -> dict[str, Evaluation]:
    """The evaluations of one epoch of a result."""
    found = {}
    for of in PARTS:
        losses, data, accuracies = (
            getattr(result, f"{of}_{name}") for name in ("losses", "data_losses", "accuracies")
        )
        if epoch < len(losses):
            accuracy = accuracies[epoch] if epoch < len(accuracies) else None
            found[of] = Evaluation(losses[epoch], data[epoch], accuracy)
    return found


def telling(run: ResolvedRun) -> dict[str, Any]:
    """The main hyper-parameter of a run, and all that have another value than their default."""
    entry = run.entry
    return {
        name: value
        for name, value in run.hyperparams.items()
        if name not in entry.hyperparameters
        or name == entry.main_hyperparameter
        or value != entry.hyperparameters[name].default
    }


def _name(run: ResolvedRun) -> str:
    """A path for a run: problem, optimizer, setting and seed."""
    params = ", ".join(
        f"{name}={f'{value:.4g}' if isinstance(value, float) else value}"
        for name, value in telling(run).items()
    )
    setting = f"{params[:60]} {run.setting()[:6]}".strip()
    parts = [run.purpose, run.testproblem, run.optimizer_name, setting, f"seed {run.random_seed}"]
    return "/".join(re.sub(r"[^\w.=,+()\- ]", "_", part) for part in parts if part)


class Logged:
    """A `Progress` that passes everything on, and logs every run.

    Args:
        progress: what hears of the study as well.
        kinds: names in `SINKS`.
        folder: of the results; logs that are files lie in `FOLDER` within it.

    Raises:
        UsageError: see `check_loggers`.
    """

    def __init__(self, progress: Progress, kinds: Iterable[str], folder: str | Path) -> None:
        self.progress = progress
        self.kinds = tuple(dict.fromkeys(kinds))
        self.results = Path(folder)
        self.logs: dict[tuple[str, str], list[RunLog]] = {}
        check_loggers(self.kinds)

    def planned(self, total: int, found: int) -> None:
        """See `Progress.planned`."""
        self.progress.planned(total, found)

    def grown(self, runs: int) -> None:
        """See `Progress.grown`."""
        self.progress.grown(runs)

    def callback(self, run: ResolvedRun) -> Callback:
        """See `Progress.callback`."""
        folder, group = self.results / FOLDER, self.results.resolve().name
        name = _name(run)
        logs = [RunLog(kind, name, group, folder / kind) for kind in self.kinds]
        self.logs[run.purpose, run.identity()] = logs
        return Several([self.progress.callback(run), *logs])

    def ended(self, run: ResolvedRun, result: RunResult) -> None:
        """See `Progress.ended`."""
        for log in self.logs.pop((run.purpose, run.identity()), []):
            log.finished(result)
        self.progress.ended(run, result)
