"""Polyak's step size for a known optimal value."""

from __future__ import annotations

from alig_deepobs.optimizers._base import Params, Work
from alig_deepobs.optimizers._checks import checked, ignore_rate
from alig_deepobs.optimizers._loss_method import LossMethod
from alig_deepobs.optimizers._scalars import Scalar, at_least


class Polyak(LossMethod):
    r"""Gradient descent with Polyak's step size.

    ::

        gamma = (loss - f_star) / |g|^2
        w     = w - gamma g

    Meant for deterministic objectives whose smallest value is known. The step size is 0 where the
    loss is at or below ``f_star`` and where the gradient is 0. There is no learning rate, and so
    nothing for a scheduler to change.

    Args:
        params: parameters, or groups of them; the step size is one for all.
        f_star: the smallest value of the objective.
        lr: has no effect; tools such as skorch give one to every optimizer.
        weight_decay: must be 0; the error says what to use instead.
        foreach: False: one parameter after the other; else multi-tensor operations.

    Raises:
        ValueError: ``f_star`` is not finite.

    Source:
        Polyak: Minimization of unsmooth functionals, 1969.

    Example:
        >>> import torch
        >>> w = torch.tensor(7.0, requires_grad=True)
        >>> optimizer = Polyak([w])
        >>> for _ in range(3):
        ...     loss = (w - 3) ** 2
        ...     optimizer.zero_grad()
        ...     loss.backward()
        ...     _ = optimizer.step(loss=loss)
        ...     print(w.item())  # on a parabola, the distance is halved
        5.0
        4.0
        3.5
    """

    regularization = "none"
    shared = ("f_star",)

    def __init__(
        self,
        params: Params,
        f_star: float = 0.0,
        *,
        lr: float | None = None,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
    ) -> None:
        ignore_rate("Polyak", lr)
        self._refuse_weight_decay(weight_decay)
        super().__init__(params, checked(f_star=f_star), foreach)

    def _lower_bound(self) -> float:
        return float(self.param_groups[0]["f_star"])

    def _update_with(self, loss: Scalar, work: list[Work]) -> None:
        gap = at_least(loss - self.param_groups[0]["f_star"], 0.0)
        size = self._quotient(gap, self._gradient_norm(work))
        self._sizes = size, size
        for part in work:
            part.vectors.add_(part.params, part.grads, -size)
