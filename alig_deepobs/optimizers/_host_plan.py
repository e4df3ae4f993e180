"""A step of ALI-G on the CPU: one pass over memory, and as little Python as there can be.

What a step needs of groups, devices and buffers is looked up once and used until something changes.

In the standard form of momentum, gradient and buffer have different factors, while torch's kernel
for Nesterov's momentum has one for both. So the buffer is kept in another unit: with torch's buffer
``b``, ``b = s c``, where ``s`` is one number for the group (``group["velocity_scale"]``) and ``c``
is what the state holds. Then

    b <- mu b + gamma g ;  p <- p - gamma g - mu b

is the kernel's step ``c <- m c + (1 - d) g ;  p <- p - gamma (g + m c)`` with

    s <- sqrt(gamma s) ,  m = mu s / gamma ,  d = 1 - gamma / s .
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from alig_deepobs.optimizers._norm import SideBySide, flat_squared_norm
from alig_deepobs.optimizers._updates import TINY, update_saturated

SCALE = "velocity_scale"

_FARTHEST = 1e8
"""Ratio of scale and step size, from which on the kernel's numbers would be too far apart."""

_SMALLEST = 1e-30
"""A scale below this is brought back to 1."""

_PLAIN = (Parameter, Tensor)
_TYPES = (torch.float32, torch.float64)
_options = itemgetter(
    "momentum", "adjusted_momentum", "foreach", "fused", "capturable", "clip_norm"
)


def settle(group: dict[str, Any], state: Any) -> None:
    """Brings the buffers of a group to torch's unit, where another kind of step wants them."""
    scale = group[SCALE]
    if scale != 1.0:
        buffers = [state[p]["momentum_buffer"] for p in group["params"] if p in state]
        torch._foreach_mul_(buffers, scale)
        group[SCALE] = 1.0


@dataclass(slots=True)
class HostGroup:
    """What a step needs of one group.

    Attributes:
        group: the group.
        options: those that the plan relies on.
        params: the parameters that have a gradient.
        idle: those that have none.
        buffers: momentum buffers, empty without momentum.
        dtype: of all of them.
        entries: of each parameter that has a gradient itself, how many numbers it has, its state,
            and its buffer.
        count: of the parameters, with those that are frozen.
    """

    group: dict[str, Any]
    options: tuple[Any, ...]
    params: list[Tensor]
    idle: list[Tensor]
    buffers: list[Tensor]
    dtype: torch.dtype
    entries: list[tuple[Tensor, int, dict[str, Any], Tensor | None]]
    count: int

    def update(self, grads: list[Tensor], gamma: float) -> None:
        """Takes the step of size ``gamma``."""
        mu, adjusted = self.options[0], self.options[1]
        if not mu:
            _kernel(self.params, grads, [], gamma, 0.0, 0.0, False)
        elif adjusted and gamma < TINY:
            update_saturated(self.params, grads, self.buffers, gamma, mu)
        elif adjusted:
            _kernel(self.params, grads, self.buffers, gamma, mu, 0.0, True)
        else:
            self._standard(grads, gamma, mu)

    def _standard(self, grads: list[Tensor], gamma: float, mu: float) -> None:
        before = self.group[SCALE]
        if gamma * _FARTHEST <= before:
            self._small(grads, gamma, mu)
            return
        if before * _FARTHEST <= gamma:
            torch._foreach_mul_(self.buffers, before / gamma)
            before = gamma
        scale = gamma if gamma == before else math.sqrt(gamma) * math.sqrt(before)
        self.group[SCALE] = scale
        _kernel(
            self.params, grads, self.buffers, gamma, mu * scale / gamma, 1.0 - gamma / scale, True
        )  # fmt: skip

    def _small(self, grads: list[Tensor], gamma: float, mu: float) -> None:
        """A step whose size is 0 or far below the scale: ``b <- mu b`` is left to the scale."""
        scale = self.group[SCALE] * mu
        if scale < _SMALLEST:
            torch._foreach_mul_(self.buffers, scale)
            scale = 1.0
        self.group[SCALE] = scale
        if gamma:
            torch._foreach_add_(self.buffers, grads, alpha=gamma / scale)
            torch._foreach_add_(self.params, grads, alpha=-gamma)
        torch._foreach_add_(self.params, self.buffers, alpha=-mu * scale)


