"""What the image problems of all data sets have in common."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.base import TestProblem
from alig_deepobs.testproblems.datasets.base import Batch
from alig_deepobs.testproblems.losses import GivenLosses, VAELoss
from alig_deepobs.testproblems.models.logreg import logreg
from alig_deepobs.testproblems.models.mlp import deepobs_mlp
from alig_deepobs.testproblems.models.net_2c2d import net_2c2d
from alig_deepobs.testproblems.models.vae import VAE, vae


class Classification(TestProblem):
    """Images ``(batch_size, channels, height, width)`` in classes, with the cross entropy."""

    def _reduced_loss(self, outputs: Any, batch: Batch, reduction: str) -> Tensor:
        if type(self).losses_of is not TestProblem.losses_of:  # a subclass has a loss of its own
            return super()._reduced_loss(outputs, batch, reduction)
        # One fused operation instead of the losses and their mean saves up to a tenth of a step.
        return nn.functional.cross_entropy(outputs, batch[1], reduction=reduction)


class LogisticRegression(Classification):
    """One dense layer on 28 x 28 pixels, started at zero."""

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network; it starts at zero, so nothing is drawn."""
        return logreg(28 * 28, 10)


class Perceptron(Classification):
    """DeepOBS's multi-layer perceptron on 28 x 28 pixels."""

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return deepobs_mlp(generator)


class ConvNet(Classification):
    """DeepOBS's "2c2d": two convolutions and two dense layers on 28 x 28 pixels."""

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return net_2c2d(generator)


class AutoEncoder(TestProblem):
    """DeepOBS's variational auto-encoder on 28 x 28 pixels."""

    has_accuracy = False
    loss_function: ClassVar[type[nn.Module]] = VAELoss

    def build_net(self, generator: torch.Generator) -> VAE:
        """Builds the network."""
        return vae(generator)

    def losses_of(self, outputs: Any, batch: Batch) -> Tensor:
        """The loss of each image, shape ``(batch_size,)``; the labels play no part."""
        losses: Tensor = VAELoss("none")(outputs, batch[0])
        return losses


class ClosedForm(TestProblem):
    """Problems whose "network" is the objective: it maps a batch to per-example losses."""

    has_accuracy = False
    loss_function: ClassVar[type[nn.Module]] = GivenLosses

    def forward(self, batch: Batch) -> Any:
        """The per-example losses, shape ``(batch_size,)``."""
        return self.net(*batch)

    def losses_of(self, outputs: Any, batch: Batch) -> Tensor:
        """The outputs of the net, which are the losses."""
        losses: Tensor = outputs
        return losses
