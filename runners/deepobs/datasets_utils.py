"""``deepobs.pytorch.datasets.datasets_utils``: the sampler of evaluations on training data."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils import data as torch_data

__all__ = ["train_eval_sampler"]


class train_eval_sampler(torch_data.Sampler[int]):  # noqa: N801 - DeepOBS's name
    """A new random subset in each pass.

    Args:
        size: examples of the data set.
        sub_size: examples of a pass.
    """

    def __init__(self, size: int, sub_size: int) -> None:
        self.size = size
        self.sub_size = sub_size

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self.size)[: self.sub_size].tolist())

    def __len__(self) -> int:
        return self.sub_size
