"""Problems on ImageNet."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.base import TestProblem
from alig_deepobs.testproblems.datasets.augment import Augmentation, centre_crop, standardize
from alig_deepobs.testproblems.datasets.base import Batch, DataSet
from alig_deepobs.testproblems.datasets.imagenet import imagenet
from alig_deepobs.testproblems.image_families import (
    HUGE_TWIN,
    VGG,
    ColourImages,
    OnlyConvolutionsRegularized,
)
from alig_deepobs.testproblems.losses import InceptionLoss
from alig_deepobs.testproblems.models.inception import inception_v3


class _ImageNet(ColourImages):
    classes = 1001  # with the class "background", which has no images
    augmentation = Augmentation(side=224, pad=0, spare=32, colours=False)
    twin_sizes = HUGE_TWIN

    def load_data(self) -> DataSet:
        """Finds the images."""
        return imagenet(
            synthetic=self.synthetic,
            data_dir=self.data_dir,
            offline=self.offline,
            twin_sizes=self.twin_sizes,
        )

    def prepare(self, batch: Batch) -> Batch:
        """A mini-batch as it is evaluated."""
        return standardize(centre_crop(batch[0], self.augmentation.side)), batch[1]


class imagenet_vgg16(_ImageNet, VGG):
    """VGG 16 on ImageNet.

    Network: 13 convolutions 3 x 3 (64 to 512 filters) with
        ReLU in five blocks, each with max pooling, dense layers 4096-4096 with dropout 0.5, and the
        output; Glorot's normal start for convolutions, his uniform one for dense layers, zero
        biases (138,361,641 parameters).
    Loss: cross entropy.
    Regularizer: L2 on the convolutions' kernels with factor ``weight_decay``, by default 5e-4.
    Data: photographs in 1,001 classes, 1,281,167 for training and 50,000 for testing, the shorter
        side 256 pixels; the middle 224 x 224, or a random crop and flip for training (in
        evaluations too unless ``augmented_train_eval`` is False), standardized.
    Defaults: batch size 128, 100 epochs (ours; DeepOBS has none).
    Interpolation: not known; L2 term and dropout work against it.
    Source: DeepOBS 1.1.2.
    """

    variant = 16


class imagenet_vgg19(_ImageNet, VGG):
    """VGG 19 on ImageNet.

    Network: 16 convolutions 3 x 3 (64 to 512 filters) with
        ReLU in five blocks, each with max pooling, dense layers 4096-4096 with dropout 0.5, and the
        output; Glorot's normal start for convolutions, his uniform one for dense layers, zero
        biases (143,671,337 parameters).
    Loss: cross entropy.
    Regularizer: L2 on the convolutions' kernels with factor ``weight_decay``, by default 5e-4.
    Data: photographs in 1,001 classes, 1,281,167 for training and 50,000 for testing, the shorter
        side 256 pixels; the middle 224 x 224, or a random crop and flip for training (in
        evaluations too unless ``augmented_train_eval`` is False), standardized.
    Defaults: batch size 128, 100 epochs (ours; DeepOBS has none).
    Interpolation: not known; L2 term and dropout work against it.
    Source: DeepOBS 1.1.2.
    """

    variant = 19


class imagenet_inception_v3(_ImageNet, OnlyConvolutionsRegularized):
    """Inception v3 on ImageNet.

    Network: images resized to 299 x 299 pixels, Inception v3 with an auxiliary head, batch
        normalization (0.9997 of the running values is kept), dropout 0.8 before the output;
        Glorot's uniform start, zero biases (27,164,082 parameters).
    Loss: cross entropy with labels smoothed by 0.1; in training 0.4 times that of the auxiliary
        head is added.
    Regularizer: L2 on the convolutions' kernels with factor ``weight_decay``, by default 5e-4.
    Data: photographs in 1,001 classes, 1,281,167 for training and 50,000 for testing, the shorter
        side 256 pixels; the middle 224 x 224, or a random crop and flip for training (in
        evaluations too unless ``augmented_train_eval`` is False), standardized.
    Defaults: batch size 32, 100 epochs (the architecture's paper; DeepOBS has none).
    Interpolation: no; with smoothed labels the loss has a positive minimum.
    Source: DeepOBS 1.1.2.
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
