"""Problems on CIFAR-10."""

from __future__ import annotations

from alig_deepobs.testproblems.datasets.augment import Augmentation
from alig_deepobs.testproblems.datasets.base import DataSet
from alig_deepobs.testproblems.datasets.cifar import cifar10
from alig_deepobs.testproblems.image_families import (
    VGG,
    ColourImages,
    ThreeConvThreeDense,
)


class _Cifar10(ColourImages):
    classes = 10
    augmentation = Augmentation(side=32, pad=2, spare=4)

    def load_data(self) -> DataSet:
        """Loads the images."""
        return cifar10(
            synthetic=self.synthetic,
            data_dir=self.data_dir,
            offline=self.offline,
            twin_sizes=self.twin_sizes,
        )


class cifar10_3c3d(_Cifar10, ThreeConvThreeDense):
    """A convolutional network on CIFAR-10.

    Network: convolutions 5 x 5 (64 filters), 3 x 3 (96), 3 x 3 (128), each with ReLU and 3 x 3 max
        pooling of stride 2, dense layers 512-256-10; Glorot's normal start for convolutions, his
        uniform one for dense layers, zero biases (895,210 parameters).
    Loss: cross entropy.
    Regularizer: L2 on all kernels with factor ``weight_decay``, by default 0.002.
    Data: pictures of 32 x 32 pixels in 10 classes, 50,000 for training and 10,000 for testing,
        each standardized; training images (pad 2, random crop, flip, brightness, saturation,
        contrast) are augmented, in evaluations too unless ``augmented_train_eval`` is False.
    Defaults: batch size 128, 100 epochs.
    Interpolation: no; L2 term and augmentation keep the training loss up.
    Source: DeepOBS 1.1.2.
    """


class cifar10_vgg16(_Cifar10, VGG):
    """VGG 16 on CIFAR-10.

    Network: images resized to 224 x 224 pixels, 13 convolutions 3 x 3 (64 to 512 filters) with
        ReLU in five blocks, each with max pooling, dense layers 4096-4096 with dropout 0.5, and the
        output; Glorot's normal start for convolutions, his uniform one for dense layers, zero
        biases (134,301,514 parameters).
    Loss: cross entropy.
    Regularizer: L2 on the convolutions' kernels with factor ``weight_decay``, by default 5e-4.
    Data: pictures of 32 x 32 pixels in 10 classes, 50,000 for training and 10,000 for testing,
        each standardized; training images (pad 2, random crop, flip, brightness, saturation,
        contrast) are augmented, in evaluations too unless ``augmented_train_eval`` is False.
    Defaults: batch size 128, 100 epochs (ours; DeepOBS has none).
    Interpolation: not known; L2 term, dropout and augmentation work against it.
    Source: DeepOBS 1.1.2.
    """

    variant = 16


class cifar10_vgg19(_Cifar10, VGG):
    """VGG 19 on CIFAR-10.

    Network: images resized to 224 x 224 pixels, 16 convolutions 3 x 3 (64 to 512 filters) with
        ReLU in five blocks, each with max pooling, dense layers 4096-4096 with dropout 0.5, and the
        output; Glorot's normal start for convolutions, his uniform one for dense layers, zero
        biases (139,611,210 parameters).
    Loss: cross entropy.
    Regularizer: L2 on the convolutions' kernels with factor ``weight_decay``, by default 5e-4.
    Data: pictures of 32 x 32 pixels in 10 classes, 50,000 for training and 10,000 for testing,
        each standardized; training images (pad 2, random crop, flip, brightness, saturation,
        contrast) are augmented, in evaluations too unless ``augmented_train_eval`` is False.
    Defaults: batch size 128, 100 epochs (ours; DeepOBS has none).
    Interpolation: not known; L2 term, dropout and augmentation work against it.
    Source: DeepOBS 1.1.2.
    """

    variant = 19
