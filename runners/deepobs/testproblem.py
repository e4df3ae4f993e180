"""``deepobs.pytorch.testproblems.testproblem``: the base classes of DeepOBS's test problems.

Two kinds of classes have them: this package's problems, with DeepOBS's private names added
(`adapt`), and problems that users wrote for DeepOBS, whose ``set_up`` fills ``data``,
``loss_function``, ``net`` and ``regularization_groups``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from torch import Tensor, nn

from alig_deepobs.entries import ProblemEntry
from alig_deepobs.runners.deepobs import configured
from alig_deepobs.runners.deepobs import pytorch_config as torch_config
from alig_deepobs.runners.deepobs.loaders import Loader, WithLoaders
from alig_deepobs.testproblems.base import LossAndAccuracy, Phase
from alig_deepobs.testproblems.base import TestProblem as NativeProblem
from alig_deepobs.testproblems.datasets.base import Batch
from alig_deepobs.testproblems.losses import VAELoss

__all__ = ["TestProblem", "UnregularizedTestproblem", "WeightRegularizedTestproblem"]


class _Alias:
    """An attribute under DeepOBS's name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, problem: Any, owner: type) -> Any:
        return self if problem is None else getattr(problem, self.name)

    def __set__(self, problem: Any, value: Any) -> None:
        setattr(problem, self.name, value)


class TestProblem(NativeProblem):
    """DeepOBS's test problem: two arguments, data with loaders, an assignable loss.

    What is not given follows ``deepobs.config`` and ``deepobs.pytorch.config``.

    Args:
        batch_size: examples in a mini-batch.
        weight_decay: L2 factor; None for the problem's default.
        l2_reg: another name of ``weight_decay``.
        **options: of `alig_deepobs.testproblems.TestProblem`.

    Attributes:
        loss_function: called as ``loss_function(reduction=...)``; one that is assigned takes the
            place of the problem's own. It gets what the network returns and the second part of
            the mini-batch (the only part, where there is one).
        accuracy_is_float: whether accuracies are numbers, as in DeepOBS, or tensors on the device.
    """

    __test__ = False
    entry: ClassVar[ProblemEntry | None] = None
    native_loss: ClassVar[Any] = None
    accuracy_is_float = True

    _batch_size = _Alias("batch_size")
    _weight_decay = _Alias("weight_decay")
    _l2_reg = _Alias("weight_decay")
    _device = _Alias("device")
    _iterator = _Alias("_batches")

    def __init__(
        self,
        batch_size: int,
        weight_decay: float | None = None,
        *,
        l2_reg: float | None = None,
        **options: Any,
    ) -> None:
        factor = l2_reg if weight_decay is None else weight_decay
        if self.entry is not None:
            options = {**configured.problem_options(self.entry), **options}
        options.setdefault("device", torch_config.get_default_device())
        super().__init__(batch_size, factor if self.entry is not None else None, **options)
        if self.entry is None:
            self.weight_decay = factor  # what it means is known to the user's class
            self.split = "validation"
        self._batch_count = 0
        for name in ("data", "net", "regularization_groups"):
            setattr(self, name, None)  # until `set_up` fills them

    @property
    def is_own(self) -> bool:
        """Whether it was written for DeepOBS."""
        return self.entry is None

    def set_up(self) -> None:
        """Loads the data and builds the network; see `alig_deepobs.testproblems.TestProblem`."""
        super().set_up()
        self.data: Any = WithLoaders(self.data, self)

    @property
    def steps_per_epoch(self) -> int:
        """The number of mini-batches in a training epoch."""
        if isinstance(self.data, WithLoaders):
            return super().steps_per_epoch
        return len(self.data._train_dataloader)

    def native_batches(self, phase: Phase, number: int) -> Iterator[Batch]:
        """The mini-batches of this package's loaders."""
        return super().batches(phase, number)

    def batches(self, phase: Phase, number: int = 0) -> Iterator[Any]:
        """The mini-batches of a phase: those of its loader."""
        loader = getattr(self.data, f"_{phase}_dataloader", None)
        # The loaders of a built-in data set in a problem of the user's are another problem's.
        raw = getattr(self.data, "_data", None)
        if loader is None or (isinstance(loader, Loader) and loader.examples.data is raw):
            return self.native_batches(phase, number)
        return iter(loader)

    def valid_init_op(self) -> None:
        """Starts an evaluation on the validation set."""
        if getattr(self.data, "_valid_dataloader", None) is None:
            super().valid_init_op()  # says what to do
        self._start("valid")

    def _get_next_batch(self) -> Any:
        """The next mini-batch of the phase; StopIteration at its end."""
        batch = next(self._iterator)
        self._batch_count += 1
        return [x.to(self.device) if isinstance(x, Tensor) else x for x in batch]

    def _draw(self) -> Any:
        return self._get_next_batch()

    def losses_of(self, outputs: Any, batch: Batch) -> Tensor:
        """The loss of each example, by ``loss_function``."""
        if self.loss_function is self.native_loss:
            return super().losses_of(outputs, batch)
        return self._assigned_loss(outputs, batch, "none")

    def _assigned_loss(self, outputs: Any, batch: Any, reduction: str) -> Tensor:
        has_target = len(batch) > 1 and (self.is_own or self.has_accuracy)
        if isinstance(outputs, tuple) and self.has_accuracy:
            outputs = outputs[0]  # a state comes behind the logits
        loss: Tensor = self.loss_function(reduction=reduction)(outputs, batch[has_target])
        return loss

    def _reduced_loss(self, outputs: Any, batch: Any, reduction: str) -> Tensor:
        if self.loss_function is self.native_loss:
            return super()._reduced_loss(outputs, batch, reduction)
        return self._assigned_loss(outputs, batch, reduction)

    def correct_of(self, outputs: Any, batch: Any) -> Tensor | None:
        """Whether each example is classified correctly; None where labels are no classes."""
        if self.is_own and (
            len(batch) < 2 or not isinstance(outputs, Tensor) or batch[1].is_floating_point()
        ):
            return None
        return super().correct_of(outputs, batch)

    def get_batch_loss_and_accuracy_func(
        self,
        reduction: str = "mean",
        add_regularization_if_available: bool = True,
        *,
        with_accuracy: bool = True,
    ) -> Callable[[], LossAndAccuracy]:
        """As `alig_deepobs.testproblems.TestProblem`'s; the accuracy is a number."""
        evaluate = super().get_batch_loss_and_accuracy_func(
            reduction, add_regularization_if_available, with_accuracy=with_accuracy
        )

        def with_number() -> LossAndAccuracy:
            loss, accuracy = evaluate()
            return loss, float(accuracy) if self.accuracy_is_float else accuracy

        return with_number

    def get_regularization_groups(self) -> dict[float, list[nn.Parameter]]:
        """L2 factor -> parameters; subclasses may group in their own way."""
        return super()._group_parameters()

    def _group_parameters(self) -> dict[float, list[nn.Parameter]]:
        return self.get_regularization_groups()


