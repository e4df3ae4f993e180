"""The problems on SNLI, sentence pairs in three classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.base import Phase, TestProblem
from alig_deepobs.testproblems.checks import check_sizes
from alig_deepobs.testproblems.datasets.base import Batch, DataSet
from alig_deepobs.testproblems.datasets.embeddings import DEFAULT, find_table
from alig_deepobs.testproblems.datasets.snli import snli
from alig_deepobs.testproblems.datasets.snli_corpus import find_corpus, find_files
from alig_deepobs.testproblems.hinge import MultiClassHinge, hard_hinge
from alig_deepobs.testproblems.models.bilstm import FC_DIM, HIDDEN_DIM, NLINet, nli_net


class snli_bilstm(TestProblem):
    """A Bi-LSTM with max-pooling, and a linear classifier on two sentences, on SNLI.

    Network: one bidirectional LSTM layer with 2048 units a direction on frozen word vectors, the
        maximum over time, features ``[u, v, |u - v|, u * v]``, dense layers 16384-512-512-3
        without activations; PyTorch's default start (47,155,715 parameters with vectors of 300
        numbers).
    Loss: cross entropy; at the start about ln 3 = 1.10.
    Regularizer: none.
    Data: 549,367 pairs for training, 9,842 for validation, 9,824 for testing; GloVe 840B, 300
        numbers a word. The validation set is the official one; with ``split="full"`` it is left
        out, and the training pairs are the same. Every epoch has a new order and keeps its
        incomplete mini-batch, as the paper's code does (8,584 iterations).
    Defaults: batch size 64, 20 epochs.
    Interpolation: yes.
    Source: Berrada, Zisserman and Kumar, ICML 2020; the network is that of Conneau et al.,
        "Supervised learning of universal sentence representations from natural language inference
        data", EMNLP 2017.

    Args:
        batch_size: pairs in a mini-batch.
        weight_decay: there is no L2 term.
        corpus: ``"snli"``, or ``"snli_mini"`` for a small corpus in the same format.
        embeddings: name or path of a table of word vectors.
        embedding_dim: the length that the vectors must have; None for any.
        hidden_dim: units of each direction of the LSTM.
        fc_dim: units of the first two dense layers.
        mask_padding: leave the zeros behind the end of a sentence out of the maximum; the paper's
            code has them in.
        **arguments: those of every problem.
    """

    reshuffles: ClassVar[bool] = True
    drops_incomplete: ClassVar[bool] = False
    default_split: ClassVar[str] = "validation"

    def __init__(
        self,
        batch_size: int,
        weight_decay: float | None = None,
        *,
        corpus: str = "snli",
        embeddings: str = DEFAULT,
        embedding_dim: int | None = None,
        hidden_dim: int = HIDDEN_DIM,
        fc_dim: int = FC_DIM,
        mask_padding: bool = False,
        **arguments: Any,
    ) -> None:
        super().__init__(batch_size, weight_decay, **arguments)
        sizes = {"hidden_dim": hidden_dim, "fc_dim": fc_dim}
        if embedding_dim is not None:
            sizes["embedding_dim"] = embedding_dim
        check_sizes(sizes, type(self).__name__)
        self.corpus = find_corpus(corpus).name
        self.embeddings = embeddings
        self.embedding_dim = embedding_dim
        self.hidden_dim = hidden_dim
        self.fc_dim = fc_dim
        self.mask_padding = mask_padding

    def check_files(self) -> None:
        """Makes sure that the pairs and the word vectors are there."""
        if not self.synthetic:
            find_files(self.corpus, self.data_dir, self.offline)
            find_table(self.embeddings, self.data_dir)

    def load_data(self) -> DataSet:
        """Loads the pairs and the word vectors."""
        data = snli(self.corpus, self.embeddings, self.embedding_dim, **self.data_options)
        self._input_dim = data.vectors.shape[1]
        return data

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return nli_net(
            lambda: NLINet(
                self._input_dim, self.hidden_dim, self.fc_dim, mask_padding=self.mask_padding
            ),
            generator,
        )

    def batches(self, phase: Phase, number: int = 0) -> Iterator[Batch]:
        """The mini-batches of a pass over a set, each a `PairBatch`."""
        if phase in ("valid", "test"):
            return super().batches(phase, number)
        # The sentences are on the host, so the order comes there as a whole, not piece by piece.
        rows = self._pass_order(phase, number).cpu().split(self.batch_size)
        return (self.data.take("train", index) for index in rows)

    def forward(self, batch: Batch) -> Tensor:
        """The scores of the classes, ``(batch_size, 3)``."""
        scores: Tensor = self.net(*batch[:-1])
        return scores

    def losses_of(self, outputs: Any, batch: Batch) -> Tensor:
        """The cross entropy of each pair, shape ``(batch_size,)``."""
        return nn.functional.cross_entropy(outputs, batch[-1], reduction="none")

    def correct_of(self, outputs: Any, batch: Batch) -> Tensor | None:
        """Whether each pair is classified correctly, shape ``(batch_size,)``."""
        correct: Tensor = outputs.argmax(dim=1) == batch[-1]
        return correct


class snli_bilstm_svm(snli_bilstm):
    """`snli_bilstm` with a hinge loss; everything else is the same.

    Loss: the multi-class hinge loss of Crammer and Singer; at the start about 1.
    """

    loss_function: ClassVar[type[nn.Module]] = MultiClassHinge

    def losses_of(self, outputs: Any, batch: Batch) -> Tensor:
        """The hinge loss of each pair, shape ``(batch_size,)``."""
        return hard_hinge(outputs, batch[-1])
