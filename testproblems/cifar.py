"""Problems on CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from alig_deepobs.testproblems.datasets.augment import Augmentation
from alig_deepobs.testproblems.datasets.cifar import cifar10, cifar100
from alig_deepobs.testproblems.families import (
    VGG,
    AllConvolutional,
    ColourImages,
    ThreeConvThreeDense,
    WideResNet,
)


class _Cifar(ColourImages):
    """Problems on CIFAR.

    Data: pictures of 32 x 32 pixels in 10 classes (CIFAR-10) or 100 (CIFAR-100), 50,000 for
        training and 10,000 for testing, each standardized; training images (pad 2, random crop,
        flip, brightness, saturation, contrast) are augmented, in evaluations too unless
        ``augmented_train_eval`` is False.
    """

    augmentation = Augmentation(side=32, pad=2, spare=4)


class _Cifar10(_Cifar):
    classes = 10
    source = cifar10


class _Cifar100(_Cifar):
    classes = 100
    source = cifar100


class cifar10_3c3d(_Cifar10, ThreeConvThreeDense):
    """A convolutional network on CIFAR-10.

    Parameters: 895,210.
    Defaults: batch size 128, 100 epochs.
    """


class cifar10_vgg16(_Cifar10, VGG):
    """VGG 16 on CIFAR-10.

    Parameters: 134,301,514.
    """

    variant = 16


class cifar10_vgg19(_Cifar10, VGG):
    """VGG 19 on CIFAR-10.

    Parameters: 139,611,210.
    """

    variant = 19


class cifar100_3c3d(_Cifar100, ThreeConvThreeDense):
    """A convolutional network on CIFAR-100.

    Parameters: 918,340.
    Defaults: batch size 128, 100 epochs (ours; DeepOBS has none).
    """


class cifar100_vgg16(_Cifar100, VGG):
    """VGG 16 on CIFAR-100.

    Parameters: 134,670,244.
    """

    variant = 16


class cifar100_vgg19(_Cifar100, VGG):
    """VGG 19 on CIFAR-100.

    Parameters: 139,979,940.
    """

    variant = 19


class cifar100_allcnnc(_Cifar100, AllConvolutional):
    """The all convolutional network All-CNN-C on CIFAR-100.

    Parameters: 1,387,108.
    Defaults: batch size 256, 350 epochs.
    """


class cifar100_wrn164(_Cifar100, WideResNet):
    """The wide residual network WRN-16-4 on CIFAR-100, with 2 units in each group.

    Parameters: 2,772,020.
    Defaults: batch size 128, 200 epochs (those of WRN-40-4).
    Source: the published development branch of DeepOBS 1.2.
    """

    units = 2


class cifar100_wrn404(_Cifar100, WideResNet):
    """The wide residual network WRN-40-4 on CIFAR-100, with 6 units in each group.

    Parameters: 8,972,340.
    Defaults: batch size 128, 200 epochs (the architecture's paper; DeepOBS has none).
    """

    units = 6
