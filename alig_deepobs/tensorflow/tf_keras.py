"""ALI-G for ``tf_keras``, which is Keras 2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from alig_deepobs.tensorflow._install import require
from alig_deepobs.tensorflow._keras_common import KerasAliG, innermost, sum_over_replicas

tf: Any = require("tensorflow")
keras: Any = require("tf_keras")


@keras.utils.register_keras_serializable(package="alig_deepobs")
class AliG(KerasAliG, keras.optimizers.Optimizer):  # type: ignore[misc]
    """ALI-G, a Polyak step size with a cap, for ``tf_keras``.

    It is used like any optimizer: Keras 2's `fit` calls `minimize`, which has the loss. With mixed
    precision (where Keras wraps the optimizer), and with ``run_eagerly`` and a ball, make the model
    with `LossMixin`. A training loop of one's own calls `minimize`, or
    ``apply_gradients(pairs, loss=loss)``.

    Arguments, attributes and errors are those of `alig_deepobs.tensorflow.keras.AliG`.

    Source:
        Berrada, Zisserman, Kumar: Training Neural Networks for and by Interpolation, ICML 2020.
    """

    def _start(self, cap: Any, name: str) -> None:
        # Keras 2 compiles the update of each variable by itself; the step size is of all of them.
        keras.optimizers.Optimizer.__init__(self, name, weight_decay=None, jit_compile=False)
        self._learning_rate = self._build_learning_rate(cap)

    def _serialized_cap(self) -> Any:
        return self._serialize_hyperparameter(self._learning_rate)

    def build(self, variables: Sequence[Any]) -> None:
        """Makes the optimizer's variables, and projects the initial weights."""
        with tf.name_scope(self.name), tf.init_scope():
            super().build(variables)
        self._built = True

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
        self.remember_loss(loss)
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
        how = "apply_gradients(pairs, loss=loss)"
        pairs, loss = self._prepared(grads_and_vars, loss, how)
        aggregate = kwargs.pop("experimental_aggregate_gradients", not skip_gradients_aggregation)
        if aggregate:
            pairs = self.aggregate_gradients(pairs)
        [loss] = sum_over_replicas([loss])
        self._compute_current_learning_rate()
        with self._step_of([gradient for gradient, _ in pairs], loss):
            return super().apply_gradients(pairs, name, skip_gradients_aggregation=True)


class LossMixin:
    """For a ``tf_keras`` model: hands the loss to ALI-G where Keras's own training does not.

    See `alig_deepobs.tensorflow.keras.LossMixin`.
    """

    optimizer: Any
    trainable_variables: list[Any]
    compute_metrics: Any
    compute_loss: Any

    def train_step(self, data: Any) -> Any:
        """One step of training, in which the optimizer hears of the loss."""
        optimizer = innermost(self.optimizer)
        if optimizer is None:
            return super().train_step(data)  # type: ignore[misc]
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        optimizer.build(self.trainable_variables)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)  # type: ignore[operator]
            loss = self.compute_loss(x, y, y_pred, sample_weight)
        optimizer.remember_loss(loss)
        self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
        return self.compute_metrics(x, y, y_pred, sample_weight)
