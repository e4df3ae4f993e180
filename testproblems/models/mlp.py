"""Multi-layer perceptrons."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from alig_deepobs.testproblems.models.init import build_empty, fill, he_normal, truncated_normal


def deepobs_mlp(generator: torch.Generator) -> nn.Module:
    """DeepOBS's perceptron, 784-1000-500-100-10.

    Kernels come from a normal distribution with standard deviation 0.03 that is cut at two
    standard deviations; biases are zero.
    """
    net = build_empty(lambda: _perceptron((784, 1000, 500, 100, 10)))
    fill(net, truncated_normal(3e-2, generator))
    return net


def digits_mlp(generator: torch.Generator) -> nn.Module:
    """A small perceptron, 64-100-50-10, with He's initial kernels and zero biases."""
    net = build_empty(lambda: _perceptron((64, 100, 50, 10)))
    fill(net, he_normal(generator))
    return net


def _perceptron(sizes: Sequence[int]) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
