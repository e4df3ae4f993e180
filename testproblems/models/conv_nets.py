"""DeepOBS's convolutional networks, "2c2d" and "3c3d"."""

from __future__ import annotations

import torch
from torch import nn

from alig_deepobs.testproblems.models.init import (
    build_filled,
    glorot_normal_and_uniform,
    truncated_normal,
)


def net_2c2d(generator: torch.Generator) -> nn.Module:
    """Two 5 x 5 convolutions (32, 64 filters), each with max pooling, then 1024 and 10 units.

    Images of 28 x 28 pixels. Kernels come from a normal distribution with standard deviation
    0.05 that is cut at two standard deviations; biases are 0.05.
    """
    return build_filled(_layers_2c2d, truncated_normal(0.05, generator), bias=0.05)


def _layers_2c2d() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2),
        nn.ReLU(),
        # 28 and 14 are even: pooling with padding "same" needs no padding here.
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        # TensorFlow flattens (height, width, channel), this (channel, height, width). Whoever
        # copies weights from there must permute the inputs of the next layer.
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 1024),
        nn.ReLU(),
        nn.Linear(1024, 10),
    )


def net_3c3d(classes: int, generator: torch.Generator) -> nn.Module:
    """Three convolutions (64, 96, 128 filters), each with max pooling, then 512, 256 units.

    Images of 3 x 32 x 32 pixels. Kernels of convolutions start with Glorot's normal distribution
    (cut at two deviations), those of dense layers with his uniform one; biases are zero.
    """
    return build_filled(lambda: layers_3c3d(classes), glorot_normal_and_uniform(generator))


def layers_3c3d(classes: int) -> nn.Module:
    """The layers, with PyTorch's own initial weights."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 5),
        nn.ReLU(),
        _same_pool(),
        nn.Conv2d(64, 96, 3),
        nn.ReLU(),
        _same_pool(),
        nn.Conv2d(96, 128, 3, padding=1),
        nn.ReLU(),
        _same_pool(),
        nn.Flatten(),  # the same remark as in 2c2d
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
