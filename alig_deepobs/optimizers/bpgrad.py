"""BPGrad: branch and pruning by gradients."""

from __future__ import annotations

from alig_deepobs.optimizers._base import Params, Work
from alig_deepobs.optimizers._checks import checked
from alig_deepobs.optimizers._loss_method import LossMethod
from alig_deepobs.optimizers._scalars import Scalar, at_least


class BPGrad(LossMethod):
    r"""BPGrad: a step whose length is the loss over a Lipschitz constant.

    With ``F`` the loss plus ``weight_decay / 2 |w|^2``, and ``g`` its gradient::

        s = F / (|g| + eps)
        v = momentum v - s lr g
        w = w + v

    so the step without momentum has the length ``lr F``; ``lr`` is the inverse of the Lipschitz
    constant. The authors' code has no update without momentum: it leaves the weights as they are
    (see ``official``). Here that case is the limit of small momentum, ``w = w - s lr g``. The
    authors' code reads ``lr`` at construction only; here a scheduler may change it. Where
    ``|g| + eps`` is 0 the step size is 0, and likewise where the loss is negative: the paper's
    bound on how far the minimum is away assumes that it is not, and a negative step would climb
    (the authors' code takes it).

    Args:
        params: parameters, or groups of them with their own ``lr``, ``momentum``, ``weight_decay``.
        lr: the inverse Lipschitz constant eta, positive.
        momentum: in [0, 1).
        weight_decay: factor of an L2 term that is added to loss and gradient.
        eps: added to the gradient norm, at least 0.
        official: do nothing in groups without momentum, and climb where the loss is negative, as
            the authors' code.
        foreach: False: one parameter after the other; else multi-tensor operations.

    Raises:
        ValueError: an argument is out of its range; the message names it.

    Source:
        Zhang, Wu, Wang: BPGrad: Towards Global Optimality in Deep Learning via Branch and Pruning,
        CVPR 2018; as in the code of ALI-G's authors.

    Example:
        >>> import torch
        >>> w = torch.tensor([3.0, 4.0], requires_grad=True)
        >>> optimizer = BPGrad([w], lr=0.1, eps=0.0)
        >>> loss = w.norm()
        >>> loss.backward()
        >>> _ = optimizer.step(loss=loss)
        >>> w.norm()  # a step of length 0.1 * 5
        tensor(4.5000, grad_fn=<LinalgVectorNormBackward0>)
    """

    regularization = "l2"
    rate_is_cap = False
    shared = ("eps", "official")

    def __init__(
        self,
        params: Params,
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        eps: float = 1e-5,
        *,
        official: bool = False,
        foreach: bool | None = None,
    ) -> None:
        defaults = checked(lr=lr, momentum=momentum, weight_decay=weight_decay, eps=eps)
        super().__init__(params, {**defaults, "official": official}, foreach)

    def _make_state(self, part: Work) -> None:
        if part.group["momentum"]:
            self._buffers(part, "momentum_buffer")

    def _update_with(self, loss: Scalar, work: list[Work]) -> None:
        loss = self._add_l2(loss, work)
        first = self.param_groups[0]
        norm = self._gradient_norm(work) ** 0.5
        gap = loss if first["official"] else at_least(loss, 0.0)
        scale = self._quotient(gap, norm + first["eps"])
        size = scale * first["lr"]
        self._sizes = size, size
        for part in work:
            size, mu = scale * part.group["lr"], part.group["momentum"]
            if mu:
                buffers = self._buffers(part, "momentum_buffer")
                part.vectors.mul_(buffers, mu)
                part.vectors.add_(buffers, part.grads, -size)
                part.vectors.add_(part.params, buffers)
            elif not part.group["official"]:
                part.vectors.add_(part.params, part.grads, -size)
