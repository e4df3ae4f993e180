"""The convolutional networks: sizes, geometry and start, against DeepOBS and slow definitions."""

import math

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

import alig_deepobs.testproblems as testproblems
from alig_deepobs.testproblems.losses import InceptionLoss
from alig_deepobs.testproblems.models import allcnnc, char_rnn, conv_nets, inception, vgg, wrn
from alig_deepobs.testproblems.models.resize import Resize, resize_bilinear

# Parameters, and the L2 term at the start (where there is one), as DeepOBS 1.1.2 has them.
SIZES = {
    "cifar10_3c3d": (895_210, 1.2614),
    "cifar10_vgg16": (134_301_514, 0.9667),
    "cifar10_vgg19": (139_611_210, 1.2870),
    "cifar100_3c3d": (918_340, 1.3860),
    "cifar100_allcnnc": (1_387_108, 0.3063),
    "cifar100_vgg16": (134_670_244, 0.9667),
    "cifar100_vgg19": (139_979_940, 1.2870),
    "cifar100_wrn404": (8_972_340, 1.4103),
    "svhn_3c3d": (895_210, 1.2614),
    "svhn_wrn164": (2_748_890, 0.4827),
    "imagenet_vgg16": (138_361_641, 0.9667),
    "imagenet_vgg19": (143_671_337, 1.2870),
    "imagenet_inception_v3": (27_164_082, 5.3349),
    "tolstoi_char_rnn": (284_499, None),
}
REGULARIZED = {
    "cifar10_3c3d": (6, 894_144),
    "cifar100_3c3d": (6, 917_184),
    "cifar100_allcnnc": (9, 1_385_760),
    "svhn_wrn164": (17, 2_745_264),
    "imagenet_vgg16": (13, 14_710_464),
    "cifar100_vgg19": (16, 20_018_880),
}


def on_meta(name):
    """The network of a problem without any numbers in it."""
    problem = getattr(testproblems, name)
    with torch.device("meta"):
        if "3c3d" in name:
            return conv_nets.layers_3c3d(problem.classes)
        if "vgg" in name:
            return vgg.layers(problem.variant, problem.classes)
        if "wrn" in name:
            return wrn.layers(problem.units, problem.widening, problem.classes)
        if "allcnnc" in name:
            return allcnnc.layers(problem.classes)
        if "inception" in name:
            return inception.InceptionV3(problem.classes)
        return char_rnn.CharRNN(83)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", SIZES)
def test_sizes_and_l2_terms_are_those_of_deepobs(name):
    parameters, l2 = SIZES[name]
    problem = getattr(testproblems, name)(8, device="cpu")
    found = list(on_meta(name).parameters())
    assert sum(p.numel() for p in found) == parameters
    if l2 is None:
        assert problem.weight_decay is None
        return
    kernels = [p for p in found if problem.is_regularized(p)]
    if name in REGULARIZED:
        assert (len(kernels), sum(p.numel() for p in kernels)) == REGULARIZED[name]
    # Both of Glorot's distributions have variance 2 / (fan_in + fan_out).
    mean = sum(p.numel() * 2 / (p.shape[0] + p.shape[1]) / p[0, 0].numel() for p in kernels)
    # DeepOBS's values are those of single draws.
    assert 0.5 * problem.weight_decay * mean == pytest.approx(l2, rel=2e-3)


def tf_conv(x, w, stride=1, padding="same"):
    """TensorFlow's convolution from its definition; x (batch, in, n, n), w (out, in, k, k)."""
    kernel, size = w.shape[-1], x.shape[-1]
    if padding == "same":
        zeros = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        before = zeros // 2  # the smaller half is in front
        x = np.pad(x, ((0, 0), (0, 0), (before, zeros - before), (before, zeros - before)))
    windows = sliding_window_view(x, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("bcijkl,ockl->boij", windows, w, optimize=True)


def tf_max_pool_same(x, kernel, stride):
    size = x.shape[-1]
    outputs = math.ceil(size / stride)
    zeros = max((outputs - 1) * stride + kernel - size, 0)
    before = zeros // 2
    y = np.empty((*x.shape[:2], outputs, outputs))
    for i, j in np.ndindex(outputs, outputs):
        top, left = i * stride - before, j * stride - before
        window = x[..., max(top, 0) : top + kernel, max(left, 0) : left + kernel]
        y[..., i, j] = window.max(axis=(2, 3))
    return y


def relu(x):
    return np.maximum(x, 0)


def weights_of(net):
    return {name: p.detach().double().numpy() for name, p in net.state_dict().items()}


def disturbed(net, seed=1):
    """The network with every number changed a little, so that no bias is constant."""
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.02 * torch.randn(p.shape, generator=generator(seed)))
    return net


@pytest.mark.parametrize("size", [28, 12, 6])
def test_pooling_of_3c3d(size):
    x = torch.randn(2, 3, size, size, generator=generator())
    found = conv_nets._same_pool()(x)
    assert np.array_equal(found, tf_max_pool_same(x.numpy(), 3, 2).astype(np.float32))


