"""Yogi: Adam with an additive second moment."""

from __future__ import annotations

from alig_deepobs.optimizers._base import Method, Params, Work
from alig_deepobs.optimizers._checks import checked


class Yogi(Method):
    r"""Yogi, in the form of ALI-G's experiments.

    In step ``k`` (from 1), with all operations elementwise::

        m = beta1 m + (1 - beta1) g
        v = v - (1 - beta2) sign(v - g^2) g^2
        w = w - lr sqrt(1 - beta2^k) / (1 - beta1^k) m / (sqrt(v) + eps)

    This has Adam's bias correction. Yogi's own paper has none, starts ``v`` at about 1e-6 (see
    ``initial_accumulator``) and takes ``eps = 1e-3``, as other libraries do.

    Args:
        params: parameters, or groups of them with their own options.
        lr: learning rate, positive.
        betas: decay of the two moments.
        eps: added to the root of the second moment.
        weight_decay: factor of an L2 term that is added to the gradient.
        initial_accumulator: where ``v`` starts.
        foreach: False: one parameter after the other; else multi-tensor operations.

    Raises:
        ValueError: an argument is out of its range; the message names it.

    Source:
        Zaheer, Reddi, Sachan, Kale, Kumar: Adaptive Methods for Nonconvex Optimization, NeurIPS
        2018.

    Example:
        >>> import torch
        >>> w = torch.tensor([1.0, -1.0], requires_grad=True)
        >>> optimizer = Yogi([w], lr=0.1)
        >>> w.square().sum().backward()
        >>> optimizer.step()
        >>> w.detach()  # the first step is Adam's
        tensor([ 0.9000, -0.9000])
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        initial_accumulator: float = 0.0,
        *,
        foreach: bool | None = None,
    ) -> None:
        defaults = checked(
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            initial_accumulator=initial_accumulator,
        )
        super().__init__(params, defaults, foreach)

    def _update(self, work: list[Work]) -> None:
        for part in work:
            self._move(part)

    def _make_state(self, part: Work) -> None:
        self._buffers(part, "gradient_average")
        start = part.group["initial_accumulator"]
        self._buffers(part, "square_average", lambda p: p.new_full(p.shape, start))
        for owner in part.owners:
            self.state[owner].setdefault("step", 0)

    def _move(self, part: Work) -> None:
        group, vectors, grads = part.group, part.vectors, part.grads
        beta1, beta2 = group["betas"]
        if group["weight_decay"]:
            grads = vectors.sum(grads, part.params, group["weight_decay"])
        means = self._buffers(part, "gradient_average")
        start = group["initial_accumulator"]
        squares = self._buffers(part, "square_average", lambda p: p.new_full(p.shape, start))
        vectors.average_(means, grads, beta1)
        vectors.approach_square_(squares, grads, 1 - beta2)
        roots = vectors.roots(squares, [1.0] * len(squares), group["eps"])
        directions = vectors.divide(means, roots)
        # Parameters that get their first gradient later have fewer steps behind them.
        for p, direction, k in zip(part.params, directions, self._count(part), strict=True):
            factor = (1 - beta2**k) ** 0.5 / (1 - beta1**k)
            p.add_(direction, alpha=-group["lr"] * factor)
