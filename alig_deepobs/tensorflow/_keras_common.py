"""What ALI-G's two Keras versions share: everything but how each of them applies gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from alig_deepobs.tensorflow._arguments import (
    NO_LOSS,
    check_switch,
    checked_cap,
    refuse_attributes,
    refuse_options,
)
from alig_deepobs.tensorflow._install import require
from alig_deepobs.tensorflow._step import (
    GUARDS,
    Step,
    dense,
    project,
    projection,
    step_size,
    update,
)

tf: Any = require("tensorflow")
Mixin: Any = object  # its subclasses come before a class of Keras, whose methods they call


@dataclass
class Memory:
    """What an optimizer keeps beside its state.

    A class of its own, because Keras takes attributes of the optimizer for a part of its state.

    Attributes:
        loss: the loss of the next step, if it is known already.
        step: the step size, from the loss to the update of the weights.
        in_ball: TensorFlow's variables that the projection is of.
        momenta: the momentum buffers by the keys that Keras has for variables.
    """

    loss: Any = None
    step: Step | None = None
    in_ball: list[Any] = field(default_factory=list)
    momenta: dict[Any, Any] = field(default_factory=dict)


class KerasAliG(Mixin):  # type: ignore[misc]
    """The part of both versions that `alig_deepobs.tensorflow.keras.AliG` describes.

    A version adds ``_start``, which calls the constructor of Keras's class, and
    ``_serialized_cap``, which returns the cap as a number or as the plain data of a schedule.
    """

    needs_loss = "value"
    regularization = "ball"
    _once: Mapping[str, str] = {}  # options of the variables that belong to no weight

    def __init__(
        self,
        max_lr: Any = None,
        momentum: float = 0.0,
        eps: float = 1e-5,
        adjusted_momentum: bool = False,
        *,
        f_min: float = 0.0,
        max_norm: float | None = None,
        name: str = "AliG",
        learning_rate: Any = None,
        **options: Any,
    ) -> None:
        refuse_options(options)
        check_switch("adjusted_momentum", adjusted_momentum)
        cap = checked_cap(max_lr, learning_rate, momentum, eps, f_min, max_norm)
        self._start(float(cap) if isinstance(cap, int) else cap, name)
        self.momentum = momentum
        self.eps = eps
        self.adjusted_momentum = adjusted_momentum
        self.f_min = f_min
        self.max_norm = None if max_norm == math.inf else max_norm
        self.step_size: Any = None
        self.step_size_unclipped: Any = None
        self._guard_counts: Any = None
        self._memory = Memory()

    @property
    def guarded_steps(self) -> dict[str, int]:
        """How many steps had step size 0, and why: see `alig_deepobs.AliG`."""
        counts = self._guard_counts
        values = [0] * len(GUARDS) if counts is None else counts.numpy().tolist()
        return dict(zip(GUARDS, values, strict=True))

    def build(self, variables: Sequence[Any]) -> None:
        """Makes the optimizer's variables, and projects the initial weights."""
        if self.step_size is not None:
            return
        super().build(variables)
        for variable in variables if self.momentum else ():
            buffer = self.add_variable_from_reference(variable, "momentum")
            self._memory.momenta[self._var_key(variable)] = _of_tensorflow(buffer)
        self.step_size = self.add_variable((), name="step_size", **self._once)
        self.step_size_unclipped = self.add_variable((), name="step_size_unclipped", **self._once)
        self._guard_counts = self.add_variable(
            (len(GUARDS),), dtype="int64", name="guard_counts", **self._once
        )
        if self.max_norm is not None:
            self._memory.in_ball = [_of_tensorflow(variable) for variable in variables]
            _project_initial(self._memory.in_ball, self.max_norm)

    def remember_loss(self, loss: Any) -> None:
        """Hands over the loss of the next step, the objective whose gradient will be applied."""
        self._memory.loss = loss

    def _prepared(
        self, grads_and_vars: Iterable[tuple[Any, Any]], loss: Any, how: str
    ) -> tuple[list[tuple[Any, Any]], Any]:
        """Dense gradients with their variables, and the loss, which is forgotten.

        Raises:
            ValueError: there is no loss (the message ends with how to give one) or no gradient, or
                an attribute is set that makes no sense for ALI-G.
        """
        refuse_attributes(self)
        loss = self._memory.loss if loss is None else loss
        self._memory.loss = None
        if loss is None:
            raise ValueError(NO_LOSS.format(how=f"as in {how}, or use LossMixin with model.fit"))
        pairs = list(grads_and_vars)
        self.build([variable for _, variable in pairs])
        pairs = [(dense(gradient), v) for gradient, v in pairs if gradient is not None]
        if not pairs:
            raise ValueError("there is no gradient: every gradient is None")
        return pairs, loss

    @contextmanager
    def _step_of(self, gradients: Sequence[Any], loss: Any) -> Iterator[None]:
        """Knows the step size while Keras updates the weights, and projects them afterwards."""
        step = step_size(loss, gradients, self.learning_rate, self.eps, self.f_min)
        self._memory.step = step
        size, unclipped, counts = map(
            _of_tensorflow, (self.step_size, self.step_size_unclipped, self._guard_counts)
        )
        size.assign(tf.cast(step.size, size.dtype))
        unclipped.assign(tf.cast(step.unclipped, size.dtype))
        counts.assign_add(tf.cast(step.guards, tf.int64))
        yield
        self._memory.step = None
        if self.max_norm is not None:
            _project_everywhere(self._memory.in_ball, self.max_norm)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any = None) -> None:
        """Updates one variable with the step size that was computed for all of them."""
        step = self._memory.step
        assert step is not None
        buffer = self._memory.momenta[self._var_key(variable)] if self.momentum else None
        update(variable, gradient, buffer, step, self.momentum, self.adjusted_momentum)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain data."""
        cap = self._serialized_cap()
        if not isinstance(cap, dict):
            cap = None if math.isinf(cap) else float(cap)  # JSON has no infinity
        names = ("name", "momentum", "eps", "adjusted_momentum", "f_min", "max_norm")
        return {"max_lr": cap, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The optimizer of a configuration."""
        config = dict(config)
        config["learning_rate"] = config.pop("max_lr")  # under which name Keras reads schedules
        return super().from_config(config, custom_objects)


def innermost(optimizer: Any) -> KerasAliG | None:
    """ALI-G, also inside of the optimizer of mixed precision; None for another optimizer."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return inner if isinstance(inner, KerasAliG) else None


def sum_over_replicas(tensors: Sequence[Any]) -> list[Any]:
    """The sum of each tensor over all replicas: Keras divides losses by their number."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return list(tensors)
    summed: list[Any] = context.all_reduce(tf.distribute.ReduceOp.SUM, list(tensors))
    return summed


def _of_tensorflow(variable: Any) -> Any:
    """The variable itself; of a variable of Keras 3 the one inside."""
    return variable if isinstance(variable, tf.Variable) else variable.value


def _project_initial(variables: Sequence[Any], max_norm: float) -> None:
    """Projects variables now, also while a step is being traced: before it runs."""
    with tf.init_scope():
        copies = [tf.distribute.get_strategy().experimental_local_results(v) for v in variables]
        for of_replica in zip(*copies, strict=True):
            project(of_replica, max_norm)


def _project_everywhere(variables: Sequence[Any], max_norm: float) -> None:
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
