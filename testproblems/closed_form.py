"""Problems in closed form: DeepOBS's noisy quadratic, and functions of two variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.base import TestProblem
from alig_deepobs.testproblems.datasets.base import Batch, DataSet
from alig_deepobs.testproblems.datasets.generated import quadratic, two_d
from alig_deepobs.testproblems.losses import GivenLosses
from alig_deepobs.testproblems.models.closed_form import (
    Quadratic,
    TwoD,
    beale,
    branin,
    deep_learning_hessian,
    rosenbrock,
)


class ClosedForm(TestProblem):
    """Problems whose "network" is the objective: it maps a batch to per-example losses.

    Regularizer: none.
    Source: DeepOBS 1.1.2.
    """

    has_accuracy = False
    side_by_side = "anywhere"
    loss_function: ClassVar[type[nn.Module]] = GivenLosses

    def forward(self, batch: Batch) -> Any:
        """The per-example losses, shape ``(batch_size,)``."""
        return self.net(*batch)

    def losses_of(self, outputs: Any, batch: Batch) -> Tensor:
        """The outputs of the net, which are the losses."""
        losses: Tensor = outputs
        return losses


class quadratic_deep(ClosedForm):
    """A noisy quadratic function in 100 dimensions with the spectrum of a deep network.

    Network: the 100 variables ``theta``, started at ones; the Hessian ``Q`` has 90 eigenvalues in
        [0, 1] and 10 in [30, 60]. It is the same in every instance.
    Loss: ``0.5 * (theta - x)^T Q (theta - x)``; at the start 353.447 on the test set.
    Data: 1,000 normal points ``x`` with standard deviation 0.6 each for training and testing.
    Defaults: batch size 128, 100 epochs.
    Interpolation: no; the lowest mean loss on the training set is 84.770.
    """

    def load_data(self) -> DataSet:
        """Draws the points."""
        return quadratic(synthetic=self.synthetic)

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the function; nothing is drawn."""
        return Quadratic(deep_learning_hessian())

    def condensed(self, batch: Batch) -> tuple[Batch, Tensor]:
        """The mean of the points, and the mean of ``0.5 * (x - mean)^T Q (x - mean)``."""
        mean = batch[0].mean(dim=0, keepdim=True)
        difference = batch[0] - mean
        hessian = cast("Quadratic", self.net).hessian
        spread = 0.5 * ((difference @ hessian) * difference).sum(dim=1).mean()
        return (mean,), spread


class _TwoDProblem(ClosedForm):
    """Functions of two variables.

    Data: 10,000 standard normal pairs ``(x, y)``; the test set is all zeros, which gives the
        function without noise.
    Defaults: batch size 128, 100 epochs (ours; DeepOBS has none).
    Interpolation: no; the minimum is 0 without noise, but single losses may be negative.
    """

    start: ClassVar[tuple[float, float]]
    function: ClassVar[staticmethod[[Tensor, Tensor], Tensor]]

    def load_data(self) -> DataSet:
        """Draws the noise."""
        return two_d(synthetic=self.synthetic)

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the function; nothing is drawn."""
        function: Callable[[Tensor, Tensor], Tensor] = self.function
        return TwoD(function, self.start)

    def condensed(self, batch: Batch) -> tuple[Batch, Tensor]:
        """The mean of the noise, in which the loss is linear."""
        x, y = (noise.mean(dim=0, keepdim=True) for noise in batch)
        return (x, y), x.new_zeros(())


class two_d_rosenbrock(_TwoDProblem):
    """Rosenbrock's function with linear noise.

    Network: two variables, ``u`` and ``v``, started at -0.5 and 1.5.
    Loss: ``(1 - u)^2 + 100 (v - u^2)^2 + u x + v y``; at the start 158.5 on the test set.
    """

    start = (-0.5, 1.5)
    function = staticmethod(rosenbrock)


class two_d_beale(_TwoDProblem):
    """Beale's function with linear noise.

    Network: two variables, ``u`` and ``v``, started at -4.5 and 4.5.
    Loss: ``(1.5 - u + u v)^2 + (2.25 - u + u v^2)^2 + (2.625 - u + u v^3)^2 + u x + v y``; at the
        start 169,680.83 on the test set.
    """

    start = (-4.5, 4.5)
    function = staticmethod(beale)


class two_d_branin(_TwoDProblem):
    """Branin's function with linear noise.

    Network: two variables, ``u`` and ``v``, started at 2.5 and 12.5.
    Loss: ``(v - 5.1 u^2 / (4 pi^2) + 5 u / pi - 6)^2 + 10 (1 - 1 / (8 pi)) cos(u) + 10 + u x +
        v y``; at the start 95.8447 on the test set.
    Interpolation: no; the minimum is 0.398 without noise, and single losses may be negative.
    """

    start = (2.5, 12.5)
    function = staticmethod(branin)
