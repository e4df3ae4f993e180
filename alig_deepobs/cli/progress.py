"""What the user sees while a study goes on: a display in a terminal, plain lines in a pipe."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO, cast

import rich.progress
from rich.console import Console

from alig_deepobs.cli.output import CLOSED, say
from alig_deepobs.cli.plan import plan_text, write_commands
from alig_deepobs.errors import DataError, RunError, UsageError
from alig_deepobs.foreign import shown
from alig_deepobs.plugins import Interrupted
from alig_deepobs.registry import find_testproblem
from alig_deepobs.run import Evaluation, Outcome, ResolvedRun, RunResult
from alig_deepobs.runners.callbacks import Callback
from alig_deepobs.runners.cells import Cell, CellOutcome
from alig_deepobs.runners.loggers import Logged, check_loggers, telling
from alig_deepobs.runners.places import Place, check_checkpoints, under_torchrun
from alig_deepobs.runners.signals import ENDING, arrival, is_echo
from alig_deepobs.runners.store import Store
from alig_deepobs.runners.study import Progress, Study
from alig_deepobs.settings import Setting
from alig_deepobs.words import counted

PLAIN_INTERVAL = 15.0
"""Seconds between two lines of one run where the output is not a terminal."""


class Lasting:
    """A stream that outlives its reader: what cannot be written is dropped, and nothing ends.

    Attributes:
        error: why something could not be written, None if everything was.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Writes, if that is possible."""
        if self.error is None:
            try:
                self.stream.write(text)
                self.stream.flush()
            except OSError as error:
                self.error = error
            except ValueError:  # a stream that code of other people has closed
                self.error = OSError(CLOSED)
        return len(text)

    def flush(self) -> None:
        """Every text is flushed when it is written."""


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
        self.lost: Exception | None = None
        self.warned: set[tuple[Any, ...]] = set()
        self.display: rich.progress.Progress | None = None

    def planned(self, total: int, found: int) -> None:
        """See `Progress.planned`."""
        self.total = total - found
        if self.where:
            there = f"{found} in {self.where}, " if found else ""
            self.say(f"{counted(total, 'run')}: {there}{self.total} to be run")

    def grown(self, runs: int) -> None:
        """See `Progress.grown`."""
        self.total += runs

    def callback(self, run: ResolvedRun) -> Callback:
        """See `Progress.callback`."""
        return _Line(self, _label(run), self.print_steps)

    def ended(self, run: ResolvedRun, result: RunResult) -> None:
        """See `Progress.ended`."""
        label = _label(run)
        if result.outcome in (Outcome.FAILED, Outcome.OUT_OF_MEMORY):
            self.failures.append(f"{label}: {result.outcome_reason}")
        elif (
            run.keep_best is not None
            and result.best_valid_epoch is not None
            and not result.best_weights
        ):
            self.failures.append(f"{label}: its best weights could not be written")
        self.finished += 1
        width = len(str(self.total))
        self.say(f"[{self.finished:{width}d}/{self.total}] {label}: {_summary(result)}")

    def say(self, text: str) -> None:
        """Prints a line above the display."""
        self.console.print(shown(text, lines=True), markup=False, highlight=False, soft_wrap=True)

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
            OSError: the output was lost.
        """
        if self.lost is not None:
            raise self.lost
        if self.failures:
            raise RunError(
                f"{len(self.failures)} of {counted(self.total, 'run')} failed; the first: "
                f"{self.failures[0]}"
            )


def carry_out(
    cells: Sequence[Cell],
    *,
    output_dir: str | None,
    force: bool,
    dry_run: bool,
    place: Place,
    emit: str | None = None,
    print_steps: bool = False,
) -> tuple[list[CellOutcome], Display] | None:
    """Carries a study out in front of the user, or only shows its plan.

    Args:
        cells: the plan.
        output_dir: the folder of the results, as the user wrote it; None: write none.
        force: run again what is in the folder.
        dry_run: whether to show the plan only.
        place: where the runs happen.
        emit: file to write a command into for each run that can start now; None: run them.
        print_steps: print every logged mini-batch loss.

    Returns:
        What came of each cell, and the display; None where nothing was run.

    Raises:
        UsageError, DataError, ResultError: something is wrong with the plan.
        KeyboardInterrupt: the user ended it; what was measured is written.
    """
    if under_torchrun():
        if int(os.environ["RANK"]) > 0:
            from alig_deepobs.runners.replicas import follow_torchrun

            follow_torchrun()
            return None
        place = replace(place, executor="ddp")
    check_loggers(place.log)
    check_checkpoints(place.executor, cells)
    store = None if output_dir is None else Store(Path(output_dir))
    if dry_run:
        say(plan_text(_looked_at(cells, store, force), place.jobs or 1))
        return None
    study = Study(cells, store, force=force, own_process=True)
    if emit is not None:
        if output_dir is None:
            raise UsageError("--emit writes commands that leave results: leave --no_logs out")
        write_commands(study.ready, output_dir, Path(emit))
        say(f"{emit} has {counted(len(study.ready), 'command')}: run it, then repeat this one")
        return None
    place = replace(place, folder=output_dir or "results")
    stream = Lasting(sys.stdout)
    display = Display(Console(file=cast("TextIO", stream)), output_dir or "", print_steps)
    progress: Progress = Logged(display, place.log, place.folder) if place.log else display
    if any(run.data_source == "synthetic" for run in study.runs):
        display.say("The data are synthetic: what comes out says nothing about the real problem")
    with ending_signals(), display.shown(), warnings.catch_warnings():
        warnings.showwarning = display.warn
        outcomes = study.carry_out(place.start, progress)
    display.lost = stream.error  # nobody will read what the verb says, but it writes its files
    return outcomes, display


UNKNOWN = "No run is known as there already: "
"""What a dry run says before the reason where data is missing."""


def _looked_at(cells: Sequence[Cell], store: Store | None, force: bool) -> Study:
    """A study that is not to be run: nothing is downloaded, and data may be missing."""
    here = [
        replace(cell, candidates=tuple(replace(spec, offline=True) for spec in cell.candidates))
        for cell in cells
    ]
    try:
        return Study(here, store, force=force, look_only=True, own_process=True)
    except DataError as error:
        say(f"{UNKNOWN}{error}", err=True)
        return Study(cells, store, force=force, check_data=False, look_only=True, own_process=True)


@contextmanager
def ending_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end a study as Ctrl-C does; a second signal ends the process at once.

    An echo of the first (`alig_deepobs.runners.signals.is_echo`) is no second one.
    """
    # What is ignored from the start (nohup) stays ignored.
    taken = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]

    received: list[int] = []
    first = 0.0

    def end(number: int, _: Any) -> None:
        nonlocal first
        if received:
            if is_echo(number, first):
                return
            os._exit(128 + number)
        received.append(number)
        first = arrival()
        raise Interrupted(number)

    before = {number: signal.signal(number, end) for number in taken}
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(*received) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
        if result.steps:
            self.shown.say(f"    {self.label}: goes on after {counted(result.steps, 'step')}")
        display = self.shown.display
        if display is not None:
            done = f"{self.shown.finished + 1}/{self.shown.total}"
            self.task = display.add_task(
                shown(f"{done} {self.label}"), total=steps_per_epoch * result.num_epochs, state=""
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
    setting = Setting(run.optimizer, _short(telling(run)))
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
    epochs = counted(result.num_epochs, "epoch")
    guarded = sum(result.guarded_steps.values())
    skipped = f", {guarded} of {counted(result.steps, 'step')} had step size 0" if guarded else ""
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
