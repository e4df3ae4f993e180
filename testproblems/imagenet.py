"""Problems on ImageNet."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.base import TestProblem
from alig_deepobs.testproblems.datasets.augment import Augmentation, centre_crop, standardize
from alig_deepobs.testproblems.datasets.base import Batch
from alig_deepobs.testproblems.datasets.imagenet import imagenet
from alig_deepobs.testproblems.families import (
    HUGE_TWIN,
    VGG,
    ColourImages,
    OnlyConvolutionsRegularized,
)
from alig_deepobs.testproblems.losses import InceptionLoss
from alig_deepobs.testproblems.models.inception import inception_v3


class _ImageNet(ColourImages):
    """Problems on ImageNet.

    Data: photographs in 1,001 classes, 1,281,167 for training and 50,000 for testing, the shorter
        side 256 pixels; the middle 224 x 224, or a random crop and flip for training (in
        evaluations too unless ``augmented_train_eval`` is False), standardized.
    Interpolation: not known; L2 term and dropout work against it.
    """

    classes = 1001  # with the class "background", which has no images
    augmentation = Augmentation(side=224, pad=0, spare=32, colours=False)
    twin_sizes = HUGE_TWIN
    source = imagenet

    def prepare(self, batch: Batch) -> Batch:
        """A mini-batch as it is evaluated."""
        return standardize(centre_crop(batch[0], self.augmentation.side)), batch[1]


class imagenet_vgg16(_ImageNet, VGG):
    """VGG 16 on ImageNet.

    Parameters: 138,361,641.
    """

    variant = 16


class imagenet_vgg19(_ImageNet, VGG):
    """VGG 19 on ImageNet.

    Parameters: 143,671,337.
    """

    variant = 19


class imagenet_inception_v3(_ImageNet, OnlyConvolutionsRegularized):
    """Inception v3 on ImageNet.

    Network: images resized to 299 x 299 pixels, Inception v3 with an auxiliary head, batch
        normalization (0.9997 of the running values is kept), dropout 0.8 before the output;
        Glorot's uniform start, zero biases.
    Parameters: 27,164,082.
    Loss: cross entropy with labels smoothed by 0.1; in training 0.4 times that of the auxiliary
        head is added.
    Defaults: batch size 32, 100 epochs (the architecture's paper; DeepOBS has none).
    Interpolation: no; with smoothed labels the loss has a positive minimum.
    """

    loss_function: ClassVar[type[nn.Module]] = InceptionLoss

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return inception_v3(self.classes, generator)

    def losses_of(self, outputs: Any, batch: Batch) -> Tensor:
        """The loss of each image, shape ``(batch_size,)``."""
        losses: Tensor = InceptionLoss("none").train(self.net.training)(outputs, batch[1])
        return losses

    def correct_of(self, outputs: Any, batch: Batch) -> Tensor | None:
        """Whether the main head is right, shape ``(batch_size,)``."""
        return TestProblem.correct_of(self, outputs[0], batch)
