"""The interface of a test problem: DeepOBS 1.2's, with every random draw from a named seed."""

from __future__ import annotations

import contextlib
import copy
import operator
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from alig_deepobs.errors import UsageError
from alig_deepobs.seeds import derive_seed
from alig_deepobs.testproblems.checks import (
    check_batch_fits,
    check_batch_size,
    check_weight_decay,
    find_device,
)
from alig_deepobs.testproblems.datasets.base import Batch, DataSet
from alig_deepobs.testproblems.describe import describe
from alig_deepobs.testproblems.losses import reduce_losses

Phase = Literal["train", "train_eval", "valid", "test"]
LossAndAccuracy = tuple[Tensor, Tensor | float]


class TestProblem:
    """A data set, a network and a loss: what an optimizer is tried on.

    A problem is used as in DeepOBS: `set_up`, then for each pass over a set one of the four
    ``*_init_op`` methods and `get_batch_loss_and_accuracy_func` until it raises StopIteration.

    Subclasses supply `load_data`, `build_net` and, unless they classify, `losses_of` and
    `correct_of`. A mini-batch's loss is made of three functions without side effects (`forward`,
    `losses_of`, `correct_of`), so that many runs can be computed at once with `torch.func`.
    Sections that a docstring leaves out are those of the problem's family (`describe`).

    Args:
        batch_size: examples in a mini-batch; incomplete mini-batches are dropped, unless the
            problem says otherwise (``drops_incomplete``).
        weight_decay: L2 factor, where the problem has an L2 term (else it is ignored with a
            warning in the log); None for the problem's default.
        synthetic: use the small synthetic twin of the data set, which needs no files.
        data_dir: folder with the official files, which is then the only place that is looked
            at; None for the per-user cache, which is filled by downloads.
        offline: never touch the network.
        device: None for the GPU if there is one, else the CPU.
        seed: base of the seeds of initial weights and batch orders; None for
            ``torch.initial_seed()``, so a script that calls ``torch.manual_seed(42)`` gets the
            run of seed 42.
        reshuffle: draw a new batch order in every epoch (True) or one for all (False); None for
            the problem's default. DeepOBS's problems default to False: under a seed, the input
            pipeline of DeepOBS 1.1.2 starts every epoch with the same shuffled order (and every
            evaluation on training data with the same subset). It matters: with momentum 0.99,
            ``quadratic_deep`` ends at 87.0, as published, and at 89.0 if reshuffled.
        split: ``"full"`` (all training data train) or ``"validation"`` (a fixed part, which is
            the same for every seed, is held out as the validation set); None for the problem's
            default, which is ``"full"`` for DeepOBS's problems.

    Attributes:
        net: the network, on the device.
        data: the data set, on the device.
        loss_function: a class called as ``loss_function(reduction=...)``.
        regularization_groups: L2 factor -> parameters that it applies to (0.0: the others).
        phase: the current phase (None before the first ``*_init_op``).
        has_accuracy: whether the problem has an accuracy; where not, it is reported as 0.0.
        source: loads the data set, called with `data_options`.
        default_weight_decay: factor of the L2 term; None for problems without one.
        default_batch_size: that of a problem in no registry.
        default_num_epochs: that of a problem in no registry.
        side_by_side: whether many runs can be trained as one computation (their networks differ in
            nothing but weights, and have no state beside them but what `carry` hands on): ``"no"``,
            ``"gpu"`` where that is faster on an accelerator at most, ``"anywhere"``, or ``"cpu"``
            where it is possible on a CPU alone, and gains nothing (dropout, sampled codes).
        drops_incomplete: whether the rest of a set that fills no mini-batch is left out, as in
            DeepOBS, or makes a smaller last mini-batch.
        batch_share: size of the last mini-batch that was drawn as a fraction of ``batch_size``:
            its weight in a mean over examples. Always 1.0 where incomplete ones are dropped.
        device: where everything lives.
        epochs_started: calls of `train_init_op`; the next one takes `batch_order` of this
            number. A resumed run sets it.
        evaluations_started: the same for `train_eval_init_op`.
        cut: takes this process's part of a training mini-batch; None: it gets all of it.
        carried: what one mini-batch hands to the next (`carry`), None for most problems.

    Raises:
        UsageError: an argument does not make sense.

    Example:
        >>> from alig_deepobs.testproblems import quadratic_deep
        >>> problem = quadratic_deep(batch_size=128, seed=42, device="cpu")
        >>> problem.set_up()
        >>> problem.test_init_op()
        >>> loss, accuracy = problem.get_batch_loss_and_accuracy()
        >>> accuracy
        0.0
    """

    __test__ = False  # a name that pytest would take for a test
    has_accuracy: ClassVar[bool] = True
    reshuffles: ClassVar[bool] = False
    default_split: ClassVar[str] = "full"
    drops_incomplete: ClassVar[bool] = True
    default_weight_decay: ClassVar[float | None] = None
    default_batch_size: ClassVar[int] = 32
    default_num_epochs: ClassVar[int] = 10
    side_by_side: ClassVar[Literal["no", "cpu", "gpu", "anywhere"]] = "no"
    loss_function: ClassVar[type[nn.Module]] = nn.CrossEntropyLoss
    source: ClassVar[Callable[..., DataSet]]

    net: nn.Module
    data: DataSet
    regularization_groups: dict[float, list[nn.Parameter]]

    def __init__(
        self,
        batch_size: int,
        weight_decay: float | None = None,
        *,
        synthetic: bool = False,
        data_dir: str | None = None,
        offline: bool = False,
        device: str | torch.device | None = None,
        seed: int | None = None,
        split: str | None = None,
        reshuffle: bool | None = None,
    ) -> None:
        split = self.default_split if split is None else split
        if split not in ("full", "validation"):
            raise UsageError(f"split must be 'full' or 'validation', not {split!r}")
        self.batch_size = check_batch_size(batch_size)
        self.weight_decay = check_weight_decay(
            self.default_weight_decay if weight_decay is None else weight_decay,
            type(self).__name__,
            self.default_weight_decay is not None,
        )
        self.synthetic = synthetic
        self.data_dir = data_dir
        self.offline = offline
        self.device = find_device(device)
        self.seed = torch.initial_seed() if seed is None else operator.index(seed)
        self.split = split
        self.reshuffle = self.reshuffles if reshuffle is None else reshuffle
        self.phase: Phase | None = None
        self.epochs_started = 0
        self.evaluations_started = 0
        self.batch_share = 1.0
        self.cut: Callable[[Batch], Batch] | None = None
        self.carried: Any = None
        self._batches: Iterator[Batch] | None = None
        self._batches_drawn = 0
        self._rows: tuple[Tensor, ...] | None = None

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        describe(cls)

    @property
    def data_options(self) -> dict[str, Any]:
        """Where the data come from, for the function that loads them."""
        return {"synthetic": self.synthetic, "data_dir": self.data_dir, "offline": self.offline}

    # What a subclass supplies.

    def load_data(self) -> DataSet:
        """Loads the data set (all of the training data, on the CPU)."""
        if not hasattr(type(self), "source"):
            raise NotImplementedError(f"{type(self).__name__} needs a method load_data(self)")
        return type(self).source(**self.data_options)

    def check_files(self) -> None:
        """Makes sure that files which only options name are there, before the first of many runs.

        Raises:
            DataError: one is not.
        """

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network on the CPU; the generator is the only source of randomness."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a method build_net(self, generator)"
        )

    def forward(self, batch: Batch) -> Any:
        """What the network makes of a mini-batch."""
        return self.net(batch[0])

    def losses_of(self, outputs: Any, batch: Batch) -> Tensor:
        """The data loss of each example, shape ``(batch_size,)``."""
        return nn.functional.cross_entropy(outputs, batch[1], reduction="none")

    def correct_of(self, outputs: Any, batch: Batch) -> Tensor | None:
        """Whether each example is classified correctly, shape ``(batch_size,)``.

        None for problems without accuracy.
        """
        if not self.has_accuracy:
            return None
        correct: Tensor = outputs.argmax(dim=1) == batch[1]
        return correct

    def mean_loss(self, outputs: Any, batch: Batch) -> Tensor:
        """The data loss of a mini-batch, in the form that is computed for many networks at once."""
        return self.losses_of(outputs, batch).mean()

    def condensed(self, batch: Batch) -> tuple[Batch, Tensor] | None:
        """A single example whose loss is that of a mini-batch, but for a number.

        Returns:
            A mini-batch of one example and a tensor of shape ``()``; whatever the weights are, the
            mean loss of the mini-batch is the loss of the example plus the number. None where there
            is no such example.
        """
        return None

    def evaluation_batches(self, part: str) -> Iterator[Batch]:
        """The mini-batches of the validation or the test set, as they are stored."""
        return self.data.slices(part, self.evaluation_batch_size(part), self.drops_incomplete)

    def evaluation_batch_size(self, part: str) -> int:
        """The number of examples in a mini-batch of an evaluation on a part of the data."""
        return self.batch_size

    def zero_state(self) -> Tensor | None:
        """What `carry` would hand to the first mini-batch of a pass; None for most problems."""
        return None

    def carry(self, outputs: Any) -> Any:
        """What the next mini-batch needs of the outputs (the state of a recurrent net), or None."""
        return None

    def is_regularized(self, parameter: nn.Parameter) -> bool:
        """Whether the L2 term has this parameter: by default every kernel, no bias, no scale."""
        return parameter.ndim > 1

    # DeepOBS's interface.

    def set_up(self) -> None:
        """Loads the data, builds the network and puts both on the device.

        Raises:
            DataError: a data file is missing or broken.
            UsageError: ``batch_size`` does not fit the data, or there is nothing to hold out.
        """
        data = self.load_data().for_split(self.split)
        check_batch_fits(self.batch_size, data, type(self).__name__, self.drops_incomplete)
        self.data = data.to(self.device)
        self._build()

    def for_seed(self, seed: int) -> Self:
        """The same problem with another seed, set up on the same data."""
        other = copy.copy(self)
        other.seed = seed
        other._build()
        return other

    def _build(self) -> None:
        # The weights are drawn on the CPU, so that they are the same on every device.
        self.net = self.build_net(self._generator("weights")).to(self.device)
        self.regularization_groups = self._group_parameters()
        self.phase = None
        self.epochs_started = 0
        self.evaluations_started = 0
        self._batches = None

    @property
    def steps_per_epoch(self) -> int:
        """The number of mini-batches in a training epoch."""
        full, rest = divmod(self.data.size("train"), self.batch_size)
        return full + (rest > 0 and not self.drops_incomplete)

    def batch_order(self, epoch: int) -> Tensor:
        """The full mini-batches of a training epoch: indices of shape ``(steps, batch_size)``.

        It is a permutation of the whole training set without its incomplete mini-batch. It
        depends on the seed and, with ``reshuffle``, on the epoch (from 0).
        """
        return self._in_rows(self._pass_order("train", epoch))

    def train_eval_order(self, evaluation: int) -> Tensor:
        """The mini-batches of an evaluation on training data: ``(steps, batch_size)``.

        A random subset of the training set; with ``reshuffle``, another one each time.
        """
        return self._in_rows(self._pass_order("train_eval", evaluation))

    def batches(self, phase: Phase, number: int = 0) -> Iterator[Batch]:
        """The mini-batches of a pass over a set, ready for the network; starts no phase.

        Args:
            phase: which set, and whether it is prepared for training or for evaluation.
            number: the training epoch, or the evaluation on training data, from 0. The same
                number gives the same mini-batches every time.
        """
        if phase in ("valid", "test"):
            return self.evaluation_batches(phase)
        return (self.data.take("train", index) for index in self.rows(phase, number))

    def rows(self, phase: Phase, number: int = 0) -> tuple[Tensor, ...]:
        """The numbers of the examples in each mini-batch of a pass over the training set.

        Args:
            phase: ``"train"`` or ``"train_eval"``.
            number: as for `batches`.
        """
        if not self.drops_incomplete:
            rows: tuple[Tensor, ...] = self._pass_order(phase, number).split(self.batch_size)
            return rows
        order = self.batch_order if phase == "train" else self.train_eval_order
        return order(number).unbind()

    @property
    def batch_indices(self) -> Tensor:
        """The numbers of the last drawn examples in the training set, shape ``(batch_size,)``.

        Raises:
            UsageError: no mini-batch was drawn in a train phase.
        """
        if self.phase != "train" or not self._batches_drawn:
            raise UsageError("batch_indices are those of a mini-batch drawn in the train phase")
        if self._rows is None:
            self._rows = self.rows("train", self.epochs_started - 1)
        return self._rows[self._batches_drawn - 1]

    def train_init_op(self) -> None:
        """Starts the next training epoch, with its own batch order."""
        self.epochs_started += 1
        self._start("train", self.epochs_started - 1)

    def train_eval_init_op(self) -> None:
        """Starts an evaluation on the next random subset of the training set."""
        self.evaluations_started += 1
        self._start("train_eval", self.evaluations_started - 1)

    def valid_init_op(self) -> None:
        """Starts an evaluation on the validation set, in its fixed order.

        Raises:
            UsageError: there is none, because the split is ``"full"``.
        """
        if "valid" not in self.data.parts:
            raise UsageError(
                f"{type(self).__name__} has no validation set: split is {self.split!r}; "
                "create the problem with split='validation'"
            )
        self._start("valid")

    def test_init_op(self) -> None:
        """Starts an evaluation on the test set, in its fixed order."""
        self._start("test")

    def get_batch_loss_and_accuracy_func(
        self,
        reduction: str = "mean",
        add_regularization_if_available: bool = True,
        *,
        with_accuracy: bool = True,
    ) -> Callable[[], LossAndAccuracy]:
        """Draws the next mini-batch now and returns a function that evaluates the net on it.

        The function may be called again, for example by a line search: each call computes the
        loss anew, with fresh dropout masks unless the caller restores torch's random state.
        Outside the train phase it builds no graph.

        Args:
            reduction: ``"mean"``, ``"sum"`` or ``"none"`` (one loss per example).
            add_regularization_if_available: add `get_regularization_loss`, a scalar, to the
                (reduced) loss.
            with_accuracy: leave the accuracy out (it is then 0.0) if it is not wanted.

        Returns:
            A function without arguments that returns the loss and the accuracy, a fraction: a
            tensor of shape ``()`` on the device, or the float 0.0 for problems without accuracy.

        Raises:
            StopIteration: the epoch, or the evaluation set, is over.
            UsageError: unknown reduction, or no phase was started.
        """
        if reduction not in ("mean", "sum", "none"):
            raise UsageError(f"reduction must be 'mean', 'sum' or 'none', not {reduction!r}")
        if self._batches is None:
            raise UsageError("start a phase first, for example with train_init_op()")
        batch = self._draw()
        training = self.phase == "train"
        if training and self.cut is not None:
            batch = self.cut(batch)
        if not self.drops_incomplete:
            self.batch_share = len(batch[0]) / self.batch_size
        self._batches_drawn += 1

        def loss_and_accuracy() -> LossAndAccuracy:
            with contextlib.nullcontext() if training else torch.no_grad():
                outputs = self.forward(batch)
                self.carried = self.carry(outputs)
                loss = self._reduced_loss(outputs, batch, reduction)
                if add_regularization_if_available and any(self.regularization_groups):
                    loss = loss + self.get_regularization_loss()
                correct = self.correct_of(outputs, batch) if with_accuracy else None
                return loss, 0.0 if correct is None else correct.float().mean()

        return loss_and_accuracy

    def take_up(self, epochs: int, evaluations: int, drawn: int | None = None) -> None:
        """Goes on where a run was left; the network is the caller's business.

        Args:
            epochs: training epochs that were started.
            evaluations: evaluations on training data that were started.
            drawn: mini-batches drawn in the last of these epochs; None where it is over.
        """
        self.epochs_started, self.evaluations_started = epochs, evaluations
        if drawn is not None:
            self._start("train", epochs - 1)
            assert self._batches is not None
            for _ in range(drawn):
                next(self._batches)
            self._batches_drawn = drawn

    def get_batch_loss_and_accuracy(
        self, reduction: str = "mean", add_regularization_if_available: bool = True
    ) -> LossAndAccuracy:
        """Loss and accuracy of the next mini-batch; see `get_batch_loss_and_accuracy_func`."""
        return self.get_batch_loss_and_accuracy_func(reduction, add_regularization_if_available)()

    def get_regularization_loss(self) -> Tensor | float:
        """The L2 term, 0.5 * sum of factor * |weights|^2 over the groups; 0.0 if there is none."""
        total: Tensor | float = 0.0
        for factor, parameters in self.regularization_groups.items():
            if factor:
                for weight in parameters:
                    total = total + 0.5 * factor * weight.square().sum()
        return total

    # Internals.

    def _draw(self) -> Batch:
        assert self._batches is not None
        return next(self._batches)

    def _reduced_loss(self, outputs: Any, batch: Batch, reduction: str) -> Tensor:
        return reduce_losses(self.losses_of(outputs, batch), reduction)

    def _group_parameters(self) -> dict[float, list[nn.Parameter]]:
        groups: dict[float, list[nn.Parameter]] = {}
        for parameter in self.net.parameters():
            factor = (self.weight_decay or 0.0) if self.is_regularized(parameter) else 0.0
            groups.setdefault(factor, []).append(parameter)
        return groups

    def _generator(self, *name: int | str) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self.seed, *name))

    def _pass_order(self, phase: Phase, number: int) -> Tensor:
        """The training examples of a pass in their order, on the device."""
        name = "order" if phase == "train" else "train_eval"
        generator = self._generator(name, number if self.reshuffle else 0)
        permutation = torch.randperm(self.data.size("train"), generator=generator)
        size = self.data.train_eval_size if phase == "train_eval" else None
        return permutation[:size].to(self.device)

    def _in_rows(self, indices: Tensor) -> Tensor:
        steps = len(indices) // self.batch_size
        return indices[: steps * self.batch_size].view(steps, self.batch_size)

    def _start(self, phase: Phase, number: int = 0) -> None:
        self.phase = phase
        self._batches = self.batches(phase, number)
        self._batches_drawn = 0
        self._rows = None
        self.carried = self.zero_state()
        self.net.train(phase == "train")
