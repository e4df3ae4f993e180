"""The multi-class hinge loss of Crammer and Singer, hard and smoothed.

For scores ``s`` of ``C`` classes and the label ``y``, the augmented margins are
``a_j = s_j + 1[j != y] - s_y``, so ``a_y = 0``. The loss of an example is a weighted sum of them,
``sum_j xi_j a_j``. The weights ``xi`` count as constants: no gradient goes through them. It is
never negative, so a Polyak step may take its minimum for 0.

It is not `torch.nn.MultiMarginLoss`, which sums over all classes that violate the margin.
"""

from __future__ import annotations

import torch
from torch import Tensor

from alig_deepobs.testproblems.losses import Loss, reduce_losses


def hard_hinge(scores: Tensor, labels: Tensor) -> Tensor:
    """The hinge loss of each example: its largest augmented margin, at least 0.

    Args:
        scores: floats of shape ``(batch, classes)``.
        labels: int64 of shape ``(batch,)``.

    Returns:
        Losses of shape ``(batch,)``.

    Source: Crammer and Singer, JMLR 2001.

    Example:
        >>> hard_hinge(torch.tensor([[2.0, 0.5, -1.0], [-1.0, 3.0, 1.0]]), torch.tensor([0, 2]))
        tensor([0., 3.])
    """
    margins = _augmented_margins(scores, labels)
    # Of several largest margins, the gradient goes to the first alone.
    return _pick(margins, margins.argmax(dim=1))


def smoothed_hinge(scores: Tensor, labels: Tensor) -> Tensor:
    """The hinge loss with weights ``xi = softmax(s)`` in place of the largest margin alone.

    Where that sum is negative, the hard loss takes its place. The function is linear in the scores
    with weights that are frozen at each point, so its gradient is not that of the formula with
    ``xi`` differentiated.

    Args:
        scores: floats of shape ``(batch, classes)``.
        labels: int64 of shape ``(batch,)``.

    Returns:
        Losses of shape ``(batch,)``.

    Source: Berrada, Zisserman and Kumar, "Deep Frank-Wolfe for neural network optimization",
    ICLR 2019.

    Example:
        >>> smoothed_hinge(torch.tensor([[-1.0, 3.0, 1.0]]), torch.tensor([2]))
        tensor([2.5846])
    """
    margins = _augmented_margins(scores, labels)
    smooth = (scores.detach().softmax(dim=1) * margins).sum(dim=1)
    return torch.where(smooth >= 0, smooth, _pick(margins, margins.argmax(dim=1)))


class MultiClassHinge(Loss):
    """The multi-class hinge loss in PyTorch's form.

    Args:
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        smooth: `smoothed_hinge` in training mode; in evaluation mode the loss is always hard.

    Example:
        >>> MultiClassHinge()(torch.tensor([[0.2, 0.1, 0.0]]), torch.tensor([1]))
        tensor(1.1000)
    """

    def __init__(self, reduction: str = "mean", smooth: bool = False) -> None:
        super().__init__(reduction)
        self.smooth = smooth

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The loss of scores ``(batch, classes)`` for labels ``(batch,)``."""
        losses_of = smoothed_hinge if self.smooth and self.training else hard_hinge
        return reduce_losses(losses_of(scores, labels), self.reduction)


def _augmented_margins(scores: Tensor, labels: Tensor) -> Tensor:
    others = torch.ones_like(scores).scatter(1, labels.unsqueeze(1), 0.0)
    return scores + others - _pick(scores, labels).unsqueeze(1)


def _pick(values: Tensor, columns: Tensor) -> Tensor:
    return values.gather(1, columns.unsqueeze(1)).squeeze(1)
