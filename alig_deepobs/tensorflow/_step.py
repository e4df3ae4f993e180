"""ALI-G's arithmetic in TensorFlow: the step size, the update and the projection.

The formulas and the guards are those of the PyTorch version. Everything is made of plain
operations, so it works in graphs of TensorFlow 1, in ``tf.function``, eagerly and under XLA.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from alig_deepobs.tensorflow._install import require

tf: Any = require("tensorflow")

GUARDS = ("zero_norm", "below_f_min", "non_finite")


class Step(NamedTuple):
    """A step size; all tensors.

    Attributes:
        size: the step size, of shape ``()``.
        unclipped: the step size before the cap.
        skip: whether weights and momentum must stay as they are.
        guards: booleans of shape (3,): which of `GUARDS` set the step size to 0.
    """

    size: Any
    unclipped: Any
    skip: Any
    guards: Any


def dense(gradient: Any) -> Any:
    """A gradient as a tensor; the rows of an embedding that occur several times are summed."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    # Not convert_to_tensor, which warns of the memory that this takes.
    return tf.math.unsorted_segment_sum(gradient.values, gradient.indices, gradient.dense_shape[0])


def squared_norm(tensors: Sequence[Any], dtype: Any) -> Any:
    """``sum |t|^2`` over tensors, accumulated in a data type; a tensor of shape ``()``."""
    return tf.add_n([tf.reduce_sum(tf.square(tf.cast(tensor, dtype))) for tensor in tensors])


def step_size(loss: Any, gradients: Sequence[Any], cap: Any, eps: float, f_min: float) -> Step:
    """The step size ``min((loss - f_min) / (|g|^2 + eps), cap)``, 0 where that makes no sense.

    Args:
        loss: the objective whose gradient was taken, one number.
        gradients: dense tensors, at least one.
        cap: a number or a tensor of shape ``()``; infinity for no cap.
        eps: added to the squared norm.
        f_min: lower bound of the loss.
    """
    tensors = [x for x in (loss, *gradients) if tf.is_tensor(x)]
    dtype = tf.float64 if any(x.dtype == tf.float64 for x in tensors) else tf.float32
    squared = squared_norm(gradients, dtype)
    gap = tf.reshape(_as(loss, dtype), ()) - f_min
    finite = tf.logical_and(tf.math.is_finite(gap), tf.math.is_finite(squared))
    positive = tf.logical_and(finite, gap > 0)
    unclipped = gap / (squared + eps)
    usable = tf.logical_and(positive, tf.math.is_finite(unclipped))
    unclipped = tf.where(usable, unclipped, tf.zeros_like(unclipped))
    # A schedule that goes below 0 must not turn descent into ascent.
    size = tf.minimum(unclipped, tf.maximum(_as(cap, dtype), 0.0))
    if any(gradient.dtype == tf.float16 for gradient in gradients):
        held = size * tf.sqrt(squared) <= tf.float16.max  # nothing in the step is longer
        usable = tf.logical_and(usable, held)
        size, unclipped = (tf.where(usable, x, tf.zeros_like(x)) for x in (size, unclipped))
    guards = tf.stack(
        [
            tf.logical_and(positive, tf.logical_not(usable)),
            tf.logical_and(finite, gap <= 0),
            tf.logical_not(finite),
        ]
    )
    return Step(size, unclipped, tf.logical_not(finite), guards)


def _as(value: Any, dtype: Any) -> Any:
    # Casting a Python number would round it to float32 first.
    return tf.constant(value, dtype) if isinstance(value, (int, float)) else tf.cast(value, dtype)


def update(
    variable: Any, gradient: Any, buffer: Any, step: Step, momentum: float, adjusted: bool
) -> list[Any]:
    """The operations of one step for one variable.

    With the buffer ``b`` (the velocity is ``v = -b``) a step is

        standard form:  b <- mu b + gamma g ;  w <- w - gamma g - mu b
        adjusted form:  b <- mu b + g       ;  w <- w - gamma (g + mu b)

    Args:
        variable: the weights.
        gradient: a dense tensor.
        buffer: the momentum buffer, a variable of the same shape; None without momentum.
        step: the step size.
        momentum: mu.
        adjusted: selects the adjusted form.
    """
    dtype = variable.dtype.base_dtype
    # Half precision is too coarse for the products.
    work = dtype if dtype in (tf.float32, tf.float64) else tf.float32
    gamma, g = tf.cast(step.size, work), tf.cast(gradient, work)
    # A factor of 0 does not hide a gradient that is not finite: 0 * nan = nan.
    g = tf.where(step.skip, tf.zeros_like(g), g)
    change = gamma * g
    operations = []
    if buffer is not None:
        mu = tf.constant(momentum, work)
        # In a skipped step the buffer stays, and nothing of it gets into the weights.
        decay = tf.where(step.skip, tf.ones_like(mu), mu)
        b = decay * tf.cast(buffer, work) + (g if adjusted else change)
        look_ahead = gamma * mu if adjusted else tf.where(step.skip, tf.zeros_like(mu), mu)
        change = change + look_ahead * b
        operations.append(buffer.assign(_rounded(b, dtype), read_value=False))
    operations.append(variable.assign_sub(_rounded(change, dtype), read_value=False))
    return operations


