"""Choices on validation data: the best epoch of a run, and the best of several settings.

DeepOBS reports the last epoch. The ALI-G paper reports the test accuracy of the weights that had
the best validation accuracy. Since runs are evaluated on every set after each epoch, that is an
entry of the lists that they have anyway.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from alig_deepobs.registry import find_testproblem, testproblems
from alig_deepobs.run import Outcome, RunResult, RunSpec
from alig_deepobs.words import counted

TUNING_SEED = 1000
"""The seed of tuning runs: none of those that results are reported for."""


@dataclass(frozen=True)
class Selection:
    """A run at the epoch with its best validation result.

    Attributes:
        epoch: number of finished epochs, from 1 on.
        valid_loss, test_loss: data term of the loss after that epoch.
        valid_accuracy, test_accuracy: fractions; None for problems without accuracy.
    """

    epoch: int
    valid_loss: float
    test_loss: float
    valid_accuracy: float | None = None
    test_accuracy: float | None = None


def select(result: RunResult) -> Selection | None:
    """The epoch with the best validation accuracy (without accuracy: the lowest validation loss).

    Of several equal ones the first counts. The state before training does not take part.

    Args:
        result: a run, also one of DeepOBS's files, however it ended.

    Returns:
        None if the run has no validation set, or no epoch was finished.

    Example:
        >>> run = RunResult(
        ...     "digits_mlp", "SGD", {"lr": 0.1}, batch_size=32, num_epochs=3, random_seed=42,
        ...     valid_losses=[2.3, 0.3, 0.2, 0.1], valid_accuracies=[0.1, 0.9, 0.97, 0.97],
        ...     test_losses=[2.3, 0.4, 0.3, 0.2], test_accuracies=[0.1, 0.8, 0.95, 0.96],
        ... )
        >>> chosen = select(run)
        >>> chosen.epoch, chosen.test_accuracy
        (2, 0.95)
    """
    # DeepOBS's files have no data terms.
    valid_losses = result.valid_data_losses or result.valid_losses
    test_losses = result.test_data_losses or result.test_losses
    finished = range(1, min(len(valid_losses), len(test_losses)))
    if not finished:
        return None
    with_accuracy = bool(result.valid_accuracies and result.test_accuracies)
    if with_accuracy:
        epoch = max(finished, key=result.valid_accuracies.__getitem__)  # the first of equals
    else:
        epoch = min(finished, key=valid_losses.__getitem__)
    return Selection(
        epoch=epoch,
        valid_loss=valid_losses[epoch],
        test_loss=test_losses[epoch],
        valid_accuracy=result.valid_accuracies[epoch] if with_accuracy else None,
        test_accuracy=result.test_accuracies[epoch] if with_accuracy else None,
    )


def record_selection(result: RunResult) -> None:
    """Writes what `select` finds into the result's own fields."""
    chosen = select(result)
    if chosen is not None:
        result.best_valid_epoch = chosen.epoch
        result.best_valid_test_loss = chosen.test_loss
        result.best_valid_test_accuracy = chosen.test_accuracy


_ACCURACY_DIGITS = 5
"""One example of the largest validation sets is a fraction of 2e-5."""


