"""The problems on which the theorems are tried: each draws one loss of many at every step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

NON_CONVEX_BETA = 4.4
NON_CONVEX_MU = 2 - 2.4 * 0.2172336282
"""Smoothness, and the constant of the restricted secant inequality, of `NonConvex`: the infimum of
``2 + a sin(2 w) / w`` is taken at ``a = 1.2``, and that of ``sin(x) / x`` is -0.2172336282."""


class _Instance:
    """A generator, a start and a solution."""

    start: Tensor
    solution: Tensor

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64)

    def index(self, count: int) -> int:
        return int(torch.randint(count, (), generator=self.generator))

    def squared_distance(self, w: Tensor) -> float:
        """``|w - w*|^2``."""
        return float((w - self.solution) @ (w - self.solution))


class AbsoluteErrors(_Instance):
    """``l_i(w) = |<a_i, w - w*> - e_i|`` with 20 unit vectors in R^5: convex and 1-Lipschitz.

    Args:
        seed: of the vectors, the solution and the draws.
        tolerance: bound of ``|e_i|``, so of the losses at the solution.
    """

    def __init__(self, seed: int, tolerance: float = 0.0) -> None:
        super().__init__(seed)
        self.rows = torch.nn.functional.normalize(self.normal(20, 5), dim=1)
        self.solution = self.normal(5)
        self.noise = tolerance * torch.tanh(self.normal(20))
        self.start = torch.zeros(5, dtype=torch.float64)

    def _errors(self, w: Tensor) -> Tensor:
        return self.rows @ (w - self.solution) - self.noise

    def draw(self, w: Tensor) -> tuple[float, Tensor]:
        """One loss and its gradient."""
        i = self.index(20)
        error = float(self._errors(w)[i])
        return abs(error), math.copysign(1.0, error) * self.rows[i]

    def full_loss(self, w: Tensor) -> float:
        """The mean of all losses."""
        return float(self._errors(w).abs().mean())


class Quadratics(_Instance):
    """``l_z(w) = <w - w*, H_z (w - w*)> / 2`` in R^4, with the spectrum of ``H_z`` in [1/2, 1]."""

    mu, beta = 0.5, 1.0

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.solution = self.normal(4)
        self.start = 5 * self.normal(4)
        self.spectrum = torch.linspace(self.mu, self.beta, 4, dtype=torch.float64)

    def draw(self, w: Tensor) -> tuple[float, Tensor]:
        """One loss, with axes of its own, and its gradient."""
        basis, _ = torch.linalg.qr(self.normal(4, 4))
        away = w - self.solution
        gradient = basis @ (self.spectrum * (basis.T @ away))
        return float(away @ gradient) / 2, gradient


class NonConvex(_Instance):
    """``l_a(w) = w^2 + a sin(w)^2`` with ``a`` from {0, 0.3, ..., 1.2}; 1.2 is not convex."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        uniform = torch.rand(1, generator=self.generator, dtype=torch.float64)
        self.start = 20 * uniform - 10
        self.solution = torch.zeros(1, dtype=torch.float64)

    def draw(self, w: Tensor) -> tuple[float, Tensor]:
        """One loss and its gradient."""
        a = 0.3 * self.index(5)
        value = float(w.square() + a * w.sin().square())
        return value, 2 * w + a * (2 * w).sin()

    def full_loss(self, w: Tensor) -> float:
        """The mean of all losses."""
        return float(w.square() + 0.6 * w.sin().square())
