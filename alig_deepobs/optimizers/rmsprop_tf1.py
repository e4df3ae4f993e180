"""RMSProp as TensorFlow 1 has it."""

from __future__ import annotations

from alig_deepobs.optimizers._base import Method, Params, Work
from alig_deepobs.optimizers._checks import checked


class RMSpropTF1(Method):
    r"""RMSProp in TensorFlow 1's form, which differs a lot from torch's.

    The second moment starts at 1, not at 0, and ``eps`` is under the root::

        v = decay v + (1 - decay) g^2
        m = momentum m + lr g / sqrt(v + eps)
        w = w - m

    So the first step has at most the size of the gradient, where torch's moves every weight by
    ``10 lr``.

    Args:
        params: parameters, or groups of them with their own options.
        lr: learning rate, positive.
        decay: decay of the second moment, in [0, 1).
        momentum: in [0, 1).
        eps: added to the second moment.
        foreach: False: one parameter after the other; else multi-tensor operations.

    Raises:
        ValueError: an argument is out of its range; the message names it.

    Source:
        Tieleman, Hinton: Lecture 6.5, COURSERA, 2012; as in
        ``tf.compat.v1.train.RMSPropOptimizer``.

    Example:
        >>> import torch
        >>> w = torch.tensor([1.0], requires_grad=True)
        >>> optimizer = RMSpropTF1([w], lr=0.1)
        >>> w.square().sum().backward()
        >>> optimizer.step()
        >>> w.detach()  # 1 - 0.1 * 2 / sqrt(0.9 + 0.1 * 4)
        tensor([0.8246])
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        decay: float = 0.9,
        momentum: float = 0.0,
        eps: float = 1e-10,
        *,
        foreach: bool | None = None,
    ) -> None:
        defaults = checked(lr=lr, decay=decay, momentum=momentum, eps=eps)
        super().__init__(params, defaults, foreach)

    def _make_state(self, part: Work) -> None:
        self._buffers(part, "square_average", lambda p: p.new_ones(p.shape))
        if part.group["momentum"]:
            self._buffers(part, "momentum_buffer")

    def _update(self, work: list[Work]) -> None:
        for part in work:
            group, vectors = part.group, part.vectors
            squares = self._buffers(part, "square_average", lambda p: p.new_ones(p.shape))
            vectors.average_square_(squares, part.grads, group["decay"])
            steps = vectors.divide(part.grads, vectors.roots_with(squares, group["eps"]))
            if group["momentum"]:
                buffers = self._buffers(part, "momentum_buffer")
                vectors.mul_(buffers, group["momentum"])
                vectors.add_(buffers, steps, group["lr"])
                vectors.add_(part.params, buffers, -1.0)
            else:
                vectors.add_(part.params, steps, -group["lr"])