@dataclass(frozen=True)
class Rule:
    """How the best of several settings is chosen: by validation data, never by the test set.

    The best has the best headline metric on the held-out validation part (of equal accuracies, the
    lower validation loss), on average over the seeds, at the epoch that is reported; where a
    problem has nothing to hold out, the lowest training loss. A setting with a run that diverged
    or failed is out. If all are, the one that got furthest is taken, so that the report shows how
    its runs end.

    Attributes:
        seeds: of the runs that only serve to choose.
        epoch: the epoch that is reported: ``last`` (DeepOBS) or ``best`` (the one with the best
            validation result: the ALI-G paper).
        metric: a list of the results (``test_losses``, say) that decides in place of all that, in
            results that have it; DeepOBS's tuner has such a choice.
    """

    seeds: tuple[int, ...] = (TUNING_SEED,)
    epoch: Literal["last", "best"] = "last"
    metric: str = ""

    def runs(self, candidate: RunSpec) -> list[RunSpec]:
        """The runs that a candidate is judged by."""
        # What decides by the test set has no use for a validation set.
        split = "validation" if _holds_out(candidate) and not self.metric else "full"
        return [
            replace(candidate, random_seed=seed, split=split, purpose="tuning", keep_best=None)
            for seed in self.seeds
        ]

    def choose(self, candidates: Sequence[Sequence[RunResult]]) -> int:
        """The number of the best candidate, the first of equals.

        Args:
            candidates: the runs of each.
        """
        return self.ranked(candidates)[0]

    def ranked(self, candidates: Sequence[Sequence[RunResult]]) -> list[int]:
        """The numbers of the candidates, the best one first; of equals the first one.

        Args:
            candidates: the runs of each.
        """
        scores = self.scores(candidates)
        return sorted(range(len(scores)), key=scores.__getitem__)

    def scores(self, candidates: Sequence[Sequence[RunResult]]) -> list[tuple[float, ...]]:
        """What the candidates are compared by; lower is better.

        Those that trained for more epochs come before all others: a search that starts with short
        runs trains the best of them again.

        Args:
            candidates: the runs of each.
        """
        found = []
        for runs in candidates:
            first, *others = map(statistics.fmean, zip(*map(self._score, runs), strict=True))
            if math.isfinite(first) and self._is_by_accuracy(runs[0]):
                first = round(first, _ACCURACY_DIGITS)  # equal ones differ by rounding
            found.append((-runs[0].num_epochs, first, *others))
        return found

    def criterion(self, candidate: RunSpec) -> str:
        """What a candidate is judged by, for a reader."""
        if self.metric:
            return self._metric_words
        if not _holds_out(candidate):
            return "training loss"
        return f"validation {find_testproblem(candidate.testproblem).metric}"

    def source(self, candidates: Sequence[RunSpec]) -> str:
        """Who chose a setting among these, and how, for the record."""
        seeds = f"seed{'s' if len(self.seeds) > 1 else ''} {', '.join(map(str, self.seeds))}"
        by, tried = self.criterion(candidates[0]), counted(_distinct(candidates), "setting")
        return f"best of {tried} by {by}, {self.epoch} epoch, {seeds}"

    def facts(self, candidates: Sequence[RunSpec]) -> dict[str, Any]:
        """The same as `source` for a record."""
        return {
            "trials": _distinct(candidates),
            "seeds": list(self.seeds),
            "criterion": f"{self.criterion(candidates[0])}, {self.epoch} epoch",
        }

    def score_text(self, runs: Sequence[RunResult]) -> str:
        """What a candidate is judged by, for a reader.

        Args:
            runs: its runs.
        """
        bad = [run.outcome.value for run in runs if run.outcome is not Outcome.DONE]
        if bad:
            return f"{bad[0]} in {len(bad)} of {len(runs)} runs" if len(runs) > 1 else bad[0]
        score = statistics.fmean(self._score(run)[0] for run in runs)
        if self._is_by_accuracy(runs[0]):
            return f"{self._metric_words or 'validation accuracy'} {-score:.2%}"
        part = "validation" if runs[0].valid_data_losses else "training"
        return f"{self._metric_words or f'{part} loss'} {score:.4g}"

    @property
    def _metric_words(self) -> str:
        """DeepOBS's name of a metric, for a reader; empty where none is given."""
        words = (self.metric or "").replace("_", " ")
        return words.replace("accuracies", "accuracy").replace("losses", "loss")

    def _score(self, result: RunResult) -> tuple[float, float, float]:
        """Lower is better; the last entry only counts where no run came to its end."""
        reached = -float(len(result.test_losses))
        if result.outcome is not Outcome.DONE:
            return math.inf, math.inf, reached
        if self.metric and getattr(result, self.metric):
            sign = -1.0 if self.metric.endswith("accuracies") else 1.0
            scores = [sign * value for value in getattr(result, self.metric)]
            return (scores[-1] if self.epoch == "last" else min(scores)), 0.0, reached
        # DeepOBS's files have no data terms.
        valid_losses = result.valid_data_losses or result.valid_losses
        if not valid_losses:
            losses = result.train_data_losses or result.train_losses
            return (losses[-1] if self.epoch == "last" else min(losses)), 0.0, reached
        best = select(result)
        epoch = best.epoch if self.epoch == "best" and best is not None else -1
        loss = valid_losses[epoch]
        if not self._is_by_accuracy(result):
            return loss, loss, reached
        return -result.valid_accuracies[epoch], loss, reached

    def _is_by_accuracy(self, result: RunResult) -> bool:
        """Whether a result is judged by an accuracy; losses may be below 0, too."""
        if self.metric and getattr(result, self.metric):
            return self.metric.endswith("accuracies")
        entry = testproblems().get(result.testproblem)
        has_accuracy = entry is None or entry.metric == "accuracy"
        held_out = result.valid_data_losses or result.valid_losses
        return bool(held_out and result.valid_accuracies) and has_accuracy


def _distinct(candidates: Sequence[RunSpec]) -> int:
    """The settings among them; a search may train one for several lengths."""
    return len({str(candidate.hyperparams) for candidate in candidates})


def _holds_out(spec: RunSpec) -> bool:
    """Whether a part of the training data can be held out; DeepOBS 1.1.2 holds out none."""
    return find_testproblem(spec.testproblem).has_validation and spec.framework == "pytorch"


def tuning_seeds(reported: Sequence[int], count: int = 1) -> tuple[int, ...]:
    """Seeds to tune with, none of which is reported.

    Example:
        >>> tuning_seeds([42, 43]), tuning_seeds([1000], 2)
        ((1000,), (1001, 1002))
    """
    first = TUNING_SEED if not set(range(TUNING_SEED, TUNING_SEED + count)) & set(reported) else (
        max(reported) + 1
    )  # fmt: skip
    return tuple(range(first, first + count))
