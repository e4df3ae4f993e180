"""SLS: stochastic gradient descent with an Armijo line search."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch

from alig_deepobs.optimizers._base import Params, Work, gradients
from alig_deepobs.optimizers._checks import (
    check_positive,
    check_range,
    checked,
    ignore_rate,
    is_number,
)
from alig_deepobs.optimizers._loss_method import LossMethod
from alig_deepobs.optimizers._norm import host_squared_norm
from alig_deepobs.optimizers.loss import loss_value

_TINY_NORM = 1e-8
_MAX_TRIES = 100
_LAST_RESORT = 1e-6


class SLS(LossMethod):
    r"""Stochastic line search: the largest tried step size that decreases the mini-batch loss.

    Starting from ``eta = min(eta_max, eta_prev gamma^(1 / n_batches_per_epoch))``, ``eta`` is
    multiplied by ``beta_b`` until Armijo's condition holds on the same mini-batch::

        loss(w - eta g) <= loss(w) - c eta |g|^2

    Where the gradient is 0 there is no step. After 100 tries the step size is 1e-6, as in the
    authors' code. There is no learning rate, and so nothing for a scheduler to change.

    The search needs the loss at new points, so ``step`` must be given a closure that may be called
    several times, on one mini-batch and with one draw of dropout masks. It should have a parameter
    ``backward``: the search calls ``closure(backward=False)`` under ``torch.no_grad()`` and leaves
    out all backward passes but the first. Closures without it work, and take longer.

    Args:
        params: parameters, or groups of them; the step size is one for all.
        n_batches_per_epoch: steps in an epoch.
        init_step_size: the step size before the first one.
        c: Armijo's constant, in (0, 1).
        beta_b: factor of a backtracking step, in (0, 1).
        gamma: growth of the step size in an epoch, at least 1.
        eta_max: largest step size.
        lr: has no effect; tools such as skorch give one to every optimizer.
        weight_decay: must be 0: put an L2 term into the loss that the closure returns.
        foreach: False: one parameter after the other; else multi-tensor operations.

    Raises:
        ValueError: an argument is out of its range; the message names it.

    Source:
        Vaswani, Mishkin, Laradji, Schmidt, Gidel, Lacoste-Julien: Painless Stochastic Gradient:
        Interpolation, Line-Search, and Convergence Rates, NeurIPS 2019.

    Example:
        >>> w = torch.tensor([3.0], requires_grad=True)
        >>> optimizer = SLS([w], n_batches_per_epoch=10, init_step_size=1.0, gamma=1.0)
        >>> def closure(backward=True):
        ...     loss = w.square().sum()
        ...     if backward:
        ...         optimizer.zero_grad()
        ...         loss.backward()
        ...     return loss
        >>> _ = optimizer.step(closure)
        >>> round(optimizer.step_size, 2)  # 1 does not decrease the loss, 0.9 does enough
        0.9
    """

    needs_loss = "closure"
    shared = ("n_batches_per_epoch", "c", "beta_b", "gamma", "eta_max")
    run_arguments = {"n_batches_per_epoch": "batches_per_epoch"}  # noqa: RUF012 - read only

    def __init__(
        self,
        params: Params,
        n_batches_per_epoch: int = 500,
        init_step_size: float = 1.0,
        c: float = 0.1,
        beta_b: float = 0.9,
        gamma: float = 2.0,
        eta_max: float = 10.0,
        *,
        lr: float | None = None,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
    ) -> None:
        ignore_rate("SLS", lr)
        self._refuse_weight_decay(weight_decay)
        check_positive("init_step_size", init_step_size)
        for name, value in (("c", c), ("beta_b", beta_b)):
            if not (is_number(value) and 0 < value < 1):
                raise ValueError(f"{name} must be in (0, 1), not {value!r}")
        check_range("gamma", gamma, 1.0)
        defaults = checked(
            n_batches_per_epoch=n_batches_per_epoch,
            c=c,
            beta_b=beta_b,
            gamma=gamma,
            eta_max=eta_max,
        )
        super().__init__(params, defaults, foreach)
        self.param_groups[0].setdefault("previous_step_size", init_step_size)

    @property
    def _known(self) -> set[str]:
        return {*super()._known, "previous_step_size"}

    @torch.no_grad()
    def step(self, closure: Callable[..., Any] | None = None, *, loss: Any = None) -> Any:
        """Takes one step.

        Args:
            closure: computes loss and gradient and returns the loss; called several times.
            loss: not used; the closure says more.

        Returns:
            What the closure returned first.

        Raises:
            TypeError: there is no closure, or it returns no loss.
            RuntimeError: a gradient is sparse.
        """
        if not callable(closure):
            if closure is None and loss is None and self._may_rest(self._work()):
                return None
            raise TypeError(
                "SLS evaluates the loss at several points: write optimizer.step(closure), with a "
                "closure that computes loss and gradient and returns the loss"
            )
        with torch.enable_grad():
            returned = closure()
        work = self._work()
        if returned is None and self._may_rest(work):
            return None
        cheap = "backward" in inspect.signature(closure).parameters
        if not cheap:  # the next call of the closure will overwrite the gradients
            for part in work:
                part.grads = [grad.clone() for grad in part.grads]
        value = float(loss_value(returned, "SLS"))
        self._search(value, work, closure, cheap)
        self._note(value, work)
        return returned

    @property
    def _no_decay(self) -> str:
        return "SLS takes no weight_decay: put the L2 term into the loss that the closure returns"

    def _lower_bound(self) -> float:
        return -math.inf  # a line search needs none

    def _search(
        self, loss: float, work: list[Work], closure: Callable[..., Any], cheap: bool
    ) -> None:
        first = self.param_groups[0]
        grads = gradients(work)
        self._squared = squared = host_squared_norm(grads) if grads else 0.0
        growth = first["gamma"] ** (1 / first["n_batches_per_epoch"])
        start = size = min(first["eta_max"], first["previous_step_size"] * growth)
        if squared < _TINY_NORM**2:
            self._sizes = 0.0, start
            return
        origins = [[p.clone() for p in part.params] for part in work]
        for _ in range(_MAX_TRIES):
            self._move(work, origins, size)
            if self._loss(closure, cheap) <= loss - first["c"] * size * squared:
                break
            size *= first["beta_b"]
        else:
            size = _LAST_RESORT
            self._move(work, origins, size)
        first["previous_step_size"] = size
        self._sizes = size, start

    def _move(self, work: list[Work], origins: list[list[torch.Tensor]], size: float) -> None:
        """Puts the weights at the given distance from where the step began."""
        for part, origin in zip(work, origins, strict=True):
            for p, weight in zip(part.params, origin, strict=True):
                p.copy_(weight)
            part.vectors.add_(part.params, part.grads, -size)

    def _loss(self, closure: Callable[..., Any], cheap: bool) -> float:
        if cheap:
            loss = closure(backward=False)
        else:
            with torch.enable_grad():
                loss = closure()
        return float(loss_value(loss, "SLS"))
