"""The VGG networks."""

from __future__ import annotations

import torch
from torch import nn

from alig_deepobs.testproblems.models.init import build_filled, glorot_normal_and_uniform
from alig_deepobs.testproblems.models.resize import Resize

# Convolutions in each of the five blocks, by the number of layers with weights.
BLOCKS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
FILTERS = (64, 128, 256, 512, 512)
SIZE = 224


def vgg(variant: int, classes: int, generator: torch.Generator) -> nn.Module:
    """VGG 16 or 19 for images of any size, which are resized to 224 x 224 pixels.

    Simonyan, Zisserman: Very deep convolutional networks, arXiv:1409.1556. Kernels of convolutions
    start with Glorot's normal distribution (cut at two deviations), those of dense layers with
    his uniform one; biases are zero.

    Args:
        variant: 16 or 19.
        classes: units of the output.
        generator: source of the initial weights.
    """
    return build_filled(lambda: layers(variant, classes), glorot_normal_and_uniform(generator))


def layers(variant: int, classes: int) -> nn.Module:
    """The layers, with PyTorch's own initial weights."""
    modules: list[nn.Module] = [Resize(SIZE)]
    inputs = 3
    for filters, count in zip(FILTERS, BLOCKS[variant], strict=True):
        for _ in range(count):
            modules += [nn.Conv2d(inputs, filters, 3, padding=1), nn.ReLU()]
            inputs = filters
        modules.append(nn.MaxPool2d(2))  # sizes are even, so "same" pads nothing
    return nn.Sequential(
        *modules,
        # TensorFlow flattens (height, width, channel), PyTorch (channel, height, width).
        nn.Flatten(),
        nn.Linear(512 * 7 * 7, 4096),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(4096, classes),
    )
