"""Initial weights drawn from an explicit generator, with TensorFlow's distributions."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of a standard normal distribution that is cut at -2 and 2."""

_LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def build_empty(build: Callable[[], nn.Module]) -> nn.Module:
    """Builds a network on the CPU whose weights still have to be filled.

    PyTorch's layers draw their weights from the global generator as they are built. On the meta
    device they draw nothing, so the caller's random numbers stay where they are.
    """
    with torch.device("meta"):
        net = build()
    return net.to_empty(device="cpu")


@torch.no_grad()
def fill(net: nn.Module, kernel: Callable[[Tensor], object], bias: float = 0.0) -> None:
    """Fills kernels and biases of all dense and convolution layers, in their order.

    Batch normalization starts as the identity: scales and running variances 1, the rest 0.

    Args:
        net: the network.
        kernel: fills a kernel in place.
        bias: the value of all biases.
    """
    for layer in net.modules():
        if isinstance(layer, _LAYERS):
            kernel(layer.weight)
            if layer.bias is not None:
                layer.bias.fill_(bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()  # constants, so nothing is drawn


def truncated_normal(std: float, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """A normal distribution cut at two standard deviations, as TensorFlow's is."""

    def fill_kernel(kernel: Tensor) -> Tensor:
        return nn.init.trunc_normal_(
            kernel, std=std, a=-2.0 * std, b=2.0 * std, generator=generator
        )

    return fill_kernel


def glorot_uniform(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Glorot's and Bengio's uniform distribution, the default of TensorFlow's layers."""
    return lambda kernel: nn.init.xavier_uniform_(kernel, generator=generator)


def he_normal(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """He's normal distribution for ReLU networks, variance ``2 / fan_in``."""
    return lambda kernel: nn.init.kaiming_normal_(kernel, nonlinearity="relu", generator=generator)


def fan_out_normal(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """He's normal distribution by the outputs of a kernel, variance ``2 / fan_out``.

    For a convolution ``fan_out`` is rows x columns x output channels.
    """
    return lambda kernel: nn.init.kaiming_normal_(
        kernel, mode="fan_out", nonlinearity="relu", generator=generator
    )


def torch_uniform(fan_in: int, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """What PyTorch's own layers start with: uniform within ``1 / sqrt(fan_in)`` of 0.

    Args:
        fan_in: inputs of the layer, which its bias does not show.
        generator: source of the draws.
    """
    limit = 1.0 / math.sqrt(fan_in)
    return lambda x: nn.init.uniform_(x, -limit, limit, generator=generator)


def glorot_normal(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
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


def convolutions_and_dense(
    convolution: Callable[[Tensor], Tensor], dense: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    """Fills the kernels of convolutions, which have four dimensions, and of dense layers."""
    return lambda kernel: convolution(kernel) if kernel.ndim == 4 else dense(kernel)
