"""Densely connected networks with bottlenecks and compression ("DenseNet-BC")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.models.allcnnc import GlobalMean
from alig_deepobs.testproblems.models.init import build_filled, fan_out_normal_and_uniform

BOTTLENECK = 4
"""A bottleneck has so many times the channels that a layer adds."""
BLOCKS = 3


class DenseLayer(nn.Module):
    """A bottleneck of 1 x 1 and 3 x 3 convolutions whose output is put behind its input.

    Args:
        inputs: channels of the input.
        growth: channels that are added to them.
    """

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        inner = BOTTLENECK * growth
        self.new = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(batch, inputs, size, size)`` to ``(batch, inputs + growth, size, size)``."""
        return torch.cat([x, self.new(x)], dim=1)


def densenet(depth: int, growth: int, classes: int, generator: torch.Generator) -> nn.Module:
    """A DenseNet-BC of three blocks for images of 3 x 32 x 32 pixels.

    Huang, Liu, van der Maaten, Weinberger: Densely connected convolutional networks,
    arXiv:1608.06993. The first convolution has twice the growth as channels and no normalization
    behind it, a transition halves the channels, and the output layer has no bias, as in the code
    that the ALI-G paper was computed with. Kernels of convolutions start normally distributed with
    variance ``2 / fan_out``, the output layer with PyTorch's uniform start.

    Args:
        depth: ``6 * n + 4``, where a block has n layers of two convolutions each.
        growth: channels that a layer adds.
        classes: units of the output.
        generator: source of the initial weights.

    Raises:
        ValueError: the depth has not that form.

    Example:
        >>> net = densenet(40, 40, 10, torch.Generator().manual_seed(0))
        >>> sum(parameter.numel() for parameter in net.parameters())
        1901920
    """
    return build_filled(
        lambda: layers(depth, growth, classes), fan_out_normal_and_uniform(generator)
    )


def layers(depth: int, growth: int, classes: int) -> nn.Module:
    """The layers, with PyTorch's own initial weights."""
    if depth < 10 or depth % 6 != 4:
        raise ValueError(f"depth must be 6 * n + 4 with n from 1 on, not {depth}")
    channels = 2 * growth
    modules: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1, bias=False)]
    for block in range(BLOCKS):
        if block:
            modules.append(transition(channels, channels // 2))
            channels //= 2
        for _ in range((depth - 4) // 6):
            modules.append(DenseLayer(channels, growth))
            channels += growth
    modules += [nn.BatchNorm2d(channels), nn.ReLU(), GlobalMean()]
    return nn.Sequential(*modules, nn.Linear(channels, classes, bias=False))


def transition(inputs: int, outputs: int) -> nn.Module:
    """What stands between two blocks: fewer channels, and half of the rows and columns."""
    return nn.Sequential(
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.AvgPool2d(2),
    )
