"""``deepobs.pytorch.datasets`` of DeepOBS 1.2: data sets as classes with four loaders.

`DataSet` is the base; every data set of the registry is an attribute, for example ``mnist``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from alig_deepobs import registry
from alig_deepobs.runners.deepobs import config
from alig_deepobs.runners.deepobs import pytorch_config as torch_config


class _Loader:
    """Batches of one part; each iteration is the next pass, as with a DataLoader."""

    def __init__(self, problem: Any, phase: str) -> None:
        self._problem = problem
        self._phase = phase
        self._passes = 0

    def __iter__(self) -> Iterator[Any]:
        self._passes += 1
        batches: Iterator[Any] = self._problem.batches(self._phase, self._passes - 1)
        return batches


class DataSet:
    """A data set with DeepOBS's four loaders.

    Args:
        batch_size: examples in a mini-batch; incomplete ones are dropped.

    Attributes:
        data_set: its name, set by subclasses.
    """

    data_set = ""

    def __init__(self, batch_size: int, **options: Any) -> None:
        entries = [e for e in registry.testproblems().values() if e.data_set == self.data_set]
        split = torch_config.get_split() if entries[0].has_validation else "full"
        # The loaders are those of the first problem with this data; its network is not used.
        problem = entries[0].load()(
            batch_size,
            split=split,
            data_dir=config.get_data_dir(),
            device=torch_config.get_default_device(),
            **options,
        )
        problem.set_up()
        self._train_dataloader = _Loader(problem, "train")
        self._train_eval_dataloader = _Loader(problem, "train_eval")
        self._test_dataloader = _Loader(problem, "test")
        self._valid_dataloader = _Loader(problem, "valid") if split == "validation" else None


def __getattr__(name: str) -> Any:
    if any(entry.data_set == name for entry in registry.testproblems().values()):
        return type(name, (DataSet,), {"data_set": name, "__doc__": DataSet.__doc__})
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
