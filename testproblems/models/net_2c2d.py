"""DeepOBS's network of two convolutions and two dense layers."""

from __future__ import annotations

import torch
from torch import nn

from alig_deepobs.testproblems.models.init import build_filled, truncated_normal
from alig_deepobs.testproblems.models.same import SameConv2d


def net_2c2d(generator: torch.Generator) -> nn.Module:
    """Two 5 x 5 convolutions (32, 64 filters), each with max pooling, then 1024 and 10 units.

    Images of 28 x 28 pixels. Kernels come from a normal distribution with standard deviation
    0.05 that is cut at two standard deviations; biases are 0.05.
    """
    return build_filled(_layers, truncated_normal(0.05, generator), bias=0.05)


def _layers() -> nn.Module:
    return nn.Sequential(
        SameConv2d(1, 32, kernel=5, size=28),
        nn.ReLU(),
        # 28 and 14 are even: pooling with padding "same" needs no padding here.
        nn.MaxPool2d(2),
        SameConv2d(32, 64, kernel=5, size=14),
        nn.ReLU(),
        nn.MaxPool2d(2),
        # TensorFlow flattens (height, width, channel), this (channel, height, width). Whoever
        # copies weights from there must permute the inputs of the next layer.
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 1024),
        nn.ReLU(),
        nn.Linear(1024, 10),
    )
