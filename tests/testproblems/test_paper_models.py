"""The paper's networks: their sizes, their start, and their formulas written out once more."""

import math

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - its usual name

from alig_deepobs import AliG, L2Ball
from alig_deepobs.testproblems.models.densenet import DenseLayer, densenet
from alig_deepobs.testproblems.models.resnet import BasicBlock, resnet18
from alig_deepobs.testproblems.models.wrn_alig import Block, wide_resnet_alig


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


NETWORKS = {
    "wrn164": lambda g: wide_resnet_alig(16, 4, 10, g, dropout=0.4),
    "wrn404": lambda g: wide_resnet_alig(40, 4, 10, g),
    "wrn404_100": lambda g: wide_resnet_alig(40, 4, 100, g),
    "densenet": lambda g: densenet(40, 40, 10, g),
    "densenet_100": lambda g: densenet(40, 40, 100, g),
    "resnet18": lambda g: resnet18(1000, g),
}
# Parameters, tensors, and the range of norms at the start, measured with the authors' networks (for
# ResNet-18 the expected value).
SIZES = {
    "wrn164": (2_748_890, 44, 73.0, 73.1),
    "wrn404": (8_949_210, 116, 126.8, 127.0),
    "wrn404_100": (8_972_340, 116, 126.8, 127.0),
    "densenet": (1_901_920, 118, 156.7, 156.9),
    "densenet_100": (1_941_520, 118, 156.7, 156.9),
    "resnet18": (11_689_512, 62, 113.2, 113.2),
}
# What ALI-G's ball has as its radius in the paper, and the factor by which it shrinks the network.
RADII = {"wrn164": (50, 0.684), "wrn404": (100, 0.788), "densenet_100": (75, 0.478)}


def norm(parameters):
    return torch.nn.utils.get_total_norm([p.detach() for p in parameters]).item()


@pytest.mark.parametrize("name", NETWORKS)
def test_sizes_and_norms(name):
    count, tensors, low, high = SIZES[name]
    parameters = list(NETWORKS[name](generator()).parameters())
    assert sum(p.numel() for p in parameters) == count
    assert len(parameters) == tensors
    assert low - 0.05 <= norm(parameters) <= high + 0.05


@pytest.mark.parametrize("name", RADII)
def test_the_ball_is_smaller_than_the_network_at_its_start(name):
    radius, factor = RADII[name]
    parameters = list(NETWORKS[name](generator()).parameters())
    start = norm(parameters)
    AliG(parameters, max_lr=0.1, projection_fn=L2Ball(parameters, radius))
    assert norm(parameters) == pytest.approx(radius, rel=1e-4)
    assert radius / start == pytest.approx(factor, abs=1e-3)


def test_the_ball_of_imagenet_is_not():
    parameters = list(resnet18(1000, generator()).parameters())
    start = norm(parameters)
    AliG(parameters, max_lr=10.0, projection_fn=L2Ball(parameters, 400))
    assert norm(parameters) == pytest.approx(start, rel=1e-6)


def sizes_of(modules):
    return [sum(p.numel() for p in module.parameters()) for module in modules]


def test_parts_of_the_wide_resnets():
    for n, groups in ((2, (121_248, 525_184, 2_098_944)), (6, (417_184, 1_706_880, 6_821_632))):
        first, *blocks, norm_layer, _, _, dense = wide_resnet_alig(6 * n + 4, 4, 10, generator())
        sizes = sizes_of(blocks)
        assert tuple(sum(sizes[i * n : (i + 1) * n]) for i in range(3)) == groups
        assert sizes_of([first, norm_layer, dense]) == [432, 512, 2_570]


def test_parts_of_the_densenet():
    first, *middle, norm_layer, _, _, dense = densenet(40, 40, 10, generator())
    sizes = sizes_of(middle)
    assert [sum(sizes[0:6]), sum(sizes[7:13]), sum(sizes[14:20])] == [522_480, 600_240, 639_120]
    assert [sizes[6], sizes[13]] == [51_840, 80_800]
    assert sizes_of([first, norm_layer, dense]) == [2_160, 880, 4_400]
    assert dense.bias is None


@pytest.mark.parametrize("name", NETWORKS)
def test_initial_distributions(name):
    net = NETWORKS[name](generator())
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d):
            assert layer.bias is None
            rows, columns = layer.kernel_size
            expected = math.sqrt(2 / (rows * columns * layer.out_channels))
            if layer.weight.numel() > 5_000:
                assert layer.weight.std().item() == pytest.approx(expected, rel=0.05)
                assert layer.weight.abs().max() > 2.5 * expected  # it is not cut
        elif isinstance(layer, torch.nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert (layer.bias == 0).all()
            assert (layer.eps, layer.momentum) == (1e-5, 0.1)
        elif isinstance(layer, torch.nn.Linear):
            limit = 1 / math.sqrt(layer.in_features)
            assert 0.95 * limit < layer.weight.abs().max() <= limit
            if layer.bias is not None and name == "resnet18":
                assert 0.95 * limit < layer.bias.abs().max() <= limit
            elif layer.bias is not None:
                assert (layer.bias == 0).all()
    again = NETWORKS[name](generator()).state_dict()
    other = NETWORKS[name](generator(1)).state_dict()
    assert all(torch.equal(x, again[key]) for key, x in net.state_dict().items())
    assert not all(torch.equal(x, other[key]) for key, x in net.state_dict().items())


def test_networks_draw_nothing_from_the_global_generator():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    for build in (NETWORKS["wrn164"], NETWORKS["densenet"], NETWORKS["resnet18"]):
        build(generator())
    assert torch.equal(state, torch.get_rng_state())


def perturbed(module):
    """Normalizations that do something, so that a missing one is seen."""
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator(p.numel())))
    return module


