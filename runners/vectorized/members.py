"""The networks of many runs of one problem, as one matrix of weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from alig_deepobs.runners.vectorized.noise import Draw, HandOut, drawn, draws_of
from alig_deepobs.runners.vectorized.replay import record
from alig_deepobs.seeds import derive_seed
from alig_deepobs.testproblems.base import Phase, TestProblem
from alig_deepobs.testproblems.datasets.base import Batch

EXAMPLES = 4096
"""Examples of all members together in one piece of an evaluation, at most."""


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


class _Place(NamedTuple):
    """Where the weights of one parameter are in a row.

    Attributes:
        name: of the parameter, as a part of the problem.
        shape: of the parameter.
        order: its dimensions as they are in memory, the last one fastest.
        start, stop: the columns.
    """

    name: str
    shape: torch.Size
    order: tuple[int, ...]
    start: int
    stop: int


class Members:
    """The networks of many runs of one problem.

    Args:
        problem: the problem, set up.
        seeds: the seed of each run.

    Attributes:
        problems: the problem of each member; those of one seed are the same object.
        weights: the weights of all members, ``(members, weights)``.
        gradients: filled by `losses`, like the weights.
    """

    def __init__(self, problem: TestProblem, seeds: Sequence[int]) -> None:
        of_seed = {seed: problem.for_seed(seed) for seed in dict.fromkeys(seeds)}
        self.problems = [of_seed[seed] for seed in seeds]
        self.problem = self.problems[0]
        self.device = torch.device(problem.device)
        self.call = _Call(self.problem)
        self.condenses = type(problem).condensed is not TestProblem.condensed
        # Batches that a problem makes in its own way are not made of row numbers alone.
        self.plain = type(problem).batches is TestProblem.batches
        self.cached: dict[tuple[str, int], list[Piece]] = {}
        self.same_rows: bool | None = None
        self.generators = [torch.Generator(self.device) for _ in seeds]
        self._place([tuple(range(p.ndim)) for p in self.problem.net.parameters()])
        self._place(self._orders())

    def __len__(self) -> int:
        return len(self.problems)

    def _place(self, orders: Sequence[tuple[int, ...]]) -> None:
        """Lays all weights out in rows."""
        self.places: list[_Place] = []
        start = 0
        for (name, p), order in zip(self.problem.net.named_parameters(), orders, strict=True):
            self.places.append(_Place(f"net.{name}", p.shape, order, start, start + p.numel()))
            start += p.numel()
        self.weights = torch.stack([self._row(problem.net) for problem in self.problems])
        self._forget()

    def _row(self, net: nn.Module) -> Tensor:
        return torch.cat(
            [
                p.detach().permute(place.order).flatten()
                for p, place in zip(net.parameters(), self.places, strict=True)
            ]
        )

    def _orders(self) -> list[tuple[int, ...]]:
        """The layout that the gradient of each parameter has by itself: it is copied fastest."""
        phase: Phase = "train"
        piece = next(self.pieces(phase, 0))
        self.problem.net.train()
        function = self._vectorized(grad_and_value(self._objective), piece)
        with torch.no_grad():
            noise = self._noise(phase, piece)
            gradients, _ = function(self._named(self.weights), piece.batch, piece.offset, noise)
        return [
            tuple(sorted(range(g.ndim - 1), key=lambda d: -g.stride(d + 1)))
            for g in (gradients[place.name] for place in self.places)
        ]

    def _forget(self) -> None:
        self.gradients = torch.empty_like(self.weights)
        self.recorded: dict[Any, Callable[..., list[Tensor]]] = {}
        self.draws: dict[tuple[bool, int], list[Draw]] = {}
        self.bytes = 0

    def keep(self, index: Sequence[int]) -> None:
        """Goes on with some of the members only."""
        self.problems = [self.problems[number] for number in index]
        self.generators = [self.generators[number] for number in index]
        self.weights = self.weights[list(index)]
        self.cached.clear()
        self._forget()

    def mask(self, chosen: set[int]) -> Tensor | None:
        """1 for the weights of some parameters of the first problem's net (by id), else 0.

        None where these are all.
        """
        rows = [
            torch.full((p.numel(),), float(id(p) in chosen), device=self.device)
            for p in self.problem.net.parameters()
        ]
        mask = torch.cat(rows)
        return None if bool(mask.all()) else mask

    # What is computed.

    def seed_noise(self, phase: str, epoch: int) -> None:
        """Starts the stream of dropout masks and sampled codes of each member."""
        for problem, generator in zip(self.problems, self.generators, strict=True):
            generator.manual_seed(derive_seed(problem.seed, "noise", phase, epoch))

    def losses(self, piece: Piece) -> Tensor:
        """The data loss of each member on its mini-batch; its gradient goes to `gradients`."""
        *gradients, losses = self._run("train", piece, self._gradients)
        torch.cat(gradients, dim=1, out=self.gradients)
        return losses

    def evaluate(self, phase: Phase, epoch: int) -> tuple[Tensor, Tensor | None]:
        """Mean data loss and accuracy of each member on a set, float64 of shape ``(members,)``."""
        losses = torch.zeros(len(self), dtype=torch.float64, device=self.device)
        correct = torch.zeros_like(losses)
        total = 0
        for piece in self.pieces(phase, epoch):
            loss, right = self._run(phase, piece, self._metrics)
            losses += loss.double() * piece.examples
            correct += right.double() * piece.examples
            total += piece.examples
        return losses / total, correct / total if self.problem.has_accuracy else None

    def same_sets(self, one: Phase, other: Phase) -> bool:
        """Whether an evaluation of both sets is the same computation, whatever the weights are."""
        parts = self.problem.data.parts
        if one != "train_eval" or any(
            x is not y for x, y in zip(parts["train"], parts[other], strict=True)
        ):
            return False
        rows = self._rows(one, 0)
        size = self.problem.data.size("train")
        complete = len(rows[0]) == size and bool((rows[0].sort().values == torch.arange(
            size, device=self.device)).all())  # fmt: skip
        first = next(self.problem.evaluation_batches(other))
        return complete and len(first[0]) == size and all(torch.equal(rows[0], r) for r in rows)

    def _run(self, phase: Phase, piece: Piece, function: Any) -> list[Tensor]:
        noise = self._noise(phase, piece)
        inputs = [*piece.batch, *([] if piece.offset is None else [piece.offset]), *noise]
        key = (phase == "train", piece.own, tuple(x.shape for x in inputs))
        if key not in self.recorded:
            self.problem.net.train(phase == "train")
            count = len(piece.batch)

            def flat(weights: Tensor, *tensors: Tensor) -> Sequence[Tensor]:
                rest = tensors[count:]
                offset = None if piece.offset is None else rest[0]
                drawn_before = rest[0 if offset is None else 1 :]
                same = piece._replace(batch=tensors[:count], offset=offset)
                outputs: Sequence[Tensor] = function(weights, same, list(drawn_before))
                return outputs

            self.recorded[key], size = record(flat, self.weights, inputs)
            self.bytes = max(self.bytes, size)
        return self.recorded[key](*inputs)

    def _gradients(self, weights: Tensor, piece: Piece, noise: list[Tensor]) -> list[Tensor]:
        function = self._vectorized(grad_and_value(self._objective), piece)
        gradients, losses = function(self._named(weights), piece.batch, piece.offset, noise)
        rows = [
            gradients[place.name]
            .permute(0, *(d + 1 for d in place.order))
            .reshape(len(weights), -1)
            for place in self.places
        ]
        return [*rows, losses]

    def _metrics(self, weights: Tensor, piece: Piece, noise: list[Tensor]) -> list[Tensor]:
        function = self._vectorized(self._loss_and_accuracy, piece)
        return list(function(self._named(weights), piece.batch, piece.offset, noise))

    def _vectorized(self, function: Any, piece: Piece) -> Callable[..., Any]:
        """The function of one member's weights, batch, offset and noise, for all members."""
        own = 0 if piece.own else None
        return vmap(function, in_dims=(0, own, None if piece.offset is None else own, 0))

    def _named(self, weights: Tensor) -> dict[str, Tensor]:
        """The parameters of all members, views of the rows."""
        named = {}
        for name, shape, order, start, stop in self.places:
            stored = weights[:, start:stop].unflatten(1, [shape[d] for d in order] or [1])
            if not shape:
                stored = stored.squeeze(1)
            back = [0] * len(order)
            for place, d in enumerate(order):
                back[d] = place + 1
            named[name] = stored.permute(0, *back)
        return named

    def _objective(
        self, named: Any, batch: Batch, offset: Tensor | None, noise: list[Tensor]
    ) -> Tensor:
        loss: Tensor = functional_call(self.call, named, (batch, noise))[0]
        return loss if offset is None else loss + offset

    def _loss_and_accuracy(
        self, named: Any, batch: Batch, offset: Tensor | None, noise: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        loss, outputs = functional_call(self.call, named, (batch, noise))
        correct = self.problem.correct_of(outputs, batch)
        accuracy = loss.new_zeros(()) if correct is None else correct.float().mean()
        return loss if offset is None else loss + offset, accuracy

    def _draws(self, phase: Phase, piece: Piece) -> list[Draw]:
        """What the network draws for a mini-batch."""
        key = (phase == "train", piece.examples)
        if key not in self.draws:
            self.problem.net.train(phase == "train")
            batch = tuple(x[0] for x in piece.batch) if piece.own else piece.batch
            self.draws[key] = draws_of(lambda: self.problem.forward(batch))
        return self.draws[key]

    def _noise(self, phase: Phase, piece: Piece) -> list[Tensor]:
        draws = self._draws(phase, piece)
        return drawn(draws, self.generators) if draws else []

    # The examples.

    def pieces(self, phase: Phase, number: int) -> Iterator[Piece]:
        """The mini-batches of a training epoch, or the pieces of a set to be evaluated.

        Args:
            phase: which set.
            number: the training epoch, or the evaluation on training data, from 0.
        """
        if self.condenses:
            key = (phase, number if self.problem.reshuffle else 0)
            if key not in self.cached:
                self.cached = {k: v for k, v in self.cached.items() if k[0] != phase}
                self.cached[key] = self._condensed(phase, number)
            return iter(self.cached[key])
        if phase in ("valid", "test") or self._is_shared(phase, number):
            batches = self.problems[0].batches(phase, number)
            pieces = (Piece(batch, False, len(batch[0])) for batch in batches)
            return pieces if phase == "train" else self._merged(pieces)
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

    def _merged(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Pieces of a good size, where no noise has to come out as for each mini-batch alone."""
        size = max(1, EXAMPLES // len(self))
        waiting: list[Piece] = []
        for piece in pieces:
            if self._draws("test", piece):
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
        if phase != "train":
            size = max(1, EXAMPLES // len(self))
            of = {key: torch.cat(rows).split(size) for key, rows in of.items()}
        for step in zip(*(of[id(problem)] for problem in self.problems), strict=True):
            batch = self.problem.data.take("train", torch.cat(step))
            own = tuple(x.unflatten(0, (len(self), -1)) for x in batch)
            yield Piece(own, True, own[0].shape[1])


def _cut(pieces: Sequence[Piece], size: int) -> Iterator[Piece]:
    """The examples of several pieces, in pieces of equal size."""
    batch = tuple(map(torch.cat, zip(*(piece.batch for piece in pieces), strict=True)))
    examples = len(batch[0])
    part = -(-examples // max(1, round(examples / size)))
    for each in zip(*(x.split(part) for x in batch), strict=True):
        yield Piece(each, False, len(each[0]))


class _Call(nn.Module):
    """Loss and outputs of a problem's network on a batch, as a module with its parameters."""

    def __init__(self, problem: TestProblem) -> None:
        super().__init__()
        self.net = problem.net
        self.problem = problem

    def forward(self, batch: Batch, noise: list[Tensor]) -> tuple[Tensor, Any]:
        """The mean data loss, and what the network returned."""
        with HandOut(noise) if noise else contextlib.nullcontext():
            outputs = self.problem.forward(batch)
        return self.problem.mean_loss(outputs, batch), outputs
