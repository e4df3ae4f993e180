"""ALI-G written as it is read: slow, obvious, and what the fast one is tested against."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer


class ReferenceAliG(Optimizer):
    """The arithmetic of `AliG`, without any attention to speed.

    It computes the same weights and step sizes from the same gradients and losses. It leaves out
    what has nothing to do with them: checks of arguments, schedulers, copying, accelerators.
    """

    needs_loss = "value"
    regularization = "ball"

    def __init__(
        self,
        params: Iterable[Any],
        max_lr: float | None = None,
        momentum: float = 0.0,
        projection_fn: Callable[[], object] | None = None,
        eps: float = 1e-5,
        adjusted_momentum: bool = False,
        *,
        f_min: float = 0.0,
    ) -> None:
        super().__init__(params, {"max_lr": max_lr, "momentum": momentum})
        self.eps = eps
        self.f_min = f_min
        self.adjusted_momentum = adjusted_momentum
        self.projection_fn = projection_fn or (lambda: None)
        self.guarded_steps = {"zero_norm": 0, "below_f_min": 0, "non_finite": 0}
        self.step_size = self.step_size_unclipped = math.nan
        self.projection_fn()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None, *, loss: Any = None) -> Any:
        """Takes one step; see `AliG.step`."""
        returned = loss
        if closure is not None:
            with torch.enable_grad():
                returned = closure()
        value = float(returned if loss is None else loss)

        # |g|^2 over all parameters of all groups.
        squared_norm = 0.0
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    squared_norm += float((p.grad.double() ** 2).sum())

        skip = not (math.isfinite(value) and math.isfinite(squared_norm))
        if skip:
            unclipped = self._guard("non_finite")
        elif value <= self.f_min:
            unclipped = self._guard("below_f_min")
        elif squared_norm + self.eps == 0:
            unclipped = self._guard("zero_norm")
        else:
            unclipped = (value - self.f_min) / (squared_norm + self.eps)

        gammas = []
        for group in self.param_groups:
            cap = math.inf if group["max_lr"] is None else group["max_lr"]
            gamma, mu = min(unclipped, cap), group["momentum"]
            gammas.append(gamma)
            for p in group["params"]:
                if p.grad is None or skip:
                    continue
                g = p.grad
                p -= gamma * g
                if mu == 0:
                    continue
                v = self.state[p].setdefault("velocity", torch.zeros_like(p))
                if self.adjusted_momentum:
                    v.copy_(mu * v - g)
                    p += gamma * mu * v
                else:
                    v.copy_(mu * v - gamma * g)
                    p += mu * v

        self.step_size_unclipped = unclipped
        self.step_size = sum(gammas) / len(gammas)
        self.projection_fn()
        return returned

    def _guard(self, name: str) -> float:
        self.guarded_steps[name] += 1
        return 0.0
