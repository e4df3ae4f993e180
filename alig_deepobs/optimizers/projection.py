"""Euclidean projection on the ball ``|w| <= max_norm``, ALI-G's form of regularization."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from alig_deepobs.optimizers._checks import check_positive
from alig_deepobs.optimizers._norm import by_type, host_squared_norm, local, wide_norm

# Norms between these are exact: neither their squares nor the factor leave float32.
_SMALLEST, _LARGEST = 1e-15, 1e15


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
        ValueError: the radius is not positive, or there are no parameters.

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
    if not (type(max_norm) is float and max_norm > 0):  # in every step
        check_positive("max_norm", max_norm)
    tensors = [parameters] if isinstance(parameters, Tensor) else _some(parameters)
    if tensors[0].device.type == "cpu" and not torch.compiler.is_compiling():
        length = math.sqrt(host_squared_norm(tensors))
        parts = [local(tensor) for tensor in tensors]
        if not _SMALLEST < length < _LARGEST:
            _project_scaled(tensors, parts, max_norm)
        elif length > max_norm:
            torch._foreach_mul_(parts, max_norm / length)
        return
    # min(max_norm / 0, 1) = 1: weights of norm 0 stay where they are, and so do those of which one
    # is not finite, since there is nothing to divide by.
    norm = wide_norm(tensors)
    scale = torch.where(torch.isfinite(norm), (max_norm / norm).clamp(max=1.0), 1.0)
    for group in by_type([local(tensor) for tensor in tensors]):
        torch._foreach_mul_(group, scale.to(group[0].device))


def _project_scaled(tensors: list[Tensor], parts: list[Tensor], max_norm: float) -> None:
    """The projection of weights whose squares are too large or too small: scaled to 1 first."""
    largest = max((float(t.abs().max()) for t in tensors if t.numel()), default=0.0)
    if largest == 0 or not math.isfinite(largest):
        return  # nothing to divide by
    norm = float(wide_norm([tensor.double() / largest for tensor in tensors]))
    if largest / max_norm * norm > 1:
        torch._foreach_div_(parts, largest)
        torch._foreach_mul_(parts, max_norm / norm)


class L2Ball:
    """The projection of a fixed set of parameters, to be given as ``projection_fn``.

    Args:
        parameters: the tensors to keep in the ball.
        max_norm: its radius, positive.

    Raises:
        ValueError: the radius is not positive, or there are no parameters.

    Example:
        >>> from alig_deepobs import AliG
        >>> model = torch.nn.Linear(10, 2)
        >>> ball = L2Ball(model.parameters(), max_norm=1.0)
        >>> optimizer = AliG(model.parameters(), max_lr=0.1, projection_fn=ball)
        >>> bool(ball.norm() <= 1.0 + 1e-6)  # projected at once, then after every step
        True
    """

    def __init__(self, parameters: Iterable[Tensor], max_norm: float) -> None:
        check_positive("max_norm", max_norm)
        self.parameters = _some(parameters)
        self.max_norm = max_norm

    def __call__(self) -> None:
        """Projects the parameters in place."""
        l2_projection(self.parameters, self.max_norm)

    @torch.no_grad()
    def norm(self) -> Tensor:
        """The norm of all parameters together, a 0-d tensor."""
        return wide_norm(self.parameters)

    def __repr__(self) -> str:
        return f"L2Ball({len(self.parameters)} tensors, max_norm={self.max_norm})"


def _some(parameters: Iterable[Tensor]) -> list[Tensor]:
    """The parameters; of none, a ball would silently be no constraint."""
    tensors = list(parameters)
    if not tensors:
        raise ValueError(
            "there are no parameters to keep in the ball: a generator such as model.parameters() "
            "is empty once it was used, so give each user a new one, or a list"
        )
    return tensors
