"""``deepobs.pytorch.testproblems.testproblems_modules``: the networks, by DeepOBS's names.

Each draws its weights from torch's global generator, as DeepOBS's do.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from alig_deepobs.testproblems.models import mlp
from alig_deepobs.testproblems.models.allcnnc import allcnnc
from alig_deepobs.testproblems.models.char_rnn import char_rnn
from alig_deepobs.testproblems.models.closed_form import Quadratic
from alig_deepobs.testproblems.models.conv_nets import net_2c2d, net_3c3d
from alig_deepobs.testproblems.models.vae import vae
from alig_deepobs.testproblems.models.vgg import vgg
from alig_deepobs.testproblems.models.wrn import wide_resnet

__all__ = [
    "net_char_rnn",
    "net_cifar10_3c3d",
    "net_cifar100_allcnnc",
    "net_mlp",
    "net_mnist_2c2d",
    "net_mnist_logreg",
    "net_quadratic_deep",
    "net_vae",
    "net_vgg",
    "net_wrn",
]  # fmt: skip


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(int(torch.randint(2**31, ())))


def _with_outputs(net: nn.Module, outputs: int, usual: int) -> nn.Module:
    """A network whose last dense layer has another number of outputs."""
    if outputs == usual:
        return net
    name, last = [(n, m) for n, m in net.named_modules() if isinstance(m, nn.Linear)][-1]
    parent, _, child = name.rpartition(".")
    fresh = nn.Linear(last.in_features, outputs)
    nn.init.normal_(fresh.weight, std=float(last.weight.std()))
    nn.init.constant_(fresh.bias, float(last.bias.mean()))
    setattr(net.get_submodule(parent), child, fresh)
    return net


def net_mnist_logreg(num_outputs: int) -> nn.Module:
    """Logistic regression on 784 pixels."""
    return mlp.logreg(784, num_outputs)


def net_mlp(num_outputs: int) -> nn.Module:
    """The perceptron 784-1000-500-100."""
    return _with_outputs(mlp.deepobs_mlp(_generator()), num_outputs, 10)


def net_mnist_2c2d(num_outputs: int) -> nn.Module:
    """Two convolutions and two dense layers."""
    return _with_outputs(net_2c2d(_generator()), num_outputs, 10)


def net_cifar10_3c3d(num_outputs: int) -> nn.Module:
    """Three convolutions and three dense layers."""
    return net_3c3d(num_outputs, _generator())


def net_vae(n_latent: int) -> nn.Module:
    """The variational auto-encoder.

    Raises:
        ValueError: the code has not DeepOBS's 8 dimensions.
    """
    if n_latent != 8:
        raise ValueError(f"the auto-encoder has 8 latent dimensions, not {n_latent}")
    return vae(_generator())


def net_vgg(num_outputs: int, variant: int) -> nn.Module:
    """VGG 16 or 19."""
    return vgg(variant, num_outputs, _generator())


def net_cifar100_allcnnc() -> nn.Module:
    """The all-convolutional network C for 100 classes."""
    return allcnnc(100, _generator())


def net_wrn(num_residual_blocks: int, widening_factor: int, num_outputs: int) -> nn.Module:
    """A wide residual network."""
    return wide_resnet(num_residual_blocks, widening_factor, num_outputs, _generator())


def net_char_rnn(seq_len: int, hidden_dim: int, vocab_size: int, **_: Any) -> nn.Module:
    """The recurrent network of characters.

    Raises:
        ValueError: it has not DeepOBS's 128 units.
    """
    if hidden_dim != 128:
        raise ValueError(f"the network has 128 units, not {hidden_dim}")
    return char_rnn(vocab_size, _generator())


def net_quadratic_deep(dim: int, Hessian: Any) -> nn.Module:  # noqa: N803 - DeepOBS's name
    """The quadratic function with a given Hessian.

    Raises:
        ValueError: the Hessian is no matrix of that dimension.
    """
    matrix = torch.as_tensor(Hessian)
    if matrix.shape != (dim, dim):
        raise ValueError(f"the Hessian is {tuple(matrix.shape)}, not {(dim, dim)}")
    return Quadratic(matrix.double().numpy())
