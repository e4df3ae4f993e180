"""Problems on SVHN."""

from __future__ import annotations

from alig_deepobs.testproblems.datasets.augment import Augmentation
from alig_deepobs.testproblems.datasets.base import DataSet
from alig_deepobs.testproblems.datasets.svhn import svhn
from alig_deepobs.testproblems.image_families import (
    ColourImages,
    ThreeConvThreeDense,
    WideResNet,
)


class _Svhn(ColourImages):
    classes = 10
    augmentation = Augmentation(side=32, pad=2, spare=4, flip=False)

    def load_data(self) -> DataSet:
        """Loads the images."""
        return svhn(
            synthetic=self.synthetic,
            data_dir=self.data_dir,
            offline=self.offline,
            twin_sizes=self.twin_sizes,
        )


class svhn_3c3d(_Svhn, ThreeConvThreeDense):
    """A convolutional network on SVHN.

    Network: convolutions 5 x 5 (64 filters), 3 x 3 (96), 3 x 3 (128), each with ReLU and 3 x 3 max
        pooling of stride 2, dense layers 512-256-10; Glorot's normal start for convolutions, his
        uniform one for dense layers, zero biases (895,210 parameters).
    Loss: cross entropy.
    Regularizer: L2 on all kernels with factor ``weight_decay``, by default 0.002.
    Data: photographs of digits of 32 x 32 pixels, 64,000 for training and 26,032 for testing, each
        standardized; training images (pad 2, random crop, brightness, saturation, contrast) are
        augmented, in evaluations too unless ``augmented_train_eval`` is False.
    Defaults: batch size 128, 100 epochs (those of the same network on CIFAR-10).
    Interpolation: no; L2 term and augmentation keep the training loss up.
    Source: DeepOBS 1.1.2.
    """


class svhn_wrn164(_Svhn, WideResNet):
    """The wide residual network WRN-16-4 on SVHN.

    Network: a 3 x 3 convolution with 16 filters, three groups of 2 residual units with 64, 128
        and 256 filters, batch normalization (0.9 of the running values is kept), the mean over all
        pixels, a dense layer; Glorot's uniform start (2,748,890 parameters).
    Loss: cross entropy.
    Regularizer: L2 on all kernels with factor ``weight_decay``, by default 5e-4.
    Data: photographs of digits of 32 x 32 pixels, 64,000 for training and 26,032 for testing, each
        standardized; training images (pad 2, random crop, brightness, saturation, contrast) are
        augmented, in evaluations too unless ``augmented_train_eval`` is False.
    Defaults: batch size 128, 160 epochs.
    Interpolation: not known; L2 term and augmentation work against it.
    Source: DeepOBS 1.1.2.
    """

    units = 2
