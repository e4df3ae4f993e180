"""What the problems on colour images have in common: augmentation, networks, L2 terms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import nn

from alig_deepobs.testproblems.base import Phase
from alig_deepobs.testproblems.datasets.augment import Augmentation, Draws, standardize
from alig_deepobs.testproblems.datasets.base import Batch
from alig_deepobs.testproblems.datasets.twins import TWIN_SIZES
from alig_deepobs.testproblems.families import Classification
from alig_deepobs.testproblems.models.allcnnc import allcnnc
from alig_deepobs.testproblems.models.net_3c3d import net_3c3d
from alig_deepobs.testproblems.models.vgg import vgg
from alig_deepobs.testproblems.models.wrn import wide_resnet

LARGE_TWIN = (128, 128)
HUGE_TWIN = (16, 8)


class ColourImages(Classification):
    """Images ``(batch_size, 3, side, side)``, augmented for training, with an L2 term.

    Training images are changed at random, anew in each epoch; all are standardized one by one.
    The changes depend on the seed, the set and the epoch alone.

    Args:
        batch_size: examples in a mini-batch.
        weight_decay: L2 factor; None for the problem's default.
        augmented_train_eval: whether training images are augmented, too, when they are evaluated,
            as DeepOBS does it, or prepared like test images.
        settings: the other arguments of `TestProblem`.
    """

    augmentation: ClassVar[Augmentation]
    classes: ClassVar[int]
    twin_sizes: ClassVar[tuple[int, int]] = TWIN_SIZES

    def __init__(
        self,
        batch_size: int,
        weight_decay: float | None = None,
        *,
        augmented_train_eval: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(batch_size, weight_decay, **settings)
        self.augmented_train_eval = augmented_train_eval

    def augmentation_draws(self, phase: Phase, number: int) -> Draws:
        """The random numbers of a training epoch or of an evaluation on training data.

        They are drawn on the CPU, so that they are the same on every device.

        Returns:
            Tensors of shape ``(steps, batch_size)`` on the problem's device. An incomplete
            mini-batch has a full row, too.
        """
        size = self.data.size("train")
        if phase == "train_eval" and self.data.train_eval_size is not None:
            size = min(size, self.data.train_eval_size)
        generator = self._generator("augment", phase, number)
        steps, rest = divmod(size, self.batch_size)
        shape = (steps + (rest > 0 and not self.drops_incomplete), self.batch_size)
        return self.augmentation.draw(shape, generator).to(self.device)

    def batches(self, phase: Phase, number: int = 0) -> Iterator[Batch]:
        """The mini-batches of a pass, augmented or only standardized."""
        plain = super().batches(phase, number)
        if phase == "train" or (phase == "train_eval" and self.augmented_train_eval):
            return self._augmented(plain, self.augmentation_draws(phase, number))
        return (self.prepare(batch) for batch in plain)

    def prepare(self, batch: Batch) -> Batch:
        """A mini-batch as it is evaluated."""
        return standardize(batch[0]), batch[1]

    def _augmented(self, plain: Iterator[Batch], draws: Draws) -> Iterator[Batch]:
        for step, (images, labels) in enumerate(plain):
            yield self.augmentation.apply(images, draws[step][: len(images)]), labels


class ThreeConvThreeDense(ColourImages):
    """DeepOBS's "3c3d": three convolutions and three dense layers on 32 x 32 pixels."""

    default_weight_decay = 0.002

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return net_3c3d(self.classes, generator)


class AllConvolutional(ColourImages):
    """All-CNN-C: nine convolutions on 32 x 32 pixels."""

    default_weight_decay = 5e-4

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return allcnnc(self.classes, generator)


class WideResNet(ColourImages):
    """Wide residual networks on 32 x 32 pixels."""

    default_weight_decay = 5e-4
    twin_sizes = LARGE_TWIN
    units: ClassVar[int]
    widening: ClassVar[int] = 4

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return wide_resnet(self.units, self.widening, self.classes, generator)


class OnlyConvolutionsRegularized(ColourImages):
    """Networks whose L2 term has the kernels of convolutions, but not those of dense layers."""

    default_weight_decay = 5e-4
    twin_sizes = HUGE_TWIN

    def is_regularized(self, parameter: nn.Parameter) -> bool:
        """Whether the parameter is the kernel of a convolution."""
        return parameter.ndim == 4


class VGG(OnlyConvolutionsRegularized):
    """VGG networks on images that are resized to 224 x 224 pixels."""

    variant: ClassVar[int]

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return vgg(self.variant, self.classes, generator)
