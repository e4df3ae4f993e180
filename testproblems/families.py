"""What problems of several data sets have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from alig_deepobs.testproblems.base import TestProblem
from alig_deepobs.testproblems.datasets.base import Batch
from alig_deepobs.testproblems.losses import GivenLosses


class Classification(TestProblem):
    """Images ``(batch_size, channels, height, width)`` in classes.

    Loss: cross entropy.
    """

    def _reduced_loss(self, outputs: Any, batch: Batch, reduction: str) -> Tensor:
        if type(self).losses_of is not TestProblem.losses_of:  # a subclass has a loss of its own
            return super()._reduced_loss(outputs, batch, reduction)
        # One fused operation instead of the losses and their mean saves up to a tenth of a step.
        return nn.functional.cross_entropy(outputs, batch[1], reduction=reduction)


class ClosedForm(TestProblem):
    """Problems whose "network" is the objective: it maps a batch to per-example losses.

    Regularizer: none.
    Source: DeepOBS 1.1.2.
    """

    has_accuracy = False
    loss_function: ClassVar[type[nn.Module]] = GivenLosses

    def forward(self, batch: Batch) -> Any:
        """The per-example losses, shape ``(batch_size,)``."""
        return self.net(*batch)

    def losses_of(self, outputs: Any, batch: Batch) -> Tensor:
        """The outputs of the net, which are the losses."""
        losses: Tensor = outputs
        return losses