def _rounded(value: Any, dtype: Any) -> Any:
    """Numbers in another type; those that half precision cannot hold become its largest."""
    if dtype in (tf.float32, tf.float64):
        return tf.cast(value, dtype)
    return tf.cast(tf.clip_by_value(value, float(dtype.min), float(dtype.max)), dtype)


def fused_update(
    variable: Any, gradient: Any, buffer: Any, step: Step, momentum: float, adjusted: bool
) -> Any:
    """`update` in one pass, by the kernels of TensorFlow's optimizers; not for half precision.

    The Nesterov kernel computes ``b <- mu b + g`` and ``w <- w - lr (g + mu b)``. That is the
    adjusted form with ``lr = gamma``, and the standard form with ``lr = 1`` and the gradient
    ``gamma g``. The result is an operation, None in eager execution.
    """
    dtype = variable.dtype.base_dtype
    gamma = tf.cast(step.size, dtype)
    keep = tf.cast(tf.logical_not(step.skip), dtype)
    is_adjusted = buffer is not None and adjusted
    # Not an ordinary product: a factor of 0 must hide a gradient that is not finite.
    scaled = tf.math.multiply_no_nan(gradient, keep if is_adjusted else gamma)
    is_resource = hasattr(variable, "handle")
    if buffer is None:
        plain = {"alpha": tf.ones((), dtype), "delta": scaled}
        if is_resource:
            return tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, **plain)
        return tf.raw_ops.ApplyGradientDescent(var=variable, **plain).op
    options = {
        # In a skipped step, 1 keeps the buffer, and the rate 0 keeps it out of the weights.
        "lr": gamma if adjusted else keep,
        "grad": scaled,
        "momentum": tf.where(step.skip, tf.ones((), dtype), tf.constant(momentum, dtype)),
        "use_nesterov": True,
    }
    if is_resource:
        return tf.raw_ops.ResourceApplyMomentum(var=variable.handle, accum=buffer.handle, **options)
    return tf.raw_ops.ApplyMomentum(var=variable, accum=buffer, **options).op


def projection(values: Sequence[Any], max_norm: float) -> list[Any]:
    """Tensors projected on the ball of radius ``max_norm`` around 0, all together."""
    is_double = any(value.dtype.base_dtype == tf.float64 for value in values)
    dtype = tf.float64 if is_double else tf.float32
    norm = tf.sqrt(squared_norm(values, dtype))
    scale = tf.cond(
        tf.math.is_finite(norm),
        lambda: max_norm / tf.maximum(norm, max_norm),  # exactly 1 inside the ball
        lambda: _wide_scale(values, max_norm, dtype),
    )
    return [value * tf.cast(scale, value.dtype.base_dtype) for value in values]


def _wide_scale(values: Sequence[Any], max_norm: float, dtype: Any) -> Any:
    """The factor where squares of weights, those beyond 1e19, are more than float32 can hold.

    Weights of which one is not finite stay where they are: there is nothing to divide by.
    """
    norm = tf.sqrt(squared_norm(values, tf.float64))
    scale = tf.cast(max_norm / tf.maximum(norm, max_norm), dtype)
    scale = tf.maximum(scale, dtype.as_numpy_dtype(1.2e-38))  # TensorFlow takes less for 0
    return tf.where(tf.math.is_finite(norm), scale, tf.ones_like(scale))


def project(variables: Sequence[Any], max_norm: float) -> Any:
    """Projects variables, in place, on the ball of radius ``max_norm``; the operation that does it.

    Inside a graph of TensorFlow 1 the caller sees to it that the variables are read in time.
    """
    values = projection([variable.read_value() for variable in variables], max_norm)
    return tf.group(
        *(v.assign(value, read_value=False) for v, value in zip(variables, values, strict=True))
    )
