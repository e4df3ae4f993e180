"""``snli_bilstm`` and ``snli_bilstm_svm`` for TensorFlow's DeepOBS 1.1.2."""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from alig_deepobs.errors import UsageError
from alig_deepobs.seeds import derive_seed
from alig_deepobs.tensorflow import enable
from alig_deepobs.testproblems.datasets.embeddings import DEFAULT
from alig_deepobs.testproblems.datasets.sentences import Corpus
from alig_deepobs.testproblems.datasets.snli import TWIN_DIM, twin
from alig_deepobs.testproblems.datasets.snli_corpus import load_corpus
from alig_deepobs.testproblems.models.bilstm import CLASSES, FC_DIM, HIDDEN_DIM

enable()  # the base classes cannot be imported before; says in one line if TensorFlow is missing
tf: Any = importlib.import_module("tensorflow")
v1: Any = tf.compat.v1
_TestProblem: Any = importlib.import_module("deepobs.tensorflow.testproblems.testproblem")
_DataSet: Any = importlib.import_module("deepobs.tensorflow.datasets.dataset")
_config: Any = importlib.import_module("deepobs.tensorflow.config")


class snli(_DataSet.DataSet):  # type: ignore[misc]
    """Pairs of sentences, with the mini-batches that PyTorch's problem has for the same seed.

    The seed is that of the graph, which DeepOBS's runner sets; without one, it is random.

    Training keeps the incomplete mini-batch. Evaluations drop theirs, because DeepOBS's runner
    takes the plain mean over mini-batches.

    Args:
        batch_size: pairs in a mini-batch.
        corpus: the pairs.

    Attributes:
        batch: rows of the vectors for premises ``(batch, longest)``, their lengths ``(batch,)``,
            the same for hypotheses, and labels ``(batch,)``; all int64.
    """

    def __init__(self, batch_size: int, corpus: Corpus) -> None:
        self._corpus = corpus
        self._seed = v1.get_default_graph().seed
        if self._seed is None:
            self._seed = int(np.random.SeedSequence().generate_state(1)[0])
        super().__init__(batch_size)

    def _batches(
        self, part: str, order: Callable[[], NDArray[np.int64]], drops_incomplete: bool = True
    ) -> Any:
        """Mini-batches of a part; ``order`` is asked anew in each pass."""
        pairs = self._corpus.parts[part]

        def draw() -> Iterator[tuple[NDArray[np.int64], ...]]:
            indices = order()
            end = len(indices) - (self._batch_size - 1 if drops_incomplete else 0)
            for start in range(0, end, self._batch_size):
                index = indices[start : start + self._batch_size]
                yield (
                    *pairs.premises.padded(index),
                    *pairs.hypotheses.padded(index),
                    pairs.labels[index],
                )

        table, column = tf.TensorSpec([None, None], tf.int64), tf.TensorSpec([None], tf.int64)
        signature = (table, column, table, column, column)
        return v1.data.Dataset.from_generator(draw, output_signature=signature).prefetch(4)

    def _shuffled(self, name: str, size: int | None, drops_incomplete: bool) -> Any:
        numbers = itertools.count()
        train = len(self._corpus.parts["train"].labels)

        def order() -> NDArray[np.int64]:
            seed = derive_seed(self._seed, name, next(numbers))
            generator = torch.Generator().manual_seed(seed)
            return torch.randperm(train, generator=generator)[:size].numpy()

        return self._batches("train", order, drops_incomplete)

    def _make_train_dataset(self) -> Any:
        return self._shuffled("order", None, drops_incomplete=False)

    def _make_train_eval_dataset(self) -> Any:
        size = len(self._corpus.parts["test"].labels)
        return self._shuffled("train_eval", size, drops_incomplete=True)

    def _make_test_dataset(self) -> Any:
        return self._batches("test", lambda: np.arange(len(self._corpus.parts["test"].labels)))


