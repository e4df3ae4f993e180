"""All sequences of the repeat-copy task."""

from __future__ import annotations

import torch

from alig_deepobs.testproblems.datasets.base import DataSet, content_digest
from alig_deepobs.testproblems.datasets.copy_task import table
from alig_deepobs.testproblems.datasets.sources import DataSource, label_of


def repeat_copy(*, synthetic: bool = False) -> DataSet:
    """The table of all sequences, for training and for evaluation.

    Args:
        synthetic: the same; there is nothing to download that a twin could stand in for.
    """
    arrays = table()
    rows = tuple(torch.from_numpy(array) for array in arrays)
    source: DataSource = "synthetic" if synthetic else "generated"
    return DataSet(
        name="repeat_copy",
        label=label_of("Repeat copy", source),
        version=content_digest(arrays),
        source=source,
        parts={"train": rows, "test": rows},
    )
