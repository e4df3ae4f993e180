"""SPS: stochastic Polyak step size."""

from __future__ import annotations

import math

from alig_deepobs.optimizers._base import Params, Work
from alig_deepobs.optimizers._checks import check_positive, checked, ignore_rate
from alig_deepobs.optimizers._loss_method import LossMethod
from alig_deepobs.optimizers._scalars import Scalar, at_least, at_most, choose

TINY_NORM = 1e-8


class SPS(LossMethod):
    r"""The stochastic Polyak step size of Loizou et al.

    ``w = w - s g`` with, for ``adapt_flag = "constant"`` (SPS_max),

        s = min((loss - f_star) / (c |g|^2 + eps), eta_max)

    and, for ``adapt_flag = "smooth_iter"``, with the last step size ``s_prev``,

        s = min(loss / (c |g|^2 + eps), gamma^(1 / n_batches_per_epoch) s_prev)

    Where ``|g|`` is below 1e-8, and where the loss is at or below ``f_star`` (0 for
    ``"smooth_iter"``), there is no step, and ``s_prev`` keeps its value. The authors' code sets it
    to that step size, 0 or negative, from where it never recovers. The paper has no such case: it
    assumes that the smallest loss is known. With ``c = 1``, ``"constant"`` is ALI-G without
    momentum.

    Args:
        params: parameters, or groups of them; with ``"constant"`` a group may have a cap of its
            own, which is kept in ``group["lr"]``, so torch's schedulers work on it.
        n_batches_per_epoch: steps in an epoch, for ``"smooth_iter"``.
        init_step_size: the step size before the first one, for ``"smooth_iter"``.
        c: the main hyper-parameter; the authors take 0.5 for convex problems and 0.2 for networks.
        gamma: growth of the step size in an epoch, for ``"smooth_iter"``.
        eta_max: cap of the step size, for ``"constant"``; None: no cap.
        adapt_flag: ``"smooth_iter"`` or ``"constant"``.
        f_star: the smallest value of the mini-batch losses, for ``"constant"``.
        eps: added to the denominator, at least 0.
        lr: another name of ``eta_max``; for ``"smooth_iter"`` it has no effect.
        weight_decay: must be 0; the error says what to use instead.
        foreach: False: one parameter after the other; else multi-tensor operations.

    Raises:
        ValueError: an argument is out of its range; the message names it.

    Source:
        Loizou, Vaswani, Laradji, Lacoste-Julien: Stochastic Polyak Step-size for SGD: An Adaptive
        Learning Rate for Fast Convergence, AISTATS 2021.

    Example:
        >>> import torch
        >>> w = torch.tensor([3.0], requires_grad=True)
        >>> optimizer = SPS([w], c=0.5, adapt_flag="constant", eps=0.0)
        >>> loss = w.square().sum()
        >>> loss.backward()
        >>> _ = optimizer.step(loss=loss)
        >>> optimizer.step_size, w.item()  # on a parabola, c = 1/2 is Newton's step
        (0.5, 0.0)
    """

    regularization = "none"
    rate = "eta_max"
    shared = ("n_batches_per_epoch", "c", "gamma", "adapt_flag", "f_star", "eps")
    run_arguments = {"n_batches_per_epoch": "batches_per_epoch"}  # noqa: RUF012 - read only

    def __init__(
        self,
        params: Params,
        n_batches_per_epoch: int = 500,
        init_step_size: float = 1.0,
        c: float = 0.5,
        gamma: float = 2.0,
        eta_max: float | None = None,
        adapt_flag: str = "smooth_iter",
        f_star: float = 0.0,
        eps: float = 1e-8,
        *,
        lr: float | None = None,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
    ) -> None:
        self._refuse_weight_decay(weight_decay)
        if adapt_flag == "smooth_iter":
            ignore_rate("SPS with adapt_flag='smooth_iter'", lr)
        elif lr is not None:
            if eta_max is not None:
                raise ValueError("eta_max and lr are two names of one argument: give only one")
            eta_max = lr
        if adapt_flag not in ("smooth_iter", "constant"):
            raise ValueError(f"adapt_flag must be 'smooth_iter' or 'constant', not {adapt_flag!r}")
        if adapt_flag == "smooth_iter" and (eta_max is not None or f_star):
            raise ValueError("eta_max and f_star belong to adapt_flag='constant'")
        check_positive("init_step_size", init_step_size)
        check_positive("c", c)
        check_positive("gamma", gamma)
        if eta_max is not None:
            check_positive("eta_max", eta_max)
        defaults = checked(
            n_batches_per_epoch=n_batches_per_epoch,
            c=c,
            gamma=gamma,
            adapt_flag=adapt_flag,
            f_star=f_star,
            eps=eps,
        )
        if adapt_flag == "constant":  # otherwise there is no rate that a scheduler could change
            defaults["lr"] = math.inf if eta_max is None else eta_max
        super().__init__(params, defaults, foreach)
        self.param_groups[0].setdefault("previous_step_size", init_step_size)

    @property
    def _known(self) -> set[str]:
        return {*super()._known, "previous_step_size"}

    def _lower_bound(self) -> float:
        return float(self.param_groups[0]["f_star"])

    def _update_with(self, loss: Scalar, work: list[Work]) -> None:
        first = self.param_groups[0]
        squared = self._gradient_norm(work)
        gap = at_least(loss - first["f_star"], 0.0)
        idle = (squared < TINY_NORM**2) | (gap <= 0)
        unclipped = choose(idle, 0.0, self._quotient(gap, first["c"] * squared + first["eps"]))
        caps = [group.get("lr", math.inf) for group in (first, *(part.group for part in work))]
        if first["adapt_flag"] == "smooth_iter":
            previous = self._scalar(first["previous_step_size"])
            cap = previous * first["gamma"] ** (1 / first["n_batches_per_epoch"])
            first["previous_step_size"] = choose(idle, previous, at_most(unclipped, cap))
            caps = [cap] * len(caps)
        size, *sizes = [at_most(unclipped, cap) for cap in caps]
        self._sizes = size, unclipped
        for part, size in zip(work, sizes, strict=True):
            part.vectors.add_(part.params, part.grads, -size)