class UnregularizedTestproblem(TestProblem):
    """A test problem without an L2 term."""

    def get_regularization_groups(self) -> dict[float, list[nn.Parameter]]:
        """All parameters, under the factor 0."""
        return {0.0: list(self.net.parameters())}


class WeightRegularizedTestproblem(TestProblem):
    """A test problem whose L2 term has every weight and no bias."""

    def get_regularization_groups(self) -> dict[float, list[nn.Parameter]]:
        """The weights under the L2 factor, the biases under 0, told by their names.

        Raises:
            ValueError: a name says neither ``weight`` nor ``bias``.
        """
        factor = self.weight_decay or 0.0
        groups: dict[float, list[nn.Parameter]] = {factor: [], 0.0: []}
        for name, parameter in self.net.named_parameters():
            if "weight" not in name and "bias" not in name:
                raise ValueError(f"parameter {name!r} is neither a weight nor a bias by its name")
            groups[factor if "weight" in name else 0.0].append(parameter)
        return groups


class _VAELoss(VAELoss):
    """The loss of auto-encoders, which DeepOBS's users call with four arguments."""

    def forward(
        self,
        outputs: Any,
        images: Tensor,
        mean: Tensor | None = None,
        std_dev: Tensor | None = None,
    ) -> Tensor:
        """The loss of what the net returned, in one piece or in three."""
        if mean is not None and std_dev is not None:
            outputs = (outputs.flatten(1), mean, std_dev)
        return super().forward(outputs, images)


def adapt(entry: ProblemEntry) -> type[TestProblem]:
    """The class of one of this package's problems with DeepOBS's private names."""
    native = entry.load()
    regularized = entry.weight_decay is not None
    base = WeightRegularizedTestproblem if regularized else UnregularizedTestproblem
    loss = _VAELoss if native.loss_function is VAELoss else native.loss_function
    own = {
        "__doc__": native.__doc__,
        "__module__": "deepobs.pytorch.testproblems",
        "entry": entry,
        "loss_function": loss,
        "native_loss": loss,
        # Which weights are regularized is known to the problem, whatever their names are.
        "get_regularization_groups": TestProblem.get_regularization_groups,
    }
    return type(native.__name__, (base, native), own)
