"""Initial weights drawn from an explicit generator, with TensorFlow's distributions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of a standard normal distribution that is cut at -2 and 2."""

Net = TypeVar("Net", bound=nn.Module)
Kernel = Callable[[Tensor], Tensor]
"""Fills a kernel in place."""

_LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def build_empty(build: Callable[[], Net]) -> Net:
    """Builds a network on the CPU whose weights still have to be filled.

    PyTorch's layers draw their weights from the global generator as they are built; the caller's
    random numbers stay where they are. (The meta device draws nothing, but moving from it imports
    SymPy: a third of what importing PyTorch costs.)
    """
    with torch.random.fork_rng(devices=()), torch.device("cpu"):
        return build()


@torch.no_grad()
def build_filled(build: Callable[[], Net], kernel: Kernel, bias: float = 0.0) -> Net:
    """Builds a network and fills its dense and convolution layers, in their order.

    Batch normalization starts as the identity: scales and running variances 1, the rest 0.

    Args:
        build: builds the network.
        kernel: fills a kernel in place.
        bias: the value of all biases.
    """
    net = build_empty(build)
    for layer in net.modules():
        if isinstance(layer, _LAYERS):
            kernel(layer.weight)
            if layer.bias is not None:
                layer.bias.fill_(bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()  # constants, so nothing is drawn
    return net


def truncated_normal(std: float, generator: torch.Generator) -> Kernel:
    """A normal distribution cut at two standard deviations, as TensorFlow's is."""

    def fill_kernel(kernel: Tensor) -> Tensor:
        return nn.init.trunc_normal_(
            kernel, std=std, a=-2.0 * std, b=2.0 * std, generator=generator
        )

    return fill_kernel


def glorot_uniform(generator: torch.Generator) -> Kernel:
    """Glorot's and Bengio's uniform distribution, the default of TensorFlow's layers."""
    return lambda kernel: nn.init.xavier_uniform_(kernel, generator=generator)


def he_normal(generator: torch.Generator) -> Kernel:
    """He's normal distribution for ReLU networks, variance ``2 / fan_in``."""
    return lambda kernel: nn.init.kaiming_normal_(kernel, nonlinearity="relu", generator=generator)


def fan_out_normal(generator: torch.Generator) -> Kernel:
    """He's normal distribution by the outputs of a kernel, variance ``2 / fan_out``.

    For a convolution ``fan_out`` is rows x columns x output channels.
    """
    return lambda kernel: nn.init.kaiming_normal_(
        kernel, mode="fan_out", nonlinearity="relu", generator=generator
    )


def torch_uniform(generator: torch.Generator, fan_in: int | None = None) -> Kernel:
    """What PyTorch's dense layers start with: uniform within ``1 / sqrt(fan_in)`` of 0.

    Args:
        generator: source of the draws.
        fan_in: inputs of the layer, which a bias does not show; None for those of a kernel.
    """

    def fill_kernel(x: Tensor) -> Tensor:
        limit = 1.0 / math.sqrt(fan_in or x.shape[1])
        return nn.init.uniform_(x, -limit, limit, generator=generator)

    return fill_kernel


def glorot_normal(generator: torch.Generator) -> Kernel:
    """Glorot's and Bengio's normal distribution, cut at two standard deviations.

    As in TensorFlow, the deviation before the cut is enlarged, so that after it the variance is
    ``2 / (fan_in + fan_out)``.
    """

    def fill_kernel(kernel: Tensor) -> Tensor:
        receptive = kernel[0, 0].numel()
        fans = receptive * (kernel.shape[0] + kernel.shape[1])
        std = math.sqrt(2.0 / fans) / TRUNCATED_STD
        return truncated_normal(std, generator)(kernel)

    return fill_kernel


def glorot_normal_and_uniform(generator: torch.Generator) -> Kernel:
    """`glorot_normal` for convolutions, `glorot_uniform` for dense layers."""
    return _by_layer(glorot_normal(generator), glorot_uniform(generator))


def fan_out_normal_and_uniform(generator: torch.Generator) -> Kernel:
    """`fan_out_normal` for convolutions, `torch_uniform` for dense layers."""
    return _by_layer(fan_out_normal(generator), torch_uniform(generator))


def _by_layer(convolution: Kernel, dense: Kernel) -> Kernel:
    return lambda kernel: convolution(kernel) if kernel.ndim == 4 else dense(kernel)
