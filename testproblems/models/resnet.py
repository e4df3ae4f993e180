"""The residual network ResNet-18 for photographs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.models.allcnnc import GlobalMean
from alig_deepobs.testproblems.models.init import (
    build_filled,
    fan_out_normal_and_uniform,
    torch_uniform,
)

GROUPS = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Filters of each group of two blocks, and the stride of its first block."""


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions, each with a normalization behind it, and a shortcut around them.

    The shortcut is the input, or, where the shape changes, a normalized 1 x 1 convolution of it.

    Args:
        inputs: channels of the input.
        filters: channels of the output.
        stride: step of the first convolution (and of the shortcut's).
    """

    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, filters, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(filters),
            nn.ReLU(),
            nn.Conv2d(filters, filters, 3, padding=1, bias=False),
            nn.BatchNorm2d(filters),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != filters:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, filters, 1, stride, bias=False), nn.BatchNorm2d(filters)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(batch, inputs, size, size)`` to ``(batch, filters, size / stride, ...)``."""
        return torch.relu(self.residual(x) + self.shortcut(x))


def resnet18(classes: int, generator: torch.Generator) -> nn.Module:
    """ResNet-18 for images of 3 x 224 x 224 pixels.

    He, Zhang, Ren, Sun: Deep residual learning, arXiv:1512.03385; the architecture and the initial
    distributions are those of torchvision, its parameters in the same order: kernels of
    convolutions normal with variance ``2 / fan_out``, the output layer uniform, its bias too.

    Args:
        classes: units of the output.
        generator: source of the initial weights.

    Example:
        >>> net = resnet18(1000, torch.Generator().manual_seed(0))
        >>> sum(parameter.numel() for parameter in net.parameters())
        11689512
    """
    net = build_filled(lambda: layers(classes), fan_out_normal_and_uniform(generator))
    *_, bias = net.parameters()
    torch_uniform(generator, fan_in=GROUPS[-1][0])(bias)
    return net


def layers(classes: int) -> nn.Module:
    """The layers, with PyTorch's own initial weights."""
    inputs = GROUPS[0][0]
    modules: list[nn.Module] = [
        nn.Conv2d(3, inputs, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    for filters, stride in GROUPS:
        modules += [BasicBlock(inputs, filters, stride), BasicBlock(filters, filters, 1)]
        inputs = filters
    return nn.Sequential(*modules, GlobalMean(), nn.Linear(inputs, classes))
