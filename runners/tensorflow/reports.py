"""From the reports of a process that carries out a run to the run's result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from alig_deepobs.run import Evaluation, Outcome, RunResult
from alig_deepobs.runners.callbacks import Callback


@dataclass
class Reports:
    """Takes the reports of the process (`worker`), fills the result and tells a callback.

    Args:
        result: the result, which grows.
        callback: hears of the progress.
        steps_per_epoch: as far as it is known.
        weight_decay: the L2 factor of the problem, if the optimizer leaves its L2 term in; None if
            the problem has none.

    Attributes:
        ended: whether the last report has come.
        refusal: why the run was refused, if it was.
    """

    result: RunResult
    callback: Callback
    steps_per_epoch: int
    weight_decay: float | None
    ended: bool = False
    refusal: str = ""

    def take(self, report: dict[str, Any]) -> None:
        """Takes one report."""
        getattr(self, f"_{report['event']}")(report)

    def end(self, outcome: Outcome, reason: str) -> None:
        """There is nothing more to come, perhaps without a last report."""
        self.result.outcome, self.result.outcome_reason = outcome, reason
        self.ended = True

    def _started(self, report: dict[str, Any]) -> None:
        result = self.result
        result.environment |= report["environment"]
        result.environment.setdefault("device_name", result.environment["cpu"])
        if report["regularization"] == "ball":
            result.regularization = "none" if result.max_norm is None else "ball"
        elif self.weight_decay:
            result.regularization, result.effective_weight_decay = "l2", self.weight_decay
        # A problem that sees to its data itself may know what they are.
        result.data_label = report["data_label"] or result.data_label
        result.data_version = report["data_version"] or result.data_version
        self.callback.started(result, max(1, self.steps_per_epoch))

    def _ticked(self, report: dict[str, Any]) -> None:
        self.callback.ticked(report["epoch"], report["step"])

    def _trained(self, report: dict[str, Any]) -> None:
        result, losses = self.result, report["minibatch_losses"]
        result.steps += report["steps"]
        result.training_seconds.append(report["seconds"])
        for index, loss in enumerate(losses):
            self.callback.stepped(report["epoch"], index * result.train_log_interval, loss)
        finite = next((i for i, x in enumerate(losses) if not math.isfinite(x)), len(losses))
        result.minibatch_train_losses += losses[:finite]
        if math.isfinite(report["mean_loss"]):
            result.epoch_mean_losses.append(report["mean_loss"])
        if report["step_sizes"] is not None:
            result.step_sizes.append(report["step_sizes"])
        result.guarded_steps = report["guarded_steps"]

    def _evaluated(self, report: dict[str, Any]) -> None:
        self.result.evaluation_seconds.append(report["seconds"])
        evaluations = {part: Evaluation(**values) for part, values in report["parts"].items()}
        if not all(metrics.is_finite for metrics in evaluations.values()):
            return  # the next report says that the run has diverged
        for name, metrics in evaluations.items():
            self.result.append(name, metrics)
        self.callback.evaluated(report["epoch"], evaluations)

    def _closed(self, report: dict[str, Any]) -> None:
        self.result.peak_memory_bytes = report.get("peak_memory")
        self.end(Outcome(report["event"]), report.get("message", ""))

    _done = _diverged = _failed = _closed

    def _refused(self, report: dict[str, Any]) -> None:
        self.refusal = report["message"]
        self.end(Outcome.FAILED, self.refusal)
