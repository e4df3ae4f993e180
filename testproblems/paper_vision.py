"""The image problems of the ALI-G paper: SVHN, CIFAR-10, CIFAR-100 and ImageNet.

Berrada, Zisserman, Kumar: Training neural networks for and by interpolation, ICML 2020; details
that the paper leaves open are those of its authors' code.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from alig_deepobs.errors import UsageError
from alig_deepobs.testproblems.datasets.augment import Augmentation
from alig_deepobs.testproblems.datasets.base import Batch, DataSet
from alig_deepobs.testproblems.datasets.cifar import TRAIN_SIZE as CIFAR_TRAIN_SIZE
from alig_deepobs.testproblems.datasets.cifar import cifar10, cifar100
from alig_deepobs.testproblems.datasets.imagenet import imagenet_paper
from alig_deepobs.testproblems.datasets.paper_split import paper_held_out
from alig_deepobs.testproblems.datasets.svhn import svhn_extra
from alig_deepobs.testproblems.families import HUGE_TWIN, LARGE_TWIN
from alig_deepobs.testproblems.models.densenet import densenet
from alig_deepobs.testproblems.models.resnet import resnet18
from alig_deepobs.testproblems.models.wrn_alig import wide_resnet_alig
from alig_deepobs.testproblems.paper_images import (
    CIFAR_NORMALIZATION,
    CLASSIFICATION_LOSSES,
    IMAGENET_NORMALIZATION,
    PaperImages,
    PlainPaperImages,
)
from alig_deepobs.testproblems.top5 import ExactTop5, K, TruncatedTop5, top_k_correct

CIFAR_VALID_SIZE = 5_000
DEEP_TWIN = (64, 32)
"""Training and test images of the twins of the deepest networks, which take long on a CPU."""


class svhn_wrn164_alig(PlainPaperImages):
    """The wide residual network WRN-16-4 on SVHN with its extra images.

    Network: a 3 x 3 convolution with 16 filters, three groups of 2 residual blocks with 64, 128
        and 256 filters, dropout 0.4 within the blocks, the mean over all pixels, a dense layer;
        kernels of convolutions start normal with variance 2 / fan_out (2,748,890 parameters).
    Loss: cross entropy; ``loss`` may be ``"hinge"`` (what the paper trains DFW on) or
        ``"smooth_hinge"``.
    Data: photographs of digits of 32 x 32 pixels with values from 0 to 1: 598,388 for training
        (67,257 of SVHN's training set and 531,131 extra ones), 6,000 for validation, 26,032 for
        testing. No augmentation, no normalization.
    Defaults: batch size 128, 160 epochs.
    Interpolation: not known; dropout works against it.
    Source: the ALI-G paper, section on SVHN.
    """

    classes = 10
    default_weight_decay = 5e-4
    twin_sizes = LARGE_TWIN
    source = svhn_extra

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return wide_resnet_alig(16, 4, self.classes, generator, dropout=0.4)


class _Cifar(PaperImages):
    """Problems on CIFAR-10 and CIFAR-100.

    Data: photographs of 32 x 32 pixels in 10 or 100 classes, 45,000 for training, 5,000 for
        validation and 10,000 for testing, normalized by channel (by the same constants);
        training images (pad 4, random crop, flip) are augmented.
    Interpolation: yes, to all but the noise of the augmentation, without the L2 term.
    Source: the ALI-G paper, section on CIFAR.
    """

    augmentation = Augmentation(
        side=32, pad=4, spare=8, colours=False, finish=CIFAR_NORMALIZATION
    )  # fmt: skip
    twin_sizes = DEEP_TWIN

    def load_data(self) -> DataSet:
        """Loads the images, with the paper's validation set."""
        data = (cifar10 if self.classes == 10 else cifar100)(**self.data_options)
        held_out = paper_held_out(data.size("train"), CIFAR_VALID_SIZE, CIFAR_TRAIN_SIZE)
        return replace(data, scale=255.0, held_out=held_out)


class _CifarWideResNet(_Cifar):
    """Wide residual networks.

    Network: a 3 x 3 convolution with 16 filters, three groups of 6 residual blocks with 64, 128
        and 256 filters, the mean over all pixels, a dense layer; kernels of convolutions start
        normal with variance 2 / fan_out.
    """

    default_weight_decay = 5e-4

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return wide_resnet_alig(40, 4, self.classes, generator)


class _CifarDenseNet(_Cifar):
    """Densely connected networks.

    Network: a 3 x 3 convolution with 80 filters, three blocks of 6 bottleneck layers, each of
        which adds 40 channels, halved between the blocks, the mean over all pixels, a dense layer
        without bias; kernels of convolutions start normal with variance 2 / fan_out.
    Regularizer: L2 on all weights with factor ``weight_decay``, by default 1e-4.
    """

    default_weight_decay = 1e-4

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return densenet(40, 40, self.classes, generator)


class cifar10_wrn404_alig(_CifarWideResNet):
    """The wide residual network WRN-40-4 on CIFAR-10.

    Parameters: 8,949,210.
    Defaults: batch size 256, 200 epochs.
    """

    classes = 10


class cifar100_wrn404_alig(_CifarWideResNet):
    """The wide residual network WRN-40-4 on CIFAR-100.

    Parameters: 8,972,340.
    Defaults: batch size 128, 200 epochs.
    """

    classes = 100


class cifar10_densenet4040_alig(_CifarDenseNet):
    """A densely connected network with bottlenecks, depth 40 and growth 40, on CIFAR-10.

    Parameters: 1,901,920.
    Defaults: batch size 64, 300 epochs.
    """

    classes = 10


class cifar100_densenet4040_alig(_CifarDenseNet):
    """A densely connected network with bottlenecks, depth 40 and growth 40, on CIFAR-100.

    Parameters: 1,941,520.
    Defaults: batch size 256, 300 epochs.
    """

    classes = 100


class imagenet_resnet18_alig(PlainPaperImages):
    """ResNet-18 on ImageNet with a truncated top-5 loss; its accuracy is the top-5 accuracy.

    Network: a 7 x 7 convolution with 64 filters and max pooling, four groups of 2 residual blocks
        with 64 to 512 filters, the mean over all pixels, a dense layer; torchvision's architecture
        and initial distributions (11,689,512 parameters).
    Loss: the top-5 cross entropy that leaves out the five highest scores, as in the authors' code
        (``"truncated_top5"``); ``loss`` may be ``"exact_top5"`` (that of Lapin et al., which the
        paper names) or ``"cross_entropy"``.
    Regularizer: L2 on all weights with factor ``weight_decay``, by default 1e-4.
    Data: photographs in 1,000 classes, the shorter side 224 pixels, of which the middle 224 x 224
        is taken, normalized by channel, no augmentation: 1,231,167 for training, 50,000 of the
        training set for validation, and ImageNet's 50,000 validation images for testing.
    Defaults: batch size 1024, 90 epochs.
    Interpolation: yes; the paper reaches a top-5 accuracy of 99 % on training images.
    Source: the ALI-G paper, section on ImageNet.

    Args:
        batch_size: examples in a mini-batch.
        weight_decay: L2 factor; None for the problem's default.
        accuracy_k: an image counts as right if its class has one of so many highest scores.
        settings: the other arguments of `PaperImages`.
    """

    classes = 1000
    source = imagenet_paper
    default_weight_decay = 1e-4
    twin_sizes = HUGE_TWIN
    normalization = IMAGENET_NORMALIZATION
    default_loss = "truncated_top5"
    losses: ClassVar = {
        "truncated_top5": TruncatedTop5,
        "exact_top5": ExactTop5,
        "cross_entropy": CLASSIFICATION_LOSSES["cross_entropy"],
    }

    def __init__(
        self,
        batch_size: int,
        weight_decay: float | None = None,
        *,
        accuracy_k: int = K,
        **settings: Any,
    ) -> None:
        super().__init__(batch_size, weight_decay, **settings)
        if not 1 <= accuracy_k <= self.classes:
            raise UsageError(
                f"{type(self).__name__}: accuracy_k must be from 1 to {self.classes}, "
                f"not {accuracy_k}"
            )
        self.accuracy_k = accuracy_k

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return resnet18(self.classes, generator)

    def correct_of(self, outputs: Any, batch: Batch) -> Tensor | None:
        """Whether the class of each image is among the ``accuracy_k`` best guesses."""
        return top_k_correct(outputs, batch[1], self.accuracy_k)
