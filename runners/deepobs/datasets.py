"""``deepobs.pytorch.datasets`` of DeepOBS 1.2: data sets as classes with four loaders.

`DataSet` is the base, also of users' own; every data set of the registry is an attribute, for
example ``mnist``.
"""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.utils import data as torch_data

from alig_deepobs import registry
from alig_deepobs.errors import unknown_name
from alig_deepobs.runners.deepobs import pytorch_config as torch_config
from alig_deepobs.runners.deepobs.datasets_utils import train_eval_sampler
from alig_deepobs.runners.deepobs.loaders import PHASES
from alig_deepobs.runners.deepobs.packages import keep_classes
from alig_deepobs.runners.deepobs.testproblem import adapt
from alig_deepobs.testproblems.datasets.base import held_out
from alig_deepobs.testproblems.datasets.generated import DIM, NOISE_LEVEL, SEEDS

__all__ = ["DataSet"]


class DataSet:
    """A data set with DeepOBS's four loaders, which subclasses make.

    Subclasses supply `_make_train_and_valid_dataloader` and `_make_test_dataloader`, and set
    ``_train_eval_size`` before they call this constructor.

    Args:
        batch_size: examples in a mini-batch; incomplete ones are dropped.
        train_eval_size: examples of an evaluation on training data, and of the validation set that
            the helpers split off; None where the subclass has set it already.
    """

    version = ""
    _train_eval_size = 0

    def __init__(self, batch_size: int, train_eval_size: int | None = None) -> None:
        self._batch_size = batch_size
        if train_eval_size is not None:
            self._train_eval_size = train_eval_size
        self._pin_memory = "cuda" in torch_config.get_default_device()
        self._num_workers = torch_config.get_num_workers()
        self._train_dataloader, self._valid_dataloader = self._make_train_and_valid_dataloader()
        self._train_eval_dataloader = self._make_train_eval_dataloader()
        self._test_dataloader = self._make_test_dataloader()

    @property
    def name(self) -> str:
        """The name in results."""
        return str(getattr(self, "_name", type(self).__name__))

    label = name

    def size(self, part: str) -> int:
        """The number of examples of a part that are used in a pass."""
        return len(getattr(self, f"_{part}_dataloader")) * self._batch_size

    @property
    def parts(self) -> list[str]:
        """The parts that there are."""
        names = ("train", "valid", "test")
        return [part for part in names if getattr(self, f"_{part}_dataloader") is not None]

    def _make_dataloader(
        self, dataset: Any, sampler: Any = None, shuffle: bool = False, drop_last: bool = True
    ) -> Any:
        return torch_data.DataLoader(
            dataset, batch_size=self._batch_size, drop_last=drop_last, sampler=sampler,
            pin_memory=self._pin_memory, num_workers=self._num_workers, shuffle=shuffle,
        )  # fmt: skip

    def _make_train_eval_split_sampler(self, train_dataset: Any) -> tuple[Any, Any]:
        return self._make_train_valid_split_sampler(train_dataset, shuffle_dataset=True)

    def _make_train_valid_split_sampler(
        self, train_dataset: Any, shuffle_dataset: bool
    ) -> tuple[Any, Any]:
        indices = list(range(len(train_dataset)))
        if shuffle_dataset:
            random.shuffle(indices)
        valid, train = indices[: self._train_eval_size], indices[self._train_eval_size :]
        return torch_data.SubsetRandomSampler(train), torch_data.SubsetRandomSampler(valid)

    def _make_train_and_valid_dataloader_helper(
        self, train_dataset: Any, valid_dataset: Any, shuffle_dataset: bool | None = None
    ) -> tuple[Any, Any]:
        # Two names of one hook: the beta's first one has no choice of the order.
        if shuffle_dataset is None:
            train, valid = self._make_train_eval_split_sampler(train_dataset)
        else:
            train, valid = self._make_train_valid_split_sampler(train_dataset, shuffle_dataset)
        return (
            self._make_dataloader(train_dataset, sampler=train),
            self._make_dataloader(valid_dataset, sampler=valid),
        )

    def _make_train_eval_dataloader(self) -> Any:
        if not self._train_eval_size:
            return self._train_dataloader
        dataset = self._train_dataloader.dataset
        sampler = train_eval_sampler(len(dataset), self._train_eval_size)
        return self._make_dataloader(dataset, sampler=sampler)

    def _make_train_and_valid_dataloader(self) -> tuple[Any, Any]:
        return self._make_train_dataloader(), None

    def _make_train_dataloader(self) -> Any:
        """The beta's first hook, of data sets without a validation set."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a method _make_train_and_valid_dataloader(self)"
        )

    def _make_test_dataloader(self) -> Any:
        raise NotImplementedError(
            f"{type(self).__name__} needs a method _make_test_dataloader(self)"
        )


class GivenLoaders(DataSet):
    """The loaders of an object that has nothing else."""

    def __init__(self, data: Any) -> None:
        for phase in PHASES:
            name = f"_{phase}_dataloader"
            setattr(self, name, getattr(data, name, None))
        self._batch_size = self._train_dataloader.batch_size


class _BuiltIn(DataSet):
    """One of this package's data sets; the loaders are those of the first problem that reads it.

    Args:
        batch_size: examples in a mini-batch.
        train_eval_size: examples of an evaluation on training data, and of the validation set
            where it is cut off the training data; None for DeepOBS's.
        **options: of the problem.
    """

    data_set = ""

    def __init__(self, batch_size: int, train_eval_size: int | None = None, **options: Any) -> None:
        entries = [e for e in registry.testproblems().values() if e.data_set == self.data_set]
        problem: Any = adapt(entries[0])(batch_size, **options)
        self._change(problem, train_eval_size)
        problem.set_up()
        self._loaders: Any = problem.data
        self._name = self._loaders.name
        self._train_eval_size = self._loaders.train_eval_size or self._loaders.size("train")
        self.version = self._loaders.version
        super().__init__(batch_size)

    def _change(self, problem: Any, train_eval_size: int | None) -> None:
        """Makes of a problem, before it is set up, one with the data that were asked for."""
        if train_eval_size is None:
            return
        load = problem.load_data

        def resized() -> Any:
            data = load()
            held = data.held_out
            if held is not None:
                size = data.size("train")
                held = held_out(size, train_eval_size, size)
            return replace(data, train_eval_size=train_eval_size, held_out=held)

        problem.load_data = resized

    def _make_train_and_valid_dataloader(self) -> tuple[Any, Any]:
        return self._loaders._train_dataloader, self._loaders._valid_dataloader

    def _make_train_eval_dataloader(self) -> Any:
        return self._loaders._train_eval_dataloader

    def _make_test_dataloader(self) -> Any:
        return self._loaders._test_dataloader


class _ColourImages(_BuiltIn):
    """Images that are changed at random for training, unless ``data_augmentation`` is False."""

    def __init__(
        self,
        batch_size: int,
        data_augmentation: bool = True,
        train_eval_size: int | None = None,
        **options: Any,
    ) -> None:
        self._data_augmentation = data_augmentation
        super().__init__(batch_size, train_eval_size, **options)

    def _change(self, problem: Any, train_eval_size: int | None) -> None:
        super()._change(problem, train_eval_size)
        if not self._data_augmentation:
            problem.augmentation_draws = lambda phase, number: None
            problem._augmented = lambda batches, draws: map(problem.prepare, batches)


class quadratic(DataSet):  # noqa: N801 - DeepOBS's name
    """Normal points around zero, drawn with DeepOBS's seeds.

    Args:
        batch_size: examples in a mini-batch.
        dim: dimension of the points.
        train_size: points of each set.
        noise_level: their standard deviation.
    """

    _name = "quadratic"

    def __init__(
        self,
        batch_size: int,
        dim: int = DIM,
        train_size: int = 1000,
        noise_level: float = NOISE_LEVEL,
    ) -> None:
        self._dim, self._train_size, self._noise_level = dim, train_size, noise_level
        super().__init__(batch_size)

    def _points(self, part: str) -> torch_data.TensorDataset:
        shape = (self._train_size, self._dim)
        points = np.random.RandomState(SEEDS[part]).normal(0.0, self._noise_level, shape)
        return torch_data.TensorDataset(torch.from_numpy(points.astype(np.float32)))

    def _make_train_and_valid_dataloader(self) -> tuple[Any, Any]:
        train = self._make_dataloader(self._points("train"), shuffle=True)
        return train, self._make_dataloader(self._points("valid"))

    def _make_test_dataloader(self) -> Any:
        return self._make_dataloader(self._points("test"))


_AUGMENTED = ("cifar10", "cifar100", "svhn", "imagenet")


def _names() -> list[str]:
    return sorted({entry.data_set for entry in registry.testproblems().values()})


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _names():
        raise AttributeError(str(unknown_name("data set in deepobs", name, _names())))
    base = _ColourImages if name in _AUGMENTED else _BuiltIn
    found = type(name, (base,), {"data_set": name, "__doc__": base.__doc__})
    setattr(sys.modules[__name__], name, found)
    return found


def __dir__() -> list[str]:
    return sorted(["DataSet", *_names()])


keep_classes(__name__)
