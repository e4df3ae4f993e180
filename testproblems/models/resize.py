"""Bilinear enlargement as TensorFlow 1 does it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def resize_bilinear(images: Tensor, height: int, width: int) -> Tensor:
    """Resizes images to ``height`` x ``width`` pixels.

    This is ``tf.image.resize_images`` of TensorFlow 1: output pixel ``i`` lies at the input
    coordinate ``i * inputs / outputs``, without the shift to pixel centres (and without
    smoothing when images shrink) that later versions and PyTorch have. So the first pixel is kept,
    and the last ones repeat the edge.

    Args:
        images: shape ``(..., rows, columns)``.
        height: rows of the output.
        width: columns of the output.

    Returns:
        Shape ``(..., height, width)``; the images themselves where they have that size.
    """
    if images.shape[-1] != width:
        images = _stretch(images, -1, width)
    if images.shape[-2] != height:
        images = _stretch(images, -2, height)
    return images


def _stretch(images: Tensor, dim: int, outputs: int) -> Tensor:
    inputs = images.shape[dim]
    # In single precision, as in TensorFlow: where a coordinate is a whole number, rounding
    # decides between two neighbours.
    scale = torch.tensor(inputs, dtype=torch.float32) / outputs
    at = torch.arange(outputs, dtype=torch.float32) * scale
    lower = at.floor()
    weight = (at - lower).to(images.device)
    if dim == -2:
        weight = weight.unsqueeze(1)
    first = lower.long().clamp_max(inputs - 1).to(images.device)
    second = (first + 1).clamp_max(inputs - 1)
    left, right = images.index_select(dim, first), images.index_select(dim, second)
    return left + (right - left) * weight


class Resize(nn.Module):
    """Resizes square images with `resize_bilinear`.

    Args:
        size: rows and columns of the output.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Maps ``(batch, channels, rows, columns)`` to ``(batch, channels, size, size)``."""
        return resize_bilinear(images, self.size, self.size)
