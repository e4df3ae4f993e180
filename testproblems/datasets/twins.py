"""Synthetic twins of the colour image data sets."""

from __future__ import annotations

import numpy as np
import torch

from alig_deepobs.seeds import derive_seed
from alig_deepobs.testproblems.datasets.base import Batch, DataSet, content_digest, held_out
from alig_deepobs.testproblems.datasets.sources import Source, label_of

TWIN_SIZES = (512, 256)
"""Training and test images of a twin; large networks have fewer."""


def colour_twin(
    source: Source,
    *,
    classes: int,
    side: int = 32,
    scale: float = 1.0,
    sizes: tuple[int, int] = TWIN_SIZES,
    first_label: int = 0,
    can_hold_out: bool = True,
) -> DataSet:
    """Images of ``3 x side x side`` bytes: one random pattern per class, under noise.

    Args:
        source: the data set that is imitated.
        classes: number of labels.
        side: rows and columns; a multiple of 4.
        scale: the data set's scale.
        sizes: training and test images.
        first_label: the lowest label.
        can_hold_out: whether there is a validation split.
    """
    rng = np.random.default_rng(derive_seed("synthetic twin", source.name))
    patterns = rng.random((classes, 3, 4, 4))

    def draw(size: int) -> Batch:
        labels = rng.permutation(np.arange(size) % classes)
        pattern = patterns[labels].repeat(side // 4, axis=2).repeat(side // 4, axis=3)
        noise = rng.random(pattern.shape)
        images = (255 * (0.6 * pattern + 0.4 * noise)).astype(np.uint8)
        return torch.from_numpy(images), torch.from_numpy(labels + first_label)

    parts = {"train": draw(sizes[0]), "test": draw(sizes[1])}
    return DataSet(
        name=source.name,
        label=label_of(source.label, "synthetic"),
        version=content_digest(x.numpy() for part in parts.values() for x in part),
        source="synthetic",
        parts=parts,
        scale=scale,
        held_out=held_out(sizes[0], sizes[0] // 4, sizes[0] + 1) if can_hold_out else None,
    )
