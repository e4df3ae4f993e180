"""The Stanford Natural Language Inference corpus: pairs of sentences in three classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alig_deepobs.seeds import derive_seed
from alig_deepobs.testproblems.datasets.base import Batch, DataSet, content_digest
from alig_deepobs.testproblems.datasets.embeddings import DEFAULT
from alig_deepobs.testproblems.datasets.sentences import Corpus, Pairs, renumber
from alig_deepobs.testproblems.datasets.snli_corpus import find_corpus, load_corpus
from alig_deepobs.testproblems.datasets.sources import label_of

CPU = torch.device("cpu")
TWIN_SIZES = {"train": 256, "valid": 64, "test": 64}
TWIN_DIM = 300


class PairBatch(NamedTuple):
    """A mini-batch of sentence pairs.

    Attributes:
        premises: word vectors, zero behind the end of a sentence, ``(batch, longest, dim)``.
        premise_lengths: int64, ``(batch,)``.
        hypotheses: the same of the second sentences; the longest one may have another length.
        hypothesis_lengths: int64, ``(batch,)``.
        labels: 0 entailment, 1 neutral, 2 contradiction; int64, ``(batch,)``.
    """

    premises: Tensor
    premise_lengths: Tensor
    hypotheses: Tensor
    hypothesis_lengths: Tensor
    labels: Tensor


@dataclass(frozen=True)
class SentencePairs(DataSet):
    """Pairs of sentences of different lengths; a mini-batch is as long as its longest sentence.

    The table of vectors lives on the device. The words stay in the host's memory, where the length
    of a mini-batch can be found out without waiting for the device. ``parts`` has only the labels.

    Attributes:
        pairs: the sentences of each part.
        vectors: float32 of shape ``(words, dim)``; row 0 is zero.
        device: where mini-batches are put.
    """

    pairs: Mapping[str, Pairs] = field(default_factory=dict)
    vectors: Tensor = field(default_factory=lambda: torch.zeros(1, 1))
    device: torch.device = CPU

    def take(self, part: str, index: Tensor) -> Batch:
        """The pairs with these indices, as a `PairBatch`."""
        return self._batch(part, index.cpu().numpy())

    def to(self, device: torch.device) -> SentencePairs:
        """The same data, with the vectors on the device."""
        return replace(self, device=device, vectors=self.vectors.to(device))

    def _between(self, part: str, start: int, stop: int) -> Batch:
        return self._batch(part, np.arange(start, stop))

    def _batch(self, part: str, index: NDArray[np.int64]) -> PairBatch:
        pairs = self.pairs[part]
        tensors = [
            torch.from_numpy(x).to(self.device)
            for x in (
                *pairs.premises.padded(index),
                *pairs.hypotheses.padded(index),
                pairs.labels[index],
            )
        ]
        premises, hypotheses = (
            torch.nn.functional.embedding(ids, self.vectors) for ids in (tensors[0], tensors[2])
        )
        return PairBatch(premises, tensors[1], hypotheses, tensors[3], tensors[4])


def snli(
    corpus: str = "snli",
    embeddings: str = DEFAULT,
    embedding_dim: int | None = None,
    *,
    synthetic: bool = False,
    data_dir: str | None = None,
    offline: bool = False,
) -> SentencePairs:
    """SNLI: does the second sentence follow from the first one, contradict it, or neither?

    549,367 pairs for training, 9,842 for validation and 9,824 for testing, without those that have
    no gold label. Evaluations on training data take as many pairs as there are for testing.

    Args:
        corpus: ``"snli"``, or ``"snli_mini"`` for a small corpus in the same format.
        embeddings: name or path of a table of word vectors.
        embedding_dim: the length that the vectors must have; None for any.
        synthetic: make up a small corpus and its vectors instead.
        data_dir: folder with the files; None for the cache.
        offline: never touch the network.

    Raises:
        UsageError: there is no such corpus.
        DataError: a file is missing or broken.
    """
    if synthetic:
        found = twin(corpus, embedding_dim or TWIN_DIM)
    else:
        found = load_corpus(corpus, embeddings, embedding_dim, data_dir=data_dir, offline=offline)
    return SentencePairs(
        name=corpus,
        label=found.label,
        version=found.version,
        source=found.source,
        parts={part: (torch.from_numpy(pairs.labels),) for part, pairs in found.parts.items()},
        train_eval_size=len(found.parts["test"].labels),
        pairs=found.parts,
        vectors=torch.from_numpy(found.vectors),
    )


def twin(corpus: str, dim: int) -> Corpus:
    """A made-up corpus whose classes can be told apart.

    A hypothesis has some words of its premise (entailment), the same and a word that says no
    (contradiction), or words of its own (neutral).

    Args:
        corpus: what is imitated.
        dim: length of the vectors.
    """
    label = label_of(find_corpus(corpus).label, "synthetic")
    rng = np.random.default_rng(derive_seed("synthetic twin", "snli"))
    words, no = 30, 33  # the words have the rows 3 to 32
    vectors = rng.normal(0.0, 0.5, (no + 1, dim)).astype(np.float32)
    vectors[0] = 0.0
    rows = np.arange(no + 1, dtype=np.int32)
    parts = {}
    for part, size in TWIN_SIZES.items():
        labels = rng.permutation(np.arange(size) % 3)
        sides: tuple[list[list[int]], list[list[int]]] = ([], [])
        for kind in labels:
            drawn = 3 + rng.permutation(words)
            length = int(rng.integers(3, 8))
            premise, own = drawn[:length].tolist(), drawn[length : length + 2].tolist()
            sides[0].append(premise)
            sides[1].append({0: premise[:2], 1: own, 2: [no, *premise[:2]]}[int(kind)])
        parts[part] = Pairs(labels, *(renumber(*_flat(side), rows) for side in sides))
    arrays = [vectors, *(x for pairs in parts.values() for x in pairs.arrays().values())]
    return Corpus(label, content_digest(arrays), "synthetic", vectors, parts)


def _flat(sentences: list[list[int]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    words = np.concatenate([np.array(sentence, np.int32) for sentence in sentences])
    return words, np.cumsum([0, *map(len, sentences)], dtype=np.int64)
