"""Pairs of sentences as numbers of words, without any framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

PADDING, START, END = 0, 1, 2
"""Rows of the table of vectors: the zero vector after a sentence, and the two markers."""


@dataclass(frozen=True)
class Sentences:
    """Sentences of different lengths, one after the other.

    Attributes:
        ids: words as rows of a table of vectors, int32 of shape ``(words,)``.
        offsets: sentence ``i`` is ``ids[offsets[i]:offsets[i + 1]]``; int64.

    Example:
        >>> sentences = Sentences(np.array([1, 5, 2, 1, 7, 8, 2]), np.array([0, 3, 7]))
        >>> sentences.padded(np.array([0, 1]))
        (array([[1, 5, 2, 0],
               [1, 7, 8, 2]]), array([3, 4]))
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def padded(self, index: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Some sentences as one array, as long as the longest of them.

        Args:
            index: numbers of sentences, shape ``(batch,)``.

        Returns:
            Rows of the table, ``(batch, longest)``, with `PADDING` behind the end of each sentence;
            and the lengths, ``(batch,)``.
        """
        starts = self.offsets[index]
        lengths = self.offsets[index + 1] - starts
        steps = np.arange(lengths.max())
        places = np.minimum(starts[:, None] + steps, len(self.ids) - 1)
        ids = np.where(steps < lengths[:, None], self.ids[places], PADDING)
        return ids.astype(np.int64), lengths


@dataclass(frozen=True)
class Pairs:
    """A part of a corpus of sentence pairs.

    Attributes:
        labels: int64 of shape ``(pairs,)``.
        premises: the first sentence of each pair.
        hypotheses: the second one.
    """

    labels: NDArray[np.int64]
    premises: Sentences
    hypotheses: Sentences

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What the part is made of, by name."""
        return {
            "labels": self.labels,
            "premise_ids": self.premises.ids,
            "premise_offsets": self.premises.offsets,
            "hypothesis_ids": self.hypotheses.ids,
            "hypothesis_offsets": self.hypotheses.offsets,
        }


@dataclass(frozen=True)
class Corpus:
    """Sentence pairs and the vectors of their words.

    Attributes:
        label: the name in reports, with the table of vectors.
        version: hexadecimal SHA-256 digest of vectors and parts.
        source: where the sentences come from (`DataSet.source`).
        vectors: float32 of shape ``(rows, dim)``; rows 0 to 2 are the zero vector and the markers.
        parts: ``"train"``, ``"valid"`` and ``"test"``.
    """

    label: str
    version: str
    source: Literal["official", "unverified", "synthetic"]
    vectors: NDArray[np.float32]
    parts: Mapping[str, Pairs]


def renumber(
    ids: NDArray[np.int32], offsets: NDArray[np.int64], rows: NDArray[np.int32]
) -> Sentences:
    """Sentences between the two markers, without the words that have no vector.

    Args:
        ids: words by their number in the vocabulary, all sentences one after the other.
        offsets: where each sentence starts; one more than there are sentences.
        rows: vocabulary number -> row of the table of vectors, or -1.

    Example:
        >>> renumber(np.array([0, 1, 0]), np.array([0, 2, 3]), np.array([3, -1])).ids
        array([1, 3, 2, 1, 3, 2], dtype=int32)
    """
    kept = rows[ids] >= 0
    before = np.concatenate(([0], np.cumsum(kept, dtype=np.int64)))
    lengths = np.diff(before[offsets]) + 2
    new_offsets = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    new_ids = np.full(new_offsets[-1], -1, np.int32)
    new_ids[new_offsets[:-1]] = START
    new_ids[new_offsets[1:] - 1] = END
    new_ids[new_ids < 0] = rows[ids[kept]]
    return Sentences(new_ids, new_offsets)
