"""ALI-G for Keras 3 on TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from alig_deepobs.errors import UsageError
from alig_deepobs.tensorflow._install import require
from alig_deepobs.tensorflow._keras_common import KerasAliG, innermost, sum_over_replicas

tf: Any = require("tensorflow")
keras: Any = require("keras")
if keras.backend.backend() != "tensorflow":
    raise UsageError(
        f"Keras runs on {keras.backend.backend()}, but this ALI-G is made for TensorFlow: set the "
        "environment variable KERAS_BACKEND=tensorflow (for PyTorch there is alig_deepobs.AliG)"
    )


@keras.saving.register_keras_serializable(package="alig_deepobs")
class AliG(KerasAliG, keras.optimizers.Optimizer):  # type: ignore[misc]
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

    _once = {"aggregation": "only_first_replica"}  # noqa: RUF012 - read only

    def _start(self, cap: Any, name: str) -> None:
        keras.optimizers.Optimizer.__init__(self, learning_rate=cap, name=name)

    def _serialized_cap(self) -> Any:
        return keras.optimizers.Optimizer.get_config(self)["learning_rate"]

    def scale_loss(self, loss: Any) -> Any:
        """Remembers the loss for the next step; Keras calls this before it takes the gradient."""
        self.remember_loss(loss)
        return super().scale_loss(loss)

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
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        pairs = zip(grads, trainable_variables, strict=True)
        usable, loss = self._prepared(pairs, loss, "apply(gradients, variables, loss=loss)")
        *summed, loss = sum_over_replicas([*(g for g, _ in usable), loss])
        with self._step_of(summed, loss):
            # Keras sums over replicas once more.
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            summed = [g / replicas for g in summed] if replicas > 1 else summed
            super().apply(summed, [variable for _, variable in usable])


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
        if optimizer := innermost(self.optimizer):
            optimizer.build(self.trainable_variables)
        return super().train_step(data)  # type: ignore[misc]

    def compute_loss(self, *args: Any, training: bool = True, **kwargs: Any) -> Any:
        """The loss, as Keras computes it; in training, the optimizer hears of it."""
        loss = super().compute_loss(*args, training=training, **kwargs)  # type: ignore[misc]
        if training and (optimizer := innermost(self.optimizer)):
            optimizer.remember_loss(loss)
        return loss
