"""Wide residual networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.models.allcnnc import GlobalMean
from alig_deepobs.testproblems.models.init import build_filled, glorot_uniform
from alig_deepobs.testproblems.models.same import SameConv2d

# PyTorch's momentum is the weight of the new value, TensorFlow's (0.9) that of the old one.
BATCH_NORM_MOMENTUM = 1.0 - 0.9


class _FirstUnit(nn.Module):
    """The first unit of a group: changes the number of channels, and with a stride the size."""

    def __init__(self, inputs: int, filters: int, size: int, stride: int) -> None:
        super().__init__()
        # Shortcut and residual start from the same normalized values.
        self.start = nn.Sequential(_norm(inputs), nn.ReLU())
        self.shortcut = SameConv2d(inputs, filters, 1, size, stride, bias=False)
        self.residual = nn.Sequential(
            SameConv2d(inputs, filters, 3, size, stride, bias=False),
            _norm(filters),
            nn.ReLU(),
            SameConv2d(filters, filters, 3, size // stride, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(batch, inputs, size, size)`` to ``(batch, filters, size / stride, ...)``."""
        x = self.start(x)
        y: Tensor = self.residual(x) + self.shortcut(x)
        return y


class _Unit(nn.Module):
    """A unit that changes neither channels nor size."""

    def __init__(self, filters: int, size: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _norm(filters),
            nn.ReLU(),
            SameConv2d(filters, filters, 3, size, bias=False),
            _norm(filters),
            nn.ReLU(),
            SameConv2d(filters, filters, 3, size, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(batch, filters, size, size)`` to the same shape."""
        y: Tensor = self.residual(x) + x
        return y


def wide_resnet(units: int, widening: int, classes: int, generator: torch.Generator) -> nn.Module:
    """A wide residual network for images of 3 x 32 x 32 pixels.

    Zagoruyko, Komodakis: Wide residual networks, arXiv:1605.07146. Kernels start with Glorot's
    uniform distribution; convolutions have no bias, that of the dense layer is zero.

    Args:
        units: residual units in each of the three groups; the depth is ``6 * units + 4``.
        widening: factor of the numbers of filters 16, 32 and 64; more than 1.
        classes: units of the output.
        generator: source of the initial weights.
    """
    return build_filled(lambda: layers(units, widening, classes), glorot_uniform(generator))


def layers(units: int, widening: int, classes: int) -> nn.Module:
    """The layers, with PyTorch's own initial weights."""
    modules: list[nn.Module] = [SameConv2d(3, 16, 3, size=32, bias=False)]
    inputs, size = 16, 32
    for filters, stride in ((16 * widening, 1), (32 * widening, 2), (64 * widening, 2)):
        modules.append(_FirstUnit(inputs, filters, size, stride))
        inputs, size = filters, size // stride
        modules += [_Unit(filters, size) for _ in range(1, units)]
    modules += [_norm(inputs), nn.ReLU(), GlobalMean(), nn.Linear(inputs, classes)]
    return nn.Sequential(*modules)


def _norm(channels: int) -> nn.Module:
    # The running variance takes the unbiased variance of a batch, while the batch itself is
    # divided by the biased one: PyTorch and TensorFlow's fused kernel for images agree in that.
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=BATCH_NORM_MOMENTUM)
