"""ALI-G's update with the kernels of TensorFlow's own optimizers: one pass over the weights.

With the buffer ``b`` the Nesterov kernel computes ``b <- mu b + g`` and ``w <- w - lr (g + mu b)``.
That is the adjusted form with ``lr = gamma``, and the standard form with ``lr = 1`` and the
gradient ``gamma g``.
"""

from __future__ import annotations

from typing import Any

from alig_deepobs.tensorflow._install import require
from alig_deepobs.tensorflow._step import Step

tf: Any = require("tensorflow")


def kernels_support(variable: Any) -> bool:
    """Whether the kernels' arithmetic is fine enough: half precision has a path of its own."""
    return variable.dtype.base_dtype in (tf.float32, tf.float64)


def fused_update(
    variable: Any, gradient: Any, buffer: Any, step: Step, momentum: float, adjusted: bool
) -> Any:
    """The operation of one step for one variable (None in eager execution).

    Args:
        variable: the weights, a variable of TensorFlow 1 or 2.
        gradient: a dense tensor.
        buffer: the momentum buffer, a variable of the same kind; None without momentum.
        step: the step size.
        momentum: mu.
        adjusted: selects the adjusted form.
    """
    dtype = variable.dtype.base_dtype
    gamma = tf.cast(step.size, dtype)
    keep = tf.cast(tf.logical_not(step.skip), dtype)
    is_adjusted = buffer is not None and adjusted
    # Not an ordinary product: a factor of 0 must hide a gradient that is not finite.
    scaled = tf.math.multiply_no_nan(gradient, keep if is_adjusted else gamma)
    is_resource = hasattr(variable, "handle")
    if buffer is None:
        if is_resource:
            return tf.raw_ops.ResourceApplyGradientDescent(
                var=variable.handle, alpha=tf.ones((), dtype), delta=scaled
            )
        return tf.raw_ops.ApplyGradientDescent(
            var=variable, alpha=tf.ones((), dtype), delta=scaled
        ).op
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
