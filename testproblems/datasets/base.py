"""A data set: a few tensors per part, from which batches are taken by index."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alig_deepobs.errors import UsageError
from alig_deepobs.testproblems.datasets.sources import DataSource

Batch = tuple[Tensor, ...]
"""The tensors of a mini-batch; for images ``(images, labels)``."""


@dataclass(frozen=True)
class DataSet:
    """Tensors that are small enough to live on the training device as a whole.

    Images stay in bytes, a quarter of the memory, until a batch of them is taken. A batch is an
    index operation on the device: there are no worker processes.

    Attributes:
        name: the name on the command line.
        label: the name in reports; it says so when the content is not the official one.
        version: hexadecimal SHA-256 digest of the decoded content, and of what is held out.
        source: where the content comes from.
        parts: ``"train"``, ``"test"`` and perhaps ``"valid"``: the tensors of each, which have
            the same first dimension. uint8 tensors are images.
        scale: what the bytes of images are divided by.
        train_eval_size: examples in an evaluation on training data; None for all.
        held_out: indices of the training examples that `for_split` makes the validation set;
            None if there are none, or if there is a part ``"valid"`` of its own.
    """

    name: str
    label: str
    version: str
    source: DataSource
    parts: Mapping[str, Batch]
    scale: float = 1.0
    train_eval_size: int | None = None
    held_out: Tensor | None = None

    def size(self, part: str) -> int:
        """The number of examples of a part."""
        return len(self.parts[part][0])

    def take(self, part: str, index: Tensor) -> Batch:
        """The examples with these indices: images as floats from 0 to 1, the rest as it is.

        Args:
            part: ``"train"``, ``"valid"`` or ``"test"``.
            index: int64 tensor of shape ``(batch_size,)`` on the device of the data.
        """
        return tuple(self._decode(x.index_select(0, index)) for x in self.parts[part])

    def slices(
        self, part: str, batch_size: int, drops_incomplete: bool = True
    ) -> Iterator[Batch]:  # fmt: skip
        """The mini-batches of a part in its fixed order; only the full ones, unless asked."""
        size = self.size(part)
        for start in range(0, size - (batch_size - 1 if drops_incomplete else 0), batch_size):
            yield self._between(part, start, min(start + batch_size, size))

    def to(self, device: torch.device) -> DataSet:
        """The same data on a device."""
        parts = {part: tuple(x.to(device) for x in xs) for part, xs in self.parts.items()}
        return dataclasses.replace(self, parts=parts)

    def for_split(self, split: str) -> DataSet:
        """The data with a validation set (``"validation"``) or without one (``"full"``).

        Raises:
            UsageError: the data set has nothing that could be held out.
        """
        version = self.version_for(split)
        parts = dict(self.parts)
        if split == "full":
            parts.pop("valid", None)
        elif self.held_out is not None:
            keep = torch.ones(self.size("train"), dtype=torch.bool)
            keep[self.held_out] = False
            parts["valid"] = tuple(x[~keep] for x in parts["train"])
            parts["train"] = tuple(x[keep] for x in parts["train"])
        return dataclasses.replace(self, parts=parts, held_out=None, version=version)

    def version_for(self, split: str) -> str:
        """The version of what `for_split` returns: it depends on which examples are held out.

        Raises:
            UsageError: as for `for_split`.
        """
        if split == "full":
            return self.version
        if self.held_out is not None:
            rows = content_digest([self.held_out.unique().numpy()])  # sorted: a set has no order
            return hashlib.sha256(f"{self.version} without {rows}".encode()).hexdigest()
        if "valid" not in self.parts:
            raise UsageError(
                f"split='validation': the data set {self.name} has no validation set; "
                "use split='full'"
            )
        return self.version  # the digest has the validation set in it

    def sizes_for(self, split: str) -> dict[str, int]:
        """The number of examples of each part of what `for_split` returns."""
        sizes = {part: self.size(part) for part in self.parts}
        if split == "full":
            sizes.pop("valid", None)
        elif self.held_out is not None:
            sizes["valid"] = len(self.held_out.unique())
            sizes["train"] -= sizes["valid"]
        return sizes

    def _between(self, part: str, start: int, stop: int) -> Batch:
        return tuple(self._decode(x[start:stop]) for x in self.parts[part])

    def _decode(self, x: Tensor) -> Tensor:
        if x.dtype != torch.uint8:
            return x
        return x.float() if self.scale == 1.0 else x.float().div_(self.scale)


def content_of(parts: Mapping[str, Batch]) -> str:
    """The `content_digest` of all tensors of a data set."""
    return content_digest(x.numpy() for part in parts.values() for x in part)


def held_out(size: int, valid_size: int, official_size: int) -> Tensor:
    """The training examples that make up the validation set: the start of a fixed permutation.

    A permutation, because files are not in random order. It is the same for every seed. Of a file
    that is smaller than the official one it is at most a quarter.
    """
    permutation = np.random.RandomState(42).permutation(size)
    if size < official_size:
        valid_size = min(valid_size, size // 4)
    return torch.from_numpy(permutation[:valid_size])


def content_digest(arrays: Iterable[NDArray[np.generic]]) -> str:
    """SHA-256 of shapes, types and values of arrays, as a hexadecimal text.

    Example:
        >>> content_digest([np.zeros(2)]) == content_digest([np.zeros((2, 1))])
        False
    """
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype.str} ".encode())
        digest.update(np.ascontiguousarray(array).data)  # not copied: some arrays are large
    return digest.hexdigest()
