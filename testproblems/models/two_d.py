"""Functions of two variables with linear noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


class TwoD(nn.Module):
    """The losses ``f(u, v) + u * x + v * y`` of noise ``(x, y)``.

    Args:
        function: ``f``.
        start: initial ``u`` and ``v``.
    """

    def __init__(
        self, function: Callable[[Tensor, Tensor], Tensor], start: tuple[float, float]
    ) -> None:
        super().__init__()
        self.function = function
        self.u = nn.Parameter(torch.tensor(start[0]))
        self.v = nn.Parameter(torch.tensor(start[1]))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Maps noise, two tensors of shape ``(batch,)``, to losses ``(batch,)``."""
        return self.function(self.u, self.v) + self.u * x + self.v * y


def rosenbrock(u: Tensor, v: Tensor) -> Tensor:
    """Rosenbrock's valley; its minimum is 0 at (1, 1)."""
    return (1.0 - u) ** 2 + 100.0 * (v - u**2) ** 2


def beale(u: Tensor, v: Tensor) -> Tensor:
    """Beale's function; its minimum is 0 at (3, 0.5)."""
    return (1.5 - u + u * v) ** 2 + (2.25 - u + u * v**2) ** 2 + (2.625 - u + u * v**3) ** 2


def branin(u: Tensor, v: Tensor) -> Tensor:
    """Branin's function; its minimum is 0.398 at (pi, 2.275) and two other points."""
    parabola = v - 5.1 / (4.0 * math.pi**2) * u**2 + 5.0 / math.pi * u - 6.0
    return parabola**2 + 10.0 * (1.0 - 1.0 / (8.0 * math.pi)) * torch.cos(u) + 10.0
