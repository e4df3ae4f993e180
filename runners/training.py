"""The PyTorch training loop: carries out a `RunSpec` and returns its `RunResult`.

The semantics are DeepOBS's: evaluate on the train-eval, (validation) and test sets before training
and after each epoch; drop incomplete mini-batches (unless the problem keeps them). Beyond DeepOBS,
the loss is handed to the step, evaluation is kept off the training clock, the device is read once
per epoch, and a run that diverges ends there and says so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from alig_deepobs.errors import AligDeepobsError, RunError
from alig_deepobs.registry import (
    OptimizerEntry,
    entry_of_class,
    find_optimizer,
    find_testproblem,
)
from alig_deepobs.results import Outcome, RunResult
from alig_deepobs.runners.objective import (
    Objective,
    build_optimizer,
    make_step,
    regularization_value,
)
from alig_deepobs.runners.record import blank_result, step_size_summary
from alig_deepobs.runners.schedule import ScheduledRates, clip_norm_of, decay_of, schedule_of
from alig_deepobs.runners.selection import record_selection
from alig_deepobs.runners.spec import RunSpec
from alig_deepobs.runners.watch import Evaluation, Watcher
from alig_deepobs.runners.weights import KeptWeights
from alig_deepobs.seeds import derive_seed
from alig_deepobs.testproblems import TestProblem
from alig_deepobs.testproblems.checks import find_device


def execute(
    spec: RunSpec, watcher: Watcher | None = None, optimizer_class: Any = None
) -> RunResult:  # fmt: skip
    """Carries out a run.

    Neither torch's global random state nor anything else of the process is changed by it. On the
    CPU, two runs of one specification give the same metrics, bit for bit.

    Args:
        spec: the run; defaults are filled in.
        watcher: hears of the progress.
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
    if spec.framework == "tensorflow":
        from alig_deepobs.runners.tensorflow.execute import execute_in_tensorflow

        return execute_in_tensorflow(spec, watcher)
    spec = spec.complete(check_optimizer=optimizer_class is None)
    if optimizer_class is None:
        entry = find_optimizer(spec.optimizer)
        optimizer_class = entry.load()
    else:
        entry = entry_of_class(optimizer_class)
    device = find_device(spec.device)
    with own_random_state(spec.random_seed, device):
        problem = _set_up(spec, device)
        return train(spec, problem, entry, optimizer_class, watcher)


def train(
    spec: RunSpec,
    problem: TestProblem,
    entry: OptimizerEntry,
    optimizer_class: Any,
    watcher: Watcher | None = None,
) -> RunResult:
    """Trains on a problem that is set up already; see `execute`.

    Args:
        spec: the run, with every default filled in.
        problem: the problem.
        entry: what is known of the optimizer.
        optimizer_class: its class.
        watcher: hears of the progress.
    """
    parameters = [p for p in problem.net.parameters() if p.requires_grad]
    optimizer, objective = build_optimizer(
        optimizer_class,
        entry,
        parameters,
        spec.hyperparams,
        problem.regularization_groups,
        _facts(spec, problem),
    )
    run = _Run(spec, entry, problem, optimizer, objective, watcher or Watcher())
    run.result.optimizer_class = f"{optimizer_class.__module__}:{optimizer_class.__qualname__}"
    return run.carry_out()


