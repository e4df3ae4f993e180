"""L4: linearized loss-based learning rates, on top of Adam or of momentum."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from torch import Tensor

from alig_deepobs.optimizers._base import Params, Work
from alig_deepobs.optimizers._checks import checked, ignore_rate
from alig_deepobs.optimizers._loss_method import LossMethod
from alig_deepobs.optimizers._scalars import Scalar, at_least, at_most, below

_BETA = 0.9
_BETA_SQUARE = 0.999
_ADAM_EPS = 1e-4


class _L4(LossMethod):
    regularization = "l2"
    rate_is_cap = False
    memory: ClassVar[dict[str, Any]] = {"steps": 0, "min_loss": 0.0}
    shared = ("fraction", "minloss_factor", "init_factor", "minloss_forget_time", "eps")

    def __init__(
        self,
        params: Params,
        fraction: float = 0.15,
        minloss_factor: float = 0.9,
        init_factor: float = 0.75,
        minloss_forget_time: float = 1000.0,
        eps: float = 1e-12,
        weight_decay: float = 0.0,
        *,
        lr: float | None = None,
        foreach: bool | None = None,
    ) -> None:
        ignore_rate(type(self).__name__, lr)
        defaults = checked(
            fraction=fraction,
            minloss_factor=minloss_factor,
            init_factor=init_factor,
            minloss_forget_time=minloss_forget_time,
            eps=eps,
            weight_decay=weight_decay,
        )
        super().__init__(params, defaults, foreach)

    def _make_state(self, part: Work) -> None:
        self._buffers(part, "gradient_average")

    def _lower_bound(self) -> float:
        return -math.inf  # it is estimated

    def _update_with(self, loss: Scalar, work: list[Work]) -> None:
        loss = self._add_l2(loss, work)
        first = self.param_groups[0]
        steps = first["steps"]
        if steps == 0:
            min_loss = below(loss, 1 - first["init_factor"])
        else:
            min_loss = at_most(loss, self._scalar(first["min_loss"]))

        correction = 1 - _BETA ** (steps + 1)
        directions: list[list[Tensor]] = []
        product: Scalar = 0.0
        for part in work:
            averages = self._buffers(part, "gradient_average")
            part.vectors.average_(averages, part.grads, _BETA)
            gradients = part.vectors.times(averages, 1 / correction)
            direction = self._direction(part, gradients, steps)
            product = product + self._dot(direction, gradients)
            directions.append(direction)

        gap = at_least(loss - below(min_loss, 1 - first["minloss_factor"]), 0.0)
        size = self._quotient(first["fraction"] * gap, product + first["eps"])
        self._sizes = size, size
        first["min_loss"] = below(min_loss, -1 / first["minloss_forget_time"])
        first["steps"] = steps + 1
        for part, direction in zip(work, directions, strict=True):
            part.vectors.add_(part.params, direction, -size)

    def _direction(self, part: Work, gradients: list[Tensor], steps: int) -> list[Tensor]:
        """The direction of the step, given the averaged gradients."""
        raise NotImplementedError


class L4Mom(_L4):
    r"""L4 on top of momentum.

    With ``d`` the averaged gradient (decay 0.9, bias-corrected) and ``L`` the smallest loss so far,
    which is forgotten slowly (before the first step, ``init_factor`` times the first loss)::

        s = fraction (loss - minloss_factor L) / (<d, d> + eps)
        w = w - s d
        L = L (1 + 1 / minloss_forget_time)

    The paper's losses are positive. For others, "``f`` times ``L``" means ``L - (1 - f) |L|`` here:
    the same for positive losses, and below ``L`` for negative ones too, so that the gap, and with
    it the step size, is never negative. (The authors' code climbs where the gap is negative.)

    The step size has no cap. It is 0 where the denominator is 0. There is no learning rate, and so
    nothing for a scheduler to change.

    Args:
        params: parameters, or groups of them; the step size is one for all.
        fraction: the part of the gap that a step is meant to close, alpha; the main
            hyper-parameter.
        minloss_factor: gamma.
        init_factor: gamma_0.
        minloss_forget_time: tau, in steps.
        eps: added to the inner product, at least 0.
        weight_decay: factor of an L2 term that is added to loss and gradient.
        lr: has no effect; tools such as skorch give one to every optimizer.
        foreach: False: one parameter after the other; else multi-tensor operations.

    Raises:
        ValueError: an argument is out of its range; the message names it.

    Source:
        Rolinek, Martius: L4: Practical loss-based stepsize adaptation for deep learning, NeurIPS
        2018.

    Example:
        >>> import torch
        >>> w = torch.tensor([1.0, -1.0], requires_grad=True)
        >>> optimizer = L4Mom([w])
        >>> loss = (w * torch.tensor([1.0, 2.0])).square().sum()
        >>> loss.backward()
        >>> _ = optimizer.step(loss=loss)
        >>> round(optimizer.step_size, 6)  # 0.15 (5 - 0.9 * 0.75 * 5) / 68
        0.003585
    """

    def _direction(self, part: Work, gradients: list[Tensor], steps: int) -> list[Tensor]:
        return gradients


class L4Adam(_L4):
    r"""L4 on top of Adam.

    As `L4Mom`, but with Adam's direction ``v = d / (sqrt(s) + 1e-4)``, where ``s`` is the averaged
    squared gradient (decay 0.999, bias-corrected)::

        step = fraction (loss - minloss_factor L) / (<v, d> + eps)
        w    = w - step v

    Arguments, errors and source are those of `L4Mom`.

    Example:
        >>> import torch
        >>> w = torch.tensor([1.0, -1.0], requires_grad=True)
        >>> optimizer = L4Adam([w], fraction=0.05)
        >>> loss = w.square().sum()
        >>> loss.backward()
        >>> _ = optimizer.step(loss=loss)
        >>> 0 < optimizer.step_size < 0.05
        True
    """

    def _make_state(self, part: Work) -> None:
        super()._make_state(part)
        self._buffers(part, "square_average")

    def _direction(self, part: Work, gradients: list[Tensor], steps: int) -> list[Tensor]:
        squares = self._buffers(part, "square_average")
        part.vectors.average_square_(squares, part.grads, _BETA_SQUARE)
        correction = 1 - _BETA_SQUARE ** (steps + 1)
        roots = part.vectors.roots(squares, [correction] * len(squares), _ADAM_EPS)
        return part.vectors.divide(gradients, roots)
