"""The PyTorch training loop: carries out a `RunSpec` and returns its `RunResult`.

The semantics are DeepOBS's: evaluate on the train-eval, (validation) and test sets before training
and after each epoch; drop incomplete mini-batches (unless the problem keeps them). Beyond DeepOBS,
the loss is handed to the step, evaluation is kept off the training clock, the device is read once
per epoch, and a run that diverges ends there and says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from alig_deepobs.errors import AligDeepobsError, RunError
from alig_deepobs.optimizers._loss_method import LossMethod
from alig_deepobs.results import now
from alig_deepobs.run import Outcome, ResolvedRun, RunResult, RunSpec
from alig_deepobs.runners.callbacks import Callback
from alig_deepobs.runners.checks import check
from alig_deepobs.runners.environment import environment
from alig_deepobs.runners.evaluation import SETS, evaluate, mini_batches
from alig_deepobs.runners.objective import Objective, batch_options, build_optimizer, make_step
from alig_deepobs.runners.records import (
    note_epoch,
    note_evaluations,
    note_interrupt,
    step_size_summary,
    validation_metric,
)
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.runners.schedule import ScheduledRates, clip_norm_of, decay_of, schedule_of
from alig_deepobs.runners.tensorflow.execute import execute_in_tensorflow
from alig_deepobs.runners.threads import cpu_threads, suitable_threads
from alig_deepobs.runners.weights import KeptWeights
from alig_deepobs.seeds import derive_seed
from alig_deepobs.testproblems import TestProblem
from alig_deepobs.testproblems.checks import find_device


def execute(
    run: RunSpec | ResolvedRun, callback: Callback | None = None, optimizer_class: Any = None
) -> RunResult:
    """Carries out a run.

    Neither torch's global random state nor anything else of the process is changed by it. On the
    CPU, two runs of one specification with equally many threads on one machine give the same
    metrics, bit for bit.

    Args:
        run: the run; what is only asked for is resolved first.
        callback: hears of the progress.
        optimizer_class: the class to use instead of importing the one that the specification
            names (for classes that cannot be imported, such as those of a notebook).

    Returns:
        The result; its ``outcome`` says how the run ended. An interrupt (Ctrl-C) ends the run, and
        what was measured until then is in the result.

    Raises:
        UsageError: the specification makes no sense.
        DataError: a data file is missing or broken.
        RunError: the optimizer raised an error while training.
    """
    if isinstance(run, RunSpec):
        run = resolve(run, optimizer_class)
        check(run, optimizer_class)
    if run.framework == "tensorflow":
        return execute_in_tensorflow(run, callback)
    if optimizer_class is None:
        optimizer_class = run.entry.load()
    with own_random_state(run.random_seed, find_device(run.device)):
        return train(run, set_up(run), optimizer_class, callback)


def train(
    run: ResolvedRun,
    problem: TestProblem,
    optimizer_class: Any,
    callback: Callback | None = None,
) -> RunResult:
    """Trains on a problem that is set up already; see `execute`.

    Args:
        run: the run.
        problem: its problem.
        optimizer_class: its optimizer's class.
        callback: hears of the progress.
    """
    with cpu_threads(run.threads or suitable_threads(problem)):
        return _Training(run, problem, optimizer_class, callback or Callback()).carry_out()


class _Training:
    """One run under way: the problem, the optimizer, and the result as it grows."""

    def __init__(
        self, run: ResolvedRun, problem: TestProblem, optimizer_class: Any, callback: Callback
    ) -> None:
        self.run = run
        self.problem = problem
        self.callback = callback
        self.device = torch.device(problem.device)
        parameters = [p for p in problem.net.parameters() if p.requires_grad]
        self.optimizer, self.objective = build_optimizer(
            optimizer_class,
            run.entry,
            parameters,
            run.hyperparams,
            problem.regularization_groups,
            facts(run, problem),
        )
        params = run.training_params
        self.rates = ScheduledRates(
            self.optimizer, schedule_of(params), decay_of(params, run.split)
        )
        self.sets = [name for name in SETS if name != "valid" or run.split == "validation"]
        self.batch_options = batch_options(problem, self.objective, run.entry.needs_loss)
        self.step = make_step(
            problem, self.optimizer, run.entry.needs_loss,
            clip_norm_of(params, run.entry.needs_loss),
        )  # fmt: skip
        self.result = started(run, problem, self.objective)
        self.result.optimizer_class = f"{optimizer_class.__module__}:{optimizer_class.__qualname__}"
        self.kept = None if run.keep_best is None else KeptWeights(run.keep_best, self.result)

    def carry_out(self) -> RunResult:
        """Trains and evaluates until the last epoch, or until the run diverges."""
        result = self.result
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        self.callback.started(result, self.problem.steps_per_epoch)
        try:
            finite = self._evaluate(0)
            for epoch in range(1, self.run.num_epochs + 1):
                if not finite:
                    break
                self.rates.set(epoch - 1)
                self._train(epoch)
                finite = self._evaluate(epoch)
                if finite and self.run.split == "validation":
                    self.rates.note(validation_metric(self.result))
        except KeyboardInterrupt:
            note_interrupt(result)
        except AligDeepobsError:
            raise
        except Exception as error:  # a stranger's optimizer may raise anything
            result.outcome = Outcome.FAILED
            result.outcome_reason = f"{type(error).__name__}: {error}"
            self.callback.finished(result)
            raise RunError(
                f"{self.run.optimizer} on {self.run.testproblem} broke after "
                f"{result.steps} steps: {error or type(error).__name__}",
                result,
            ) from error
        if self.device.type == "cuda":
            result.peak_memory_bytes = torch.cuda.max_memory_allocated(self.device)
        result.guarded_steps = dict(getattr(self.optimizer, "guarded_steps", {}))
        self.callback.finished(result)
        return result

    def _train(self, epoch: int) -> None:
        """One epoch of training; the host reads the device once, at its end."""
        result, problem, interval = self.result, self.problem, self.run.train_log_interval
        logged: list[Tensor] = []
        sizes: list[tuple[float | Tensor, float | Tensor]] = []
        _seed_noise(self.run.random_seed, "train", epoch)
        problem.train_init_op()
        self._switch("train")
        has_step_size = hasattr(self.optimizer, "last_step_sizes")
        total = torch.zeros((), device=self.device)
        full_steps = 0.0
        start = self._clock()
        for number, batch in enumerate(mini_batches(problem, **self.batch_options)):
            loss = self.step(batch)
            # The weight of an incomplete mini-batch; a multiplication would cost a full one time.
            share = getattr(problem, "batch_share", 1.0)
            total += loss if share == 1.0 else share * loss
            full_steps += share
            if number % interval == 0:
                self.callback.ticked(epoch, number)
                logged.append(loss)
                if has_step_size:
                    sizes.append(self.optimizer.last_step_sizes)
            result.steps += 1
        self._switch("end_epoch")
        result.training_seconds.append(self._clock() - start)

        losses = torch.stack(logged).tolist() if logged else []
        summary = step_size_summary(sizes)
        note_epoch(result, self.callback, epoch, losses, float(total) / full_steps, summary)
        if isinstance(self.optimizer, LossMethod):
            self.optimizer.health()  # warns of trouble, where the device was read anyway

    def _evaluate(self, epoch: int) -> bool:
        """Evaluates every set and appends to the result, unless something is not finite."""
        start = self._clock()
        self._switch("eval")
        evaluations = {}
        for name in self.sets:
            _seed_noise(self.run.random_seed, name, epoch)
            evaluations[name] = evaluate(self.problem, name, self.objective.has_l2)
        self.result.evaluation_seconds.append(self._clock() - start)
        if not note_evaluations(self.result, epoch, evaluations):
            return False
        if self.kept is not None and self.result.best_valid_epoch == epoch:
            self.kept.save(problem=self.problem, epoch=epoch)
        self.callback.evaluated(epoch, evaluations)
        return True

    def _switch(self, mode: str) -> None:
        """Calls ``train``, ``eval`` or ``end_epoch`` of an optimizer that has such a method.

        Schedule-free optimizers train at other weights than those that they evaluate.
        """
        method = getattr(self.optimizer, mode, None)
        if callable(method):
            method()

    def _clock(self) -> float:
        """Seconds; all work given to the device before is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def started(run: ResolvedRun, problem: TestProblem, objective: Objective) -> RunResult:
    """The result of a run that is about to start."""
    result = run.result(
        started=now(),
        regularization=objective.regularization,
        effective_weight_decay=objective.weight_decay,
        max_norm=objective.max_norm,
        environment=environment(torch.device(problem.device)),
    )
    # The files may have changed since the run was resolved: the record says what was read.
    result.data_set, result.data_label = problem.data.name, problem.data.label
    result.data_version = problem.data.version
    return result


