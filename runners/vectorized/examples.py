"""The mini-batches of many runs of one problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from alig_deepobs.testproblems.base import Phase, TestProblem
from alig_deepobs.testproblems.datasets.base import Batch

EXAMPLES = 4096
"""Examples of all members together in one piece of an evaluation, at most."""

KEPT = 64 << 20
"""Bytes of a set that is the same in every evaluation, up to which it is decoded only once."""


class Piece(NamedTuple):
    """Examples for all members.

    Attributes:
        batch: tensors ``(examples, ...)``, or ``(members, examples, ...)`` where each has its own.
        own: whether each has its own.
        examples: how many there are for each member.
        offset: what is to be added to the loss, ``()`` or ``(members,)``; None: nothing.
    """

    batch: Batch
    own: bool
    examples: int
    offset: Tensor | None = None


class Examples:
    """The mini-batches of all members.

    Args:
        problems: the problem of each member; those of one seed are the same object.
        is_whole: whether a piece must be evaluated as it is, because the network draws numbers for
            it or hands its state to the next one.
    """

    def __init__(
        self, problems: Sequence[TestProblem], is_whole: Callable[[Piece], bool]
    ) -> None:  # fmt: skip
        self.problems = list(problems)
        self.is_whole = is_whole
        kind = type(self.problems[0])
        self.condenses = kind.condensed is not TestProblem.condensed
        # Batches that a problem makes in its own way are not made of row numbers alone.
        self.plain = kind.batches is TestProblem.batches
        self.cached: dict[tuple[str, int], list[Piece]] = {}
        self.same_rows: bool | None = None

    def pieces(self, phase: Phase, number: int) -> Iterator[Piece]:
        """The mini-batches of a training epoch, or the pieces of a set to be evaluated.

        Args:
            phase: which set.
            number: the training epoch, or the evaluation on training data, from 0.
        """
        if self.condenses:
            key = (phase, number if self.problems[0].reshuffle else 0)
            if key not in self.cached:
                self.cached = {k: v for k, v in self.cached.items() if k[0] != phase}
                self.cached[key] = self._condensed(phase, number)
            return iter(self.cached[key])
        if phase in ("valid", "test") or self._is_shared(phase, number):
            if (phase, 0) in self.cached:
                return iter(self.cached[phase, 0])
            batches = self.problems[0].batches(phase, number)
            pieces: Iterator[Piece] = (Piece(batch, False, len(batch[0])) for batch in batches)
            if phase == "train":
                return pieces
            pieces = self._merged(pieces)
            return self._kept(phase, pieces) if self.plain and phase != "train_eval" else pieces
        if not self.plain:
            ways = [problem.batches(phase, number) for problem in self.problems]
            stacked = (
                tuple(map(torch.stack, zip(*batches, strict=True)))
                for batches in zip(*ways, strict=True)
            )
            return (Piece(batch, True, batch[0].shape[1]) for batch in stacked)
        return self._taken(phase, number)

    def _condensed(self, phase: Phase, number: int) -> list[Piece]:
        """One example for each mini-batch of training, or for a whole set."""
        ways = []
        for problem in dict.fromkeys(self.problems):
            batches = list(problem.batches(phase, number))
            if phase != "train":
                batches = [tuple(map(torch.cat, zip(*batches, strict=True)))]
            condensed = [problem.condensed(batch) for batch in batches]
            ways.append([each for each in condensed if each is not None])
        if len(ways) == 1:
            return [Piece(batch, False, 1, offset) for batch, offset in ways[0]]
        of = {id(p): way for p, way in zip(dict.fromkeys(self.problems), ways, strict=True)}
        pieces = []
        for step in zip(*(of[id(problem)] for problem in self.problems), strict=True):
            batches = [batch for batch, _ in step]
            batch = tuple(map(torch.stack, zip(*batches, strict=True)))
            pieces.append(Piece(batch, True, 1, torch.stack([offset for _, offset in step])))
        return pieces

    def _is_shared(self, phase: Phase, number: int) -> bool:
        """Whether all members see the same examples in the same order."""
        if len(set(map(id, self.problems))) == 1:
            return True
        if phase == "train" or not self.plain:
            return False
        if self.same_rows is None:
            first, *others = self._rows(phase, number)
            self.same_rows = all(torch.equal(first, rows) for rows in others)
        return self.same_rows

    def _rows(self, phase: Phase, number: int) -> list[Tensor]:
        """The numbers of the examples of a pass over training data, for each problem."""
        return [torch.cat(p.rows(phase, number)) for p in dict.fromkeys(self.problems)]

    def _kept(self, phase: Phase, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """The same pieces, which are kept for later passes if they are small."""
        kept: list[Piece] = []
        size = 0
        for piece in pieces:
            size += sum(x.nbytes for x in piece.batch)
            if size <= KEPT:
                kept.append(piece)
            else:
                kept.clear()
            yield piece
        if kept:
            self.cached[phase, 0] = kept

    def _merged(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Pieces of a good size, but for those that must be evaluated as they are."""
        size = max(1, EXAMPLES // len(self.problems))
        waiting: list[Piece] = []
        for piece in pieces:
            if self.is_whole(piece):
                yield piece
                continue
            waiting.append(piece)
            if sum(p.examples for p in waiting) >= size:
                yield from _cut(waiting, size)
                waiting = []
        if waiting:
            yield from _cut(waiting, size)

    def _taken(self, phase: Phase, number: int) -> Iterator[Piece]:
        """Pieces that are made of the numbers of the examples alone."""
        of = {id(p): p.rows(phase, number) for p in dict.fromkeys(self.problems)}

        def own(step: tuple[Tensor, ...]) -> Piece:
            taken = self.problems[0].data.take("train", torch.cat(step))
            batch = tuple(x.unflatten(0, (len(self.problems), -1)) for x in taken)
            return Piece(batch, True, batch[0].shape[1])

        if phase != "train" and not self.is_whole(own(tuple(of[id(p)][0] for p in self.problems))):
            size = max(1, EXAMPLES // len(self.problems))
            of = {key: torch.cat(rows).split(size) for key, rows in of.items()}
        return map(own, zip(*(of[id(problem)] for problem in self.problems), strict=True))

    def same_sets(self, one: Phase, other: Phase) -> bool:
        """Whether an evaluation of both sets is the same computation, whatever the weights are."""
        parts = self.problems[0].data.parts
        if one != "train_eval" or any(
            x is not y for x, y in zip(parts["train"], parts[other], strict=True)
        ):
            return False
        rows = self._rows(one, 0)
        size = self.problems[0].data.size("train")
        complete = len(rows[0]) == size and bool((rows[0].sort().values == torch.arange(
            size, device=rows[0].device)).all())  # fmt: skip
        first = next(self.problems[0].evaluation_batches(other))
        return complete and len(first[0]) == size and all(torch.equal(rows[0], r) for r in rows)


def _cut(pieces: Sequence[Piece], size: int) -> Iterator[Piece]:
    """The examples of several pieces, in pieces of equal size."""
    batch = tuple(map(torch.cat, zip(*(piece.batch for piece in pieces), strict=True)))
    examples = len(batch[0])
    part = -(-examples // max(1, round(examples / size)))
    for each in zip(*(x.split(part) for x in batch), strict=True):
        yield Piece(each, False, len(each[0]))
