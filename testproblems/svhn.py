"""Problems on SVHN."""

from __future__ import annotations

from alig_deepobs.testproblems.datasets.augment import Augmentation
from alig_deepobs.testproblems.datasets.svhn import svhn
from alig_deepobs.testproblems.families import (
    ColourImages,
    ThreeConvThreeDense,
    WideResNet,
)


class _Svhn(ColourImages):
    """Problems on SVHN.

    Data: photographs of digits of 32 x 32 pixels, 64,000 for training and 26,032 for testing, each
        standardized; training images (pad 2, random crop, brightness, saturation, contrast) are
        augmented, in evaluations too unless ``augmented_train_eval`` is False.
    """

    classes = 10
    augmentation = Augmentation(side=32, pad=2, spare=4, flip=False)
    source = svhn


class svhn_3c3d(_Svhn, ThreeConvThreeDense):
    """A convolutional network on SVHN.

    Parameters: 895,210.
    Defaults: batch size 128, 100 epochs (those of the same network on CIFAR-10).
    """


class svhn_wrn164(_Svhn, WideResNet):
    """The wide residual network WRN-16-4 on SVHN, with 2 units in each group.

    Parameters: 2,748,890.
    Defaults: batch size 128, 160 epochs.
    """

    units = 2
