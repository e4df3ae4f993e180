"""The networks of many runs of one problem, as one matrix of weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from alig_deepobs.runners.vectorized.examples import Examples, Piece
from alig_deepobs.runners.vectorized.layers import PlainLayers
from alig_deepobs.runners.vectorized.noise import Draw, HandOut, drawn, draws_of
from alig_deepobs.runners.vectorized.replay import record
from alig_deepobs.seeds import derive_seed
from alig_deepobs.testproblems.base import Phase, TestProblem
from alig_deepobs.testproblems.datasets.base import Batch


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

    def row_of(self, stacked: Tensor) -> Tensor:
        """A parameter of all members, ``(members, *shape)``, as its columns of their rows."""
        if self.order != tuple(range(len(self.order))):
            stacked = stacked.permute(0, *(d + 1 for d in self.order))
        return stacked if stacked.ndim == 2 else stacked.reshape(len(stacked), -1)


class Members:
    """The networks of many runs of one problem.

    Args:
        problem: the problem, set up.
        seeds: the seed of each run.
        compiled: whether the computation of all networks is compiled.

    Attributes:
        problems: the problem of each member; those of one seed are the same object.
        weights: the weights of all members, ``(members, weights)``.
        gradients: filled by `losses`, like the weights.
        carried: what each member's last mini-batch hands to its next, ``(members, ...)``; a list
            of one tensor, or of none where mini-batches hand on nothing.
    """

    def __init__(
        self, problem: TestProblem, seeds: Sequence[int], *, compiled: bool = False
    ) -> None:
        self.compiled = compiled
        of_seed = {seed: problem.for_seed(seed) for seed in dict.fromkeys(seeds)}
        self.problems = [of_seed[seed] for seed in seeds]
        self.problem = self.problems[0]
        self.device = torch.device(problem.device)
        self.call = _Call(self.problem)
        self.examples = Examples(self.problems, self._is_whole)
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
        self.start(phase, 0)
        piece = next(self.examples.pieces(phase, 0))
        self.problem.net.train()
        function = self._vectorized(grad_and_value(self._objective, has_aux=True), piece)
        with torch.no_grad():
            given = self._given(phase, piece)
            gradients, _ = function(self._named(self.weights), piece.batch, piece.offset, given)
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
        self.examples = Examples(self.problems, self._is_whole)
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

    def start(self, phase: str, epoch: int) -> None:
        """Starts a pass: each member's stream of dropout masks and sampled codes, and its state."""
        state = self.problem.zero_state()
        self.carried = [] if state is None else [torch.stack([state] * len(self))]
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
        for piece in self.examples.pieces(phase, epoch):
            loss, right = self._run(phase, piece, self._metrics)
            losses += loss.double() * piece.examples
            correct += right.double() * piece.examples
            total += piece.examples
        return losses / total, correct / total if self.problem.has_accuracy else None

    def _run(self, phase: Phase, piece: Piece, function: Any) -> list[Tensor]:
        given = self._given(phase, piece)
        inputs = [*piece.batch, *([] if piece.offset is None else [piece.offset]), *given]
        key = (phase == "train", piece.own, tuple((x.shape, x.stride()) for x in inputs))
        if key not in self.recorded:
            self.problem.net.train(phase == "train")
            count = len(piece.batch)

            def flat(weights: Tensor, *tensors: Tensor) -> Sequence[Tensor]:
                rest = tensors[count:]
                offset = None if piece.offset is None else rest[0]
                given = rest[0 if offset is None else 1 :]
                same = piece._replace(batch=tensors[:count], offset=offset)
                outputs: Sequence[Tensor] = function(weights, same, list(given))
                return outputs

            self.recorded[key], size = record(flat, self.weights, inputs, compiled=self.compiled)
            self.bytes = max(self.bytes, size)
        outputs = self.recorded[key](*inputs)
        if self.carried:
            self.carried = [outputs.pop().contiguous()]  # as recorded
        return outputs

    def _gradients(self, weights: Tensor, piece: Piece, given: list[Tensor]) -> list[Tensor]:
        function = self._vectorized(grad_and_value(self._objective, has_aux=True), piece)
        gradients, (losses, carried) = function(
            self._named(weights), piece.batch, piece.offset, given
        )
        rows = [place.row_of(gradients[place.name]) for place in self.places]
        return [*rows, losses, *carried]

    def _metrics(self, weights: Tensor, piece: Piece, given: list[Tensor]) -> list[Tensor]:
        function = self._vectorized(self._metrics_of_one, piece)
        return list(function(self._named(weights), piece.batch, piece.offset, given))

    def _vectorized(self, function: Any, piece: Piece) -> Callable[..., Any]:
        """The function of one member's weights, batch, offset and what it is given, for all."""
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
        self, named: Any, batch: Batch, offset: Tensor | None, given: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        loss, outputs = functional_call(self.call, named, (batch, given))
        return loss if offset is None else loss + offset, self._carried_by(outputs)

    def _metrics_of_one(
        self, named: Any, batch: Batch, offset: Tensor | None, given: list[Tensor]
    ) -> list[Tensor]:
        loss, outputs = functional_call(self.call, named, (batch, given))
        correct = self.problem.correct_of(outputs, batch)
        accuracy = loss.new_zeros(()) if correct is None else correct.float().mean()
        loss = loss if offset is None else loss + offset
        return [loss, accuracy, *self._carried_by(outputs)]

    def _carried_by(self, outputs: Any) -> list[Tensor]:
        return [self.problem.carry(outputs)] if self.carried else []

    def _draws(self, phase: Phase, piece: Piece) -> list[Draw]:
        """What the network draws for a mini-batch."""
        key = (phase == "train", piece.examples)
        if key not in self.draws:
            self.problem.net.train(phase == "train")
            batch = tuple(x[0] for x in piece.batch) if piece.own else piece.batch
            self.draws[key] = draws_of(lambda: self.problem.forward(batch))
            if self.draws[key] and self.device.type != "cpu":
                # Its kernels draw in an order of their own, which one stream per run does not have.
                raise NotImplementedError("dropout and sampled codes are alike on the CPU only")
        return self.draws[key]

    def _is_whole(self, piece: Piece) -> bool:
        return bool(self.carried or self._draws("test", piece))

    def _given(self, phase: Phase, piece: Piece) -> list[Tensor]:
        """What the network of each member is given for a mini-batch: its state, and its noise."""
        draws = self._draws(phase, piece)
        return [*self.carried, *(drawn(draws, self.generators) if draws else [])]


class _Call(nn.Module):
    """Loss and outputs of a problem's network on a batch, as a module with its parameters."""

    def __init__(self, problem: TestProblem) -> None:
        super().__init__()
        self.net = problem.net
        self.problem = problem
        self.has_state = problem.zero_state() is not None

    def forward(self, batch: Batch, given: list[Tensor]) -> tuple[Tensor, Any]:
        """The mean data loss, and what the network returned."""
        if self.has_state:
            state, *given = given
            batch = (*batch, state)
        with PlainLayers(), HandOut(given) if given else contextlib.nullcontext():
            outputs = self.problem.forward(batch)
        return self.problem.mean_loss(outputs, batch), outputs
