"""Problems on CIFAR-100."""

from __future__ import annotations

from alig_deepobs.testproblems.datasets.augment import Augmentation
from alig_deepobs.testproblems.datasets.base import DataSet
from alig_deepobs.testproblems.datasets.cifar import cifar100
from alig_deepobs.testproblems.image_families import (
    VGG,
    AllConvolutional,
    ColourImages,
    ThreeConvThreeDense,
    WideResNet,
)


class _Cifar100(ColourImages):
    classes = 100
    augmentation = Augmentation(side=32, pad=2, spare=4)

    def load_data(self) -> DataSet:
        """Loads the images."""
        return cifar100(
            synthetic=self.synthetic,
            data_dir=self.data_dir,
            offline=self.offline,
            twin_sizes=self.twin_sizes,
        )


class cifar100_3c3d(_Cifar100, ThreeConvThreeDense):
    """A convolutional network on CIFAR-100.

    Network: convolutions 5 x 5 (64 filters), 3 x 3 (96), 3 x 3 (128), each with ReLU and 3 x 3 max
        pooling of stride 2, dense layers 512-256-100; Glorot's normal start for convolutions, his
        uniform one for dense layers, zero biases (918,340 parameters).
    Loss: cross entropy.
    Regularizer: L2 on all kernels with factor ``weight_decay``, by default 0.002.
    Data: pictures of 32 x 32 pixels in 100 classes, 50,000 for training and 10,000 for testing,
        each standardized; training images (pad 2, random crop, flip, brightness, saturation,
        contrast) are augmented, in evaluations too unless ``augmented_train_eval`` is False.
    Defaults: batch size 128, 100 epochs (ours; DeepOBS has none).
    Interpolation: no; L2 term and augmentation keep the training loss up.
    Source: DeepOBS 1.1.2.
    """


class cifar100_vgg16(_Cifar100, VGG):
    """VGG 16 on CIFAR-100.

    Network: images resized to 224 x 224 pixels, 13 convolutions 3 x 3 (64 to 512 filters) with
        ReLU in five blocks, each with max pooling, dense layers 4096-4096 with dropout 0.5, and the
        output; Glorot's normal start for convolutions, his uniform one for dense layers, zero
        biases (134,670,244 parameters).
    Loss: cross entropy.
    Regularizer: L2 on the convolutions' kernels with factor ``weight_decay``, by default 5e-4.
    Data: pictures of 32 x 32 pixels in 100 classes, 50,000 for training and 10,000 for testing,
        each standardized; training images (pad 2, random crop, flip, brightness, saturation,
        contrast) are augmented, in evaluations too unless ``augmented_train_eval`` is False.
    Defaults: batch size 128, 100 epochs (ours; DeepOBS has none).
    Interpolation: not known; L2 term, dropout and augmentation work against it.
    Source: DeepOBS 1.1.2.
    """

    variant = 16


class cifar100_vgg19(_Cifar100, VGG):
    """VGG 19 on CIFAR-100.

    Network: images resized to 224 x 224 pixels, 16 convolutions 3 x 3 (64 to 512 filters) with
        ReLU in five blocks, each with max pooling, dense layers 4096-4096 with dropout 0.5, and the
        output; Glorot's normal start for convolutions, his uniform one for dense layers, zero
        biases (139,979,940 parameters).
    Loss: cross entropy.
    Regularizer: L2 on the convolutions' kernels with factor ``weight_decay``, by default 5e-4.
    Data: pictures of 32 x 32 pixels in 100 classes, 50,000 for training and 10,000 for testing,
        each standardized; training images (pad 2, random crop, flip, brightness, saturation,
        contrast) are augmented, in evaluations too unless ``augmented_train_eval`` is False.
    Defaults: batch size 128, 100 epochs (ours; DeepOBS has none).
    Interpolation: not known; L2 term, dropout and augmentation work against it.
    Source: DeepOBS 1.1.2.
    """

    variant = 19


class cifar100_allcnnc(_Cifar100, AllConvolutional):
    """The all convolutional network All-CNN-C on CIFAR-100.

    Network: dropout 0.2, three 3 x 3 convolutions with 96 filters, dropout 0.5, three with 192,
        dropout 0.5, one with 192 and no padding, 1 x 1 convolutions with 192 and 100, ReLU after
        each (the third and the sixth have stride 2), the mean over all pixels; Glorot's normal
        start, biases 0.1 (1,387,108 parameters).
    Loss: cross entropy.
    Regularizer: L2 on all kernels with factor ``weight_decay``, by default 5e-4.
    Data: pictures of 32 x 32 pixels in 100 classes, 50,000 for training and 10,000 for testing,
        each standardized; training images (pad 2, random crop, flip, brightness, saturation,
        contrast) are augmented, in evaluations too unless ``augmented_train_eval`` is False.
    Defaults: batch size 256, 350 epochs.
    Interpolation: no; L2 term, dropout and augmentation keep the training loss up.
    Source: DeepOBS 1.1.2.
    """


class cifar100_wrn404(_Cifar100, WideResNet):
    """The wide residual network WRN-40-4 on CIFAR-100.

    Network: a 3 x 3 convolution with 16 filters, three groups of 6 residual units with 64, 128
        and 256 filters, batch normalization (0.9 of the running values is kept), the mean over all
        pixels, a dense layer; Glorot's uniform start (8,972,340 parameters).
    Loss: cross entropy.
    Regularizer: L2 on all kernels with factor ``weight_decay``, by default 5e-4.
    Data: pictures of 32 x 32 pixels in 100 classes, 50,000 for training and 10,000 for testing,
        each standardized; training images (pad 2, random crop, flip, brightness, saturation,
        contrast) are augmented, in evaluations too unless ``augmented_train_eval`` is False.
    Defaults: batch size 128, 200 epochs (the architecture's paper; DeepOBS has none).
    Interpolation: not known; L2 term and augmentation work against it.
    Source: DeepOBS 1.1.2.
    """

    units = 6
