"""The squared norm of many tensors taken together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

_HALF = (torch.float16, torch.bfloat16)


def global_squared_norm(tensors: Sequence[Tensor]) -> Tensor:
    """``sum |t|^2`` over all tensors, a 0-d tensor on the first tensor's device.

    The host does not read it. Half precision is accumulated in float32. On the CPU the sum over
    tensors is taken in float64. Sharded tensors (``DTensor``) give their global norm on every
    rank; that needs a collective, so all ranks must take part.

    Args:
        tensors: at least one tensor; devices and data types may differ.
    """
    norms = [_full(norm) for group in by_type(tensors) for norm in _norms(group)]
    first = norms[0]
    if len({(norm.device, norm.dtype) for norm in norms}) > 1:
        dtype = torch.float64 if any(n.dtype == torch.float64 for n in norms) else torch.float32
        norms = [norm.to(first.device, dtype) for norm in norms]
    stacked = torch.stack(norms)
    if stacked.device.type == "cpu":
        stacked = stacked.double()
    return torch.dot(stacked, stacked)


def _norms(tensors: list[Tensor]) -> list[Tensor]:
    dtype = torch.float32 if tensors[0].dtype in _HALF else None
    norms = cast("Sequence[Tensor]", torch._foreach_norm(tensors, 2, dtype=dtype))
    # The norm of a complex tensor is real already; an integer one cannot have a gradient.
    return list(norms)


def by_type(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Groups of equal device and data type: what one multi-tensor kernel handles."""
    groups: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault((tensor.device, tensor.dtype), []).append(tensor)
    return list(groups.values())


def local(tensor: Tensor) -> Tensor:
    """The part of a tensor that lives on this rank: the tensor itself, unless it is sharded."""
    to_local = getattr(tensor, "to_local", None)
    return cast("Tensor", to_local()) if to_local is not None else tensor


def _full(norm: Tensor) -> Tensor:
    """The value of a norm that may be sharded."""
    full = getattr(norm, "full_tensor", None)
    return cast("Tensor", full()) if full is not None else norm
