"""Synthetic twins of the image data sets."""

from __future__ import annotations

import numpy as np
import torch

from alig_deepobs.seeds import derive_seed
from alig_deepobs.testproblems.datasets.base import Batch, DataSet, content_of, held_out
from alig_deepobs.testproblems.datasets.sources import Source, label_of

TWIN_SIZES = (512, 256)
"""Training and test images of a twin; large networks have fewer."""


def image_twin(
    source: Source,
    *,
    classes: int,
    channels: int = 3,
    side: int = 32,
    cells: int = 4,
    scale: float = 1.0,
    sizes: tuple[int, int] = TWIN_SIZES,
    first_label: int = 0,
    can_hold_out: bool = True,
) -> DataSet:
    """Images of ``channels x side x side`` bytes: one random pattern per class, under noise.

    Args:
        source: the data set that is imitated.
        classes: number of labels.
        channels: numbers of a pixel.
        side: rows and columns; a multiple of ``cells``.
        cells: rows and columns of a pattern.
        scale: the data set's scale.
        sizes: training and test images.
        first_label: the lowest label.
        can_hold_out: whether there is a validation split.
    """
    rng = np.random.default_rng(derive_seed("synthetic twin", source.name))
    patterns = rng.random((classes, channels, cells, cells))

    def draw(size: int) -> Batch:
        labels = rng.permutation(np.arange(size) % classes)
        pattern = patterns[labels].repeat(side // cells, axis=2).repeat(side // cells, axis=3)
        noise = rng.random(pattern.shape)
        images = (255 * (0.6 * pattern + 0.4 * noise)).astype(np.uint8)
        return torch.from_numpy(images), torch.from_numpy(labels + first_label)

    parts = {"train": draw(sizes[0]), "test": draw(sizes[1])}
    return DataSet(
        name=source.name,
        label=label_of(source.label, "synthetic"),
        version=content_of(parts),
        source="synthetic",
        parts=parts,
        scale=scale,
        held_out=held_out(sizes[0], sizes[0] // 4, sizes[0] + 1) if can_hold_out else None,
    )
