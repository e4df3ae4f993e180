"""The noisy quadratic problem."""

from __future__ import annotations

import torch
from torch import nn

from alig_deepobs.testproblems.datasets.base import DataSet
from alig_deepobs.testproblems.datasets.generated import quadratic
from alig_deepobs.testproblems.families import ClosedForm
from alig_deepobs.testproblems.models.quadratic import Quadratic, deep_learning_hessian


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
