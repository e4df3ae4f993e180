"""DFW: deep Frank-Wolfe."""

from __future__ import annotations

from alig_deepobs.optimizers._base import Params, Work
from alig_deepobs.optimizers._checks import checked
from alig_deepobs.optimizers._loss_method import LossMethod
from alig_deepobs.optimizers._scalars import Scalar, at_least, at_most, quotient


class DFW(LossMethod):
    r"""Deep Frank-Wolfe: the step size is a line search in the dual of a proximal problem.

    With ``d`` the gradient of the loss *without* the regularizer, ``r = weight_decay * w`` and
    sums over all parameters of all groups::

        gamma = clip((loss - sum lr <d, r>) / (sum lr |d|^2 + eps), 0, 1)
        w     = w - lr (r + gamma d)

    and, with momentum, ``z = momentum z - lr gamma (d + r)`` and ``w = w + momentum z`` (in ``z``
    the regularizer is multiplied by ``gamma`` too, as in the authors' code).

    The method is made for convex, piecewise linear losses such as the multi-class hinge loss.
    Without weight decay it is ALI-G with ``max_lr = lr`` and ALI-G's ``eps`` divided by ``lr``.
    Where ``sum lr |d|^2 + eps`` is 0, ``gamma`` is 0.

    Args:
        params: parameters, or groups of them with their own ``lr``, ``momentum``, ``weight_decay``.
        lr: the proximal coefficient eta, positive; it caps the step size.
        momentum: Nesterov momentum in [0, 1).
        weight_decay: factor of the L2 term, which must be neither in the loss nor in the gradient.
        eps: added to the denominator, at least 0.
        foreach: False: one parameter after the other; else multi-tensor operations.

    Raises:
        ValueError: an argument is out of its range; the message names it.

    Source:
        Berrada, Zisserman, Kumar: Deep Frank-Wolfe for Neural Network Optimization, ICLR 2019.

    Example:
        >>> import torch
        >>> w = torch.tensor([1.0, -1.0], requires_grad=True)
        >>> optimizer = DFW([w], lr=0.1)
        >>> loss = (w * torch.tensor([1.0, 2.0])).square().sum()
        >>> loss.backward()
        >>> _ = optimizer.step(loss=loss)
        >>> round(optimizer.step_size, 4)  # 5 / 68, below the cap
        0.0735
    """

    regularization = "own"
    shared = ("eps",)

    def __init__(
        self,
        params: Params,
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        eps: float = 1e-5,
        *,
        foreach: bool | None = None,
    ) -> None:
        defaults = checked(lr=lr, momentum=momentum, weight_decay=weight_decay, eps=eps)
        super().__init__(params, defaults, foreach)

    def _make_state(self, part: Work) -> None:
        if part.group["momentum"]:
            self._buffers(part, "momentum_buffer")

    def _update_with(self, loss: Scalar, work: list[Work]) -> None:
        numerator, denominator = loss, self.param_groups[0]["eps"]
        total: Scalar = 0.0
        for part in work:
            lr, decay = part.group["lr"], part.group["weight_decay"]
            squared = self._squared_norm(part.grads)
            total = total + squared
            denominator = denominator + lr * squared
            if decay:
                numerator = numerator - lr * decay * self._dot(part.grads, part.params)
        self._squared = total
        ratio = quotient(numerator, denominator)
        gamma = at_most(at_least(ratio, 0.0), 1.0)
        first = self.param_groups[0]["lr"]
        self._sizes = first * gamma, first * ratio
        for part in work:
            self._move(part, gamma)

    def _move(self, part: Work, gamma: Scalar) -> None:
        vectors, params, grads = part.vectors, part.params, part.grads
        lr, mu, decay = (part.group[name] for name in ("lr", "momentum", "weight_decay"))
        buffers = self._buffers(part, "momentum_buffer") if mu else []
        if mu:  # before the weights change: r is taken at the old ones
            vectors.mul_(buffers, mu)
            vectors.add_(buffers, grads, -lr * gamma)
            if decay:
                vectors.add_(buffers, params, -lr * decay * gamma)
        if decay:
            vectors.mul_(params, 1 - lr * decay)
        vectors.add_(params, grads, -lr * gamma)
        if mu:
            vectors.add_(params, buffers, mu)
