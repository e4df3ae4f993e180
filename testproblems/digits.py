"""Problems on the handwritten digits that come with scikit-learn; they need no download."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from alig_deepobs.errors import UsageError
from alig_deepobs.testproblems.datasets.base import DataSet
from alig_deepobs.testproblems.datasets.digits import digits
from alig_deepobs.testproblems.families import Classification
from alig_deepobs.testproblems.models.mlp import digits_mlp as small_mlp
from alig_deepobs.testproblems.models.mlp import logreg


class _Digits(Classification):
    """Problems on digits.

    Regularizer: L2 on kernels with factor ``weight_decay``, by default 0.
    Data: 1,797 images of 8 x 8 pixels, 1,445 for training and 352 for testing.
    Defaults: batch size 32, 30 epochs.
    Source: this package; scikit-learn's `load_digits`, from the UCI data set "optdigits".
    """

    default_weight_decay = 0.0
    reshuffles = True
    side_by_side = "anywhere"

    def load_data(self) -> DataSet:
        """Loads the digits."""
        return digits(synthetic=self.synthetic)


class digits_logreg(_Digits):
    """Logistic regression on the digits of scikit-learn.

    Network: one dense layer, 64-10, started at zero (650 parameters).
    Loss: cross entropy; at the start ln 10 = 2.302585.
    Interpolation: yes.
    """

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network; it starts at zero, so nothing is drawn."""
        return logreg(64, 10)


class digits_mlp(_Digits):
    """A small multi-layer perceptron on the digits of scikit-learn.

    Network: dense layers 64-100-50-10 with ReLU, He's initial kernels, zero biases (12,060
        parameters).
    Interpolation: yes; no with few hidden units.

    Args:
        *arguments: as of every test problem.
        hidden_dim: units of the first hidden layer; the second has half as many.
        **settings: as of every test problem.
    """

    def __init__(self, *arguments: Any, hidden_dim: int = 100, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if hidden_dim < 2:
            raise UsageError(f"digits_mlp: hidden_dim must be at least 2, not {hidden_dim}")
        self.hidden_dim = hidden_dim

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return small_mlp(generator, self.hidden_dim)
