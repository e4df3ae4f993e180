"""What the user sees while a study goes on: a display in a terminal, plain lines in a pipe."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click
import rich.progress
from rich.console import Console

from alig_deepobs.cli.plan import plan_text
from alig_deepobs.errors import RunError
from alig_deepobs.registry import find_testproblem
from alig_deepobs.run import Evaluation, Outcome, ResolvedRun, RunResult
from alig_deepobs.runners.callbacks import Callback
from alig_deepobs.runners.store import Store
from alig_deepobs.runners.study import Cell, CellOutcome, Study, local
from alig_deepobs.runners.vectorized import Mode
from alig_deepobs.settings import Setting

PLAIN_INTERVAL = 15.0
"""Seconds between two lines of one run where the output is not a terminal."""


class Display:
    """The `Progress` of a study: a display in a terminal, plain lines in a pipe.

    Args:
        console: where to show.
        where: name of the folder of results, for the line that says what is there; empty: none.
        print_steps: print every logged mini-batch loss.
    """

    def __init__(self, console: Console, where: str = "", print_steps: bool = False) -> None:
        self.console = console
        self.where = where
        self.print_steps = print_steps
        self.total = 0
        self.finished = 0
        self.failures: list[str] = []
        self.warned: set[tuple[Any, ...]] = set()
        self.display: rich.progress.Progress | None = None

    def planned(self, total: int, found: int) -> None:
        """See `Progress.planned`."""
        self.total = total - found
        if self.where:
            there = f"{found} in {self.where}, " if found else ""
            self.say(f"{total} run{'' if total == 1 else 's'}: {there}{self.total} to be run")

    def callback(self, run: ResolvedRun) -> Callback:
        """See `Progress.callback`."""
        return _Line(self, _label(run), self.print_steps)

    def ended(self, run: ResolvedRun, result: RunResult) -> None:
        """See `Progress.ended`."""
        label = _label(run)
        if result.outcome is Outcome.FAILED:
            self.failures.append(f"{label}: {result.outcome_reason}")
        self.finished += 1
        width = len(str(self.total))
        self.say(f"[{self.finished:{width}d}/{self.total}] {label}: {_summary(result)}")

    def say(self, text: str) -> None:
        """Prints a line above the display."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def warn(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        """Shows a warning in one line, and each kind of warning once: `warnings.showwarning`."""
        kind = (category, filename, lineno)
        if kind not in self.warned:
            self.warned.add(kind)
            self.say(f"{category.__name__}: {message}")

    @contextmanager
    def shown(self) -> Iterator[Display]:
        """Shows the display, where the console is a terminal."""
        if not self.console.is_terminal:
            yield self
            return
        self.display = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}", markup=False),
            rich.progress.BarColumn(bar_width=24),
            rich.progress.TextColumn("{task.fields[state]}", markup=False),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        with self.display:
            yield self
        self.display = None

    def check_failures(self) -> None:
        """Ends with an error if a run failed.

        Raises:
            RunError: it says how many failed, and why the first one did.
        """
        if self.failures:
            count = len(self.failures)
            raise RunError(
                f"{count} of {self.total} run{'' if count == 1 else 's'} failed; the first: "
                f"{self.failures[0]}"
            )


def carry_out(
    cells: Sequence[Cell],
    *,
    output_dir: str | None,
    jobs: int,
    executor: Mode,
    force: bool,
    dry_run: bool,
    print_steps: bool = False,
) -> tuple[list[CellOutcome], Display] | None:
    """Carries a study out in front of the user, or only shows its plan.

    Args:
        cells: the plan.
        output_dir: the folder of the results, as the user wrote it; None: write none.
        jobs: runs at the same time.
        executor: which runs are trained as one computation (`local`).
        force: run again what is in the folder.
        dry_run: whether to show the plan only.
        print_steps: print every logged mini-batch loss.

    Returns:
        What came of each cell, and the display; None for a dry run.

    Raises:
        UsageError, DataError, ResultError: something is wrong with the plan.
        KeyboardInterrupt: the user ended it; what was measured is written.
    """
    store = None if output_dir is None else Store(Path(output_dir))
    study = Study(cells, store, force=force, check_data=not dry_run, own_process=True)
    if dry_run:
        click.echo(plan_text(study, jobs))
        return None
    display = Display(Console(), output_dir or "", print_steps)
    with ending_signals(), display.shown(), warnings.catch_warnings():
        warnings.showwarning = display.warn
        return study.carry_out(local(jobs, executor), display), display


@contextmanager
def ending_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end a study as Ctrl-C does; a second signal ends the process at once."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [getattr(signal, name) for name in names]
    # What is ignored from the start (nohup) stays ignored.
    taken = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]

    received: list[int] = []

    def end(number: int, _: Any) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in taken}
    try:
        yield
    except KeyboardInterrupt:
        raise Ended(*received) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Ended(KeyboardInterrupt):
    """A signal has ended the command.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.number = number