class _Run:
    """One run under way: the problem, the optimizer, and the result as it grows."""

    def __init__(
        self,
        spec: RunSpec,
        entry: OptimizerEntry,
        problem: TestProblem,
        optimizer: Any,
        objective: Objective,
        watcher: Watcher,
    ) -> None:
        self.spec = spec
        self.entry = entry
        self.problem = problem
        self.optimizer = optimizer
        self.objective = objective
        self.watcher = watcher
        params = spec.training_params
        self.rates = ScheduledRates(optimizer, schedule_of(params), decay_of(params, spec.split))
        self.clip_norm = clip_norm_of(params, entry.needs_loss)
        self.device = torch.device(problem.device)
        self.parts = ["train", "valid", "test"] if spec.split == "validation" else ["train", "test"]
        self.result = blank_result(spec, entry, problem, objective, self.device)
        self.kept = None
        if spec.keep_best is not None:
            self.kept = KeptWeights(spec.keep_best, self.result)

    def carry_out(self) -> RunResult:
        """Trains and evaluates until the last epoch, or until the run diverges."""
        assert self.spec.num_epochs is not None
        result, num_epochs = self.result, self.spec.num_epochs
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        self.watcher.started(result, self._steps_per_epoch())
        try:
            finite = self._evaluate(0)
            for epoch in range(1, num_epochs + 1):
                if not finite:
                    break
                self.rates.set(epoch - 1)
                self._train(epoch)
                finite = self._evaluate(epoch)
                if finite and self.spec.split == "validation":
                    self.rates.note(self._validation_metric())
        except KeyboardInterrupt:
            result.outcome = Outcome.INTERRUPTED
            finished = max(0, len(result.test_losses) - 1)
            result.outcome_reason = f"interrupted after {finished} epochs"
        except AligDeepobsError:
            raise
        except Exception as error:  # a stranger's optimizer may raise anything
            result.outcome = Outcome.FAILED
            result.outcome_reason = f"{type(error).__name__}: {error}"
            self.watcher.finished(result)
            raise RunError(
                f"{self.spec.optimizer} on {self.spec.testproblem} broke after "
                f"{result.steps} steps: {error}",
                result,
            ) from error
        if self.device.type == "cuda":
            result.peak_memory_bytes = torch.cuda.max_memory_allocated(self.device)
        result.guarded_steps = dict(getattr(self.optimizer, "guarded_steps", {}))
        self.watcher.finished(result)
        return result

    def _train(self, epoch: int) -> None:
        """One epoch of training; the host reads the device once, at its end."""
        result, interval = self.result, self.spec.train_log_interval
        logged: list[Tensor] = []
        sizes: list[tuple[float | Tensor, float | Tensor]] = []
        _seed_noise(self.spec.random_seed, "train", epoch)
        self.problem.train_init_op()
        self._switch("train")
        step = make_step(
            self.problem, self.optimizer, self.objective, self.entry.needs_loss, self.clip_norm
        )
        has_step_size = hasattr(self.optimizer, "last_step_sizes")
        total = torch.zeros((), device=self.device)
        steps, full_steps = 0, 0.0
        start = self._clock()
        while True:
            try:
                loss = step()
            except StopIteration:
                break
            # The weight of an incomplete mini-batch; a multiplication would cost a full one time.
            share = getattr(self.problem, "batch_share", 1.0)
            total += loss if share == 1.0 else share * loss
            full_steps += share
            if steps % interval == 0:
                self.watcher.ticked(epoch, steps)
                logged.append(loss)
                if has_step_size:
                    sizes.append(self.optimizer.last_step_sizes)
            steps += 1
            result.steps += 1
        self._switch("end_epoch")
        result.training_seconds.append(self._clock() - start)

        losses = torch.stack(logged).tolist() if logged else []
        for index, loss_value in enumerate(losses):
            self.watcher.stepped(epoch, index * interval, loss_value)
        finite = next((i for i, x in enumerate(losses) if not math.isfinite(x)), len(losses))
        result.minibatch_train_losses += losses[:finite]
        mean = float(total) / full_steps
        if math.isfinite(mean):
            result.epoch_mean_losses.append(mean)
        summary = step_size_summary(sizes)
        if summary:
            result.step_sizes.append(summary)

    def _evaluate(self, epoch: int) -> bool:
        """Evaluates every set and appends to the result, unless something is not finite."""
        start = self._clock()
        self._switch("eval")
        evaluations = {part: self._evaluate_part(part, epoch) for part in self.parts}
        self.result.evaluation_seconds.append(self._clock() - start)
        for part, metrics in evaluations.items():
            if not (math.isfinite(metrics.loss) and math.isfinite(metrics.data_loss)):
                self.result.outcome = Outcome.DIVERGED
                self.result.outcome_reason = f"{part} loss is not finite after {epoch} epochs"
                return False
        for part, metrics in evaluations.items():
            getattr(self.result, f"{part}_losses").append(metrics.loss)
            getattr(self.result, f"{part}_data_losses").append(metrics.data_loss)
            if metrics.accuracy is not None:
                getattr(self.result, f"{part}_accuracies").append(metrics.accuracy)
        record_selection(self.result)
        if self.kept is not None and self.result.best_valid_epoch == epoch:
            self.kept.save(problem=self.problem, epoch=epoch)
        self.watcher.evaluated(epoch, evaluations)
        return True

    def _evaluate_part(self, part: str, epoch: int) -> Evaluation:
        problem = self.problem
        _seed_noise(self.spec.random_seed, part, epoch)
        {
            "train": problem.train_eval_init_op,
            "valid": problem.valid_init_op,
            "test": problem.test_init_op,
        }[part]()
        loss: Any = 0.0
        accuracy: Any = 0.0
        batches = 0.0
        while True:
            try:
                batch_loss, batch_accuracy = problem.get_batch_loss_and_accuracy(
                    add_regularization_if_available=False
                )
            except StopIteration:
                break
            share = getattr(problem, "batch_share", 1.0)
            if share != 1.0:
                batch_loss, batch_accuracy = share * batch_loss, share * batch_accuracy
            loss, accuracy, batches = loss + batch_loss, accuracy + batch_accuracy, batches + share
        data_loss = float(loss) / batches
        # The weights do not change within an evaluation, so neither does the L2 term.
        penalty = regularization_value(problem) if self.objective.has_l2 else 0.0
        return Evaluation(
            loss=data_loss + penalty,
            data_loss=data_loss,
            accuracy=float(accuracy) / batches if problem.has_accuracy else None,
        )

    def _validation_metric(self) -> float:
        """Of the last evaluation; higher is better."""
        result = self.result
        if result.valid_accuracies:
            return result.valid_accuracies[-1]
        return -result.valid_data_losses[-1]

    def _switch(self, mode: str) -> None:
        """Calls ``train``, ``eval`` or ``end_epoch`` of an optimizer that has such a method.

        Schedule-free optimizers train at other weights than those that they evaluate.
        """
        method = getattr(self.optimizer, mode, None)
        if callable(method):
            method()

    def _steps_per_epoch(self) -> int:
        return self.problem.steps_per_epoch

    def _clock(self) -> float:
        """Seconds; all work given to the device before is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def _facts(spec: RunSpec, problem: TestProblem) -> dict[str, int]:
    """What an optimizer's constructor may want to know of the run."""
    assert spec.num_epochs is not None
    return {
        "data_size": problem.data.size("train"),
        "num_epochs": max(1, spec.num_epochs),
        "batches_per_epoch": problem.steps_per_epoch,
    }


def _set_up(spec: RunSpec, device: torch.device) -> TestProblem:
    problem_class: Callable[..., TestProblem] = find_testproblem(spec.testproblem).load()
    problem = problem_class(
        spec.batch_size,
        spec.weight_decay,
        synthetic=spec.synthetic,
        data_dir=spec.data_dir,
        offline=spec.offline,
        device=device,
        seed=spec.random_seed,
        split=spec.split,
        reshuffle=spec.reshuffle,
        **spec.problem_options,
    )
    problem.set_up()
    return problem


def _seed_noise(seed: int, part: str, epoch: int) -> None:
    """Seeds dropout and sampled latents, which torch draws from its global generator.

    Training and every evaluation have their own stream, so evaluating never changes training.
    """
    torch.manual_seed(derive_seed(seed, "noise", part, epoch))


@contextmanager
def own_random_state(seed: int, device: torch.device) -> Iterator[None]:
    """Leaves torch's global random state as it was found."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive_seed(seed, "noise"))
        yield