def normalized(x, weight, bias):
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    scaled = (x - mean) / (var + 1e-5).sqrt()
    return scaled * weight.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)


@pytest.mark.parametrize(("inputs", "stride"), [(8, 1), (4, 2)])
def test_a_wide_block_by_hand(inputs, stride):
    block = perturbed(Block(inputs, 8, stride, dropout=0.0))
    x = torch.randn(5, inputs, 6, 6, generator=generator())
    scale1, shift1, conv1, scale2, shift2, conv2, *shortcut = block.parameters()
    activated = normalized(x, scale1, shift1).relu()
    hidden = normalized(F.conv2d(activated, conv1, None, stride, 1), scale2, shift2).relu()
    expected = F.conv2d(hidden, conv2, None, 1, 1)
    # Raw input where the channels stay, the activated one where they change.
    expected = expected + (F.conv2d(activated, shortcut[0], None, stride) if shortcut else x)
    assert bool(shortcut) == (inputs != 8)
    assert torch.allclose(block(x), expected, atol=1e-4)


def test_a_dense_layer_by_hand():
    layer = perturbed(DenseLayer(6, 3))
    x = torch.randn(5, 6, 4, 4, generator=generator())
    scale1, shift1, conv1, scale2, shift2, conv2 = layer.parameters()
    hidden = F.conv2d(normalized(x, scale1, shift1).relu(), conv1)
    assert hidden.shape[1] == 4 * 3
    new = F.conv2d(normalized(hidden, scale2, shift2).relu(), conv2, padding=1)
    assert torch.allclose(layer(x), torch.cat([x, new], 1), atol=1e-4)


@pytest.mark.parametrize(("inputs", "stride"), [(8, 1), (4, 2)])
def test_a_basic_block_by_hand(inputs, stride):
    block = perturbed(BasicBlock(inputs, 8, stride))
    x = torch.randn(5, inputs, 6, 6, generator=generator())
    conv1, scale1, shift1, conv2, scale2, shift2, *rest = block.parameters()
    hidden = normalized(F.conv2d(x, conv1, None, stride, 1), scale1, shift1).relu()
    expected = normalized(F.conv2d(hidden, conv2, None, 1, 1), scale2, shift2)
    expected = expected + (
        normalized(F.conv2d(x, rest[0], None, stride), *rest[1:]) if rest else x
    )  # fmt: skip
    assert torch.allclose(block(x), expected.relu(), atol=1e-4)


def test_shapes_on_the_way():
    """Sizes after every part: strides and poolings are where they should be."""

    def shapes(net, x):
        found = []
        for layer in net:
            x = layer(x)
            found.append(tuple(x.shape[1:]))
        return found

    found = shapes(resnet18(10, generator()).eval(), torch.rand(1, 3, 224, 224))
    assert found[0] == (64, 112, 112)
    assert found[3] == (64, 56, 56)
    assert found[4:12:2] == [(64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)]
    assert found[-2:] == [(512,), (10,)]
    found = shapes(wide_resnet_alig(10, 2, 10, generator()).eval(), torch.rand(1, 3, 32, 32))
    assert found[:4] == [(16, 32, 32), (32, 32, 32), (64, 16, 16), (128, 8, 8)]
    found = shapes(densenet(10, 4, 10, generator()).eval(), torch.rand(1, 3, 32, 32))
    assert found[:6] == [
        (8, 32, 32), (12, 32, 32), (6, 16, 16), (10, 16, 16), (5, 8, 8), (9, 8, 8),
    ]  # fmt: skip


def test_dropout_is_in_training_only():
    net = wide_resnet_alig(10, 1, 10, generator(), dropout=0.4)
    x = torch.rand(4, 3, 32, 32, generator=generator(1))
    assert [m.p for m in net.modules() if isinstance(m, torch.nn.Dropout)] == [0.4] * 3
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))
    without = wide_resnet_alig(10, 1, 10, generator())
    assert not any(isinstance(m, torch.nn.Dropout) for m in without.modules())


def test_impossible_depths():
    for build in (lambda d: wide_resnet_alig(d, 1, 10, None), lambda d: densenet(d, 4, 10, None)):
        for depth in (4, 15, 17):
            with pytest.raises(ValueError, match="depth must be 6"):
                build(depth)
