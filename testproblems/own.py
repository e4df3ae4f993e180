"""Test problems made of what a user has: torch data sets, a network and a loss."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import data as torch_data

from alig_deepobs.entries import check_counts
from alig_deepobs.errors import UsageError
from alig_deepobs.testproblems.base import TestProblem
from alig_deepobs.testproblems.checks import check_weight_decay
from alig_deepobs.testproblems.datasets.base import Batch, DataSet, content_of, held_out
from alig_deepobs.testproblems.losses import Loss, reduce_losses
from alig_deepobs.words import counted

Examples = torch_data.Dataset[Any] | torch_data.DataLoader[Any] | Sequence[Tensor | np.ndarray]
"""A torch data set, a loader of one, or inputs and targets as tensors or NumPy arrays, whose first
dimension is that of the examples."""

_EXAMPLES = "a Dataset, a DataLoader, or a pair of tensors or arrays (inputs, targets)"


def from_dataset(
    name: str,
    train: Examples | Callable[[], Examples],
    test: Examples | Callable[[], Examples],
    network: Callable[[], nn.Module],
    loss: Callable[..., Any],
    *,
    valid: Examples | Callable[[], Examples] | None = None,
    accuracy: bool | None = None,
    batch_size: int | None = None,
    num_epochs: int = 10,
    weight_decay: float | None = None,
) -> type[TestProblem]:
    """A class of test problems, which ``run module:Name`` and everything else here takes.

    All examples are read once, when the first problem is set up, and live on the training device
    as tensors: random augmentation is drawn once, too, and data that do not fit into memory do not
    fit here. An example is a pair of inputs and target.

    Args:
        name: of the class; the variable that it is assigned to should have the same one.
        train: training examples, or a function that returns them. Of a loader, the data set and
            ``collate_fn`` are taken; the order of the mini-batches comes from the run's seed.
        test: the same for testing.
        network: makes the network; it is called under the run's seed, with PyTorch's own
            initial values.
        loss: a loss class such as ``torch.nn.MSELoss``, called as ``loss(reduction="none")``, or
            a function such as ``torch.nn.functional.mse_loss``, called as
            ``loss(outputs, targets, reduction="none")``.
        valid: the same for validation; None: a sixth of the training examples can be held out.
        accuracy: whether ``outputs.argmax(dim=1) == targets`` makes sense; None: where targets are
            integers.
        batch_size: default mini-batch size; None for that of the loader, or 32.
        num_epochs: default number of epochs.
        weight_decay: default L2 factor of all parameters but vectors; None for no L2 term.

    Returns:
        The class.

    Raises:
        UsageError: the name is no name of a class, or an argument is not what it should be.

    Example:
        >>> x = torch.linspace(-1, 1, 96).unsqueeze(1)
        >>> parabola = from_dataset(
        ...     "parabola", (x, x**2), (x, x**2), lambda: nn.Linear(1, 1), nn.MSELoss
        ... )
        >>> problem = parabola(batch_size=32, seed=1, device="cpu")
        >>> problem.set_up()
        >>> problem.train_init_op()
        >>> loss, accuracy = problem.get_batch_loss_and_accuracy()
        >>> loss.shape, accuracy
        (torch.Size([]), 0.0)
    """
    if not name.isidentifier():
        raise UsageError(f"{name!r} is no name of a class: use letters, digits and _")
    for part, source in (("train", train), ("test", test), ("valid", valid)):
        if part != "valid" or source is not None:
            _check_source(source, f"{name}: {part}")
    _check_makers(name, network, loss)
    if batch_size is None:
        batch_size = getattr(train, "batch_size", None) or TestProblem.default_batch_size
    check_counts(name, batch_size, num_epochs)
    check_weight_decay(weight_decay, name, has_l2=True)
    has_accuracy = _has_classes(test, name) if accuracy is None else accuracy
    own: dict[str, Any] = {
        "__doc__": f"{name}, made of a user's data, network and loss.",
        "__module__": _caller(),
        "has_accuracy": has_accuracy,
        "reshuffles": True,
        "default_batch_size": batch_size,
        "default_num_epochs": num_epochs,
        "default_weight_decay": weight_decay,
        "loss_function": loss if isinstance(loss, type) else _class_of(loss),
        "sources": {"train": train, "valid": valid, "test": test},
        "network": staticmethod(network),
        "loaded": [],
    }
    return type(name, (_Own,), own)


class _Own(TestProblem):
    """A problem made of a user's data, network and loss."""

    sources: ClassVar[dict[str, Any]]
    loaded: ClassVar[list[DataSet]]
    network: Callable[[], nn.Module]

    def load_data(self) -> DataSet:
        """Reads the examples; the second time they are there."""
        if not self.loaded:
            self.loaded.append(_data_set(type(self).__name__, self.sources))
        return self.loaded[0]

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network from the generator, in a random state of its own."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            net = self.network()
        if not isinstance(net, nn.Module):
            raise UsageError(
                f"{type(self).__name__}: network() returned a {type(net).__name__}, no nn.Module"
            )
        return net

    def losses_of(self, outputs: Any, batch: Batch) -> Tensor:
        """The loss of each example: the mean over its elements, where it has several."""
        losses: Tensor = self.loss_function(reduction="none")(outputs, batch[1])
        if losses.ndim == 0 or len(losses) != len(batch[0]):
            raise UsageError(
                f"{type(self).__name__}: the loss has shape {tuple(losses.shape)} with "
                f"reduction='none', but {counted(len(batch[0]), 'example')}: it must give one "
                "loss for each"
            )
        return losses.flatten(1).mean(dim=1) if losses.ndim > 1 else losses

    def correct_of(self, outputs: Any, batch: Batch) -> Tensor | None:
        """The fraction of an example's targets that are predicted."""
        if not self.has_accuracy:
            return None
        correct: Tensor = (outputs.argmax(dim=1) == batch[1]).float()
        return correct.flatten(1).mean(dim=1) if correct.ndim > 1 else correct


