"""The all convolutional network "All-CNN-C"."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.models.init import build_filled, glorot_normal
from alig_deepobs.testproblems.models.same import SameConv2d


class GlobalMean(nn.Module):
    """The mean over all pixels of each channel."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(batch, channels, height, width)`` to ``(batch, channels)``."""
        return x.mean(dim=(2, 3))


def allcnnc(classes: int, generator: torch.Generator) -> nn.Module:
    """Nine convolutions with ReLU, the last one too, and the mean over the remaining 6 x 6 pixels.

    Springenberg et al.: Striving for simplicity, arXiv:1412.6806. Images of 3 x 32 x 32 pixels.
    Kernels start with Glorot's normal distribution (cut at two deviations), biases are 0.1.
    """
    return build_filled(lambda: layers(classes), glorot_normal(generator), bias=0.1)


def layers(classes: int) -> nn.Module:
    """The layers, with PyTorch's own initial weights."""
    return nn.Sequential(
        nn.Dropout(0.2),
        *_block(3, 96, size=32),
        nn.Dropout(0.5),
        *_block(96, 192, size=16),
        nn.Dropout(0.5),
        nn.Conv2d(192, 192, 3),
        nn.ReLU(),
        nn.Conv2d(192, 192, 1),
        nn.ReLU(),
        nn.Conv2d(192, classes, 1),
        nn.ReLU(),
        GlobalMean(),
    )


def _block(inputs: int, filters: int, size: int) -> tuple[nn.Module, ...]:
    return (
        SameConv2d(inputs, filters, kernel=3, size=size),
        nn.ReLU(),
        SameConv2d(filters, filters, kernel=3, size=size),
        nn.ReLU(),
        SameConv2d(filters, filters, kernel=3, size=size, stride=2),
        nn.ReLU(),
    )
