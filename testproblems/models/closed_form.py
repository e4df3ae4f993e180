"""Objectives in closed form: DeepOBS's noisy quadratic, and functions of two variables."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Quadratic(nn.Module):
    """The losses ``0.5 * (theta - x)^T Q (theta - x)``, with ``theta`` started at ones.

    Args:
        hessian: ``Q``, symmetric, shape ``(dim, dim)``.
    """

    hessian: Tensor

    def __init__(self, hessian: NDArray[np.float64]) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.ones(len(hessian)))
        self.register_buffer("hessian", torch.tensor(hessian, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Maps points ``(batch, dim)`` to losses ``(batch,)``."""
        difference = self.theta - x
        return 0.5 * ((difference @ self.hessian) * difference).sum(dim=1)


@cache
def deep_learning_hessian() -> NDArray[np.float64]:
    """DeepOBS's Hessian: 90 eigenvalues in [0, 1], 10 in [30, 60], rotated at random.

    The spectrum imitates that of deep networks (Chaudhari et al.: Entropy-SGD, ICLR 2017). DeepOBS
    1.1.2 draws it from a generator that lives as long as the process, so there only the first
    instance is the published problem; this is that one, every time. The rotation continues the
    stream of the eigenvalues.

    Returns:
        A read-only array of shape ``(100, 100)``.
    """
    rng = np.random.RandomState(42)
    eigenvalues = np.concatenate((rng.uniform(0.0, 1.0, 90), rng.uniform(30.0, 60.0, 10)))
    rotation = _random_rotation(len(eigenvalues), rng)
    hessian: NDArray[np.float64] = rotation.T @ np.diag(eigenvalues) @ rotation
    hessian.flags.writeable = False  # the cache hands out the same array to everybody
    return hessian


def _random_rotation(dim: int, rng: np.random.RandomState) -> NDArray[np.float64]:
    """A rotation drawn from the Haar measure on SO(dim).

    Diaconis and Shahshahani: The subgroup algorithm for generating uniform random variables,
    1987. A rotation in d dimensions becomes one in d + 1 dimensions by a reflection that takes
    the first axis to a random direction.
    """
    angle = 2.0 * np.pi * rng.uniform()
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for size in range(3, dim + 1):
        direction = rng.normal(size=size)
        normal = -direction / np.linalg.norm(direction)
        normal[0] += 1.0
        normal /= np.linalg.norm(normal)
        enlarged = np.eye(size)
        enlarged[1:, 1:] = rotation
        rotation = enlarged - 2.0 * np.outer(normal, normal @ enlarged)
    return -rotation


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
