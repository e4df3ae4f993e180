"""The update of the weights, given the step size: as a loop, with foreach, and with fused kernels.

With the momentum buffer ``b`` (torch's sign, the velocity is ``v = -b``) one step is

    standard form:  b <- mu b + gamma g ;  p <- p - gamma g - mu b
    adjusted form:  b <- mu b + g       ;  p <- p - gamma (g + mu b)

Where the step size is a number of the host, a step that must be skipped never gets here. Where it
is a tensor, the tensor ``skip`` tells the device to leave weights and buffers as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from alig_deepobs.optimizers._vectors import Foreach

# The kernel computes 1 - (1 - gamma), with a relative error of up to 1e-16 / gamma.
_SMALLEST_FUSED_GAMMA = 1e-6


@dataclass
class Bucket:
    """Parameters of one group with one device and one data type.

    Attributes:
        params, grads: tensors of any shape.
        buffers: momentum buffers, empty without momentum.
        momentum: mu.
        adjusted: selects the adjusted form.
    """

    params: list[Tensor]
    grads: list[Tensor]
    buffers: list[Tensor]
    momentum: float
    adjusted: bool

    @property
    def may_overflow(self) -> bool:
        """Whether sums of ordinary gradients may be more than the type of the buffers can hold."""
        return self.adjusted and bool(self.buffers) and self.buffers[0].dtype is torch.float16


Update = Callable[[Bucket, float | Tensor, Tensor | bool], None]


def update_loop(bucket: Bucket, gamma: float | Tensor, skip: Tensor | bool) -> None:
    """One parameter after the other, with ordinary tensor operations."""
    mu = bucket.momentum
    for index, (p, g) in enumerate(zip(bucket.params, bucket.grads, strict=True)):
        # A factor of 0 does not hide a gradient that is not finite: 0 * nan = nan.
        clean = torch.where(skip, 0.0, g) if isinstance(skip, Tensor) else g
        scaled = clean * gamma
        p.sub_(scaled)
        if not bucket.buffers:
            continue
        b = bucket.buffers[index]
        if not isinstance(skip, Tensor):
            b.mul_(mu).add_(clean if bucket.adjusted else scaled)
            p.sub_(b * (gamma * mu) if bucket.adjusted else b * mu)
        else:
            decay, look_ahead = _masked_factors(bucket, gamma, skip)
            b.mul_(decay).add_(clean if bucket.adjusted else scaled)
            if bucket.may_overflow:
                _saturate([b])
            p.sub_(b * look_ahead)


def update_foreach(bucket: Bucket, gamma: float | Tensor, skip: Tensor | bool) -> None:
    """All parameters at once, with torch's multi-tensor operations."""
    params, grads, buffers, mu = bucket.params, bucket.grads, bucket.buffers, bucket.momentum
    if isinstance(gamma, float):
        Foreach.add_(params, grads, -gamma)
        if buffers:
            torch._foreach_mul_(buffers, mu)
            Foreach.add_(buffers, grads, 1.0 if bucket.adjusted else gamma)
            Foreach.add_(params, buffers, -gamma * mu if bucket.adjusted else -mu)
        return
    assert isinstance(skip, Tensor)
    clean = [torch.where(skip, 0.0, g) for g in grads]
    scaled = torch._foreach_mul(clean, gamma)
    torch._foreach_sub_(params, scaled)
    if buffers:
        decay, look_ahead = _masked_factors(bucket, gamma, skip)
        torch._foreach_mul_(buffers, decay)
        torch._foreach_add_(buffers, clean if bucket.adjusted else scaled)
        if bucket.may_overflow:
            _saturate(buffers)
        torch._foreach_sub_(params, torch._foreach_mul(buffers, look_ahead))


def _masked_factors(
    bucket: Bucket, gamma: float | Tensor, skip: Tensor
) -> tuple[Tensor, float | Tensor]:
    """What the buffer is multiplied by, and its factor in the update of the weights.

    In a skipped step they are 1 and 0. (In the adjusted form gamma is then 0 already.) The
    tensors have gamma's data type: a factor rounded to float32 would spoil float64 weights.
    """
    assert isinstance(gamma, Tensor)
    decay = torch.where(skip, torch.ones_like(gamma), bucket.momentum)
    if bucket.adjusted:
        return decay, gamma * bucket.momentum
    return decay, torch.where(skip, torch.zeros_like(gamma), bucket.momentum)


TINY = 1e-36
"""A step size below this is that of a gradient beyond 1e36, if it is not 0."""