def facts(run: ResolvedRun, problem: TestProblem) -> dict[str, int]:
    """What an optimizer's constructor may want to know of the run."""
    return {
        "data_size": problem.data.size("train"),
        "num_epochs": max(1, run.num_epochs),
        "batches_per_epoch": problem.steps_per_epoch,
    }


def set_up(run: ResolvedRun) -> TestProblem:
    """The problem of a run, ready to be trained on."""
    problem_class: Callable[..., TestProblem] = run.problem.load()
    problem = problem_class(
        run.batch_size,
        run.weight_decay,
        synthetic=run.synthetic,
        data_dir=run.data_dir,
        offline=run.offline,
        device=find_device(run.device),
        seed=run.random_seed,
        split=run.split,
        reshuffle=run.reshuffle,
        **run.problem_options,
    )
    problem.set_up()
    return problem


def _seed_noise(seed: int, phase: str, epoch: int) -> None:
    """Seeds dropout and sampled latents, which torch draws from its global generator.

    Training and every evaluation have their own stream, so evaluating never changes training.
    """
    torch.manual_seed(derive_seed(seed, "noise", phase, epoch))


@contextmanager
def own_random_state(seed: int, device: torch.device) -> Iterator[None]:
    """Leaves torch's global random state as it was found, and its default data type.

    Within it the default is float32, which the data have: a run is the same in every process.
    """
    devices = [device] if device.type == "cuda" else []
    default = torch.get_default_dtype()
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive_seed(seed, "noise"))
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(default)
