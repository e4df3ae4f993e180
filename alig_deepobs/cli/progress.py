"""What the user sees while runs go on: a display in a terminal, plain lines in a pipe."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import rich.progress
from rich.console import Console

from alig_deepobs.errors import RunError
from alig_deepobs.registry import find_testproblem
from alig_deepobs.results import Outcome, RunResult, write_result
from alig_deepobs.runners.spec import RunSpec
from alig_deepobs.runners.training import execute
from alig_deepobs.runners.watch import Evaluation, Watcher
from alig_deepobs.settings import Setting

PLAIN_INTERVAL = 15.0
"""Seconds between two lines of one run where the output is not a terminal."""


class Session:
    """Carries out runs one after the other, shows how far they are, and writes their results.

    Args:
        total: number of runs to come.
        output_dir: folder for the results; None: write none.
        console: where to show.
    """

    def __init__(self, total: int, output_dir: str | None, console: Console) -> None:
        self.total = total
        self.output_dir = output_dir
        self.console = console
        self.finished = 0
        self.failures: list[str] = []
        self.display: rich.progress.Progress | None = None

    def run(self, spec: RunSpec, purpose: str = "", print_steps: bool = False) -> RunResult:
        """Carries out one run and writes its result, also if it failed.

        Args:
            spec: the run.
            purpose: a word for the line of the run, for example ``"tuning"``.
            print_steps: print every logged mini-batch loss.

        Raises:
            KeyboardInterrupt: the run was interrupted; what it had is written.
        """
        watcher = _Line(self, _label(spec, purpose), print_steps)
        try:
            result = execute(spec, watcher)
        except RunError as error:
            if error.result is None:
                raise
            # One optimizer that breaks must not cost the others their results.
            result = error.result
        return self.record(spec, result, purpose)

    def record(self, spec: RunSpec, result: RunResult, purpose: str = "") -> RunResult:
        """Shows and writes the result of a run, which may have been carried out elsewhere.

        Args:
            spec: the run.
            result: what came out.
            purpose: a word for the line of the run.

        Raises:
            KeyboardInterrupt: the run was interrupted; what it had is written.
        """
        label = _label(spec, purpose)
        if result.outcome is Outcome.FAILED:
            self.failures.append(f"{label}: {result.outcome_reason}")
        self.finished += 1
        width = len(str(self.total))
        head = f"[{self.finished:{width}d}/{self.total}]"
        self.say(f"{head} {label}: {_summary(result)}")
        if self.output_dir is not None:
            write_result(result, self.output_dir)
        if result.outcome is Outcome.INTERRUPTED:
            raise KeyboardInterrupt
        return result

    def say(self, text: str) -> None:
        """Prints a line above the display."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def shown(self) -> Iterator[Session]:
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


class _Line(Watcher):
    """The line of one run: a task of the display, or a plain line now and then."""

    def __init__(self, session: Session, label: str, print_steps: bool) -> None:
        self.session = session
        self.label = label
        self.print_steps = print_steps
        self.task: rich.progress.TaskID | None = None
        self.steps_per_epoch = 1
        self.num_epochs = 0
        self.metric = ""
        self.last_said = time.monotonic()

    def started(self, result: RunResult, steps_per_epoch: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.num_epochs = result.num_epochs
        self.metric = find_testproblem(result.testproblem).metric
        display = self.session.display
        if display is not None:
            done = f"{self.session.finished + 1}/{self.session.total}"
            self.task = display.add_task(
                f"{done} {self.label}", total=steps_per_epoch * result.num_epochs, state=""
            )

    def ticked(self, epoch: int, step: int) -> None:
        if self.task is not None and self.session.display is not None:
            self.session.display.update(
                self.task, completed=(epoch - 1) * self.steps_per_epoch + step
            )

    def stepped(self, epoch: int, step: int, loss: float) -> None:
        if self.print_steps:
            self.session.say(f"{self.label}: epoch {epoch - 1}, step {step}, loss {loss:g}")

    def evaluated(self, epoch: int, evaluations: dict[str, Evaluation]) -> None:
        state = f"epoch {epoch}/{self.num_epochs}, {_metric(evaluations['test'], self.metric)}"
        if self.task is not None and self.session.display is not None:
            self.session.display.update(
                self.task, completed=epoch * self.steps_per_epoch, state=state
            )
        elif time.monotonic() - self.last_said >= PLAIN_INTERVAL:
            self.session.say(f"    {self.label}: {state}")
            self.last_said = time.monotonic()

    def finished(self, result: RunResult) -> None:
        if self.task is not None and self.session.display is not None:
            self.session.display.remove_task(self.task)


def _label(spec: RunSpec, purpose: str) -> str:
    setting = Setting(spec.optimizer, _short(spec.hyperparams))
    of = f"{spec.testproblem} {setting} seed {spec.random_seed}"
    of = f"{of} ({purpose})" if purpose else of
    return of if spec.framework == "pytorch" else f"{of} in {spec.framework}"


def _metric(test: Evaluation, metric: str) -> str:
    if test.accuracy is None or metric == "loss":
        return f"test loss {test.data_loss:.4g}"
    return f"test accuracy {test.accuracy:.2%}"


def _summary(result: RunResult) -> str:
    """What came out, in words that fit on the line of a run."""
    if result.outcome is not Outcome.DONE:
        reason = f" ({result.outcome_reason})" if result.outcome_reason else ""
        return f"{result.outcome.value}{reason}"
    if find_testproblem(result.testproblem).metric == "accuracy":
        text = f"test accuracy {result.test_accuracies[-1]:.2%}"
    else:
        text = f"test loss {result.test_data_losses[-1]:.4g}"
    seconds = sum(result.training_seconds) + sum(result.evaluation_seconds)
    epochs = f"{result.num_epochs} epoch{'' if result.num_epochs == 1 else 's'}"
    guarded = sum(result.guarded_steps.values())
    skipped = f", {guarded} of {result.steps} steps had step size 0" if guarded else ""
    return f"{text} after {epochs}{_best(result)}, {seconds:.1f} s{skipped}"


def _best(result: RunResult) -> str:
    """The test result of the epoch that was best on the validation set, if there is one."""
    if result.best_valid_epoch is None:
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


def check_failures(session: Session) -> None:
    """Ends with an error if a run failed.

    Raises:
        RunError: it says how many failed, and why the first one did.
    """
    if session.failures:
        count = len(session.failures)
        runs = "run" if count == 1 else "runs"
        raise RunError(
            f"{count} of {session.total} {runs} failed; the first: {session.failures[0]}"
        )
