"""Euclidean projection on the ball ``|w| <= max_norm``, ALI-G's form of regularization."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from alig_deepobs.optimizers._norm import by_type, global_squared_norm, host_squared_norm, local


@torch.no_grad()
def l2_projection(parameters: Iterable[Tensor] | Tensor, max_norm: float | None) -> None:
    """Projects parameters, in place, on the ball of radius ``max_norm`` around 0.

    The norm is that of all parameters together, ``n = sqrt(sum |p|^2)``. If ``n > max_norm``, each
    parameter is multiplied by ``max_norm / n``; otherwise nothing changes. On an accelerator the
    host does not read ``n``.

    Args:
        parameters: tensors of any shape, or one tensor.
        max_norm: radius of the ball, positive; None: do nothing.

    Raises:
        ValueError: the radius is not positive.

    Source:
        Berrada, Zisserman, Kumar, ICML 2020, section 3 (the constraint set Omega).

    Example:
        >>> w = torch.tensor([3.0, 4.0])
        >>> l2_projection([w], max_norm=1.0)
        >>> w
        tensor([0.6000, 0.8000])
    """
    if max_norm is None:
        return
    _check_radius(max_norm)
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not tensors:
        return
    if tensors[0].device.type == "cpu" and not torch.compiler.is_compiling():
        norm = math.sqrt(host_squared_norm(tensors))
        if norm > max_norm:
            torch._foreach_mul_([local(tensor) for tensor in tensors], max_norm / norm)
        return
    squared = global_squared_norm(tensors)
    # min(max_norm / 0, 1) = 1: weights of norm 0 stay where they are.
    scale = (max_norm / squared.sqrt()).clamp(max=1.0)
    for group in by_type([local(tensor) for tensor in tensors]):
        torch._foreach_mul_(group, scale.to(group[0].device))


class L2Ball:
    """The projection of a fixed set of parameters, to be given as ``projection_fn``.

    Args:
        parameters: the tensors to keep in the ball.
        max_norm: its radius, positive.

    Raises:
        ValueError: the radius is not positive.

    Example:
        >>> from alig_deepobs import AliG
        >>> model = torch.nn.Linear(10, 2)
        >>> ball = L2Ball(model.parameters(), max_norm=1.0)
        >>> optimizer = AliG(model.parameters(), max_lr=0.1, projection_fn=ball)
        >>> bool(ball.norm() <= 1.0 + 1e-6)  # projected at once, then after every step
        True
    """

    def __init__(self, parameters: Iterable[Tensor], max_norm: float) -> None:
        _check_radius(max_norm)
        self.parameters = list(parameters)
        self.max_norm = max_norm

    def __call__(self) -> None:
        """Projects the parameters in place."""
        l2_projection(self.parameters, self.max_norm)

    @torch.no_grad()
    def norm(self) -> Tensor:
        """The norm of all parameters together, a 0-d tensor."""
        return global_squared_norm(self.parameters).sqrt()

    def __repr__(self) -> str:
        return f"L2Ball({len(self.parameters)} tensors, max_norm={self.max_norm})"


def _check_radius(max_norm: float) -> None:
    if not max_norm > 0:
        raise ValueError(f"max_norm must be positive, not {max_norm!r}")
