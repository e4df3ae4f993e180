"""ALI-G for ``tf_keras``, which is Keras 2."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from alig_deepobs.tensorflow._arguments import (
    check_arguments,
    one_cap,
    refuse_attributes,
    refuse_options,
)
from alig_deepobs.tensorflow._install import require
from alig_deepobs.tensorflow._keras_common import (
    Memory,
    cap_or_none,
    guarded_steps,
    project_everywhere,
    project_initial,
    sum_over_replicas,
)
from alig_deepobs.tensorflow._step import GUARDS, dense, step_size, update

tf: Any = require("tensorflow")
keras: Any = require("tf_keras")


@keras.utils.register_keras_serializable(package="alig_deepobs")
class AliG(keras.optimizers.Optimizer):  # type: ignore[misc]
    """ALI-G, a Polyak step size with a cap, for ``tf_keras``.

    It is used like any optimizer: Keras 2's `fit` calls `minimize`, which has the loss. With mixed
    precision (where Keras wraps the optimizer), and with ``run_eagerly`` and a ball, make the model
    with `LossMixin`. A training loop of one's own calls `minimize`, or
    ``apply_gradients(pairs, loss=loss)``.

    Arguments, attributes and errors are those of `alig_deepobs.tensorflow.keras.AliG`.

    Source:
        Berrada, Zisserman, Kumar: Training Neural Networks for and by Interpolation, ICML 2020.
    """

    needs_loss = "value"
    regularization = "ball"

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
        max_lr = one_cap(max_lr, learning_rate)
        check_arguments(max_lr, momentum, eps, f_min, max_norm)
        # Keras 2 compiles the update of each variable by itself; the step size is of all of them.
        super().__init__(name, weight_decay=None, jit_compile=False)
        self._learning_rate = self._build_learning_rate(math.inf if max_lr is None else max_lr)
        self.momentum = momentum
        self.eps = eps
        self.adjusted_momentum = adjusted_momentum
        self.f_min = f_min
        self.max_norm = None if max_norm == math.inf else max_norm
        self.step_size: Any = None
        self.step_size_unclipped: Any = None
        self._guard_counts: Any = None
        self._momenta: list[Any] = []
        self._in_ball: list[Any] = []
        self._memory = Memory()

    @property
    def guarded_steps(self) -> dict[str, int]:
        """How many steps had step size 0, and why: see `alig_deepobs.AliG`."""
        return guarded_steps(self._guard_counts)

    def build(self, var_list: Sequence[Any]) -> None:
        """Makes the optimizer's variables, and projects the initial weights."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        if self.momentum:
            self._momenta = [
                self.add_variable_from_reference(variable, "momentum") for variable in var_list
            ]
        self.step_size = self.add_variable((), name="step_size")
        self.step_size_unclipped = self.add_variable((), name="step_size_unclipped")
        self._guard_counts = self.add_variable(
            (len(GUARDS),), dtype=tf.int64, initializer="zeros", name="guard_counts"
        )
        self._in_ball = list(var_list)
        self._built = True
        if self.max_norm is not None:
            project_initial(var_list, self.max_norm)

    def remember_loss(self, loss: Any) -> None:
        """Hands over the loss of the next step, the objective whose gradient will be applied."""
        self._memory.loss = loss

    def minimize(self, loss: Any, var_list: Any, tape: Any = None) -> None:
        """Computes the gradient of a loss and takes a step.

        Args:
            loss: a tensor, or a function that returns one.
            var_list: the variables, or a function that returns them.
            tape: the tape under which a tensor was computed.
        """
        if callable(loss):
            if not callable(var_list):
                self.build(var_list)
            compute = loss
            with tf.GradientTape() as tape:
                loss = compute()
        self._memory.loss = loss
        super().minimize(loss, var_list() if callable(var_list) else var_list, tape)

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[Any, Any]],
        name: str | None = None,
        skip_gradients_aggregation: bool = False,
        *,
        loss: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Takes a step.

        Args:
            grads_and_vars: gradients and their variables; gradients may be None.
            name: name of the operations.
            skip_gradients_aggregation: whether gradients are summed over replicas already.
            loss: the objective whose gradient was taken, one number; may be left out in
                `minimize`.
            **kwargs: see ``tf_keras``.

        Raises:
            ValueError: no loss is known, there is no gradient, or an attribute is set that makes no
                sense for ALI-G.
        """
        refuse_attributes(self)
        loss = self._memory.take_loss(
            loss, "as in apply_gradients(pairs, loss=loss), or use LossMixin with model.fit"
        )
        grads_and_vars = list(grads_and_vars)
        with tf.name_scope(name or self.name), tf.init_scope():
            self.build([variable for _, variable in grads_and_vars])
        pairs = [(dense(g), variable) for g, variable in grads_and_vars if g is not None]
        if not pairs:
            raise ValueError("there is no gradient: every gradient is None")
        aggregate = kwargs.pop("experimental_aggregate_gradients", not skip_gradients_aggregation)
        if aggregate:
            pairs = self.aggregate_gradients(pairs)
        [loss] = sum_over_replicas([loss])
        self._compute_current_learning_rate()
        step = step_size(loss, [g for g, _ in pairs], self.learning_rate, self.eps, self.f_min)
        self._memory.step = step
        self.step_size.assign(tf.cast(step.size, self.step_size.dtype))
        self.step_size_unclipped.assign(tf.cast(step.unclipped, self.step_size.dtype))
        self._guard_counts.assign_add(tf.cast(step.guards, tf.int64))
        iteration = super().apply_gradients(pairs, name, skip_gradients_aggregation=True)
        self._memory.step = None
        if self.max_norm is not None:
            project_everywhere(self._in_ball, self.max_norm)
        return iteration

    def update_step(self, gradient: Any, variable: Any) -> None:
        """Updates one variable with the step size that `apply_gradients` computed."""
        step = self._memory.step
        assert step is not None
        buffer = None
        if self.momentum:
            buffer = self._momenta[self._index_dict[self._var_key(variable)]]
        update(variable, gradient, buffer, step, self.momentum, self.adjusted_momentum)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain data."""
        return {
            "name": self.name,
            "max_lr": cap_or_none(self._serialize_hyperparameter(self._learning_rate)),
            "momentum": self.momentum,
            "eps": self.eps,
            "adjusted_momentum": self.adjusted_momentum,
            "f_min": self.f_min,
            "max_norm": self.max_norm,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> AliG:
        """The optimizer of a configuration."""
        config = dict(config)
        if isinstance(config["max_lr"], dict):
            config["max_lr"] = keras.optimizers.schedules.deserialize(
                config["max_lr"], custom_objects=custom_objects
            )
        return cls(**config)


class LossMixin:
    """For a ``tf_keras`` model: hands the loss to ALI-G where Keras's own training does not.

    That is, where the optimizer is wrapped for mixed precision, and for the first step of a model
    that is run eagerly with a ball. With other optimizers nothing changes.

    Example:
        >>> class Model(LossMixin, keras.Model):
        ...     pass
        >>> inputs = keras.Input((4,))
        >>> model = Model(inputs, keras.layers.Dense(1)(inputs))
        >>> model.compile(optimizer=AliG(max_lr=0.1), loss="mse")
    """

    optimizer: Any
    trainable_variables: list[Any]
    compute_metrics: Any
    compute_loss: Any

    def train_step(self, data: Any) -> Any:
        """One step of training, in which the optimizer hears of the loss."""
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if not isinstance(optimizer, AliG):
            return super().train_step(data)  # type: ignore[misc]
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.init_scope():
            optimizer.build(self.trainable_variables)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)  # type: ignore[operator]
            loss = self.compute_loss(x, y, y_pred, sample_weight)
        optimizer.remember_loss(loss)
        self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
        return self.compute_metrics(x, y, y_pred, sample_weight)
