"""A test problem for DeepOBS 1.1.2 that it does not have, and optimizers that misbehave.

Imported by name in the processes that the tests start.
"""

import os

import tensorflow as tf

v1 = tf.compat.v1


class tiny:
    """The squared distance of two weights from some points; options: ``size`` and ``factor``."""

    data_label = "Tiny points"
    data_version = "v1"

    def __init__(self, batch_size, weight_decay=None, *, size=8, synthetic=False):
        self.batch_size, self.size, self.synthetic = batch_size, size, synthetic

    def set_up(self):
        points = v1.random_normal((self.size, 2), seed=1)
        data = tf.data.Dataset.from_tensors(points).unbatch().batch(self.batch_size)
        iterator = v1.data.make_initializable_iterator(data)
        w = v1.get_variable("w", initializer=[3.0, -4.0 if self.synthetic else 4.0])
        self.losses = tf.reduce_sum((w - iterator.get_next()) ** 2, axis=1)
        self.regularizer = tf.constant(0.0)
        self.accuracy = None
        self.train_init_op = tf.group(iterator.initializer)
        self.train_eval_init_op = tf.group(iterator.initializer)
        self.test_init_op = tf.group(iterator.initializer)


class Failing(v1.train.GradientDescentOptimizer):
    def minimize(self, *args, **kwargs):
        raise ZeroDivisionError("no\nthat does not work")


class Dying(v1.train.GradientDescentOptimizer):
    def minimize(self, *args, **kwargs):
        os._exit(7)


class Picky(v1.train.GradientDescentOptimizer):
    def __init__(self, learning_rate):
        raise ValueError("learning_rate must be nice")


def function():
    """No optimizer."""
