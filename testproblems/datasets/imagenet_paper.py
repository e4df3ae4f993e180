"""ImageNet as the ALI-G paper takes it: 224 pixels, no augmentation, a validation set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from torch import Tensor

from alig_deepobs.testproblems.datasets.base import DataSet
from alig_deepobs.testproblems.datasets.imagenet import (
    CLASSES,
    TWIN_SIZES,
    StreamedImages,
    imagenet,
    open_image,
    to_tensor,
)
from alig_deepobs.testproblems.datasets.paper_split import paper_held_out
from alig_deepobs.testproblems.datasets.sources import IMAGENET
from alig_deepobs.testproblems.datasets.twins import image_twin

SIDE = 224
"""Rows and columns of the images."""
TRAIN_SIZE = 1_281_167
VALID_SIZE = 50_000


def imagenet_paper(
    *,
    synthetic: bool = False,
    data_dir: str | None = None,
    offline: bool = False,
    twin_sizes: tuple[int, int] = TWIN_SIZES,
    classes: int = CLASSES,
) -> DataSet:
    """ImageNet in 1,000 classes with the labels 0 to 999, images of 224 x 224 pixels.

    50,000 of the 1,281,167 training images can be held out, drawn as in the code of the paper. The
    files are those of `alig_deepobs.testproblems.datasets.imagenet`.

    Args:
        synthetic: make up the small synthetic twin instead.
        data_dir: folder with ``imagenet/train/<class>/*.JPEG`` and ``imagenet/val/<class>/*.JPEG``;
            None for the cache.
        offline: accepted as everywhere; nothing is ever downloaded.
        twin_sizes: training and test images of the twin.
        classes: how many classes there must be.

    Raises:
        DataError: a folder is missing or empty, or Pillow is not installed.
    """
    if synthetic:
        data = image_twin(IMAGENET, classes=classes, side=SIDE, scale=255.0, sizes=twin_sizes)
        return replace(data, held_out=paper_held_out(data.size("train"), VALID_SIZE, TRAIN_SIZE))
    found = cast(
        "StreamedImages", imagenet(data_dir=data_dir, offline=offline, classes=classes)
    )  # fmt: skip
    return replace(
        found,
        # DeepOBS's label 0 is the class "background", which has no images.
        parts={part: (labels - 1,) for part, (labels,) in found.parts.items()},
        held_out=paper_held_out(found.size("train"), VALID_SIZE, TRAIN_SIZE),
        read=read_image,
    )


def read_image(path: Path, hint: str) -> Tensor:
    """Decodes an image: floats from 0 to 1 of shape ``(3, 224, 224)``.

    The shorter side is resized to 224 pixels by Pillow's bilinear filter, which smooths where it
    shrinks, and the middle of the longer one is taken: what torchvision's ``Resize`` and
    ``CenterCrop`` do.

    Raises:
        DataError: the file is missing, truncated or no image.
    """
    from PIL import Image

    with open_image(path, hint) as image:
        shorter = min(image.size)
        # Rounded down, as in torchvision.
        columns, rows = (SIDE * pixels // shorter for pixels in image.size)
        resized = image.resize((columns, rows), Image.Resampling.BILINEAR)
    left, top = round((columns - SIDE) / 2), round((rows - SIDE) / 2)
    return to_tensor(resized.crop((left, top, left + SIDE, top + SIDE))).contiguous()
