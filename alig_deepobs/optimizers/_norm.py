"""The squared norm of many tensors taken together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn import Parameter

flatten_dense_tensors = torch._C._nn.flatten_dense_tensors

_HALF = (torch.float16, torch.bfloat16)
_PLAIN = (Parameter, Tensor)
_EXACT = (torch.float32, torch.float64)

_LARGE = 16_384
"""Numbers in a tensor from which on its norm is taken by itself: one pass, without a temporary."""

_PIECE = 32
"""Small tensors that are put side by side for their norm."""


def global_squared_norm(tensors: list[Tensor]) -> Tensor:
    """``sum |t|^2`` over all tensors, a 0-d tensor on the first tensor's device.

    The host does not read it. Half precision is accumulated in float32. Sharded tensors
    (``DTensor``) give their global norm on every rank; that needs a collective, so all ranks must
    take part.

    Args:
        tensors: at least one tensor; devices and data types may differ.
    """
    stacked = _norms(tensors)
    return torch.dot(stacked, stacked)


def host_squared_norm(tensors: list[Tensor]) -> float:
    """The same as a number, summed over tensors in double precision; the host waits for it."""
    if all(map(_is_flat, tensors)) and len({t.dtype for t in tensors}) == 1:
        return flat_squared_norm(tensors)
    norms = cast("list[float]", _norms(tensors).tolist())
    total = sum(norm * norm for norm in norms)
    if total == math.inf:
        total = float(wide_norm(tensors)) ** 2
    return total


def wide_norm(tensors: list[Tensor]) -> Tensor:
    """The norm of all tensors together, where squares of numbers beyond 1e19 do not overflow.

    The host does not read it.
    """
    wide = None if tensors[0].device.type == "mps" else torch.float64
    return cast("Tensor", torch.linalg.vector_norm(_norms(tensors, wide)))


def flat_squared_norm(tensors: list[Tensor], fit: bool | None = None) -> float:
    """The same for contiguous tensors of one type on the CPU, in single or double precision.

    It is faster than torch's multi-tensor norm, and more exact.

    Args:
        tensors: at least one.
        fit: what `fit_together` says of them, for those who know.
    """
    if fit_together(tensors) if fit is None else fit:
        total = _together(tensors)
    else:
        # Each copied tensor is small, and a piece of them stays in the cache.
        small = [t for t in tensors if t.numel() < _LARGE]
        pieces = [small[start : start + _PIECE] for start in range(0, len(small), _PIECE)]
        total = sum(map(_together, pieces))
        for t in tensors:
            if t.numel() >= _LARGE:
                flat = t.view(-1)
                total += torch.dot(flat, flat).item()
    # Squares of numbers beyond 1e19 are more than float32 can hold.
    return total if total < math.inf else float(wide_norm(tensors)) ** 2


def fit_together(tensors: list[Tensor]) -> bool:
    """Whether tensors are few and small, so that copying them side by side costs little."""
    return len(tensors) <= _PIECE and all(t.numel() < _LARGE for t in tensors)


class SideBySide:
    """Room for few and small tensors, which are copied there for their norm.

    Args:
        tensors: on the CPU, contiguous and of one type, like those to come.
    """

    def __init__(self, tensors: list[Tensor]) -> None:
        sizes = [t.numel() for t in tensors]
        self.flat = tensors[0].detach().new_empty(sum(sizes))
        self.places = [
            place.view(t.shape) for place, t in zip(self.flat.split(sizes), tensors, strict=True)
        ]

    @classmethod
    def of(cls, tensors: list[Tensor]) -> SideBySide | None:
        """Room for tensors like these; None where other ways are faster."""
        is_one_type = len({t.dtype for t in tensors}) == 1
        return cls(tensors) if is_one_type and fit_together(tensors) else None

    def squared_norm(self, tensors: list[Tensor]) -> float:
        """As `flat_squared_norm`; each tensor has as many numbers as there are in its place."""
        flat = self.flat
        try:
            torch._foreach_copy_(self.places, tensors)
        except RuntimeError:  # of other shapes
            return flat_squared_norm(tensors)
        total = torch.dot(flat, flat).item()
        return total if total < math.inf else float(wide_norm(tensors)) ** 2


def _together(tensors: list[Tensor]) -> float:
    flat = flatten_dense_tensors(tensors)
    return torch.dot(flat, flat).item()


def inner_product(xs: list[Tensor], ys: list[Tensor]) -> Tensor:
    """``sum <x, y>`` over all pairs, a 0-d tensor on the first tensor's device.

    The host does not read it. Half precision is accumulated in float32.
    """
    return products(xs, ys).sum()


def host_products(xs: list[Tensor], ys: list[Tensor]) -> list[float]:
    """The inner product of each pair, as numbers; the host waits for them."""
    found = cast("list[float]", products(xs, ys).tolist())
    if all(map(math.isfinite, found)):
        return found
    # Products of numbers beyond 1e19 are more than float32 can hold.
    wide = products([x.double() for x in xs], [y.double() for y in ys])
    return cast("list[float]", wide.tolist())


def host_inner_product(xs: list[Tensor], ys: list[Tensor]) -> float:
    """The same as a number, summed over pairs in double precision; the host waits for it."""
    return sum(host_products(xs, ys))


def products(xs: list[Tensor], ys: list[Tensor]) -> Tensor:
    """The inner product of each pair, as a vector."""
    if all(map(_is_flat, xs)) and all(map(_is_flat, ys)) and xs[0].dtype is ys[0].dtype:
        # One pass, without a temporary as large as the tensors.
        dots = [torch.dot(x.view(-1), y.view(-1)) for x, y in zip(xs, ys, strict=True)]
        return torch.stack(dots)
    dtype = torch.float64 if any(x.dtype == torch.float64 for x in xs) else torch.float32
    products = [
        # Products of small numbers vanish in half precision, so they are formed in the wider type.
        local((x.to(dtype) * y).sum(), full=True)
        for x, y in zip(xs, ys, strict=True)
    ]
    return torch.stack([product.to(products[0].device) for product in products])


def _is_flat(x: Tensor) -> bool:
    return (
        x.is_cpu
        and x.dtype in _EXACT
        and x.layout is torch.strided
        and type(x) in _PLAIN
        and x.is_contiguous()
    )


def _norms(tensors: list[Tensor], wide: torch.dtype | None = None) -> Tensor:
    """The norm of each tensor, as a vector; accumulated in a wider type, if one is given."""
    groups = by_type(tensors)
    if len(groups) == 1 and type(tensors[0]) in _PLAIN:
        return torch.stack(list(_foreach_norm(tensors, wide)))
    norms = [local(norm, full=True) for group in groups for norm in _foreach_norm(group, wide)]
    return torch.stack([norm.to(norms[0].device) for norm in norms])  # in the widest type


def _foreach_norm(tensors: list[Tensor], wide: torch.dtype | None) -> Sequence[Tensor]:
    if wide is not None:
        return cast("Sequence[Tensor]", torch._foreach_norm(tensors, 2, dtype=wide))
    if tensors[0].dtype in _HALF:
        return cast("Sequence[Tensor]", torch._foreach_norm(tensors, 2, dtype=torch.float32))
    return cast("Sequence[Tensor]", torch._foreach_norm(tensors))


def by_type(tensors: list[Tensor]) -> list[list[Tensor]]:
    """Groups of equal device, data type and class: what one multi-tensor kernel handles."""
    device, dtype, kind = tensors[0].device, tensors[0].dtype, type(tensors[0])
    for t in tensors:
        if t.dtype is not dtype or type(t) is not kind or t.device != device:
            break
    else:
        return [tensors]
    groups: dict[tuple[torch.device, torch.dtype, type[Tensor]], list[Tensor]] = {}
    for t in tensors:
        kind = Tensor if type(t) is Parameter else type(t)
        groups.setdefault((t.device, t.dtype, kind), []).append(t)
    return list(groups.values())


def locals_of(tensors: list[Tensor]) -> list[Tensor]:
    """The parts of tensors that live on this rank; see `local`."""
    return [local(t) for t in tensors]


def local(tensor: Tensor, full: bool = False) -> Tensor:
    """The part of a tensor that lives on this rank, or (``full``) its value over all ranks.

    An ordinary tensor is both. Only a ``DTensor`` is more; its class is not imported here, since
    that takes longer than most programs that do not need it.
    """
    if type(tensor) in _PLAIN:
        return tensor
    name = "full_tensor" if full else "to_local"
    return cast("Tensor", getattr(tensor, name)()) if hasattr(tensor, name) else tensor
