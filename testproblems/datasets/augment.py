"""Random changes of training images, for a whole mini-batch at once, on its device.

The distributions, the formulas and their order are DeepOBS's, whose images are processed one by one
by TensorFlow: pad, crop, flip, brightness, saturation, contrast, and the standardization that
test images get as well. All random numbers of an epoch are drawn beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

BRIGHTNESS = 63.0 / 255.0
SATURATION = (0.5, 1.5)
CONTRAST = (0.2, 1.8)


@dataclass(frozen=True)
class Draws:
    """The random numbers for images: tensors of one common shape.

    Attributes:
        top, left: position of the crop in the (padded) image, int64.
        flip: whether the image is mirrored, bool.
        brightness: what is added to all values.
        saturation: factor of the saturation.
        contrast: factor of the distance from the mean.
    """

    top: Tensor
    left: Tensor
    flip: Tensor
    brightness: Tensor
    saturation: Tensor
    contrast: Tensor

    def __getitem__(self, index: int | slice) -> Draws:
        """The numbers of one mini-batch, or of some images of one."""
        return Draws(*(x[index] for x in vars(self).values()))

    def to(self, device: torch.device) -> Draws:
        """The same numbers on a device."""
        return Draws(*(x.to(device) for x in vars(self).values()))


@dataclass(frozen=True)
class Augmentation:
    """What is done to training images.

    Attributes:
        side: rows and columns of the result.
        pad: zeros that are added on each side before the crop.
        spare: how many more rows and columns than ``side`` the padded image has.
        flip: whether half of the images are mirrored.
        colours: whether brightness, saturation and contrast change.
        finish: what is done to the result, and to test images; by default `standardize`.
    """

    side: int
    pad: int
    spare: int
    flip: bool = True
    colours: bool = True
    finish: Callable[[Tensor], Tensor] | None = None

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """Random numbers for images that are numbered in this shape.

        What is not used is drawn, too, so that switching one change off leaves the others alone.
        """
        top, left, flip, brightness, saturation, contrast = torch.rand(
            (6, *shape), generator=generator
        )
        positions = self.spare + 1
        return Draws(
            top=(top * positions).long(),
            left=(left * positions).long(),
            flip=flip < 0.5,
            brightness=(2.0 * brightness - 1.0) * BRIGHTNESS,
            saturation=SATURATION[0] + (SATURATION[1] - SATURATION[0]) * saturation,
            contrast=CONTRAST[0] + (CONTRAST[1] - CONTRAST[0]) * contrast,
        )

    def apply(self, images: Tensor, draws: Draws) -> Tensor:
        """Changes a mini-batch at random, then standardizes it (or what ``finish`` does).

        Args:
            images: shape ``(batch, 3, rows, columns)``. Brightness is added to the values as
                they are: with the 0 to 255 of DeepOBS's CIFAR and SVHN it has hardly any effect.
            draws: random numbers of shape ``(batch,)``.

        Returns:
            Shape ``(batch, 3, side, side)``.
        """
        flip = draws.flip if self.flip else None
        images = crop(images, draws.top, draws.left, self.side, self.pad, flip)
        if self.colours:
            images = images + draws.brightness.view(-1, 1, 1, 1)
            images = adjust_saturation(images, draws.saturation)
            images = adjust_contrast(images, draws.contrast)
        return (self.finish or standardize)(images)


@dataclass(frozen=True)
class Normalization:
    """Subtracts a mean from each channel and divides it by a deviation, the same for all images.

    Attributes:
        mean, deviation: of red, green and blue, for values from 0 to 1.

    Example:
        >>> Normalization((0.5, 0.5, 0.5), (0.1, 0.2, 0.5))(torch.ones(1, 3, 1, 1)).flatten()
        tensor([5.0000, 2.5000, 1.0000])
    """

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]

    def __call__(self, images: Tensor) -> Tensor:
        """Normalizes images of shape ``(batch, 3, rows, columns)``."""
        constants: Tensor = _by_channel((self.mean, self.deviation), images.device)
        return (images - constants[0]) / constants[1]


@lru_cache(maxsize=16)
def _by_channel(
    constants: tuple[tuple[float, ...], ...], device: torch.device
) -> Tensor:  # fmt: skip
    # Kept, because the copy to a GPU would make the host wait in every step.
    return torch.tensor(constants, device=device).view(len(constants), -1, 1, 1)


def crop(
    images: Tensor, top: Tensor, left: Tensor, side: int, pad: int = 0, flip: Tensor | None = None
) -> Tensor:
    """Cuts a square out of each image, each at its own place, and mirrors some of them.

    Args:
        images: shape ``(batch, channels, rows, columns)``.
        top: first row in the padded image, ``(batch,)``.
        left: first column in the padded image, ``(batch,)``.
        side: rows and columns of the square.
        pad: zeros that are added on each side first.
        flip: which squares are mirrored left to right, ``(batch,)``; None for none.
    """
    if pad:
        images = torch.nn.functional.pad(images, (pad, pad, pad, pad))
    batch, channels, _, columns = images.shape
    steps = torch.arange(side, device=images.device)
    row, column = top[:, None] + steps, left[:, None] + steps
    if flip is not None:
        column = torch.where(flip[:, None], column.flip(1), column)
    # One gather of pixel numbers is several times faster than indexing with four tensors.
    pixel = (row[:, :, None] * columns + column[:, None, :]).flatten(1)
    pixel = pixel[:, None, :].expand(-1, channels, -1)
    return images.flatten(2).gather(2, pixel).view(batch, channels, side, side)


def centre_crop(images: Tensor, side: int) -> Tensor:
    """Cuts a square out of the middle (the pixel before it, if that lies between two)."""
    top, left = (images.shape[-2] - side) // 2, (images.shape[-1] - side) // 2
    return images[..., top : top + side, left : left + side]


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Multiplies the saturation of each image by its factor and clips it to [0, 1].

    In the colour space of hue, saturation ``s`` and value ``v`` (the largest of a pixel's three
    numbers ``x``), ``v - x`` is proportional to ``s``. So a new saturation multiplies ``v - x`` by
    the ratio of the saturations, and the hue need not be known.

    Args:
        images: shape ``(batch, 3, rows, columns)``.
        factor: shape ``(batch,)``, positive.
    """
    value = images.amax(dim=1, keepdim=True)
    spread = value - images.amin(dim=1, keepdim=True)
    # s = spread / value, and min(factor * s, 1) / s = min(factor, value / spread). A grey pixel
    # (spread 0) stays as it is; TensorFlow takes a pixel without a positive number for grey.
    ratio = torch.minimum(factor.view(-1, 1, 1, 1), value.clamp_min(0.0) / spread)
    ratio = torch.where(spread > 0, ratio, 0.0)
    return value - (value - images) * ratio


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Multiplies the distance from the mean of each image's channel by the image's factor.

    Args:
        images: shape ``(batch, channels, rows, columns)``.
        factor: shape ``(batch,)``.
    """
    mean = images.flatten(2).mean(dim=2)[:, :, None, None]
    return torch.lerp(mean, images, factor.view(-1, 1, 1, 1))


def standardize(images: Tensor) -> Tensor:
    """Gives each image mean 0 and variance 1, or less where it is all but uniform.

    The divisor is at least ``1 / sqrt(N)`` for an image of ``N`` numbers, as in TensorFlow's
    ``per_image_standardization``.

    Args:
        images: shape ``(batch, channels, rows, columns)``.
    """
    flat = images.flatten(1)
    centred = flat - flat.mean(dim=1, keepdim=True)
    least = 1.0 / math.sqrt(flat.shape[1])
    deviation = (centred.square().mean(dim=1, keepdim=True)).sqrt().clamp_min(least)
    return (centred / deviation).view(images.shape)
