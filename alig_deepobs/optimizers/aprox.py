"""Stochastic gradient descent on a truncated model."""

from __future__ import annotations

from typing import Any, ClassVar

from alig_deepobs.optimizers._base import Params, Work
from alig_deepobs.optimizers._checks import checked, is_number
from alig_deepobs.optimizers._loss_method import LossMethod
from alig_deepobs.optimizers._scalars import Scalar, at_least, at_most


class Aprox(LossMethod):
    r"""The truncated model of Asi and Duchi: a Polyak step size under a decreasing cap.

    In step ``k`` (from 1)::

        gamma = min((loss - f_min) / (|g|^2 + eps), lr k^-power)
        w     = w - gamma g

    It is the proximal point method on the model ``max(loss + <g, w' - w>, f_min)`` of the loss.
    With ``power = 0`` it is ALI-G without momentum. The step size is 0 where the loss is at or
    below ``f_min`` and where the denominator is 0.

    Args:
        params: parameters, or groups of them with their own ``lr``.
        lr: the cap of the first step, alpha_0, positive; infinity for no cap.
        power: how fast the cap falls, beta in [0, 1]; the theory wants it in (1/2, 1).
        f_min: lower bound of the mini-batch loss.
        eps: added to the squared gradient norm, at least 0.
        weight_decay: must be 0; the error says what to use instead.
        foreach: False: one parameter after the other; else multi-tensor operations.

    Raises:
        ValueError: an argument is out of its range; the message names it.

    Source:
        Asi, Duchi: Stochastic (approximate) proximal point methods: convergence, optimality, and
        adaptivity, SIAM Journal on Optimization, 2019.

    Example:
        >>> import torch
        >>> w = torch.tensor([3.0], requires_grad=True)
        >>> optimizer = Aprox([w], lr=0.1, power=1.0)
        >>> sizes = []
        >>> for _ in range(3):
        ...     loss = w.square().sum()
        ...     optimizer.zero_grad()
        ...     loss.backward()
        ...     _ = optimizer.step(loss=loss)
        ...     sizes.append(round(optimizer.step_size, 4))
        >>> sizes
        [0.1, 0.05, 0.0333]
    """

    regularization = "none"
    memory: ClassVar[dict[str, Any]] = {"steps": 0}
    shared = ("power", "f_min", "eps")

    def __init__(
        self,
        params: Params,
        lr: float,
        power: float = 0.6,
        f_min: float = 0.0,
        eps: float = 0.0,
        *,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
    ) -> None:
        self._refuse_weight_decay(weight_decay)
        if not (is_number(power) and 0 <= power <= 1):
            raise ValueError(f"power must be in [0, 1], not {power!r}")
        super().__init__(params, checked(lr=lr, power=power, f_min=f_min, eps=eps), foreach)

    def _lower_bound(self) -> float:
        return float(self.param_groups[0]["f_min"])

    def _update_with(self, loss: Scalar, work: list[Work]) -> None:
        first = self.param_groups[0]
        first["steps"] = k = first["steps"] + 1
        gap = at_least(loss - first["f_min"], 0.0)
        unclipped = self._quotient(gap, self._gradient_norm(work) + first["eps"])

        def capped(lr: float) -> Scalar:
            return at_most(unclipped, lr * k ** -first["power"])

        self._sizes = capped(first["lr"]), unclipped
        for part in work:
            part.vectors.add_(part.params, part.grads, -capped(part.group["lr"]))
