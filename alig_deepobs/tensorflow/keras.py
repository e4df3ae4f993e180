"""ALI-G for Keras 3 on TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from alig_deepobs.errors import UsageError
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
keras: Any = require("keras")
if keras.backend.backend() != "tensorflow":
    raise UsageError(
        f"Keras runs on {keras.backend.backend()}, but this ALI-G is made for TensorFlow: set the "
        "environment variable KERAS_BACKEND=tensorflow (for PyTorch there is alig_deepobs.AliG)"
    )


@keras.saving.register_keras_serializable(package="alig_deepobs")
class AliG(keras.optimizers.Optimizer):  # type: ignore[misc]
    """ALI-G, a Polyak step size with a cap, for Keras 3.

    The method, its guards and its momentum forms are those of `alig_deepobs.AliG`. It is used like
    any optimizer, compiled or not::

        model.compile(optimizer=AliG(max_lr=0.1, momentum=0.9), loss="mse")
        model.fit(x, y)

    The step size needs the loss, which Keras does not pass to optimizers. Keras's `fit` calls
    `scale_loss` with the loss whose gradient it takes, and that is where this optimizer gets it.
    Two cases need more: with mixed precision (``mixed_float16``, where Keras wraps the optimizer),
    and with ``run_eagerly`` and a ball, make the model with `LossMixin`. A training loop of one's
    own calls ``optimizer.apply(gradients, variables, loss=loss)``.

    Several replicas are supported: as Keras sums their gradients, so are their losses summed.

    Args:
        max_lr: cap of the step size: a positive number, a schedule, or None for no cap. It is kept
            as ``learning_rate``, so Keras's callbacks work on it.
        momentum: Nesterov momentum in [0, 1).
        eps: added to the squared gradient norm, at least 0.
        adjusted_momentum: use the adjusted form, with the step size outside the velocity.
        f_min: lower bound of the mini-batch loss.
        max_norm: radius of the ball that the weights are kept in, instead of weight decay; None:
            no ball. Also the initial weights are projected, when the optimizer is built.
        name: name of the optimizer.
        learning_rate: another name of ``max_lr``.
        **options: Keras's other options (``weight_decay``, ``clipnorm``, ``clipvalue``,
            ``global_clipnorm``, ``gradient_accumulation_steps``, ``loss_scale_factor``) must not be
            set; the errors say what to use instead.

    Attributes:
        step_size: variable of shape ``()``, the step size of the last step.
        step_size_unclipped: the step size before the cap, likewise.

    Raises:
        ValueError: an argument is out of its range; the message names it.

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
        cap = math.inf if max_lr is None else max_lr
        super().__init__(learning_rate=float(cap) if isinstance(cap, int) else cap, name=name)
        self.momentum = momentum
        self.eps = eps
        self.adjusted_momentum = adjusted_momentum
        self.f_min = f_min
        self.max_norm = None if max_norm == math.inf else max_norm
        self.step_size: Any = None
        self.step_size_unclipped: Any = None
        self._guard_counts: Any = None
        self._momenta: list[Any] = []
        self._memory = Memory()

    @property
    def guarded_steps(self) -> dict[str, int]:
        """How many steps had step size 0, and why: see `alig_deepobs.AliG`."""
        return guarded_steps(self._guard_counts)

    def build(self, variables: Sequence[Any]) -> None:
        """Makes the optimizer's variables, and projects the initial weights."""
        if self.built:
            return
        super().build(variables)
        if self.momentum:
            self._momenta = self.add_optimizer_variables(variables, "momentum")
        once = {"aggregation": "only_first_replica"}
        self.step_size = self.add_variable((), name="step_size", **once)
        self.step_size_unclipped = self.add_variable((), name="step_size_unclipped", **once)
        self._guard_counts = self.add_variable(
            (len(GUARDS),), dtype="int64", name="guard_counts", **once
        )
        if self.max_norm is not None:
            project_initial([variable.value for variable in variables], self.max_norm)

    def scale_loss(self, loss: Any) -> Any:
        """Remembers the loss for the next step; Keras calls this before it takes the gradient."""
        self._memory.loss = loss
        return super().scale_loss(loss)

    def remember_loss(self, loss: Any) -> None:
        """Hands over the loss of the next step, the objective whose gradient will be applied."""
        self._memory.loss = loss

    def apply_gradients(
        self, grads_and_vars: Iterable[tuple[Any, Any]], *, loss: Any = None
    ) -> Any:
        """Takes a step; see `apply`."""
        gradients, variables = zip(*grads_and_vars, strict=True)
        self.apply(gradients, variables, loss=loss)
        return self._iterations

    def apply(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None, *,
        loss: Any = None,
    ) -> None:  # fmt: skip
        """Takes a step.

        Args:
            grads: one gradient per variable; None for a variable that has none.
            trainable_variables: the variables; None for those that the optimizer was built with.
            loss: the objective whose gradient was taken, one number; may be left out where
                `scale_loss` was called with it.

        Raises:
            ValueError: no loss is known, or an attribute is set that makes no sense for ALI-G.
        """
        refuse_attributes(self)
        loss = self._memory.take_loss(
            loss, "as in apply(gradients, variables, loss=loss), or use LossMixin with model.fit"
        )
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        if not self.built:
            with keras.name_scope(self.name, caller=self):
                self.build(list(trainable_variables))
        pairs = [
            (dense(g), variable)
            for g, variable in zip(grads, trainable_variables, strict=True)
            if g is not None
        ]
        if not pairs:
            raise ValueError("there is no gradient: every entry of grads is None")
        *summed, loss = sum_over_replicas([*(g for g, _ in pairs), loss])
        step = step_size(loss, summed, self.learning_rate, self.eps, self.f_min)
        self._memory.step = step
        self.assign(self.step_size, step.size)
        self.assign(self.step_size_unclipped, step.unclipped)
        self.assign_add(self._guard_counts, tf.cast(step.guards, tf.int64))
        # Keras sums over replicas once more.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        summed = [g / replicas for g in summed] if replicas > 1 else summed
        super().apply(summed, [variable for _, variable in pairs])
        self._memory.step = None
        if self.max_norm is not None:
            project_everywhere([v.value for v in self._trainable_variables], self.max_norm)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable with the step size that `apply` computed."""
        step = self._memory.step
        assert step is not None
        buffer = None
        if self.momentum:
            buffer = self._momenta[self._get_variable_index(variable)].value
        update(variable, gradient, buffer, step, self.momentum, self.adjusted_momentum)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain data."""
        return {
            "name": self.name,
            "max_lr": cap_or_none(super().get_config()["learning_rate"]),
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
            config["max_lr"] = keras.saving.deserialize_keras_object(
                config["max_lr"], custom_objects=custom_objects
            )
        return cls(**config)


class LossMixin:
    """For a Keras 3 model: hands the loss to ALI-G where Keras's own training does not.

    That is, where the optimizer is wrapped for mixed precision, and for the first step of a model
    that is run eagerly with a ball. The loss that is handed over is the one whose gradient is
    taken: with the regularization losses of the layers, and not scaled. With other optimizers
    nothing changes.

    Example:
        >>> class Model(LossMixin, keras.Model):
        ...     pass
        >>> inputs = keras.Input((4,))
        >>> model = Model(inputs, keras.layers.Dense(1)(inputs))
        >>> model.compile(optimizer=AliG(max_lr=0.1), loss="mse")
    """

    optimizer: Any
    trainable_variables: list[Any]

    def train_step(self, data: Any) -> Any:
        """One step of training, with an optimizer that is built already."""
        if isinstance(_innermost(self.optimizer), AliG) and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        return super().train_step(data)  # type: ignore[misc]

    def compute_loss(self, *args: Any, training: bool = True, **kwargs: Any) -> Any:
        """The loss, as Keras computes it; in training, the optimizer hears of it."""
        loss = super().compute_loss(*args, training=training, **kwargs)  # type: ignore[misc]
        optimizer = _innermost(self.optimizer)
        if training and isinstance(optimizer, AliG):
            optimizer.remember_loss(loss)
        return loss


def _innermost(optimizer: Any) -> Any:
    return getattr(optimizer, "inner_optimizer", optimizer)
