"""The networks against slow computations from the definitions."""

import math

import numpy as np
import pytest
import torch

from alig_deepobs.testproblems.losses import VAELoss
from alig_deepobs.testproblems.models.conv_nets import net_2c2d
from alig_deepobs.testproblems.models.mlp import deepobs_mlp, digits_mlp
from alig_deepobs.testproblems.models.same import SameConv2d, SameConvTranspose2d
from alig_deepobs.testproblems.models.vae import vae


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def same_geometry(size, kernel, stride):
    """TensorFlow's rule: ceil(size / stride) outputs, the smaller half of the zeros in front."""
    outputs = math.ceil(size / stride)
    zeros = max((outputs - 1) * stride + kernel - size, 0)
    return outputs, zeros // 2


def tf_conv2d_same(x, w, stride):
    """x (channels, n, n), w (out, in, k, k)."""
    size, kernel = x.shape[1], w.shape[2]
    outputs, before = same_geometry(size, kernel, stride)
    y = np.zeros((len(w), outputs, outputs))
    for i, j, a, b in np.ndindex(outputs, outputs, kernel, kernel):
        row, column = i * stride + a - before, j * stride + b - before
        if 0 <= row < size and 0 <= column < size:
            y[:, i, j] += w[:, :, a, b] @ x[:, row, column]
    return y


def tf_conv2d_transpose_same(y, w, stride):
    """The gradient of `tf_conv2d_same` in its input; y (out, m, m), w (out, in, k, k)."""
    outputs, kernel = y.shape[1], w.shape[2]
    size = outputs * stride
    _, before = same_geometry(size, kernel, stride)
    x = np.zeros((w.shape[1], size, size))
    for i, j, a, b in np.ndindex(outputs, outputs, kernel, kernel):
        row, column = i * stride + a - before, j * stride + b - before
        if 0 <= row < size and 0 <= column < size:
            x[:, row, column] += w[:, :, a, b].T @ y[:, i, j]
    return x


@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [6, 7])
def test_same_convolution(kernel, stride, size):
    layer = SameConv2d(2, 3, kernel, size, stride)
    x = torch.randn(1, 2, size, size, generator=generator())
    with torch.no_grad():
        layer.bias.zero_()
        found = layer(x)[0]
    expected = tf_conv2d_same(x[0].numpy(), layer.weight.detach().numpy(), stride)
    assert np.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_transposed_convolution(kernel, stride):
    layer = SameConvTranspose2d(2, 3, kernel, 5, stride)
    y = torch.randn(1, 2, 5, 5, generator=generator())
    with torch.no_grad():
        layer.bias.zero_()
        found = layer(y)[0]
    expected = tf_conv2d_transpose_same(y[0].numpy(), layer.weight.detach().numpy(), stride)
    assert found.shape == (3, 5 * stride, 5 * stride)
    assert np.allclose(found, expected, atol=1e-5)


def test_perceptron_against_numpy():
    net = deepobs_mlp(generator())
    x = torch.rand(3, 1, 28, 28, generator=generator(1))
    weights = [p.detach().numpy() for p in net.parameters()]
    hidden = x.numpy().reshape(3, 784)
    for kernel, bias in zip(weights[0::2], weights[1::2], strict=True):
        hidden = hidden @ kernel.T + bias
        last = hidden
        hidden = np.maximum(hidden, 0)
    assert [w.shape[0] for w in weights[0::2]] == [1000, 500, 100, 10]
    assert np.allclose(net(x).detach(), last, atol=1e-5)


def test_initial_weights():
    for net, std, bias in (
        (deepobs_mlp(generator()), 0.03, 0.0),
        (net_2c2d(generator()), 0.05, 0.05),
    ):
        for name, p in net.named_parameters():
            if name.endswith("bias"):
                assert (p == bias).all()
            else:
                assert p.abs().max() <= 2 * std
                if p.numel() > 10_000:
                    # A normal distribution cut at two deviations has 0.8796 of its deviation.
                    assert p.std().item() == pytest.approx(0.8796 * std, rel=0.02)
    kernel = digits_mlp(generator())[1].weight
    assert kernel.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.05)
    for layer in vae(generator()).modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d) and layer.in_channels > 1:
            limit = math.sqrt(6 / (16 * 64 + 16 * 64))
            assert 0.99 * limit < layer.weight.abs().max() <= limit
            assert (layer.bias == 0).all()


def test_vae_forward_against_numpy():
    net = vae(generator()).eval()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.01 * torch.randn(p.shape, generator=generator(p.numel())))
    weights = {name: p.detach().double().numpy() for name, p in net.named_parameters()}
    x = torch.rand(1, 1, 28, 28, generator=generator(1))

    def leaky(a):
        return np.maximum(a, 0.3 * a)

    def dense(a, name):
        return weights[f"{name}.weight"] @ a + weights[f"{name}.bias"]

    def bias(name):
        return weights[f"{name}.bias"][:, None, None]

    hidden = x[0].double().numpy()
    for name, stride in (("encoder.0", 2), ("encoder.3", 2), ("encoder.6", 1)):
        hidden = leaky(tf_conv2d_same(hidden, weights[f"{name}.weight"], stride) + bias(name))
    mean, log_std = dense(hidden.ravel(), "mean"), 0.5 * dense(hidden.ravel(), "log_variance")
    state = torch.get_rng_state()
    torch.manual_seed(0)
    noise = torch.randn(1, 8)[0].double().numpy()
    torch.manual_seed(0)
    outputs = net(x)
    torch.set_rng_state(state)
    code = mean + noise * np.exp(log_std)
    hidden = leaky(dense(leaky(dense(code, "decoder.0")), "decoder.2")).reshape(1, 7, 7)
    for name, stride in (("decoder.5", 2), ("decoder.8", 1), ("decoder.11", 1)):
        kernel = weights[f"{name}.weight"]
        hidden = np.maximum(tf_conv2d_transpose_same(hidden, kernel, stride) + bias(name), 0)
    image = 1 / (1 + np.exp(-dense(hidden.ravel(), "decoder.14")))
    for found, expected in zip(outputs, (image, mean, log_std), strict=True):
        assert np.allclose(found[0].detach(), expected, atol=1e-4)


def test_vae_drops_out_in_training_only():
    net = vae(generator())
    x = torch.rand(4, 1, 28, 28, generator=generator(1))
    assert not torch.equal(net.encode(x)[0], net.encode(x)[0])
    net.eval()
    assert torch.equal(net.encode(x)[0], net.encode(x)[0])
    assert not torch.equal(net(x)[0], net(x)[0])  # the code is sampled in evaluations too


def test_vae_loss_against_numpy():
    rng = np.random.default_rng(0)
    image, mean, log_std = rng.random((3, 784)), rng.normal(size=(3, 8)), rng.normal(size=(3, 8))
    target = rng.random((3, 1, 28, 28))
    divergence = 0.5 * (np.exp(2 * log_std) + mean**2 - 1 - 2 * log_std).sum(axis=1)
    expected = ((image - target.reshape(3, 784)) ** 2).sum(axis=1) + divergence
    outputs = tuple(map(torch.from_numpy, (image, mean, log_std)))
    found = VAELoss("none")(outputs, torch.from_numpy(target))
    assert np.allclose(found, expected)
    assert VAELoss()(outputs, torch.from_numpy(target)).item() == pytest.approx(expected.mean())