def update_saturated(
    params: list[Tensor], grads: list[Tensor], buffers: list[Tensor], gamma: float, mu: float
) -> None:
    """The adjusted form where a type may not hold the sum of gradients: it stays at the largest.

    That is half precision, and float32 where the step size is below `TINY`. An infinite buffer
    would make every later step infinite, however small, or nan, if its size is 0.
    """
    torch._foreach_mul_(buffers, mu)
    Foreach.add_(buffers, grads, 1.0)
    _saturate(buffers)
    if gamma:
        Foreach.add_(params, grads, -gamma)
        Foreach.add_(params, buffers, -gamma * mu)


def _saturate(buffers: list[Tensor]) -> None:
    """Brings infinite numbers back to the largest that the type of all can hold."""
    largest = torch.finfo(buffers[0].dtype).max
    torch._foreach_clamp_max_(buffers, largest)
    torch._foreach_clamp_min_(buffers, -largest)


def update_fused(bucket: Bucket, gamma: float | Tensor, skip: Tensor | bool) -> None:
    """All parameters at once, with the kernels of torch's fused SGD."""
    if isinstance(gamma, float):
        _fused_on_host(bucket, gamma)
    else:
        assert isinstance(skip, Tensor)
        _fused_on_device(bucket, gamma, skip)


def _fused_on_host(bucket: Bucket, gamma: float) -> None:
    if not bucket.buffers:
        _sgd_kernel(bucket, [], lr=gamma)
    elif bucket.adjusted:
        _sgd_kernel(bucket, bucket.buffers, lr=gamma, momentum=bucket.momentum, nesterov=True)
    elif gamma < _SMALLEST_FUSED_GAMMA:
        update_foreach(bucket, gamma, skip=False)
    else:
        # The kernel has one factor for the gradient, the standard form needs two. So twice:
        # heavy ball with dampening 1 - gamma, b <- mu b + gamma g and p <- p - mu b; then
        # p <- p - gamma g. The gradients stay as they are.
        mu = bucket.momentum
        _sgd_kernel(bucket, bucket.buffers, lr=mu, momentum=mu, dampening=1.0 - gamma)
        _sgd_kernel(bucket, [], lr=gamma)


def _fused_on_device(bucket: Bucket, gamma: Tensor, skip: Tensor) -> None:
    # The kernels read these three as float32, whatever the parameters are.
    gamma, found_inf = gamma.float(), skip.float()
    if bucket.buffers and not bucket.adjusted:
        # Only the gradient can be scaled by a number of the device, through the divisor that is
        # meant for mixed precision. As there, the kernel writes the scaled gradient back: after
        # the step ``p.grad`` holds gamma g. (A divisor of infinity gives the step size 0.)
        _sgd_kernel(
            bucket, bucket.buffers, lr=1.0, momentum=bucket.momentum, nesterov=True,
            grad_scale=gamma.reciprocal(), found_inf=found_inf,
        )  # fmt: skip
    else:
        _sgd_kernel(
            bucket, bucket.buffers, lr=gamma, momentum=bucket.momentum,
            nesterov=bool(bucket.buffers), found_inf=found_inf,
        )  # fmt: skip
        if bucket.may_overflow:
            _saturate(bucket.buffers)


def _sgd_kernel(
    bucket: Bucket,
    buffers: list[Tensor],
    *,
    lr: float | Tensor,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
) -> None:
    torch._fused_sgd_(
        bucket.params,
        bucket.grads,
        buffers,
        weight_decay=0.0,
        momentum=momentum if buffers else 0.0,
        lr=cast("float", lr),  # the stubs know the overload with a number only
        dampening=dampening,
        nesterov=nesterov,
        maximize=False,
        is_first_step=False,
        grad_scale=grad_scale,
        found_inf=found_inf,
    )


def fused_supports(bucket: Bucket) -> bool:
    """Whether the fused kernels can update these parameters.

    They walk through memory, so parameter and gradient must be dense and laid out alike. In half
    precision the CPU's kernel leaves most weights as they were (seen with torch 2.13, in its own
    SGD too), so there it is not used.
    """
    first = bucket.params[0]
    if first.device.type == "cpu":
        if first.dtype is not torch.float32 and first.dtype is not torch.float64:
            return False
    elif first.device.type != "cuda" or not first.is_floating_point():
        return False
    for p, g in zip(bucket.params, bucket.grads, strict=True):
        if p.shape != g.shape:  # weights were exchanged; the kernel would walk out of them
            return False
        if not (p.is_contiguous() and g.is_contiguous()) and not _alike(p, g):
            return False
    return True


def _alike(p: Tensor, g: Tensor) -> bool:
    """Whether both are in the same one of the orders that are dense beside the ordinary one."""
    if p.stride() != g.stride():
        return False
    return (p.dim() == 4 and p.is_contiguous(memory_format=torch.channels_last)) or (
        p.dim() == 5 and p.is_contiguous(memory_format=torch.channels_last_3d)
    )
