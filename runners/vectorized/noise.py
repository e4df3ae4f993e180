"""Dropout masks and sampled codes, one stream for each run.

A network draws them from PyTorch's global generator as it goes. Where many networks are computed at
once, every run has to get the numbers that it would get alone. So it is found out what a network
draws, the numbers are drawn in advance, and then handed out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Draw(NamedTuple):
    """What is drawn at one place of a network: a mask of dropout, or normal numbers.

    Attributes:
        shape, stride: of the tensor.
        keep: the share of a mask that is kept; None for normal numbers.
    """

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    keep: float | None

    def take(self, generator: torch.Generator) -> Tensor:
        """The next tensor of a stream; a mask is divided by the share that it keeps."""
        x = torch.empty_strided(self.shape, self.stride, device=generator.device)
        if self.keep is None:
            return x.normal_(generator=generator)
        return x.bernoulli_(self.keep, generator=generator).div_(self.keep)


def draws_of(function: Callable[[], Any]) -> list[Draw]:
    """What a function draws; torch's global random state stays as it is."""
    listener = _Listener()
    with torch.random.fork_rng(devices=()), torch.no_grad(), listener:
        function()
    return listener.draws


def drawn(draws: Sequence[Draw], generators: Sequence[torch.Generator]) -> list[Tensor]:
    """The next tensors of all streams, each ``(members, *shape)``."""
    taken = [[draw.take(generator) for draw in draws] for generator in generators]
    return [torch.stack(of_all) for of_all in zip(*taken, strict=True)]


class _Noise(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.nn.functional.dropout:
            p = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
            training = kwargs.get("training", args[2] if len(args) > 2 else True)
            if training and p > 0:
                return self.mask(args[0], 1 - p)
        if func is torch.randn_like:
            return self.normal(args[0])
        return func(*args, **kwargs)

    def mask(self, x: Tensor, keep: float) -> Tensor:
        """What dropout makes of a tensor."""
        raise NotImplementedError

    def normal(self, x: Tensor) -> Tensor:
        """Normal numbers of a tensor's shape."""
        raise NotImplementedError


class _Listener(_Noise):
    """Notes what is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.draws: list[Draw] = []

    def mask(self, x: Tensor, keep: float) -> Tensor:
        self.draws.append(Draw(tuple(x.shape), x.stride(), keep))
        return x

    def normal(self, x: Tensor) -> Tensor:
        self.draws.append(Draw(tuple(x.shape), x.stride(), None))
        return torch.zeros_like(x)


class HandOut(_Noise):
    """Hands out tensors that were drawn in advance, in the order of the draws."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        super().__init__()
        self.tensors: Iterator[Tensor] = iter(tensors)

    def mask(self, x: Tensor, keep: float) -> Tensor:
        """What dropout makes of a tensor."""
        return x * next(self.tensors)

    def normal(self, x: Tensor) -> Tensor:
        """Normal numbers of a tensor's shape."""
        return next(self.tensors)
