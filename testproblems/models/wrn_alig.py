"""Wide residual networks as the ALI-G paper trains them.

They differ from DeepOBS's (`alig_deepobs.testproblems.models.wrn`) in what PyTorch does otherwise
than TensorFlow: symmetric padding and initial weights; and they may drop out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.models.allcnnc import GlobalMean
from alig_deepobs.testproblems.models.init import build_filled, fan_out_normal_and_uniform


class Block(nn.Module):
    """Two normalized 3 x 3 convolutions and a shortcut around them.

    Where the number of channels stays, the shortcut is the input as it came. Where it changes, it
    is a 1 x 1 convolution of the *activated* input, the one that the first convolution gets.

    Args:
        inputs: channels of the input.
        filters: channels of the output.
        stride: step of the first convolution (and of the shortcut's); 1 where channels stay.
        dropout: probability of dropping a number between the convolutions.
    """

    def __init__(self, inputs: int, filters: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.activate = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU())
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, filters, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(filters),
            nn.ReLU(),
            *([nn.Dropout(dropout)] if dropout else []),
            nn.Conv2d(filters, filters, 3, padding=1, bias=False),
        )
        self.shortcut: nn.Module | None = None
        if inputs != filters:
            self.shortcut = nn.Conv2d(inputs, filters, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(batch, inputs, size, size)`` to ``(batch, filters, size / stride, ...)``."""
        activated = self.activate(x)
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        y: Tensor = self.residual(activated) + shortcut
        return y


def wide_resnet_alig(
    depth: int, widening: int, classes: int, generator: torch.Generator, dropout: float = 0.0
) -> nn.Module:
    """The network WRN-depth-widening for images of 3 x 32 x 32 pixels.

    Zagoruyko, Komodakis: Wide residual networks, arXiv:1605.07146. Kernels of convolutions start
    normally distributed with variance ``2 / fan_out``; the output layer has PyTorch's uniform
    start and no bias at first.

    Args:
        depth: number of convolutions, ``6 * n + 4``, where a group has n blocks.
        widening: factor of the numbers of filters 16, 32 and 64.
        classes: units of the output.
        generator: source of the initial weights.
        dropout: probability of dropping a number between the convolutions of a block.

    Raises:
        ValueError: the depth has not that form.

    Example:
        >>> net = wide_resnet_alig(16, 4, 10, torch.Generator().manual_seed(0), dropout=0.4)
        >>> sum(parameter.numel() for parameter in net.parameters())
        2748890
    """
    return build_filled(
        lambda: layers(depth, widening, classes, dropout), fan_out_normal_and_uniform(generator)
    )


def layers(depth: int, widening: int, classes: int, dropout: float) -> nn.Module:
    """The layers, with PyTorch's own initial weights."""
    if depth < 10 or depth % 6 != 4:
        raise ValueError(f"depth must be 6 * n + 4 with n from 1 on, not {depth}")
    modules: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1, bias=False)]
    inputs = 16
    for filters, stride in ((16 * widening, 1), (32 * widening, 2), (64 * widening, 2)):
        modules.append(Block(inputs, filters, stride, dropout))
        modules += [Block(filters, filters, 1, dropout) for _ in range((depth - 4) // 6 - 1)]
        inputs = filters
    modules += [nn.BatchNorm2d(inputs), nn.ReLU(), GlobalMean(), nn.Linear(inputs, classes)]
    return nn.Sequential(*modules)
