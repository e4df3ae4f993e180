"""Problems on Fashion-MNIST."""

from __future__ import annotations

from alig_deepobs.testproblems.base import TestProblem
from alig_deepobs.testproblems.datasets.base import DataSet
from alig_deepobs.testproblems.datasets.fmnist import fmnist
from alig_deepobs.testproblems.families import (
    AutoEncoder,
    ConvNet,
    LogisticRegression,
    Perceptron,
)


class _Fmnist(TestProblem):
    def load_data(self) -> DataSet:
        """Loads the images."""
        return fmnist(synthetic=self.synthetic, data_dir=self.data_dir, offline=self.offline)


class fmnist_logreg(_Fmnist, LogisticRegression):
    """Logistic regression on Fashion-MNIST.

    Network: one dense layer, 784-10, started at zero (7,850 parameters).
    Loss: cross entropy; at the start ln 10 = 2.302585.
    Regularizer: none.
    Data: pieces of clothing of 28 x 28 pixels, 60,000 for training and 10,000 for testing.
    Defaults: batch size 128, 50 epochs.
    Interpolation: no.
    Source: DeepOBS 1.1.2.
    """


class fmnist_mlp(_Fmnist, Perceptron):
    """A multi-layer perceptron on Fashion-MNIST.

    Network: dense layers 784-1000-500-100-10 with ReLU; kernels from a truncated normal
        distribution with standard deviation 0.03, zero biases (1,336,610 parameters).
    Loss: cross entropy.
    Regularizer: none.
    Data: pieces of clothing of 28 x 28 pixels, 60,000 for training and 10,000 for testing.
    Defaults: batch size 128, 100 epochs.
    Interpolation: yes.
    Source: DeepOBS 1.1.2, which reads the files of MNIST here by mistake; this problem really
        reads Fashion-MNIST.
    """


class fmnist_2c2d(_Fmnist, ConvNet):
    """A convolutional network on Fashion-MNIST.

    Network: two 5 x 5 convolutions with 32 and 64 filters, each with ReLU and max pooling, dense
        layers 1024-10; kernels from a truncated normal distribution with standard deviation
        0.05, biases 0.05 (3,274,634 parameters).
    Loss: cross entropy.
    Regularizer: none.
    Data: pieces of clothing of 28 x 28 pixels, 60,000 for training and 10,000 for testing.
    Defaults: batch size 128, 100 epochs.
    Interpolation: yes.
    Source: DeepOBS 1.1.2.
    """


class fmnist_vae(_Fmnist, AutoEncoder):
    """A variational auto-encoder on Fashion-MNIST.

    Network: encoder of three 4 x 4 convolutions with 64 filters (strides 2, 2, 1), leaky ReLU
        and dropout 0.2; 8 latent dimensions; decoder of dense layers 24-49, three transposed 4 x 4
        convolutions with 64 filters (strides 2, 1, 1), and a dense layer to 784 pixels. Glorot's
        uniform start, zero biases (10,151,489 parameters).
    Loss: squared error of the pixels plus the Kullback-Leibler divergence of the code; there is
        no accuracy.
    Regularizer: none.
    Data: pieces of clothing of 28 x 28 pixels, 60,000 for training and 10,000 for testing.
    Defaults: batch size 64, 100 epochs.
    Interpolation: no; the lowest losses in DeepOBS's baselines are about 22.
    Source: DeepOBS 1.1.2.
    """
