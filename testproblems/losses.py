"""The losses that PyTorch does not have, in PyTorch's form: ``Loss(reduction=...)``."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def reduce_losses(losses: Tensor, reduction: str) -> Tensor:
    """The mean or the sum of per-example losses, or (``"none"``) the losses themselves."""
    if reduction == "mean":
        return losses.mean()
    return losses.sum() if reduction == "sum" else losses


class Loss(nn.Module):
    """A loss in PyTorch's form, made of the losses of examples.

    Args:
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction


class VAELoss(Loss):
    """The loss of DeepOBS's variational auto-encoders.

    For an image ``x``, its reconstruction ``y``, the mean ``m`` and the logarithm ``s`` of the
    standard deviation of its code: ``|y - x|^2 - 0.5 * sum(1 + 2 s - m^2 - exp(2 s))``, sums over
    pixels and over latent dimensions. The second term is the Kullback-Leibler divergence of the
    code from a standard normal distribution.
    """

    def forward(self, outputs: tuple[Tensor, Tensor, Tensor], images: Tensor) -> Tensor:
        """The loss of what the net returned, ``(y, m, s)``, for the images."""
        reconstruction, mean, log_std = outputs
        squared_error = (reconstruction - images.flatten(1)).square().sum(dim=1)
        inner = 1.0 + 2.0 * log_std - mean.square() - torch.exp(2.0 * log_std)
        return reduce_losses(squared_error - 0.5 * inner.sum(dim=1), self.reduction)


class GivenLosses(Loss):
    """The loss of problems whose "network" returns the per-example losses itself."""

    def forward(self, losses: Tensor, target: Tensor | None = None) -> Tensor:
        """Reduces the losses; a target is accepted and plays no part."""
        return reduce_losses(losses, self.reduction)


class InceptionLoss(Loss):
    """The loss of Inception v3: cross entropy with labels that are smoothed by 0.1.

    In training mode the cross entropy of the auxiliary logits is added with factor 0.4.
    """

    def forward(self, outputs: tuple[Tensor, Tensor], labels: Tensor) -> Tensor:
        """The loss of what the net returned, main and auxiliary logits, for the labels."""
        losses = self._smoothed(outputs[0], labels)
        if self.training:
            losses = losses + 0.4 * self._smoothed(outputs[1], labels)
        return reduce_losses(losses, self.reduction)

    def _smoothed(self, logits: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, labels, reduction="none", label_smoothing=0.1)


class SequenceLoss(Loss):
    """Cross entropy of sequences: for each one the mean over its elements."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss of logits ``(batch, time, classes)`` for targets ``(batch, time)``."""
        flat = nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), reduction="none"
        )
        return reduce_losses(flat.view(targets.shape).mean(dim=1), self.reduction)


class MaskedBitsLoss(Loss):
    """Cross entropy of bits, for each sequence the sum over the bits of its masked steps.

    For a bit with logit ``x`` that is ``log(1 + exp(-x))`` if it should be 1 and
    ``log(1 + exp(x))`` if it should be 0. PyTorch's own cross entropy of bits loses losses below
    1e-7 to rounding if the bit should be 0; here 2e-9, that of a logit of -20, is 2e-9.
    """

    def forward(self, logits: Tensor, bits: Tensor, mask: Tensor) -> Tensor:
        """The loss of logits for bits, both ``(batch, time, bits)``; mask ``(batch, time)``."""
        losses = nn.functional.softplus(logits * (1.0 - 2.0 * bits))
        return reduce_losses((losses.sum(dim=2) * mask).sum(dim=1), self.reduction)
