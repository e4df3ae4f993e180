"""ALI-G as an optimizer of TensorFlow 1, for DeepOBS 1.1.2 and other graphs."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from typing import Any

from alig_deepobs.tensorflow._arguments import (
    NO_LOSS,
    check_switch,
    checked_cap,
    refuse_options,
)
from alig_deepobs.tensorflow._install import require
from alig_deepobs.tensorflow._step import (
    GUARDS,
    Step,
    dense,
    fused_update,
    project,
    projection,
    step_size,
    update,
)

tf: Any = require("tensorflow")
logger = logging.getLogger(__name__)


class AliG(tf.compat.v1.train.Optimizer):  # type: ignore[misc]
    r"""ALI-G, a Polyak step size with a cap, for ``tf.compat.v1``.

    The method, its guards and its momentum forms are those of `alig_deepobs.AliG`. (The authors'
    TensorFlow code has the adjusted form only.)

    `minimize` knows the loss. After `compute_gradients`, so does `apply_gradients`, also if the
    gradients were changed or some were left out in between; else it must be told:
    ``apply_gradients(pairs, loss=loss)``. The loss must be the objective whose gradient was taken,
    without a regularizer that the gradient lacks.

    The initial weights are projected as well, as PyTorch's version does at construction: in a
    graph, the variables' initializers start with projected values (so run them all at once, with
    ``tf.compat.v1.global_variables_initializer()``); elsewhere the variables are projected before
    the loss is computed for the first time. Weights that are loaded later are projected after the
    next step; `project` does it at once.

    Args:
        max_lr: cap of the step size: a positive number, None or infinity for no cap, or a tensor
            or variable such as the learning rate of DeepOBS's runner.
        momentum, eps, adjusted_momentum, f_min, max_norm: as in `alig_deepobs.tensorflow.keras`.
        use_locking: has no effect; TensorFlow's optimizers have it.
        name: prefix of the names of what is created.
        learning_rate: another name of ``max_lr``.
        weight_decay: must be 0; the error says what to use instead.

    Attributes:
        step_size: the step size, after `apply_gradients` or `minimize`: in a graph a tensor of
            shape ``()``, to be fetched together with the step.
        step_size_unclipped: the step size before the cap, likewise.
        guard_counts: an int64 variable of shape (3,): in how many steps the step size was 0 because
            of what `guard_names` says: ``zero_norm``, ``below_f_min`` and ``non_finite``.

    Raises:
        ValueError: an argument is out of its range; the message names it.

    Example:
        >>> with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        ...     w = tf.compat.v1.Variable([1.0, -1.0])
        ...     loss = tf.reduce_sum(w**2) / 2
        ...     step = AliG(0.5, eps=0.0).minimize(loss)
        ...     session.run(tf.compat.v1.global_variables_initializer())
        ...     session.run(step)
        ...     print(session.run(w))
        [ 0.5 -0.5]
    """

    needs_loss = "value"
    regularization = "ball"
    guard_names = GUARDS

    def __init__(
        self,
        max_lr: Any = None,
        momentum: float = 0.0,
        eps: float = 1e-5,
        adjusted_momentum: bool = False,
        *,
        f_min: float = 0.0,
        max_norm: float | None = None,
        use_locking: bool = False,
        name: str = "AliG",
        learning_rate: Any = None,
        weight_decay: float = 0.0,
    ) -> None:
        refuse_options({"weight_decay": weight_decay})
        check_switch("adjusted_momentum", adjusted_momentum)
        self._cap = checked_cap(
            max_lr, learning_rate, momentum, eps, f_min, max_norm, _static_value
        )
        super().__init__(use_locking, name)
        self._momentum = momentum
        self._eps = eps
        self._adjusted = adjusted_momentum
        self._f_min = f_min
        self._max_norm = None if max_norm == math.inf else max_norm
        self._losses: list[tuple[Any, frozenset[int]]] = []
        self._projected: set[int] = set()
        self._step: Step | None = None
        self._variables_in_ball: list[Any] = []
        self.step_size: Any = math.nan
        self.step_size_unclipped: Any = math.nan
        self.guard_counts: Any = None

    def compute_gradients(
        self, loss: Any, var_list: Any = None, *args: Any, grad_loss: Any = None, **kwargs: Any
    ) -> list[tuple[Any, Any]]:
        """Computes gradients as every optimizer does, and remembers the loss.

        Args:
            loss: a tensor with one element, or (needed in eager execution) a function that
                returns one.
            var_list: the variables; None for the trainable ones.
            *args: see TensorFlow.
            grad_loss: must be None, because the gradient would not be that of the loss.
            **kwargs: see TensorFlow.

        Raises:
            ValueError: the loss has several elements, or there is a ``grad_loss``.
        """
        if grad_loss is not None:
            raise ValueError("grad_loss must be None: AliG needs the loss whose gradient it is")
        values: list[Any] = []
        if callable(loss):
            if var_list is not None:
                self._project_at_once(tf.nest.flatten(var_list))
            compute = loss

            def loss() -> Any:
                values.append(compute())
                return values[-1]

        else:
            values.append(_checked_loss(loss))
        pairs: list[tuple[Any, Any]] = super().compute_gradients(loss, var_list, *args, **kwargs)
        self._losses.append((_checked_loss(values[-1]), frozenset(id(v) for _, v in pairs)))
        return pairs

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[Any, Any]],
        global_step: Any = None,
        name: str | None = None,
        *,
        loss: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Takes a step, or in a graph makes the operation that does.

        Args:
            grads_and_vars: gradients and their variables; gradients may be None.
            global_step: a variable to count steps in.
            name: name of the operation.
            loss: the objective whose gradient was taken, one number; may be left out after
                `compute_gradients`.
            **kwargs: see TensorFlow.

        Raises:
            ValueError: no loss is known, or more than one could be meant; or there is no gradient.
            NotImplementedError: several replicas train together (use the Keras version).
        """
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise NotImplementedError(
                "AliG for tf.compat.v1 knows the loss and gradient of one replica only: "
                "use alig_deepobs.tensorflow.keras.AliG"
            )
        pairs = [(None if g is None else dense(g), v) for g, v in grads_and_vars]
        variables = [v for _, v in pairs]
        loss = self._loss_for(variables) if loss is None else _checked_loss(loss)
        gradients = [g for g, _ in pairs if g is not None]
        if gradients:  # without any, TensorFlow itself has an error message
            self._project_initial(variables)
            self._step = step_size(loss, gradients, self._cap, self._eps, self._f_min)
            self.step_size, self.step_size_unclipped = self._step.size, self._step.unclipped
            self._variables_in_ball = variables
        return super().apply_gradients(pairs, global_step, name, **kwargs)

    def project(self, variables: Sequence[Any]) -> Any:
        """Projects variables on the ball, or in a graph makes the operation that does.

        Does nothing without a ``max_norm``.
        """
        return tf.no_op() if self._max_norm is None else project(variables, self._max_norm)

    def _loss_for(self, variables: Sequence[Any]) -> Any:
        """The loss whose gradients for these variables were computed last; forgets it."""
        wanted = frozenset(map(id, variables))
        found = [item for item in self._losses if wanted <= item[1]]
        if len({id(loss) for loss, _ in found}) > 1:
            self._losses = []
            raise ValueError(
                "gradients of several losses were computed for these variables: pass the argument "
                "`loss`, the one whose gradients these are, apply_gradients(pairs, loss=loss)"
            )
        if not found:
            raise ValueError(NO_LOSS.format(how="as in apply_gradients(pairs, loss=loss)"))
        self._losses = [item for item in self._losses if item not in found]
        return found[0][0]

    def _project_initial(self, variables: Sequence[Any]) -> None:
        if self._max_norm is None:
            return
        if tf.compat.v1.executing_eagerly_outside_functions():
            self._project_at_once(variables)
            return
        values = [variable.initial_value for variable in variables]
        if any(value is None for value in values):
            logger.warning("AliG: variables without an initial value are not projected at first")
            return
        # In one run of all initializers each random value is drawn once, so norm and values agree.
        for variable, value in zip(variables, projection(values, self._max_norm), strict=True):
            variable._initializer_op = variable.assign(value, read_value=False)

    def _project_at_once(self, variables: Sequence[Any]) -> None:
        """Projects variables that exist already, once for each set of them."""
        new = {id(variable) for variable in variables} - self._projected
        if self._max_norm is not None and new:
            self._projected |= new
            with tf.init_scope():  # while a tf.function is traced: before it runs
                project(variables, self._max_norm)

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        if self._momentum:
            for variable in var_list:
                self._zeros_slot(variable, "momentum", self._name)
        first = min(var_list, key=lambda variable: variable.name)
        self.guard_counts = self._create_non_slot_variable(
            tf.zeros(len(GUARDS), tf.int64), "guard_counts", first
        )

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        assert self._step is not None
        buffer = self.get_slot(var, "momentum") if self._momentum else None
        options = (var, grad, buffer, self._step, self._momentum, self._adjusted)
        is_fine = var.dtype.base_dtype in (tf.float32, tf.float64)
        return fused_update(*options) if is_fine else tf.group(*update(*options))

    _resource_apply_dense = _apply_dense

    def _finish(self, update_ops: list[Any], name_scope: str) -> Any:
        assert self._step is not None
        counts = tf.cast(self._step.guards, tf.int64)
        operations = [*update_ops, self.guard_counts.assign_add(counts, read_value=False)]
        if self._max_norm is not None:
            with tf.control_dependencies([op for op in operations if op is not None]):
                operations.append(project(self._variables_in_ball, self._max_norm))
        return super()._finish(operations, name_scope)


def _static_value(cap: Any) -> Any:
    """The value of a cap, also of a variable with a constant initial value, if it is known."""
    if cap is None or isinstance(cap, (int, float, str)):
        return cap
    if not tf.compat.v1.executing_eagerly_outside_functions():
        cap = getattr(cap, "initial_value", cap)
    try:
        value = tf.get_static_value(tf.convert_to_tensor(cap))
    except (TypeError, ValueError):
        return None
    return None if value is None else float(value)


def _checked_loss(loss: Any) -> Any:
    shape = tf.TensorShape(getattr(loss, "shape", ()))
    if shape.num_elements() not in (None, 1):
        raise ValueError(
            f"the loss must be one number, not a tensor of shape {tuple(shape.as_list())}: reduce "
            "it, for example with tf.reduce_mean"
        )
    return loss
