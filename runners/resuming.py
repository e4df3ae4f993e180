"""Leaving a run between two mini-batches, and taking it up again."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import nn

from alig_deepobs.run import Outcome, ResolvedRun, RunResult
from alig_deepobs.runners.checkpoint import Checkpoints, load_optimizer_state, measured
from alig_deepobs.runners.epoch import Epoch
from alig_deepobs.runners.noise import generator_states, restore_generators, seed_noise
from alig_deepobs.runners.ranks import Ranks, Wish
from alig_deepobs.runners.schedule import ScheduledRates
from alig_deepobs.runners.signals import Deferred
from alig_deepobs.testproblems import TestProblem

STEPS_BETWEEN_AGREEMENTS = 10
"""Mini-batches after which ranks ask each other whether one of them wants to leave."""


class TimeIsUp(Exception):  # noqa: N818 - it is none
    """The time limit of a run is over."""


class Resumable:
    """A run under way that can be left; what it consists of is made by the training loop.

    Attributes:
        run, problem, optimizer, rates: what trains.
        net: the network, as one process knows it.
        result: what was measured.
        epoch: the training epoch that is under way, None in an evaluation.
        begun_epoch: when it began, by `_clock`, the time before an interruption left out.
        ranks: the processes that share the run; None: there is one.
        writes: whether this is the one that writes.
    """

    run: ResolvedRun
    problem: TestProblem
    optimizer: Any
    rates: ScheduledRates
    net: nn.Module
    result: RunResult
    epoch: Epoch | None
    device: torch.device
    ranks: Ranks | None
    writes: bool

    def _keep(self, checkpoints: Checkpoints) -> None:
        """Begins to count the time, and to listen to signals."""
        self.checkpoints = checkpoints
        self.signals = Deferred()
        self.can_resume = False  # whether the state is that between two mini-batches
        self.pauses = 0
        self.began = self.next_look = time.monotonic()
        self.begun_epoch = 0.0

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
            raise TimeIsUp
        self.signals.check()
        if self.ranks is not None:  # another rank has received the signal
            raise KeyboardInterrupt
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
        finished = max(0, len(result.test_losses) - 1)
        result.outcome = Outcome.INTERRUPTED
        result.outcome_reason = f"interrupted after {finished} epochs"
        if isinstance(error, TimeIsUp):
            result.outcome, result.time_limit = Outcome.TIMEOUT, limit
            result.outcome_reason = f"the limit of {limit:g} s was over after {finished} epochs"
        if self.can_resume:
            self._save()

    def _save(self) -> None:
        if self.checkpoints.path is None or not self.writes:
            return
        seconds = self._clock() - self.begun_epoch
        content = {
            "result": measured(self.result),
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
        """Goes on from the checkpoint, if there is one."""
        content = self.checkpoints.load() if self.writes else None
        if self.ranks is not None:
            content = self.ranks.from_first(content)
        if content is None:
            return
        result, problem = self.result, self.problem
        for name, value in content["result"].items():
            setattr(result, name, value)
        result.environment["resumed_after_steps"] = result.steps
        self.began -= content["seconds"]
        self.net.load_state_dict(content["net"])
        load_optimizer_state(self.optimizer, content["optimizer"])
        self.rates.load_state_dict(content["rates"])
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

    def _clock(self) -> float:
        """Seconds; all work given to the device before is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()