def _check_makers(name: str, network: Any, loss: Any) -> None:
    """Refuses a network that is made already, which the next run would go on with, and the like."""
    if isinstance(network, nn.Module) or not callable(network):
        raise UsageError(
            f"{name}: network must be a function that makes it anew for each run, such as "
            f"lambda: nn.Linear(4, 2), not a {type(network).__name__}"
        )
    if not callable(loss) or getattr(loss, "reduction", "none") != "none":
        kind = type(loss).__name__
        raise UsageError(
            f"{name}: loss must be a class or a function, such as nn.CrossEntropyLoss, not a "
            f"{kind}; where it needs arguments, give it reduction='none' among them"
        )


def _check_source(source: Any, where: str) -> None:
    """Refuses what can hold no examples."""
    if not (callable(source) or hasattr(source, "__getitem__") or hasattr(source, "__iter__")):
        raise UsageError(f"{where}: examples are {_EXAMPLES}, not a {type(source).__name__}")


def _as_tensors(source: Any, where: str) -> Any:
    """Tensors of arrays; everything else stays what it is."""
    arrays = isinstance(source, (tuple, list)) and len(source) > 0
    if not (arrays and all(isinstance(x, (Tensor, np.ndarray)) for x in source)):
        return source
    try:
        return [x if isinstance(x, Tensor) else torch.as_tensor(x.copy()) for x in source]
    except (TypeError, ValueError) as error:  # of texts or objects
        raise UsageError(f"{where}: {error}") from error


def _class_of(function: Callable[..., Any]) -> type[nn.Module]:
    """The loss class of a loss function."""
    takes_reduction = "reduction" in inspect.signature(function).parameters

    class OwnLoss(Loss):
        """The user's loss."""

        def forward(self, outputs: Any, targets: Tensor) -> Tensor:
            """The reduced loss."""
            if takes_reduction:
                losses: Tensor = function(outputs, targets, reduction="none")
            else:
                losses = function(outputs, targets)
            return reduce_losses(losses, self.reduction)

    return OwnLoss


