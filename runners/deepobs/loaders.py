"""Torch's data loaders in front of data that live on the device as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch.utils import data as torch_data

if TYPE_CHECKING:
    from alig_deepobs.runners.deepobs.testproblem import TestProblem

PHASES = ("train", "train_eval", "valid", "test")


class Examples(torch_data.Dataset[Any]):
    """The examples of a part, one by one, as they are evaluated."""

    def __init__(self, problem: Any, data: Any, part: str) -> None:
        self.problem = problem
        self.data = data
        self.part = part

    @property
    def targets(self) -> Any:
        """The labels of all examples, under torchvision's name."""
        parts = self.data.parts[self.part]
        if len(parts) < 2:
            raise AttributeError("these examples have no labels")
        return parts[1]

    def __len__(self) -> int:
        return int(self.data.size(self.part))

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        example = self.data._between(self.part, index, index + 1)
        prepare = getattr(self.problem, "prepare", tuple)  # the standardization of colour images
        return tuple(x[0] for x in prepare(example))


class Order(torch_data.RandomSampler):
    """The numbers of a training pass's examples, or of an evaluation on training data."""

    def __init__(self, problem: Any, phase: str) -> None:
        # Nothing of the base is used: tools ask what kind of sampler it is.
        self.problem = problem
        self.phase = phase

    def __len__(self) -> int:
        data = self.problem.data
        size = data.train_eval_size if self.phase == "train_eval" else None
        return int(size or data.size("train"))

    def __iter__(self) -> Iterator[int]:
        return (int(i) for row in self.problem.rows(self.phase, 0) for i in row)


class Loader(torch_data.DataLoader[Any]):
    """The mini-batches of a phase; each iteration is the next pass over it.

    It has what people ask a loader: its length, ``dataset``, ``sampler``, ``batch_size`` and
    ``drop_last``. The mini-batches themselves come from the problem, on its device.
    """

    def __init__(self, problem: TestProblem, data: Any, phase: str) -> None:
        part = "train" if phase == "train_eval" else phase
        self._passes = 0
        size = problem.batch_size if phase == "train" else problem.evaluation_batch_size(part)
        self.examples = examples = Examples(problem, data, part)
        in_order = phase in ("valid", "test")
        super().__init__(
            examples, batch_size=size, drop_last=problem.drops_incomplete,
            sampler=torch_data.SequentialSampler(examples) if in_order else Order(problem, phase),
        )  # fmt: skip
        self._problem = problem
        self._phase: Any = phase

    def __len__(self) -> int:
        if self._phase == "train":
            return self._problem.steps_per_epoch
        return super().__len__()

    def __iter__(self) -> Any:
        self._passes += 1
        return self._problem.native_batches(self._phase, self._passes - 1)


class WithLoaders:
    """A data set of this package, with DeepOBS's four loaders.

    Args:
        data: the data set.
        problem: the problem that draws from it.
    """

    def __init__(self, data: Any, problem: TestProblem) -> None:
        self._data = data
        self._problem = problem
        self._name = data.name
        self._batch_size = problem.batch_size
        self._train_eval_size = data.train_eval_size or data.size("train")
        for phase in PHASES:
            setattr(self, f"_{phase}_dataloader", self._loader(phase))

    def _loader(self, phase: str) -> Loader | None:
        has = phase != "valid" or "valid" in self._data.parts
        return Loader(self._problem, self._data, phase) if has else None

    def _make_train_and_valid_dataloader(self) -> tuple[Loader | None, Loader | None]:
        return self._loader("train"), self._loader("valid")

    def _make_train_eval_dataloader(self) -> Loader | None:
        return self._loader("train_eval")

    def _make_test_dataloader(self) -> Loader | None:
        return self._loader("test")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_data" not in vars(self):
            raise AttributeError(name)
        return getattr(self._data, name)
