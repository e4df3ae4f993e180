"""Entering what was measured into the record of a run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from alig_deepobs.errors import UsageError
from alig_deepobs.foreign import plain_scalar
from alig_deepobs.plugins import calling
from alig_deepobs.record_checks import is_finite
from alig_deepobs.run import Evaluation, Outcome, RunResult, step_size_facts
from alig_deepobs.runners.callbacks import Callback
from alig_deepobs.runners.selection import record_selection
from alig_deepobs.words import counted

logger = logging.getLogger(__name__)


def note_epoch(
    result: RunResult,
    callback: Callback,
    epoch: int,
    losses: Sequence[float],
    mean: float,
    summary: dict[str, float],
) -> None:
    """Enters an epoch of training into a result.

    Args:
        result: of the run.
        callback: hears of the logged steps.
        epoch: its number, from 1 on.
        losses: of the steps that are logged.
        mean: of all steps.
        summary: `step_size_summary`; empty for an optimizer that computes none.
    """
    for index, loss in enumerate(losses):
        callback.stepped(epoch, index * result.train_log_interval, loss)
    finite = next((i for i, x in enumerate(losses) if not is_finite(x)), len(losses))
    result.minibatch_train_losses += losses[:finite]
    if is_finite(mean):
        result.epoch_mean_losses.append(mean)
    if summary:
        result.step_sizes.append(summary)


def counts_of(optimizer: Any) -> dict[str, int]:
    """What an optimizer has counted (``guarded_steps``); empty, with a warning, if it cannot say.

    What has been measured of a run is worth more than what its optimizer says of itself.
    """
    named = f"guarded_steps of {type(optimizer).__name__}"
    try:
        with calling(f"reading {named}"):
            found = dict(getattr(optimizer, "guarded_steps", {}))
            counts = {str(name): plain_scalar(count) for name, count in found.items()}
    except UsageError as error:
        logger.warning("%s", error)
        return {}
    odd = [name for name, count in counts.items() if type(count) is not int]
    if odd:
        logger.warning("%s are left out: %s is no count", named, ", ".join(odd)[:200])
    return {name: count for name, count in counts.items() if name not in odd}


def note_evaluations(result: RunResult, epoch: int, evaluations: Mapping[str, Evaluation]) -> bool:
    """Enters the evaluations of all sets into a result; False if the run has diverged."""
    for name, metrics in evaluations.items():
        if not metrics.is_finite:
            result.outcome = Outcome.DIVERGED
            result.outcome_reason = f"{name} loss is not finite after {counted(epoch, 'epoch')}"
            return False
    for name, metrics in evaluations.items():
        result.append(name, metrics)
    record_selection(result)
    return True


def note_interrupt(result: RunResult) -> None:
    """Enters that a run was interrupted."""
    result.outcome = Outcome.INTERRUPTED
    result.outcome_reason = f"interrupted after {counted(result.epochs_finished, 'epoch')}"


def validation_metric(result: RunResult) -> float:
    """That of the last evaluation; higher is better."""
    if result.valid_accuracies:
        return result.valid_accuracies[-1]
    return -result.valid_data_losses[-1]


def step_size_summary(
    sizes: Sequence[tuple[float | Tensor, float | Tensor]],
) -> dict[str, float]:
    """Mean, median, extremes and the clipped share of an epoch's logged steps.

    Steps of a size that is not finite, with which a run diverges, are left out; empty if there are
    no others.
    """
    if sizes and isinstance(sizes[0][0], Tensor):
        pairs = torch.stack([torch.stack([torch.as_tensor(x) for x in pair]) for pair in sizes])
        rows = [(clipped, unclipped) for clipped, unclipped in pairs.tolist()]
    else:
        rows = [(float(clipped), float(unclipped)) for clipped, unclipped in sizes]
    rows = [row for row in rows if is_finite(row[0])]
    if not rows:
        return {}
    return step_size_facts(rows)
