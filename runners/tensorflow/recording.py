"""Listens to DeepOBS's runner, which has no hooks: a session that knows what it is asked for.

The runner asks its session for one thing after the other: to start a set, for the loss of a
mini-batch until the set is over, for a training step. From that alone follows all that a result
record has, with times, for as long as the run got.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from alig_deepobs.errors import UsageError
from alig_deepobs.run import step_size_facts
from alig_deepobs.tensorflow._install import require
from alig_deepobs.words import counted

tf: Any = require("tensorflow")

TICK_SECONDS = 0.5
"""Seconds between two reports of how far an epoch is."""


class Diverged(Exception):  # noqa: N818 - a way to end a run, not an error
    """A loss is not finite; the run ends here."""


class Recorder:
    """Measures a run of DeepOBS's runner, and reports it bit by bit.

    Args:
        report: hears of everything, as plain data.
        without_l2: whether the problem must not have an L2 term.

    Attributes:
        problem: the test problem; to be set before the runner makes its session.
        optimizer: the optimizer; likewise.
    """

    def __init__(self, report: Callable[[dict[str, Any]], None], without_l2: bool) -> None:
        self.report = report
        self.without_l2 = without_l2
        self.problem: Any = None
        self.optimizer: Any = None
        self._data_loss: Any = None
        self._loss: Any = None
        self._phase = ""
        self._epoch = 0
        self._evaluations: dict[str, dict[str, Any]] = {}
        self._evaluation_seconds = 0.0
        self._ticked = 0.0

    def session(self) -> Any:
        """A session for the runner, in the graph that it has built."""
        self._data_loss = tf.reduce_mean(self.problem.losses)
        session = tf.compat.v1.Session()
        run = session.run

        def recorded(fetches: Any, *args: Any, **kwargs: Any) -> Any:
            return self.run(lambda wanted: run(wanted, *args, **kwargs), fetches)

        session.run = recorded
        return session

    def run(self, run: Callable[[Any], Any], fetches: Any) -> Any:
        """Carries out what the runner asked its session for."""
        phase = {
            id(self.problem.train_eval_init_op): "train",
            id(self.problem.test_init_op): "test",
            id(self.problem.train_init_op): "training",
        }.get(id(fetches))
        if phase is not None:
            self._start(phase)
            return run(fetches)
        if not self._phase:  # initial values, or the learning rate between two phases
            return run(fetches)
        try:
            if self._phase == "training":
                return self._step(run, fetches)
            return self._evaluate(run, fetches)
        except tf.errors.OutOfRangeError:
            self._finish(run)
            raise

    def _start(self, phase: str) -> None:
        self._phase = phase
        self._since = time.perf_counter()
        self._batches = 0
        self._sums: list[float] = []
        self._logged: list[float] = []
        self._sizes: list[tuple[float, float]] = []
        if phase == "training":
            self._epoch += 1

    def _evaluate(self, run: Callable[[Any], Any], fetches: Any) -> Any:
        self._loss = fetches[0] if isinstance(fetches, list) else fetches
        values, data_loss = run([fetches, self._data_loss])
        numbers = [*(values if isinstance(fetches, list) else [values]), data_loss]
        self._add([float(number) for number in numbers])
        return values

    def _step(self, run: Callable[[Any], Any], fetches: Any) -> Any:
        is_logged = isinstance(fetches, list)
        wanted = {"loss": self._loss}
        size = getattr(self.optimizer, "step_size", None)
        if is_logged and tf.is_tensor(size):
            wanted["sizes"] = (size, self.optimizer.step_size_unclipped)
        values, measured = run([fetches, wanted])
        loss = float(measured["loss"])
        if is_logged:
            self._logged.append(loss)
            if "sizes" in measured:
                clipped, unclipped = measured["sizes"]
                self._sizes.append((float(clipped), float(unclipped)))
        if time.perf_counter() - self._ticked >= TICK_SECONDS:
            self._ticked = time.perf_counter()
            self.report({"event": "ticked", "epoch": self._epoch, "step": self._batches})
        self._add([loss])
        return values

    def _add(self, numbers: list[float]) -> None:
        before = self._sums or [0.0] * len(numbers)
        self._sums = [a + b for a, b in zip(before, numbers, strict=True)]
        self._batches += 1

    def _finish(self, run: Callable[[Any], Any]) -> None:
        """The set is over."""
        seconds = time.perf_counter() - self._since
        if not self._batches:
            raise UsageError("a part of the data has no full mini-batch: give a smaller batch_size")
        means = [total / self._batches for total in self._sums]
        phase, self._phase = self._phase, ""
        if phase == "training":
            self._finish_training(run, means[0], seconds)
            return
        accuracy = None if self.problem.accuracy is None else means[1]
        part = {"loss": means[0], "data_loss": means[-1], "accuracy": accuracy}
        difference = abs(means[0] - means[-1])
        if self.without_l2 and difference > 1e-5 * max(1.0, abs(means[0])):
            raise UsageError(
                "the test problem has an L2 term even with a weight decay of 0, but this optimizer "
                "must do without"
            )
        self._evaluations[phase] = part
        self._evaluation_seconds += seconds
        if phase == "test":
            self._finish_evaluation()

    def _finish_training(self, run: Callable[[Any], Any], mean: float, seconds: float) -> None:
        counts, guarded = getattr(self.optimizer, "guard_counts", None), {}
        if counts is not None:
            guarded = dict(zip(self.optimizer.guard_names, run(counts).tolist(), strict=True))
        self.report(
            {
                "event": "trained",
                "epoch": self._epoch,
                "steps": self._batches,
                "seconds": seconds,
                "mean_loss": mean,
                "minibatch_losses": self._logged,
                "step_sizes": step_size_facts(self._sizes) if self._sizes else None,
                "guarded_steps": guarded,
            }
        )

    def _finish_evaluation(self) -> None:
        self.report(
            {
                "event": "evaluated",
                "epoch": self._epoch,
                "parts": self._evaluations,
                "seconds": self._evaluation_seconds,
            }
        )
        for part, values in self._evaluations.items():
            if not (math.isfinite(values["loss"]) and math.isfinite(values["data_loss"])):
                after = counted(self._epoch, "epoch")
                raise Diverged(f"{part} loss is not finite after {after}")
        self._evaluations, self._evaluation_seconds = {}, 0.0
