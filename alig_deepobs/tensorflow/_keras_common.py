"""What ALI-G's two Keras versions share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from alig_deepobs.tensorflow._arguments import NO_LOSS
from alig_deepobs.tensorflow._install import require
from alig_deepobs.tensorflow._step import GUARDS, Step, project, projection

tf: Any = require("tensorflow")


class Memory:
    """What an optimizer keeps from the loss to the update of the weights, within one step.

    A class of its own, because Keras takes attributes of the optimizer for a part of its state.
    """

    def __init__(self) -> None:
        self.loss: Any = None
        self.step: Step | None = None

    def take_loss(self, given: Any, how: str) -> Any:
        """The loss that is given, else the one that was remembered, which is forgotten.

        Raises:
            ValueError: there is none; the message ends with how to give one.
        """
        loss = self.loss if given is None else given
        self.loss = None
        if loss is None:
            raise ValueError(NO_LOSS.format(how=how))
        return loss


def sum_over_replicas(tensors: Sequence[Any]) -> list[Any]:
    """The sum of each tensor over all replicas: Keras divides losses by their number."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return list(tensors)
    summed: list[Any] = context.all_reduce(tf.distribute.ReduceOp.SUM, list(tensors))
    return summed


def project_initial(variables: Sequence[Any], max_norm: float) -> None:
    """Projects variables now, also while a step is being traced: before it runs."""
    with tf.init_scope():
        copies = [tf.distribute.get_strategy().experimental_local_results(v) for v in variables]
        for of_replica in zip(*copies, strict=True):
            project(of_replica, max_norm)


def project_everywhere(variables: Sequence[Any], max_norm: float) -> None:
    """Projects variables as a part of a step, on all replicas."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        project(variables, max_norm)
        return

    def merged(strategy: Any) -> None:
        values = projection([variable.read_value() for variable in variables], max_norm)
        for variable, value in zip(variables, values, strict=True):
            strategy.extended.update(variable, lambda v, x: v.assign(x), args=(value,))

    context.merge_call(merged)


def cap_or_none(cap: Any) -> Any:
    """What a configuration says for a cap: None for no cap, since JSON has no infinity."""
    if not isinstance(cap, float):
        return cap
    return None if math.isinf(cap) else float(cap)


def guarded_steps(counts: Any) -> dict[str, int]:
    """The counts of the guards by name; none before the first step."""
    values = [0] * len(GUARDS) if counts is None else counts.numpy().tolist()
    return dict(zip(GUARDS, values, strict=True))
