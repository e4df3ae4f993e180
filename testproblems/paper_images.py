"""What the image problems of the ALI-G paper have in common: its protocol and its losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn

from alig_deepobs.errors import UsageError
from alig_deepobs.testproblems.base import Phase, TestProblem
from alig_deepobs.testproblems.datasets.augment import Normalization
from alig_deepobs.testproblems.datasets.base import Batch
from alig_deepobs.testproblems.families import ColourImages
from alig_deepobs.testproblems.hinge import MultiClassHinge

CIFAR_NORMALIZATION = Normalization(
    (125.3 / 255, 123.0 / 255, 113.9 / 255), (63.0 / 255, 62.1 / 255, 66.7 / 255)
)
"""The paper's constants, those of CIFAR-10, for CIFAR-100 as well."""

IMAGENET_NORMALIZATION = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

CLASSIFICATION_LOSSES: Mapping[str, Callable[..., nn.Module]] = {
    "cross_entropy": nn.CrossEntropyLoss,
    "hinge": MultiClassHinge,
    "smooth_hinge": partial(MultiClassHinge, smooth=True),
}


class PaperImages(ColourImages):
    """Images in classes, trained as in the ALI-G paper.

    Unlike DeepOBS's problems, these hold out the paper's validation set, draw a new batch order
    in every epoch, keep the last, smaller mini-batch, and have an L2 term on *all* weights (which
    is what an optimizer's weight decay is). All of it can be changed. Images of the training set
    are not augmented when they are evaluated.

    Loss: cross entropy; ``loss`` may be ``"smooth_hinge"`` (what the paper trains DFW on) or
        ``"hinge"``.
    Regularizer: L2 on all weights with factor ``weight_decay``, by default 5e-4.

    Args:
        batch_size: examples in a mini-batch.
        weight_decay: L2 factor; None for the problem's default.
        loss: a name in ``losses``. The smoothed hinge loss is only trained on; evaluated is the
            hard one.
        settings: the other arguments of `ColourImages` and `TestProblem`.

    Raises:
        UsageError: an argument does not make sense.
    """

    default_split = "validation"
    drops_incomplete = False
    reshuffles = True
    losses: ClassVar[Mapping[str, Callable[..., nn.Module]]] = CLASSIFICATION_LOSSES
    default_loss: ClassVar[str] = "cross_entropy"

    def __init__(
        self,
        batch_size: int,
        weight_decay: float | None = None,
        *,
        loss: str | None = None,
        augmented_train_eval: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(
            batch_size, weight_decay, augmented_train_eval=augmented_train_eval, **settings
        )
        self.loss = self.default_loss if loss is None else loss
        if self.loss not in self.losses:
            raise UsageError(
                f"{type(self).__name__}: loss must be {' or '.join(self.losses)}, not {loss!r}"
            )
        # DeepOBS's attribute; with several losses to choose from it is one of the object.
        self.loss_function = self.losses[self.loss]  # type: ignore[misc, assignment]

    def losses_of(self, outputs: Any, batch: Batch) -> Tensor:
        """The loss of each image, shape ``(batch_size,)``."""
        return self._reduced_loss(outputs, batch, "none")

    def is_regularized(self, parameter: nn.Parameter) -> bool:
        """Every parameter has the L2 term, biases and scales too."""
        return True

    def prepare(self, batch: Batch) -> Batch:
        """A mini-batch as it is evaluated."""
        finish = self.augmentation.finish
        assert finish is not None
        return finish(batch[0]), batch[1]

    def _reduced_loss(self, outputs: Any, batch: Batch, reduction: str) -> Tensor:
        criterion = self.losses[self.loss](reduction=reduction).train(self.net.training)
        loss: Tensor = criterion(outputs, batch[1])
        return loss


class PlainPaperImages(PaperImages):
    """The same without augmentation."""

    normalization: ClassVar[Normalization | None] = None

    def batches(self, phase: Phase, number: int = 0) -> Iterator[Batch]:
        """The mini-batches of a pass."""
        return map(self.prepare, TestProblem.batches(self, phase, number))

    def prepare(self, batch: Batch) -> Batch:
        """A mini-batch as it is trained on and evaluated."""
        if self.normalization is None:
            return batch
        return self.normalization(batch[0]), batch[1]
