"""The truncated top-k cross entropy in two forms, and the top-k accuracy.

With the label ``y`` and the scores ``s``, both losses are
``log(1 + sum_j exp(s_j - s_y))`` with a sum over some of the other classes, so that a label among
the k highest scores costs little. Which classes are left out is where they differ.
"""

from __future__ import annotations

import torch
from torch import Tensor

from alig_deepobs.testproblems.losses import Loss, reduce_losses

K = 5
"""The k of ImageNet."""
LARGEST_DIFFERENCE = 80.0
"""Larger differences of scores are cut, so that the exponential stays in single precision."""


def truncated_top_k(scores: Tensor, labels: Tensor, k: int = K) -> Tensor:
    """The loss of each example, as in the code of the ALI-G paper.

    The k highest scores are left out, whatever the label is, and so is the label. Where the label
    is among the k highest, this is the loss of Lapin et al. (`exact_top_k`). Where it is not, one
    competitor too many is left out: the loss is no upper bound of the top-k error, and can be small
    although the label is far from the top.

    Args:
        scores: floats of shape ``(batch, classes)``, more classes than k.
        labels: int64 of shape ``(batch,)``.
        k: how many scores are left out.

    Returns:
        Losses of shape ``(batch,)``, not negative.

    Example:
        >>> truncated_top_k(torch.arange(1.0, 8.0).expand(2, 7), torch.tensor([1, 6]))
        tensor([0.3133, 0.0092])
    """
    _, highest = scores.topk(k, dim=1)
    return _log_sum(scores, labels, left_out=highest)


def exact_top_k(scores: Tensor, labels: Tensor, k: int = K) -> Tensor:
    """The truncated top-k entropy loss of each example.

    The k - 1 highest scores *of the other classes* are left out, so an example whose label is not
    among the k highest costs at least log 2.

    Args:
        scores: floats of shape ``(batch, classes)``, more classes than k.
        labels: int64 of shape ``(batch,)``.
        k: how many guesses there are.

    Returns:
        Losses of shape ``(batch,)``, not negative.

    Source: Lapin, Hein, Schiele: Loss functions for top-k error, CVPR 2016.

    Example:
        >>> exact_top_k(torch.arange(1.0, 8.0).expand(2, 7), torch.tensor([1, 6]))
        tensor([1.4076, 0.0092])
    """
    others = scores.detach().scatter(1, labels.unsqueeze(1), -torch.inf)
    _, highest = others.topk(k - 1, dim=1)
    return _log_sum(scores, labels, left_out=highest)


def top_k_correct(scores: Tensor, labels: Tensor, k: int = K) -> Tensor:
    """Whether the label is among the k highest scores, shape ``(batch,)``.

    Example:
        >>> top_k_correct(torch.arange(1.0, 8.0).expand(2, 7), torch.tensor([1, 2]))
        tensor([False,  True])
    """
    _, highest = scores.topk(k, dim=1)
    return (highest == labels.unsqueeze(1)).any(dim=1)


class TruncatedTop5(Loss):
    """`truncated_top_k` with k = 5, in PyTorch's form."""

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The loss of scores ``(batch, classes)`` for labels ``(batch,)``."""
        return reduce_losses(truncated_top_k(scores, labels), self.reduction)


class ExactTop5(Loss):
    """`exact_top_k` with k = 5, in PyTorch's form."""

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The loss of scores ``(batch, classes)`` for labels ``(batch,)``."""
        return reduce_losses(exact_top_k(scores, labels), self.reduction)


def _log_sum(scores: Tensor, labels: Tensor, left_out: Tensor) -> Tensor:
    """``log(1 + sum exp(s_j - s_y))`` over the classes that are neither left out nor the label."""
    index = labels.unsqueeze(1)
    difference = (scores - scores.gather(1, index)).clamp_max(LARGEST_DIFFERENCE)
    weight = torch.ones_like(scores).scatter(1, left_out, 0.0).scatter(1, index, 0.0)
    return (weight * difference.exp()).sum(dim=1).log1p()
