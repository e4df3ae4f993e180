"""DeepOBS's network of three convolutions and three dense layers."""

from __future__ import annotations

import torch
from torch import nn

from alig_deepobs.testproblems.models.init import build_filled, glorot_normal_and_uniform
from alig_deepobs.testproblems.models.same import SameConv2d


def net_3c3d(classes: int, generator: torch.Generator) -> nn.Module:
    """Three convolutions (64, 96, 128 filters), each with max pooling, then 512, 256 units.

    Images of 3 x 32 x 32 pixels. Kernels of convolutions start with Glorot's normal distribution
    (cut at two deviations), those of dense layers with his uniform one; biases are zero.
    """
    return build_filled(lambda: layers(classes), glorot_normal_and_uniform(generator))


def layers(classes: int) -> nn.Module:
    """The layers, with PyTorch's own initial weights."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 5),
        nn.ReLU(),
        _same_pool(),
        nn.Conv2d(64, 96, 3),
        nn.ReLU(),
        _same_pool(),
        SameConv2d(96, 128, kernel=3, size=6),
        nn.ReLU(),
        _same_pool(),
        # TensorFlow flattens (height, width, channel), this (channel, height, width). Whoever
        # copies weights from there must permute the inputs of the next layer.
        nn.Flatten(),
        nn.Linear(128 * 3 * 3, 512),
        nn.ReLU(),
        nn.Linear(512, 256),
        nn.ReLU(),
        nn.Linear(256, classes),
    )


def _same_pool() -> nn.Module:
    # Inputs have 28, 12 and 6 pixels a side. For even sizes "same" adds one pixel behind, and
    # nothing in front; a window that runs over the end (ceil_mode) takes the same maximum.
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)