def test_3c3d_against_numpy():
    net = disturbed(conv_nets.net_3c3d(10, generator()))
    x = torch.randn(2, 3, 32, 32, generator=generator(2))
    w = weights_of(net)
    hidden = x.double().numpy()
    for index, padding in ((0, "valid"), (3, "valid"), (6, "same")):
        hidden = tf_conv(hidden, w[f"{index}.weight"], 1, padding)
        hidden = relu(hidden + w[f"{index}.bias"][:, None, None])
        hidden = tf_max_pool_same(hidden, 3, 2)
    hidden = hidden.reshape(2, -1)
    for index in (10, 12, 14):
        last = hidden @ w[f"{index}.weight"].T + w[f"{index}.bias"]
        hidden = relu(last)
    assert np.allclose(net(x).detach(), last, atol=1e-4)


def test_allcnnc_against_numpy():
    net = disturbed(allcnnc.allcnnc(100, generator())).eval()
    x = torch.randn(2, 3, 32, 32, generator=generator(2))
    w = weights_of(net)
    kernels = [name for name in w if name.endswith("weight")]
    hidden = x.double().numpy()
    for number, name in enumerate(kernels):
        stride = 2 if number in (2, 5) else 1
        hidden = tf_conv(hidden, w[name], stride, "valid" if number >= 6 else "same")
        hidden = relu(hidden + w[name.replace("weight", "bias")][:, None, None])
    assert hidden.shape == (2, 100, 6, 6)
    assert np.allclose(net(x).detach(), hidden.mean(axis=(2, 3)), atol=1e-4)
    assert [m.p for m in net if isinstance(m, torch.nn.Dropout)] == [0.2, 0.5, 0.5]


@pytest.mark.parametrize("training", [True, False])
def test_wide_resnet_against_numpy(training):
    net = disturbed(wrn.wide_resnet(2, 2, 10, generator())).train(training)
    x = torch.randn(3, 3, 32, 32, generator=generator(2))
    w = weights_of(net)

    def norm(x, name):
        if training:  # by the batch's own mean and biased variance
            mean, variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
        else:
            mean, variance = w[f"{name}.running_mean"], w[f"{name}.running_var"]
        x = (x - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None]
        return relu(x * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None])

    hidden = tf_conv(x.double().numpy(), w["0.weight"])
    for group, stride in enumerate((1, 2, 2)):
        first, second = f"{1 + 2 * group}", f"{2 + 2 * group}"
        start = norm(hidden, f"{first}.start.0")
        shortcut = tf_conv(start, w[f"{first}.shortcut.weight"], stride)
        hidden = norm(
            tf_conv(start, w[f"{first}.residual.0.weight"], stride), f"{first}.residual.1"
        )
        hidden = tf_conv(hidden, w[f"{first}.residual.3.weight"]) + shortcut
        inner = tf_conv(norm(hidden, f"{second}.residual.0"), w[f"{second}.residual.2.weight"])
        inner = tf_conv(norm(inner, f"{second}.residual.3"), w[f"{second}.residual.5.weight"])
        hidden = hidden + inner
    hidden = norm(hidden, "7").mean(axis=(2, 3))
    expected = hidden @ w["10.weight"].T + w["10.bias"]
    assert np.allclose(net(x).detach(), expected, atol=1e-3)


def test_running_values_keep_nine_tenths():
    norm = wrn.wide_resnet(2, 4, 10, generator())[1].start[0]
    assert (norm.running_mean == 0).all()
    assert (norm.running_var == 1).all()
    assert norm.num_batches_tracked == 0
    x = torch.randn(4, 16, 5, 5, generator=generator())
    norm.train()(x)
    assert torch.allclose(norm.running_mean, 0.1 * x.mean((0, 2, 3)), atol=1e-6)
    unbiased = x.transpose(0, 1).flatten(1).var(dim=1)
    assert torch.allclose(norm.running_var, 0.9 + 0.1 * unbiased, atol=1e-6)


def tf1_resize(image, height, width):
    """From the definition, pixel by pixel: no shift to pixel centres."""
    rows, columns = image.shape
    y = np.empty((height, width))
    for i, j in np.ndindex(height, width):
        at_row = np.float32(i) * (np.float32(rows) / np.float32(height))
        at_column = np.float32(j) * (np.float32(columns) / np.float32(width))
        top, left = int(at_row), int(at_column)
        below, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
        a, b = at_row - top, at_column - left
        upper = image[top, left] + (image[top, right] - image[top, left]) * b
        lower = image[below, left] + (image[below, right] - image[below, left]) * b
        y[i, j] = upper + (lower - upper) * a
    return y


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [((32, 32), (224, 224)), ((224, 20), (299, 299)), ((40, 56), (17, 24)), ((5, 7), (5, 9))],
)
def test_resize_against_the_definition(inputs, outputs):
    image = torch.rand(1, 2, *inputs, generator=generator())
    found = resize_bilinear(image, *outputs)
    for channel in range(2):
        expected = tf1_resize(image[0, channel].double().numpy(), *outputs)
        assert np.allclose(found[0, channel], expected, atol=1e-5)