def _data_set(name: str, sources: dict[str, Any]) -> DataSet:
    parts = {
        part: tensors_of(source, f"{name}: {part}")
        for part, source in sources.items()
        if source is not None
    }
    size = len(parts["train"][0])
    return DataSet(
        name=name, label=name, version=content_of(parts), source="unverified", parts=parts,
        held_out=None if "valid" in parts else held_out(size, size // 6, size),
    )  # fmt: skip


def tensors_of(source: Any, where: str) -> Batch:
    """All examples of a source as tensors.

    Args:
        source: of any kind that `from_dataset` takes.
        where: for messages.

    Raises:
        UsageError: there are no examples, or they are no pairs of tensors of one shape each.
    """
    if callable(source) and not isinstance(source, torch_data.Dataset):
        source = source()
        _check_source(source, where)
    source = _as_tensors(source, where)
    collate: Callable[[list[Any]], Any] = torch_data.default_collate
    if isinstance(source, torch_data.DataLoader):
        collate, source = source.collate_fn, source.dataset
    if isinstance(source, torch_data.TensorDataset):
        source = source.tensors
    if isinstance(source, (tuple, list)) and all(isinstance(x, Tensor) for x in source):
        tensors = list(source)
    else:
        count = len(source) if hasattr(source, "__len__") else None
        examples = list(source) if count is None else [source[i] for i in range(count)]
        if not examples:
            raise UsageError(f"{where}: there are no examples")
        tensors = _collated(examples, collate, where)
    if len(tensors) != 2:
        raise UsageError(f"{where}: an example must be a pair of inputs and target")
    if len(tensors[0]) != len(tensors[1]):
        raise UsageError(f"{where}: inputs and targets must be tensors with as many examples")
    if not len(tensors[0]):
        raise UsageError(f"{where}: there are no examples")
    return tuple(_usual(x) for x in tensors)


def _collated(examples: list[Any], collate: Callable[[list[Any]], Any], where: str) -> list[Tensor]:
    """Inputs and targets of examples, as a loader would put them together."""
    try:
        pair = collate(examples)
    except (RuntimeError, TypeError) as error:
        raise UsageError(
            f"{where}: the examples make no tensors; give {_EXAMPLES}: {error}"
        ) from error
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise UsageError(f"{where}: an example must be a pair of inputs and target")
    if not all(isinstance(x, Tensor) for x in pair):
        raise UsageError(f"{where}: inputs and targets must be tensors with as many examples")
    return list(pair)


def _usual(x: Tensor) -> Tensor:
    """Numbers in the types that networks take: float32, or int64 for tokens and classes."""
    x = x.detach().cpu()
    if x.is_floating_point():
        return x.float()
    return x.long()


def _has_classes(source: Any, name: str) -> bool:
    if callable(source) and not isinstance(source, torch_data.Dataset):
        raise UsageError(f"{name}: say accuracy=True or False, where the examples come later")
    source = _as_tensors(source, name)
    if isinstance(source, (tuple, list)) and len(source) == 2 and isinstance(source[1], Tensor):
        return not source[1].is_floating_point()
    collate: Callable[[list[Any]], Any] = torch_data.default_collate
    if isinstance(source, torch_data.DataLoader):
        collate, source = source.collate_fn, source.dataset
    try:
        first = source[0] if hasattr(source, "__getitem__") else next(iter(source))
    except (IndexError, StopIteration):
        raise UsageError(f"{name}: there are no examples") from None
    return not _collated([first], collate, name)[1].is_floating_point()


def _caller() -> str:
    """The module that calls `from_dataset`."""
    frame = inspect.currentframe()
    caller = frame.f_back.f_back if frame is not None and frame.f_back is not None else None
    return str(caller.f_globals.get("__name__", "__main__")) if caller is not None else "__main__"