class snli_bilstm(_TestProblem.TestProblem):  # type: ignore[misc]
    """A Bi-LSTM with max-pooling, and a linear classifier on two sentences, on SNLI.

    The same data, mini-batches and network as `alig_deepobs.testproblems.snli.snli_bilstm`, which
    describes them. Files are looked for in DeepOBS's data folder.

    The options are keyword arguments, and attributes of the class. DeepOBS's runner passes none,
    so it is given a subclass with other attributes, under a name of its own::

        class snli_small(snli_bilstm):
            corpus, embeddings, hidden_dim = "snli_mini", "glove-6b-50d", 256

        deepobs.tensorflow.testproblems.snli_small = snli_small
        runner.run(testproblem="snli_small", ...)

    Args:
        batch_size: pairs in a mini-batch.
        weight_decay: plays no part: there is no L2 term.
        **options: ``corpus``, ``embeddings``, ``embedding_dim``, ``hidden_dim``, ``fc_dim`` and
            ``mask_padding`` as in PyTorch's problem; ``synthetic`` for the twin without files.

    Attributes:
        logits: the scores of the classes, ``(batch_size, 3)``; the others are DeepOBS's.

    Raises:
        UsageError: there is no such option.
    """

    corpus: ClassVar[str] = "snli"
    embeddings: ClassVar[str] = DEFAULT
    embedding_dim: ClassVar[int | None] = None
    hidden_dim: ClassVar[int] = HIDDEN_DIM
    fc_dim: ClassVar[int] = FC_DIM
    mask_padding: ClassVar[bool] = False
    synthetic: ClassVar[bool] = False

    def __init__(self, batch_size: int, weight_decay: float | None = None, **options: Any) -> None:
        super().__init__(batch_size, weight_decay)
        known = snli_bilstm.__annotations__
        for name, value in options.items():
            if name not in known:
                raise UsageError(
                    f"{type(self).__name__} has no option {name!r}; it has: {', '.join(known)}"
                )
            setattr(self, name, value)

    def set_up(self) -> None:
        """Builds the graph.

        Raises:
            DataError: a file is missing or broken.
        """
        if self.synthetic:
            corpus = twin(self.corpus, self.embedding_dim or TWIN_DIM)
        else:
            corpus = load_corpus(
                self.corpus, self.embeddings, self.embedding_dim,
                data_dir=_config.get_data_dir(), offline=True,
            )  # fmt: skip
        self.dataset = snli(self._batch_size, corpus)
        self.train_init_op = self.dataset.train_init_op
        self.train_eval_init_op = self.dataset.train_eval_init_op
        self.test_init_op = self.dataset.test_init_op
        premises, premise_lengths, hypotheses, hypothesis_lengths, labels = self.dataset.batch
        vectors = tf.constant(corpus.vectors)
        encoder = Encoder(corpus.vectors.shape[1], self.hidden_dim, self.mask_padding)
        u = encoder(tf.gather(vectors, premises), premise_lengths)
        v = encoder(tf.gather(vectors, hypotheses), hypothesis_lengths)
        features = tf.concat([u, v, tf.abs(u - v), u * v], axis=1)
        for layer, (inputs, units) in enumerate(
            ((8 * self.hidden_dim, self.fc_dim), (self.fc_dim, self.fc_dim), (self.fc_dim, CLASSES))
        ):
            with v1.variable_scope(f"classifier/{layer}"):
                weight = _uniform("weight", [units, inputs], inputs)
                bias = _uniform("bias", [units], inputs)
            features = tf.matmul(features, weight, transpose_b=True) + bias
        self.logits = features
        self.losses = self._losses(self.logits, labels)
        correct = tf.equal(tf.argmax(self.logits, axis=1), labels)
        self.accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))
        self.regularizer = v1.losses.get_regularization_loss()

    def _losses(self, logits: Any, labels: Any) -> Any:
        return v1.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


