"""Logistic regression and multi-layer perceptrons."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from alig_deepobs.testproblems.models.init import build_filled, he_normal, truncated_normal


def logreg(inputs: int, classes: int) -> nn.Module:
    """One dense layer, all weights zero at the start, as in DeepOBS.

    Example:
        >>> sum(p.numel() for p in logreg(784, 10).parameters())
        7850
    """
    return build_filled(lambda: _perceptron((inputs, classes)), nn.init.zeros_)


def deepobs_mlp(generator: torch.Generator) -> nn.Module:
    """DeepOBS's perceptron, 784-1000-500-100-10.

    Kernels come from a normal distribution with standard deviation 0.03 that is cut at two
    standard deviations; biases are zero.
    """
    sizes = (784, 1000, 500, 100, 10)
    return build_filled(lambda: _perceptron(sizes), truncated_normal(3e-2, generator))


def digits_mlp(generator: torch.Generator, hidden_dim: int = 100) -> nn.Module:
    """A small perceptron, 64-100-50-10, with He's initial kernels and zero biases.

    Args:
        generator: draws the kernels.
        hidden_dim: units of the first hidden layer; the second has half as many.
    """
    sizes = (64, hidden_dim, hidden_dim // 2, 10)
    return build_filled(lambda: _perceptron(sizes), he_normal(generator))


def _perceptron(sizes: Sequence[int]) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
