"""The PyTorch training loop: carries out a `RunSpec` and returns its `RunResult`.

The semantics are DeepOBS's: evaluate on the train-eval, (validation) and test sets before training
and after each epoch; drop incomplete mini-batches (unless the problem keeps them). Beyond DeepOBS,
the loss is handed to the step, evaluation is kept off the training clock, the device is read once
per epoch, and a run that diverges ends there and says so.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from typing import Any

import torch

from alig_deepobs.errors import AligDeepobsError, RunError
from alig_deepobs.optimizers._loss_method import LossMethod
from alig_deepobs.plugins import Interrupted, is_interrupt, passed, staying
from alig_deepobs.results import now
from alig_deepobs.run import PARTS, Outcome, ResolvedRun, RunResult, RunSpec
from alig_deepobs.runners.arithmetic import apply_arithmetic, arithmetic_of
from alig_deepobs.runners.callbacks import Callback
from alig_deepobs.runners.checkpoint import (
    Checkpoints,
    load_optimizer_state,
    measured,
    reason_of,
    stamp_of,
)
from alig_deepobs.runners.checkpoint_checks import check_content
from alig_deepobs.runners.checks import check
from alig_deepobs.runners.environment import environment
from alig_deepobs.runners.epoch import Epoch
from alig_deepobs.runners.evaluation import evaluate, mini_batches
from alig_deepobs.runners.faults import outcome_of
from alig_deepobs.runners.noise import (
    generator_states,
    own_random_state,
    restore_generators,
    seed_noise,
)
from alig_deepobs.runners.objective import Objective, batch_options, build_optimizer, make_step
from alig_deepobs.runners.ranks import Ranks, Wish
from alig_deepobs.runners.records import (
    counts_of,
    note_epoch,
    note_evaluations,
    note_interrupt,
    step_size_summary,
    validation_metric,
)
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.runners.schedule import ScheduledRates, clip_norm_of, decay_of, schedule_of
from alig_deepobs.runners.signals import Deferred
from alig_deepobs.runners.startup import import_for_step
from alig_deepobs.runners.tensorflow.execute import execute_in_tensorflow
from alig_deepobs.runners.threads import cpu_threads, suitable_threads
from alig_deepobs.runners.weights import KeptWeights
from alig_deepobs.testproblems import TestProblem
from alig_deepobs.testproblems.checks import find_device
from alig_deepobs.words import counted


def execute(
    run: RunSpec | ResolvedRun,
    callback: Callback | None = None,
    optimizer_class: Any = None,
    ranks: Ranks | None = None,
) -> RunResult:
    """Carries out a run.

    Neither torch's global random state nor anything else of the process is changed by it. On the
    CPU, two runs of one specification with equally many threads on one machine give the same
    metrics, bit for bit. A run with a ``checkpoint`` is taken up where that was written.

    Args:
        run: the run; what is only asked for is resolved first.
        callback: hears of the progress.
        optimizer_class: the class to use instead of importing the one that the specification
            names (for classes that cannot be imported, such as those of a notebook).
        ranks: this process among those that carry out the run together.

    Returns:
        The result; its ``outcome`` says how the run ended. An interrupt (Ctrl-C) or the time limit
        ends the run, and what was measured until then is in the result.

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
    for afresh in (False, True):
        with (
            own_random_state(run.random_seed, find_device(run.device)),
            staying(),
            contextlib.suppress(_UnusableCheckpoint),  # then everything is built once more
        ):
            return train(run, set_up(run), optimizer_class, callback, ranks, afresh)
    raise AssertionError("a run that starts afresh has no checkpoint")


def train(
    run: ResolvedRun,
    problem: TestProblem,
    optimizer_class: Any,
    callback: Callback | None = None,
    ranks: Ranks | None = None,
    afresh: bool = True,
) -> RunResult:
    """Trains on a problem that is set up already; see `execute`.

    Args:
        run: the run.
        problem: its problem.
        optimizer_class: its optimizer's class.
        callback: hears of the progress.
        ranks: this process among those that carry out the run together.
        afresh: whether the run starts at its beginning, even if there is a checkpoint.
    """
    with cpu_threads(run.threads or suitable_threads(problem)):
        training = _Training(run, problem, optimizer_class, callback or Callback(), ranks)
        return training.carry_out(afresh)