class snli_bilstm_svm(snli_bilstm):
    """`snli_bilstm` with the multi-class hinge loss of Crammer and Singer."""

    def _losses(self, logits: Any, labels: Any) -> Any:
        own = tf.gather(logits, labels, batch_dims=1)
        margins = logits + 1.0 - tf.one_hot(labels, CLASSES) - own[:, tf.newaxis]
        # Of several largest margins, the gradient goes to the first alone, as in PyTorch's problem.
        return tf.gather(margins, tf.argmax(margins, axis=1), batch_dims=1)


class Encoder:
    """One bidirectional LSTM layer, pooled by the maximum over time.

    The variables have the names and shapes of PyTorch's network, with both biases: the gradient's
    norm, on which ALI-G's step depends, counts each of them.

    Args:
        input_dim: length of the word vectors.
        hidden_dim: units of each direction.
        mask_padding: leave the zeros behind the end of a sentence out of the maximum.
    """

    def __init__(self, input_dim: int, hidden_dim: int, mask_padding: bool) -> None:
        self.hidden_dim = hidden_dim
        self.mask_padding = mask_padding
        shapes = {
            "weight_ih_l0": [4 * hidden_dim, input_dim],
            "weight_hh_l0": [4 * hidden_dim, hidden_dim],
            "bias_ih_l0": [4 * hidden_dim],
            "bias_hh_l0": [4 * hidden_dim],
        }
        self.weights: dict[str, list[Any]] = {}
        for direction in ("forwards", "backwards"):
            with v1.variable_scope(f"encoder/{direction}"):
                self.weights[direction] = [
                    _uniform(name, shape, hidden_dim) for name, shape in shapes.items()
                ]

    def __call__(self, words: Any, lengths: Any) -> Any:
        """The vectors of sentences, ``(batch, 2 * hidden_dim)``.

        Args:
            words: word vectors, ``(batch, time, input_dim)``.
            lengths: words of each sentence, ``(batch,)``.
        """
        turned = tf.reverse_sequence(words, lengths, seq_axis=1, batch_axis=0)
        inside = tf.transpose(tf.sequence_mask(lengths, tf.shape(words)[1]))[:, :, tf.newaxis]
        outside = -math.inf if self.mask_padding else 0.0
        pooled = []
        for direction, sequence in (("forwards", words), ("backwards", turned)):
            outputs = self._run(sequence, *self.weights[direction])
            kept = tf.where(inside, outputs, tf.fill(tf.shape(outputs), outside))
            pooled.append(tf.reduce_max(kept, axis=0))
        return tf.concat(pooled, axis=1)

    def _run(self, words: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Any:
        """The outputs of one direction, ``(time, batch, hidden_dim)``."""

        def step(state: tuple[Any, Any], projected: Any) -> tuple[Any, Any]:
            hidden, cell = state
            gates = projected + tf.matmul(hidden, w_hh, transpose_b=True) + b_hh
            i, f, g, o = tf.split(gates, 4, axis=1)
            cell = tf.sigmoid(f) * cell + tf.sigmoid(i) * tf.tanh(g)
            return tf.sigmoid(o) * tf.tanh(cell), cell

        time_first = tf.transpose(words, [1, 0, 2])
        # The part of the gates that does not depend on the step before, for all words at once.
        projected = tf.einsum("tbd,gd->tbg", time_first, w_ih) + b_ih
        zeros = tf.zeros([tf.shape(words)[0], self.hidden_dim])
        return tf.scan(step, projected, initializer=(zeros, zeros))[0]


def _uniform(name: str, shape: list[int], n: int) -> Any:
    """A variable between ``-1 / sqrt(n)`` and ``1 / sqrt(n)``, PyTorch's default start."""
    bound = n**-0.5
    return v1.get_variable(
        name, shape, tf.float32, initializer=v1.random_uniform_initializer(-bound, bound)
    )