def test_resize_to_seven_times_the_size():
    image = torch.rand(1, 1, 32, 32, generator=generator())
    found = Resize(224)(image)
    assert torch.allclose(found[..., ::7, ::7], image, atol=1e-5)
    assert (found[..., -6:, :] == found[..., -7:-6, :]).all()  # the edge is repeated
    assert Resize(32)(image) is image


@pytest.mark.parametrize("variant", [16, 19])
def test_vgg_layers(variant):
    with torch.device("meta"):
        net = vgg.layers(variant, 10)
        x = torch.empty(2, 3, 32, 32)
        sizes = []
        for layer in net:
            x = layer(x)
            if isinstance(layer, torch.nn.MaxPool2d):
                sizes.append(tuple(x.shape[1:]))
    assert x.shape == (2, 10)
    assert sizes == [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)]
    weighted = [m for m in net if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(weighted) == variant
    relus = sum(isinstance(m, torch.nn.ReLU) for m in net)
    assert relus == variant - 1


def test_inception_shapes():
    with torch.device("meta"):
        net = inception.InceptionV3(1001)
        x = torch.empty(2, 3, 224, 224)
        shapes = []
        for layer in net.trunk:
            x = layer(x)
            shapes.append(tuple(x.shape[1:]))
        tail = net.head[:3](x)
        main, auxiliary = net.head(x), net.auxiliary(x)
    assert shapes == [
        (3, 299, 299), (32, 149, 149), (32, 147, 147), (64, 147, 147), (64, 73, 73), (80, 73, 73),
        (192, 71, 71), (192, 35, 35), (256, 35, 35), (288, 35, 35), (288, 35, 35), (768, 17, 17),
        (768, 17, 17), (768, 17, 17), (768, 17, 17), (768, 17, 17),
    ]  # fmt: skip
    assert tail.shape[1:] == (2048, 8, 8)
    assert main.shape == auxiliary.shape == (2, 1001)
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {m.eps for m in norms} == {1e-3}
    assert all(m.momentum == pytest.approx(3e-4) for m in norms)


def test_average_pooling_of_inception_leaves_the_padding_out():
    pool = inception._pooled(4, 8)[0]
    assert (pool(torch.ones(1, 4, 5, 5)) == 1).all()


def test_inception_loss_against_numpy():
    rng = np.random.default_rng(0)
    main, auxiliary = rng.normal(size=(2, 3, 1001))
    labels = np.array([1, 1000, 7])

    def smoothed(logits):
        target = np.full((3, 1001), 0.1 / 1001)
        target[np.arange(3), labels] += 0.9
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return -(target * log_p).sum(axis=1)

    outputs = torch.from_numpy(main), torch.from_numpy(auxiliary)
    targets = torch.from_numpy(labels)
    loss = InceptionLoss("none")
    expected = smoothed(main) + 0.4 * smoothed(auxiliary)
    assert np.allclose(loss(outputs, targets), expected)
    assert np.allclose(loss.eval()(outputs, targets), smoothed(main))
    assert InceptionLoss()(outputs, targets).item() == pytest.approx(expected.mean())


def test_initial_weights():
    net = conv_nets.net_3c3d(10, generator())
    for layer in net:
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            fans = (layer.weight.shape[0] + layer.weight.shape[1]) * layer.weight[0, 0].numel()
            std = math.sqrt(2 / fans)
            if layer.weight.numel() > 50_000:
                assert layer.weight.std().item() == pytest.approx(std, rel=0.02)
            if isinstance(layer, torch.nn.Conv2d):
                assert layer.weight.abs().max() <= 2 * std / 0.87962566 + 1e-6
            else:
                assert layer.weight.abs().max() <= math.sqrt(3) * std + 1e-6
            assert (layer.bias == 0).all()
    biases = [m.bias for m in allcnnc.allcnnc(100, generator()) if isinstance(m, torch.nn.Conv2d)]
    assert all((bias == 0.1).all() for bias in biases)


def test_no_global_random_numbers_are_used():
    state = torch.get_rng_state()
    first = wrn.wide_resnet(2, 2, 10, generator())
    char_rnn.char_rnn(83, generator())
    assert torch.equal(torch.get_rng_state(), state)
    second = wrn.wide_resnet(2, 2, 10, generator())
    assert torch.equal(first[0].weight, second[0].weight)


@pytest.mark.slow
def test_inception_start():
    net = inception.inception_v3(1001, generator()).eval()
    assert all(b.isfinite().all() for b in net.buffers())
    l2 = 0.5 * 5e-4 * sum(p.square().sum().item() for p in net.parameters() if p.ndim == 4)
    assert l2 == pytest.approx(5.3349, rel=1e-3)