STEPS_BETWEEN_AGREEMENTS = 10
"""Mini-batches after which ranks ask each other whether one of them wants to leave."""


class _TimeUp(Exception):  # noqa: N818 - it is none
    """The time limit of a run is over."""


class _UnusableCheckpoint(Exception):  # noqa: N818 - the run starts anew
    """The run cannot go on from its checkpoint, and nothing that was made for it is to be used."""


class _Training:
    """One run under way: the problem, the optimizer, and the result as it grows."""

    def __init__(
        self,
        run: ResolvedRun,
        problem: TestProblem,
        optimizer_class: Any,
        callback: Callback,
        ranks: Ranks | None = None,
    ) -> None:
        self.run = run
        self.problem = problem
        self.callback = callback
        self.ranks = ranks
        self.device = torch.device(problem.device)
        self.trained = problem.net  # with the gradients of all ranks, where there are several
        if ranks is not None:
            ranks.check(problem, run.batch_size)
            self.trained, problem.cut = ranks.wrap(problem), ranks.share
        self.net = problem.net
        parameters = [p for p in problem.net.parameters() if p.requires_grad]
        self.optimizer, self.objective = build_optimizer(
            optimizer_class,
            run.entry,
            parameters,
            run.hyperparams,
            problem.regularization_groups,
            facts(run, problem),
        )
        import_for_step(self.optimizer)
        params = run.training_params
        self.rates = ScheduledRates(
            self.optimizer, schedule_of(params), decay_of(params, run.split)
        )
        self.sets = [name for name in PARTS if name != "valid" or run.split == "validation"]
        self.batch_options = batch_options(problem, self.objective, run.entry.needs_loss)
        self.step = make_step(
            problem, self.optimizer, run.entry.needs_loss,
            clip_norm_of(params, run.entry.needs_loss), ranks,
        )  # fmt: skip
        self.result = started(run, problem, self.objective)
        self.result.optimizer_class = f"{optimizer_class.__module__}:{optimizer_class.__qualname__}"
        self.writes = ranks is None or ranks.writes
        keeps = self.writes and run.keep_best is not None
        self.kept = KeptWeights(str(run.keep_best), self.result) if keeps else None
        if ranks is not None:
            self.result.environment["processes"] = ranks.size
        self.epoch: Epoch | None = None
        self.signals = Deferred()
        self.checkpoints = Checkpoints(
            run.checkpoint, run.checkpoint_interval, stamp_of(run, optimizer_class, self.device)
        )
        self.resumed: list[int] = []  # the steps taken before each resumption
        self.can_resume = False  # whether the state is that between two mini-batches
        self.pauses = 0
        self.began = self.next_look = time.monotonic()
        self.begun_epoch = 0.0

    def carry_out(self, afresh: bool) -> RunResult:
        """Trains and evaluates until the last epoch, or until the run diverges.

        Args:
            afresh: whether to leave a checkpoint aside.
        """
        result = self.result
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        try:
            with self.signals:
                if not afresh:
                    self._take_up()
                self.callback.started(result, self.problem.steps_per_epoch)
                self._go_on()
        except (AligDeepobsError, _UnusableCheckpoint):
            raise
        except BaseException as error:  # a stranger's optimizer may raise anything
            if isinstance(error, SystemExit) and self.can_resume:
                self._save()  # it came from the handler of a batch system's warning
                raise
            stopped = isinstance(error, KeyboardInterrupt) and passed(error, self.callback)
            if not (stopped or is_interrupt(error) or isinstance(error, _TimeUp)):
                result.outcome, result.outcome_reason = outcome_of(error)
                if result.outcome is Outcome.FAILED:
                    if result.steps in self.resumed[-1:]:  # not one step could be taken from it
                        raise self._unusable(error) from error
                    if self.ranks is None:  # else it may be another process that has died
                        self.checkpoints.remove()  # it would fail again
                self.callback.finished(result)
                raise RunError(
                    f"{self.run.optimizer} on {self.run.testproblem} broke after "
                    f"{counted(result.steps, 'step')}: {result.outcome_reason}",
                    result,
                ) from error
            self._end_early(error)
        if self.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self.device)
            result.peak_memory_bytes = max(peak, result.peak_memory_bytes or 0)
        result.guarded_steps = counts_of(self.optimizer)
        self.callback.finished(result)
        return result

    def _go_on(self) -> None:
        """Alternates evaluations and epochs, from wherever the result stands."""
        result = self.result
        while True:
            trained, evaluated = len(result.training_seconds), len(result.test_losses)
            if evaluated == trained + 1:
                if trained == self.run.num_epochs:
                    return
                self._train(trained + 1)
            elif not self._evaluate(trained):
                return
            elif self.checkpoints.due(within_epoch=False):
                self._save()

    def _train(self, number: int) -> None:
        """One epoch of training; the host reads the device once, at its end."""
        result, problem, interval = self.result, self.problem, self.run.train_log_interval
        epoch = self.epoch or self._start_epoch(number)
        has_step_size = hasattr(self.optimizer, "last_step_sizes")
        self.begun_epoch = self._clock() - epoch.seconds
        problem.net = self.trained
        for batch in mini_batches(problem, **self.batch_options):
            loss = self.step(batch)
            # The weight of an incomplete mini-batch; a multiplication would cost a full one time.
            share = getattr(problem, "batch_share", 1.0)
            epoch.total += loss if share == 1.0 else share * loss
            epoch.full_steps += share
            if epoch.steps % interval == 0:
                self.callback.ticked(number, epoch.steps)
                epoch.losses.append(loss)
                if has_step_size:
                    epoch.sizes.append(self.optimizer.last_step_sizes)
            epoch.steps += 1
            result.steps += 1
            self._pause()
        problem.net = self.net
        if self.ranks is not None:
            self.ranks.share_buffers(self.net)
        self._switch("end_epoch")
        result.training_seconds.append(self._clock() - self.begun_epoch)
        self.epoch = None

        losses = torch.stack(epoch.losses).tolist() if epoch.losses else []
        summary = step_size_summary(epoch.sizes)
        mean = float(epoch.total) / epoch.full_steps
        note_epoch(result, self.callback, number, losses, mean, summary)
        if isinstance(self.optimizer, LossMethod):
            self.optimizer.health()  # warns of trouble, where the device was read anyway

    def _start_epoch(self, number: int) -> Epoch:
        self.rates.set(number - 1)
        phase = "train" if self.ranks is None else self.ranks.phase("train")
        seed_noise(self.run.random_seed, phase, number)
        self.problem.train_init_op()
        self._switch("train")
        self.epoch = Epoch(number, torch.zeros((), device=self.device))
        return self.epoch

    def _evaluate(self, epoch: int) -> bool:
        """Evaluates every set and appends to the result, unless something is not finite."""
        start = self._clock()
        self._switch("eval")
        evaluations = {}
        for name in self.sets:
            seed_noise(self.run.random_seed, name, epoch)
            evaluations[name] = evaluate(self.problem, name, self.objective.has_l2, self._pause)
        self.result.evaluation_seconds.append(self._clock() - start)
        if not note_evaluations(self.result, epoch, evaluations):
            return False
        if self.kept is not None and self.result.best_valid_epoch == epoch:
            self.kept.save(problem=self.problem, epoch=epoch)
        elif self.kept is not None:
            self.kept.write()
        if epoch and self.run.split == "validation":
            self.rates.note(validation_metric(self.result))
        self.callback.evaluated(epoch, evaluations)
        return True

    # --- Leaving a run and taking it up again ----------------------------------------------------

    def _pause(self) -> None:
        """Between two mini-batches: here the run can be left and taken up again."""
        if self.ranks is None:
            wish = self._wish()
        else:
            self.pauses += 1
            if self.pauses % STEPS_BETWEEN_AGREEMENTS:
                return
            wish = self.ranks.agree(self._wish(), self.device)
        if wish is Wish.GO_ON:
            return
        if wish is Wish.KEEP:
            self._save()
            return
        self.can_resume = True
        if wish is Wish.TIME_IS_UP:
            raise _TimeUp
        self.signals.check()
        if self.ranks is not None:  # another rank has received the signal
            raise Interrupted
        self.can_resume = False

    def _wish(self) -> Wish:
        if self.signals.received:
            return Wish.LEAVE
        now = time.monotonic()
        if now < self.next_look or not self.writes:
            return Wish.GO_ON
        limit = self.run.time_limit
        if limit is not None and now - self.began >= limit:
            return Wish.TIME_IS_UP
        deadline = math.inf if limit is None else self.began + limit
        self.next_look = min(now + min(1.0, self.checkpoints.within_epochs), deadline)
        is_due = self.epoch is not None and self.checkpoints.due(within_epoch=True)
        return Wish.KEEP if is_due else Wish.GO_ON

    def _end_early(self, error: BaseException) -> None:
        result, limit = self.result, self.run.time_limit
        note_interrupt(result)
        if isinstance(error, _TimeUp):
            result.outcome, result.time_limit = Outcome.TIMEOUT, limit
            after = counted(result.epochs_finished, "epoch")
            result.outcome_reason = f"the limit of {limit:g} s was over after {after}"
        if self.can_resume:
            self._save()

    def _save(self) -> None:
        if self.checkpoints.path is None or not self.writes:
            return
        seconds = self._clock() - self.begun_epoch
        content = {
            "result": measured(self.result),
            "resumed": self.resumed,
            "epoch": None if self.epoch is None else self.epoch.state_dict(seconds),
            "seconds": time.monotonic() - self.began,
            "net": self.net.state_dict(),
            "carried": self.problem.carried,
            "optimizer": self.optimizer.state_dict(),
            "rates": self.rates.state_dict(),
            "generators": generator_states(self.device),
        }
        self.checkpoints.save(content)

    def _take_up(self) -> None:
        """Goes on from the checkpoint, if there is one that can be used."""
        content = self.checkpoints.load(self._check_content) if self.writes else None
        if self.ranks is not None:
            content = self.ranks.from_first(content)
        if content is None:
            return
        try:
            self._restore(content)
        except Exception as error:
            if outcome_of(error)[0] is Outcome.OUT_OF_MEMORY:
                raise  # which is not the fault of the file
            raise self._unusable(error) from error

    def _check_content(self, content: Mapping[str, Any]) -> None:
        check_content(content, self.result, self.net, self.sets, self.problem.steps_per_epoch)

    def _unusable(self, error: BaseException) -> _UnusableCheckpoint:
        self.checkpoints.refuse(reason_of(error))
        return _UnusableCheckpoint()

    def _restore(self, content: Mapping[str, Any]) -> None:
        result, problem = self.result, self.problem
        load_optimizer_state(self.optimizer, content["optimizer"])
        self.net.load_state_dict(content["net"])
        self.rates.load_state_dict(content["rates"])
        for name, value in content["result"].items():
            setattr(result, name, value)
        if self.kept is not None:
            self.kept.take_up()
        self.resumed = [*content["resumed"], result.steps]
        result.environment["resumed_after_steps"] = self.resumed
        self.began -= content["seconds"]
        epochs, evaluations = len(result.training_seconds), len(result.test_losses)
        if content["epoch"] is None:
            problem.take_up(epochs, evaluations)
            return
        self.epoch = Epoch.from_state(content["epoch"], self.device)
        problem.take_up(epochs + 1, evaluations, self.epoch.steps)
        problem.carried = content["carried"]
        if self.writes:
            restore_generators(content["generators"], self.device)
        elif self.ranks is not None:
            phase = f"{self.ranks.phase('train')} after {self.epoch.steps} steps"
            seed_noise(self.run.random_seed, phase, self.epoch.number)

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
        environment=environment(torch.device(problem.device)) | arithmetic_of(run),
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
    problem: TestProblem = run.problem.make(
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
    apply_arithmetic(problem, run)
    return problem