def _kernel(
    params: list[Tensor],
    grads: list[Tensor],
    buffers: list[Tensor],
    lr: float,
    momentum: float,
    dampening: float,
    nesterov: bool,
) -> None:
    torch._fused_sgd_(
        params, grads, buffers, weight_decay=0.0, momentum=momentum, lr=lr, dampening=dampening,
        nesterov=nesterov, maximize=False, is_first_step=False,
    )  # fmt: skip


class HostPlan:
    """What a step needs of all groups.

    Args:
        groups: of each group what it needs.
        states: the number of parameters that have a state.
    """

    def __init__(self, groups: list[HostGroup], states: int) -> None:
        self.groups = groups
        self.states = states
        self.room = SideBySide.of([p for made in groups for p in made.params])

    def squared_norm(self, grads: list[list[Tensor]]) -> float:
        """The squared norm of the gradients of all groups together."""
        every = grads[0] if len(grads) == 1 else [g for part in grads for g in part]
        return self.room.squared_norm(every) if self.room else flat_squared_norm(every, fit=False)

    @classmethod
    def make(cls, param_groups: list[dict[str, Any]], state: Any) -> HostPlan | None:
        """A plan for the gradients that there are now; None where a step needs more than that."""
        groups = []
        for group in param_groups:
            made = _host_group(group, state)
            if made is None:
                return None
            groups.append(made)
        return cls(groups, len(state)) if any(made.params for made in groups) else None

    def gradients(self, param_groups: list[dict[str, Any]], state: Any) -> list[list[Tensor]]:
        """The gradients of each group; empty if something is not as it was when the plan was made.

        Of the states one is looked at, and their number: whoever replaces them replaces all.
        """
        if len(param_groups) != len(self.groups) or len(state) != self.states:
            return []
        result = []
        for group, made in zip(param_groups, self.groups, strict=True):
            if (
                group is not made.group
                or _options(group) != made.options
                or len(group["params"]) != made.count
            ):
                return []
            dtype, grads = made.dtype, []
            try:
                for p, size, held, buffer in made.entries:
                    g = p.grad
                    if (
                        type(g) is not Tensor
                        or g.dtype is not dtype
                        or g.numel() != size
                        or p.numel() != size
                        or held.get("momentum_buffer") is not buffer
                        or not (g.is_cpu and g.is_contiguous() and p.is_contiguous())
                    ):
                        return []
                    grads.append(g)
            except RuntimeError:  # sparse gradients do not tell whether they are contiguous
                return []
            for p in made.idle:
                if p.grad is not None:
                    return []
            if made.buffers and state.get(made.params[-1]) is not made.entries[-1][2]:
                return []
            result.append(grads)
        return result


def _host_group(group: dict[str, Any], state: Any) -> HostGroup | None:
    foreach, fused = group["foreach"], group["fused"]
    if foreach or fused is False or (foreach is False and not fused):
        return None
    if group["capturable"] or group["clip_norm"] is not None:
        return None
    params = [p for p in group["params"] if p.grad is not None]
    idle = [p for p in group["params"] if p.grad is None]
    dtypes = {p.dtype for p in params}
    if (
        len(dtypes) > 1
        or not dtypes <= set(_TYPES)
        or any(type(p) not in _PLAIN or not p.is_cpu or not p.is_contiguous() for p in params)
        or any(p.grad is None or p.grad.shape != p.shape for p in params)
    ):
        return None
    buffers: list[Tensor] = []
    if group["adjusted_momentum"]:
        settle(group, state)
    if group["momentum"]:
        # One scale for all buffers: those of parameters without a gradient must stay as they are.
        if any("momentum_buffer" in state[p] for p in idle if p in state):
            return None
        for p in params:
            buffers.append(state[p].setdefault("momentum_buffer", torch.zeros_like(p)))
        if any(
            b.dtype not in dtypes or not b.is_contiguous() or b.shape != p.shape
            for b, p in zip(buffers, params, strict=True)
        ):
            return None
    dtype = dtypes.pop() if dtypes else torch.float32
    entries = [
        (p, p.numel(), state[p] if group["momentum"] else {}, b)
        for p, b in itertools.zip_longest(params, buffers)
    ]
    count = len(group["params"])
    return HostGroup(group, _options(group), params, idle, buffers, dtype, entries, count)
