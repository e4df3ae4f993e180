"""Trains runs that differ in numbers alone as one computation.

The results are those of `alig_deepobs.runners.training`, up to rounding: each run has its initial
weights, batch order, dropout masks and schedule, and ends for itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from alig_deepobs.run import PARTS, Evaluation, Outcome, ResolvedRun, RunResult
from alig_deepobs.runners.callbacks import Callback
from alig_deepobs.runners.noise import own_random_state
from alig_deepobs.runners.objective import Objective, build_optimizer
from alig_deepobs.runners.records import (
    note_epoch,
    note_evaluations,
    note_interrupt,
    step_size_summary,
    validation_metric,
)
from alig_deepobs.runners.schedule import ScheduledRates, clip_norm_of, decay_of, schedule_of
from alig_deepobs.runners.threads import cpu_threads, suitable_threads
from alig_deepobs.runners.training import facts, set_up, started
from alig_deepobs.runners.vectorized.grouping import RULES, free_bytes
from alig_deepobs.runners.vectorized.members import Members
from alig_deepobs.runners.vectorized.rules import Rule, column, row_squares
from alig_deepobs.testproblems.base import TestProblem
from alig_deepobs.testproblems.checks import find_device

DROP = 0.25
"""Share of members that have ended, from which on the others go on without them."""


@dataclass
class Member:
    """One of the runs.

    Attributes:
        run: the run.
        callback: hears of its progress.
        optimizer: an optimizer of its class, which holds its options and takes no step.
        objective: what it minimizes.
        rates: its schedule.
        result: what came of it so far.
        alive: whether it goes on.
    """

    run: ResolvedRun
    callback: Callback
    optimizer: Any
    objective: Objective
    rates: ScheduledRates
    result: RunResult
    alive: bool = True


def train_together(
    runs: Sequence[ResolvedRun], callbacks: Sequence[Callback]
) -> list[RunResult]:  # fmt: skip
    """Carries out runs with one key (`alig_deepobs.runners.vectorized.grouping.Grouping.key`).

    Args:
        runs: the runs.
        callbacks: one for each; hear of the progress.

    Returns:
        The results, in the order of the runs. An interrupt ends all runs; what was measured until
        then is in them, and those that have not begun have none.

    Raises:
        MemoryError: there is too little for a single run.
    """
    first = runs[0]
    with own_random_state(first.random_seed, find_device(first.device)):
        problem = set_up(replace(first, compile=False))  # not each network for itself
        with cpu_threads(first.threads or suitable_threads(problem)):
            size = _fitting(problem, runs)
            results: list[RunResult] = []
            for start in range(0, len(runs), size):
                chunk = slice(start, start + size)
                try:
                    results += _Together(problem, runs[chunk], callbacks[chunk]).carry_out()
                except KeyboardInterrupt:  # before their first evaluation
                    break
                if any(result.outcome is Outcome.INTERRUPTED for result in results):
                    break
            return results


def _fitting(problem: TestProblem, runs: Sequence[ResolvedRun]) -> int:
    """How many runs fit into memory, by what one of them takes."""
    free = free_bytes(torch.device(problem.device)) // 2
    members = Members(problem, [runs[0].random_seed])
    members.start("train", 1)
    members.losses(next(members.examples.pieces("train", 0)))
    # Weights, gradients, and up to three tensors of state; on the way several times as much.
    each = members.bytes + 8 * members.weights.nbytes
    if each > free:
        raise MemoryError(f"one run needs {each >> 20} MiB, and {free >> 20} are free")
    return min(len(runs), free // each)


class _Together:
    """Runs under way."""

    def __init__(
        self, problem: TestProblem, runs: Sequence[ResolvedRun], callbacks: Sequence[Callback]
    ) -> None:
        self.nets = Members(
            problem, [run.random_seed for run in runs], compiled=runs[0].compile
        )  # fmt: skip
        self.device = self.nets.device
        optimizer_class = runs[0].entry.load()
        self.members: list[Member] = []
        for run, callback in zip(runs, callbacks, strict=True):
            self.members.append(self._member(problem, run, callback, optimizer_class))
        self.rows = list(self.members)  # the member in each row of the matrices
        first = self.members[0]
        decayed = self._decayed(first.optimizer)
        optimizers = [member.optimizer for member in self.members]
        self.rule: Rule = RULES[runs[0].entry.factory](optimizers, self.nets.weights, decayed)
        kernels = {
            id(p) for p in self.nets.problem.net.parameters()
            if self.nets.problem.is_regularized(p)
        }  # fmt: skip
        self.regularized = self.nets.mask(kernels)
        self.sets = [name for name in PARTS if name != "valid" or first.run.split == "validation"]
        self.same_sets = self.nets.examples.same_sets("train_eval", "test")
        self._read_rows()

    def carry_out(self) -> list[RunResult]:
        """Trains and evaluates until the last epoch, or until all runs have diverged."""
        for member in self.members:
            member.callback.started(member.result, self.nets.problem.steps_per_epoch)
        try:
            self._evaluate(0)
            for epoch in range(1, self.members[0].run.num_epochs + 1):
                if not self._go_on():
                    break
                for member in self.rows:
                    member.rates.set(epoch - 1)
                self.rule.refresh()
                self._train(epoch)
                self._evaluate(epoch)
        except KeyboardInterrupt:
            for member in self.rows:
                if member.alive:
                    note_interrupt(member.result)
        for number, member in enumerate(self.rows):
            self._end(number, member)
        return [member.result for member in self.members]

    def _member(
        self, problem: TestProblem, run: ResolvedRun, callback: Callback, optimizer_class: Any
    ) -> Member:
        net = self.nets.problem.net
        groups: dict[float, list[Any]] = {}
        for p in net.parameters():
            factor = (run.weight_decay or 0.0) if problem.is_regularized(p) else 0.0
            groups.setdefault(factor, []).append(p)
        optimizer, objective = build_optimizer(
            optimizer_class, run.entry, list(net.parameters()), run.hyperparams, groups,
            facts(run, problem),
        )  # fmt: skip
        params = run.training_params
        rates = ScheduledRates(optimizer, schedule_of(params), decay_of(params, run.split))
        result = started(run, problem, objective)
        result.optimizer_class = f"{optimizer_class.__module__}:{optimizer_class.__qualname__}"
        return Member(run, callback, optimizer, objective, rates, result)

    def _decayed(self, optimizer: Any) -> Tensor | None:
        """The weights that the optimizer's own weight decay applies to; None: all."""
        return self.nets.mask(
            {
                id(p)
                for group in optimizer.param_groups
                if group.get("weight_decay")
                for p in group["params"]
            }
        )

    def _read_rows(self) -> None:
        """What is computed with for each row."""
        factors = [
            member.objective.weight_decay if member.objective.has_l2 else 0.0
            for member in self.rows
        ]
        self.has_l2 = any(factors)
        self.factors = torch.tensor(factors, dtype=torch.float64, device=self.device)
        clips = [
            clip_norm_of(member.run.training_params, member.run.entry.needs_loss)
            for member in self.rows
        ]
        self.clip_norms = None
        if clips[0] is not None:
            self.clip_norms = torch.tensor(clips, dtype=torch.float64, device=self.device)
        for member in self.rows:
            member.result.environment["vectorized"] = len(self.members)

    def _go_on(self) -> bool:
        """Drops the rows of members that have ended, if they are many; False if all have."""
        alive = [number for number, member in enumerate(self.rows) if member.alive]
        if alive and len(alive) <= (1 - DROP) * len(self.rows):
            for number, member in enumerate(self.rows):
                if not member.alive:
                    self._end(number, member)
            self.rows = [self.rows[number] for number in alive]
            self.nets.keep(alive)
            index = torch.tensor(alive, device=self.device)
            self.rule.keep(index, [member.optimizer for member in self.rows])
            self._read_rows()
        return bool(alive)

    def _end(self, number: int, member: Member) -> None:
        guarded = getattr(self.rule, "guarded", None)
        if guarded is not None:
            member.result.guarded_steps = guarded(number)
        member.callback.finished(member.result)

    def _train(self, epoch: int) -> None:
        """One epoch of training; the host reads the device once, at its end."""
        interval = self.members[0].run.train_log_interval
        rule, nets = self.rule, self.nets
        nets.start("train", epoch)
        total = torch.zeros(len(self.rows), device=self.device)
        logged: list[Tensor] = []
        sizes: list[Tensor] = []
        steps = 0.0
        size = nets.problem.batch_size
        start = self._clock()
        with torch.inference_mode():
            for number, piece in enumerate(nets.examples.pieces("train", epoch - 1)):
                loss = self._step(piece)
                share = 1.0 if nets.examples.condenses else piece.examples / size
                total += loss if share == 1.0 else share * loss
                steps += share
                if number % interval == 0:
                    for member in self.rows:
                        member.callback.ticked(epoch, number)
                    logged.append(loss)
                    if rule.sizes is not None:
                        sizes.append(torch.stack(rule.sizes))
        seconds = (self._clock() - start) / sum(member.alive for member in self.rows)

        losses = torch.stack(logged, dim=1).tolist()
        means = (total / steps).tolist()
        pairs = torch.stack(sizes).permute(2, 0, 1).tolist() if sizes else [[]] * len(self.rows)
        for member, each, mean, of_steps in zip(self.rows, losses, means, pairs, strict=True):
            if member.alive:
                member.result.steps += number + 1
                member.result.training_seconds.append(seconds)
                summary = step_size_summary(of_steps)
                note_epoch(member.result, member.callback, epoch, each, mean, summary)

    def _step(self, piece: Any) -> Tensor:
        """One step of all members; returns their objectives."""
        nets = self.nets
        loss = nets.losses(piece)
        w, g = nets.weights, nets.gradients
        if self.has_l2:
            kernels = w if self.regularized is None else w * self.regularized
            loss = loss + 0.5 * (self.factors * row_squares(kernels)).float()
            g.addcmul_(kernels, column(self.factors))
        if self.clip_norms is not None:
            norms = row_squares(g).sqrt()
            g.mul_(column((self.clip_norms / (norms + 1e-6)).clamp(max=1.0)))
        self.rule.step(w, g, loss)
        return loss

    def _evaluate(self, epoch: int) -> None:
        """Evaluates every set; runs with a loss that is not finite end here."""
        start = self._clock()
        found: dict[str, tuple[list[float], list[float] | None]] = {}
        nets = self.nets
        with torch.inference_mode():
            penalties = [0.0] * len(self.rows)
            if self.has_l2:
                kernels = (
                    nets.weights if self.regularized is None else nets.weights * self.regularized
                )
                penalties = (0.5 * self.factors * row_squares(kernels)).tolist()
            for name in self.sets:
                if name == "test" and self.same_sets:
                    found[name] = found["train"]
                    continue
                nets.start(name, epoch)
                phase: Any = "train_eval" if name == "train" else name
                losses, accuracies = nets.evaluate(phase, epoch)
                found[name] = losses.tolist(), None if accuracies is None else accuracies.tolist()
        seconds = (self._clock() - start) / sum(member.alive for member in self.rows)
        for number, member in enumerate(self.rows):
            if not member.alive:
                continue
            member.result.evaluation_seconds.append(seconds)
            evaluations = {
                name: Evaluation(
                    losses[number] + penalties[number], losses[number],
                    None if accuracies is None else accuracies[number],
                )
                for name, (losses, accuracies) in found.items()
            }  # fmt: skip
            member.alive = note_evaluations(member.result, epoch, evaluations)
            if member.alive:
                member.callback.evaluated(epoch, evaluations)
                if epoch and member.run.split == "validation":
                    member.rates.note(validation_metric(member.result))

    def _clock(self) -> float:
        """Seconds; all work given to the device before is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()
