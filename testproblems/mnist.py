"""Problems on MNIST and on Fashion-MNIST."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.base import TestProblem
from alig_deepobs.testproblems.datasets.base import Batch
from alig_deepobs.testproblems.datasets.images import fmnist, mnist
from alig_deepobs.testproblems.families import Classification
from alig_deepobs.testproblems.losses import VAELoss
from alig_deepobs.testproblems.models.conv_nets import net_2c2d
from alig_deepobs.testproblems.models.mlp import deepobs_mlp, logreg
from alig_deepobs.testproblems.models.vae import VAE, vae


class _Mnist(TestProblem):
    """Problems on digits.

    Regularizer: none.
    Data: digits of 28 x 28 pixels, 60,000 for training and 10,000 for testing.
    Source: DeepOBS 1.1.2.
    """

    source = mnist


class _Fmnist(TestProblem):
    """Problems on clothing.

    Regularizer: none.
    Data: pieces of clothing of 28 x 28 pixels, 60,000 for training and 10,000 for testing.
    Source: DeepOBS 1.1.2.
    """

    source = fmnist


class _LogisticRegression(Classification):
    """Logistic regression.

    Network: one dense layer, 784-10, started at zero (7,850 parameters).
    Loss: cross entropy; at the start ln 10 = 2.302585.
    Defaults: batch size 128, 50 epochs.
    Interpolation: no.
    """

    side_by_side = "anywhere"

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network; it starts at zero, so nothing is drawn."""
        return logreg(28 * 28, 10)


class _Perceptron(Classification):
    """DeepOBS's multi-layer perceptron.

    Network: dense layers 784-1000-500-100-10 with ReLU; kernels from a truncated normal
        distribution with standard deviation 0.03, zero biases (1,336,610 parameters).
    Defaults: batch size 128, 100 epochs.
    Interpolation: yes.
    """

    side_by_side = "gpu"

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return deepobs_mlp(generator)


class _ConvNet(Classification):
    """DeepOBS's "2c2d".

    Network: two 5 x 5 convolutions with 32 and 64 filters, each with ReLU and max pooling, dense
        layers 1024-10; kernels from a truncated normal distribution with standard deviation
        0.05, biases 0.05 (3,274,634 parameters).
    Defaults: batch size 128, 100 epochs.
    Interpolation: yes.
    """

    side_by_side = "gpu"

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return net_2c2d(generator)


class _AutoEncoder(TestProblem):
    """DeepOBS's variational auto-encoder.

    Network: encoder of three 4 x 4 convolutions with 64 filters (strides 2, 2, 1), leaky ReLU
        and dropout 0.2; 8 latent dimensions; decoder of dense layers 24-49, three transposed 4 x 4
        convolutions with 64 filters (strides 2, 1, 1), and a dense layer to 784 pixels. Glorot's
        uniform start, zero biases (10,151,489 parameters).
    Loss: squared error of the pixels plus the Kullback-Leibler divergence of the code; there is
        no accuracy.
    """

    has_accuracy = False
    side_by_side = "cpu"
    loss_function: ClassVar[type[nn.Module]] = VAELoss

    def build_net(self, generator: torch.Generator) -> VAE:
        """Builds the network."""
        return vae(generator)

    def losses_of(self, outputs: Any, batch: Batch) -> Tensor:
        """The loss of each image, shape ``(batch_size,)``; the labels play no part."""
        losses: Tensor = VAELoss("none")(outputs, batch[0])
        return losses


class mnist_logreg(_Mnist, _LogisticRegression):
    """Logistic regression on MNIST."""


class mnist_mlp(_Mnist, _Perceptron):
    """A multi-layer perceptron on MNIST."""


class mnist_2c2d(_Mnist, _ConvNet):
    """A convolutional network on MNIST."""


class mnist_vae(_Mnist, _AutoEncoder):
    """A variational auto-encoder on MNIST.

    Defaults: batch size 64, 50 epochs.
    Interpolation: no; the lowest losses in DeepOBS's baselines are about 27.
    """


class fmnist_logreg(_Fmnist, _LogisticRegression):
    """Logistic regression on Fashion-MNIST."""


class fmnist_mlp(_Fmnist, _Perceptron):
    """A multi-layer perceptron on Fashion-MNIST.

    Source: DeepOBS 1.1.2, which reads the files of MNIST here by mistake; this problem really
        reads Fashion-MNIST.
    """


class fmnist_2c2d(_Fmnist, _ConvNet):
    """A convolutional network on Fashion-MNIST."""


class fmnist_vae(_Fmnist, _AutoEncoder):
    """A variational auto-encoder on Fashion-MNIST.

    Defaults: batch size 64, 100 epochs.
    Interpolation: no; the lowest losses in DeepOBS's baselines are about 22.
    """