class _Line(Callback):
    """The line of one run: a task of the display, or a plain line now and then."""

    def __init__(self, display: Display, label: str, print_steps: bool) -> None:
        self.shown = display
        self.label = label
        self.print_steps = print_steps
        self.task: rich.progress.TaskID | None = None
        self.steps_per_epoch = 1
        self.num_epochs = 0
        self.metric = ""
        self.purpose = ""
        self.last_said = time.monotonic()

    def started(self, result: RunResult, steps_per_epoch: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.num_epochs = result.num_epochs
        self.metric = find_testproblem(result.testproblem).metric
        self.purpose = result.purpose
        display = self.shown.display
        if display is not None:
            done = f"{self.shown.finished + 1}/{self.shown.total}"
            self.task = display.add_task(
                f"{done} {self.label}", total=steps_per_epoch * result.num_epochs, state=""
            )

    def ticked(self, epoch: int, step: int) -> None:
        if self.task is not None and self.shown.display is not None:
            self.shown.display.update(
                self.task, completed=(epoch - 1) * self.steps_per_epoch + step
            )

    def stepped(self, epoch: int, step: int, loss: float) -> None:
        if self.print_steps:
            self.shown.say(f"{self.label}: epoch {epoch - 1}, step {step}, loss {loss:g}")

    def evaluated(self, epoch: int, evaluations: dict[str, Evaluation]) -> None:
        name = _shown_set(self.purpose, evaluations)
        state = f"epoch {epoch}/{self.num_epochs}, {_metric(name, evaluations[name], self.metric)}"
        if self.task is not None and self.shown.display is not None:
            self.shown.display.update(
                self.task, completed=epoch * self.steps_per_epoch, state=state
            )
        elif time.monotonic() - self.last_said >= PLAIN_INTERVAL:
            self.shown.say(f"    {self.label}: {state}")
            self.last_said = time.monotonic()

    def finished(self, result: RunResult) -> None:
        if self.task is not None and self.shown.display is not None:
            self.shown.display.remove_task(self.task)


def _label(run: ResolvedRun) -> str:
    """The run in short: the main hyper-parameter, and what is not a default."""
    entry = run.entry
    shown = {
        name: value
        for name, value in run.hyperparams.items()
        if name not in entry.hyperparameters
        or name == entry.main_hyperparameter
        or value != entry.hyperparameters[name].default
    }
    setting = Setting(run.optimizer, _short(shown))
    of = f"{run.testproblem} {setting} seed {run.random_seed}"
    of = f"{of} ({run.purpose})" if run.purpose else of
    return of if run.framework == "pytorch" else f"{of} in {run.framework}"


def _shown_set(purpose: str, available: Container[str]) -> str:
    """The set whose metric is shown: of a run that serves to choose, the one that decides."""
    if purpose != "tuning":
        return "test"
    return "valid" if "valid" in available else "train"


def _metric(name: str, of: Evaluation, metric: str) -> str:
    name = "validation" if name == "valid" else name
    if of.accuracy is None or metric == "loss" or name == "train":
        return f"{name} loss {of.data_loss:.4g}"
    return f"{name} accuracy {of.accuracy:.2%}"


def _summary(result: RunResult) -> str:
    """What came out, in words that fit on the line of a run."""
    if result.outcome is not Outcome.DONE:
        reason = f" ({result.outcome_reason})" if result.outcome_reason else ""
        return f"{result.outcome.value}{reason}"
    name = _shown_set(result.purpose, ["valid"] if result.valid_data_losses else [])
    text = _metric(name, result.last(name), find_testproblem(result.testproblem).metric)
    seconds = sum(result.training_seconds) + sum(result.evaluation_seconds)
    epochs = f"{result.num_epochs} epoch{'' if result.num_epochs == 1 else 's'}"
    guarded = sum(result.guarded_steps.values())
    skipped = f", {guarded} of {result.steps} steps had step size 0" if guarded else ""
    return f"{text} after {epochs}{_best(result)}, {seconds:.1f} s{skipped}"


def _best(result: RunResult) -> str:
    """The test result of the epoch that was best on the validation set, if there is one."""
    if result.best_valid_epoch is None or result.purpose == "tuning":
        return ""
    loss, accuracy = result.best_valid_test_loss, result.best_valid_test_accuracy
    value = f"{loss:.4g}" if accuracy is None else f"{accuracy:.2%}"
    return f" ({value} after epoch {result.best_valid_epoch}, the best in validation)"


def _short(hyperparams: dict[str, object]) -> dict[str, object]:
    """Floats as short as they can be read; published rates have eleven digits."""
    return {
        name: float(f"{value:.3g}") if isinstance(value, float) else value
        for name, value in hyperparams.items()
    }
