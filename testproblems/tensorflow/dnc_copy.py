"""``dnc_copy`` for TensorFlow's DeepOBS 1.1.2."""

from __future__ import annotations

import importlib
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alig_deepobs.testproblems.datasets.copy_task import (
    INPUTS,
    OUTPUTS,
    STEPS,
    STEPS_PER_EPOCH,
    draw,
    table,
)
from alig_deepobs.testproblems.tensorflow.dnc import DNC, Sizes, tf, v1

# The network's module has enabled DeepOBS; the base classes cannot be imported before.
_TestProblem: Any = importlib.import_module("deepobs.tensorflow.testproblems.testproblem")
_DataSet: Any = importlib.import_module("deepobs.tensorflow.datasets.dataset")


class repeat_copy(_DataSet.DataSet):  # type: ignore[misc]
    """The repeat-copy task, with the mini-batches that PyTorch's problem has for the same seed.

    The seed is that of the graph, which DeepOBS's runner sets; without one, it is random.

    Args:
        batch_size: sequences in a mini-batch of training. An evaluation is one mini-batch with all
            1,024 sequences.

    Attributes:
        batch: inputs ``(batch, 9, 6)``, targets ``(batch, 9, 5)`` and mask ``(batch, 9)``.
    """

    def __init__(self, batch_size: int) -> None:
        self._rows = [tf.constant(rows) for rows in table()]
        self._seed = v1.get_default_graph().seed
        if self._seed is None:
            self._seed = int(np.random.SeedSequence().generate_state(1)[0])
        self._epochs = itertools.count()
        super().__init__(batch_size)

    def _make_train_dataset(self) -> Any:
        def next_epoch() -> NDArray[np.int64]:
            """The rows of each mini-batch."""
            rows, epoch = int(self._rows[0].shape[0]), next(self._epochs)
            return draw(rows, STEPS_PER_EPOCH, self._batch_size, self._seed, "order", epoch)

        indices = v1.data.Dataset.from_generator(
            next_epoch, output_signature=tf.TensorSpec([None], tf.int64)
        )
        return indices.map(
            lambda index: tuple(tf.gather(rows, index) for rows in self._rows)
        ).prefetch(4)

    def _make_train_eval_dataset(self) -> Any:
        return v1.data.Dataset.from_tensors(tuple(self._rows))

    _make_test_dataset = _make_train_eval_dataset


class dnc_copy(_TestProblem.TestProblem):  # type: ignore[misc]
    """A differentiable neural computer that learns to copy patterns of bits several times.

    The same task, mini-batches and network as `alig_deepobs.testproblems.dnc.dnc_copy`, which
    describes them; an epoch has 100 iterations.

    Args:
        batch_size: sequences in a mini-batch.
        weight_decay: plays no part: there is no L2 term.

    Attributes:
        accuracy: the fraction of sequences with every masked bit right; the others are DeepOBS's.
    """

    def set_up(self) -> None:
        """Builds the graph."""
        self.dataset = repeat_copy(self._batch_size)
        self.train_init_op = self.dataset.train_init_op
        self.train_eval_init_op = self.dataset.train_eval_init_op
        self.test_init_op = self.dataset.test_init_op
        inputs, targets, mask = self.dataset.batch
        self.net = DNC(Sizes(INPUTS, OUTPUTS))
        self.logits, _ = self.net.unroll(inputs, STEPS)
        bits = v1.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=self.logits)
        self.losses = v1.reduce_sum(v1.reduce_sum(bits, axis=2) * mask, axis=1)
        right = v1.reduce_all(v1.equal(self.logits > 0.0, targets > 0.5), axis=2)
        complete = v1.reduce_all(v1.logical_or(right, v1.equal(mask, 0.0)), axis=1)
        self.accuracy = v1.reduce_mean(v1.cast(complete, tf.float32))
        self.regularizer = v1.losses.get_regularization_loss()
