"""The mini-batches of a pass, and the evaluation of a problem on one of its sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from alig_deepobs.run import Evaluation
from alig_deepobs.testproblems.base import LossAndAccuracy


def mini_batches(problem: Any, **options: Any) -> Iterator[Callable[[], LossAndAccuracy]]:
    """The mini-batches of the phase that a problem is in, drawn one after the other.

    Each is a function that evaluates the network on it; it may be called again. An error that the
    caller raises between two of them, StopIteration included, is the caller's.

    Args:
        problem: a test problem, ours or DeepOBS's, in one of its phases.
        **options: of ``get_batch_loss_and_accuracy_func``.
    """
    while True:
        try:
            evaluate = problem.get_batch_loss_and_accuracy_func(**options)
        except StopIteration:
            return
        yield evaluate


def evaluate(
    problem: Any, of: str, has_l2: bool, pause: Callable[[], None] = lambda: None
) -> Evaluation:
    """Mean loss and accuracy of a set.

    Args:
        problem: a test problem that is set up.
        of: ``train``, ``valid`` or ``test``.
        has_l2: whether the L2 term is part of the objective.
        pause: called after each mini-batch; it may end the evaluation with an exception.
    """
    {
        "train": problem.train_eval_init_op,
        "valid": problem.valid_init_op,
        "test": problem.test_init_op,
    }[of]()
    loss: Any = 0.0
    accuracy: Any = 0.0
    batches = 0.0
    for batch in mini_batches(problem, add_regularization_if_available=False):
        batch_loss, batch_accuracy = batch()
        # The weight of an incomplete mini-batch; a multiplication would cost a full one time.
        share = getattr(problem, "batch_share", 1.0)
        if share != 1.0:
            batch_loss, batch_accuracy = share * batch_loss, share * batch_accuracy
        loss, accuracy, batches = loss + batch_loss, accuracy + batch_accuracy, batches + share
        pause()
    data_loss = float(loss) / batches
    # The weights do not change within an evaluation, so neither does the L2 term.
    penalty = regularization_value(problem) if has_l2 else 0.0
    return Evaluation(
        loss=data_loss + penalty,
        data_loss=data_loss,
        accuracy=float(accuracy) / batches if problem.has_accuracy else None,
    )


@torch.no_grad()
def regularization_value(problem: Any) -> float:
    """The problem's L2 term at the current weights."""
    return float(problem.get_regularization_loss())
