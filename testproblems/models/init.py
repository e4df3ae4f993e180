"""Initial weights drawn from an explicit generator, with TensorFlow's distributions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

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
