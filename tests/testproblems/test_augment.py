"""Augmentation: the formulas against slow ones, the distributions, the source of the draws."""

import colorsys
import math

import numpy as np
import pytest
import torch

from alig_deepobs.testproblems import cifar10_3c3d, svhn_3c3d
from alig_deepobs.testproblems.datasets.augment import (
    Augmentation,
    adjust_contrast,
    adjust_saturation,
    centre_crop,
    crop,
    standardize,
)

CIFAR = Augmentation(side=32, pad=2, spare=4)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make(problem_class=cifar10_3c3d, batch_size=64, **settings):
    settings = {"seed": 42, "device": "cpu", "synthetic": True} | settings
    problem = problem_class(batch_size, **settings)
    problem.set_up()
    return problem


def images(batch=6, side=32, seed=0):
    return torch.randint(0, 256, (batch, 3, side, side), generator=generator(seed)).float()


def test_crops_and_flips_against_a_loop():
    x, draws = images(40), CIFAR.draw((40,), generator(1))
    found = crop(x, draws.top, draws.left, 32, 2, draws.flip)
    for i in range(40):
        padded = np.pad(x[i].numpy(), ((0, 0), (2, 2), (2, 2)))
        top, left = draws.top[i].item(), draws.left[i].item()
        expected = padded[:, top : top + 32, left : left + 32]
        if draws.flip[i]:
            expected = expected[:, :, ::-1]
        assert np.array_equal(found[i], expected)
    assert torch.equal(crop(x, torch.full((40,), 2), torch.full((40,), 2), 32, 2), x)


def test_centre_crop():
    x = torch.arange(7.0).expand(1, 1, 7, 7)
    assert centre_crop(x, 4)[0, 0, 0].tolist() == [1.0, 2.0, 3.0, 4.0]


def test_saturation_against_the_colour_space():
    x = images(8, side=4)
    factors = torch.tensor([0.5, 0.7, 0.9, 1.0, 1.1, 1.2, 1.4, 1.5])
    x[0, :, 0, 0] = 0.0
    x[7, :, 0, 0] = 77.0
    found = adjust_saturation(x, factors)
    for i, row, column in np.ndindex(8, 4, 4):
        pixel = x[i, :, row, column].double().numpy()
        h, s, v = colorsys.rgb_to_hsv(*pixel)
        expected = colorsys.hsv_to_rgb(h, min(max(s * factors[i].item(), 0), 1), v)
        assert np.allclose(found[i, :, row, column], expected, atol=1e-3)


def test_saturation_of_numbers_below_zero():
    # Brightness makes black pixels a little negative. TensorFlow takes a pixel without a positive
    # number for grey, and clips a saturation above 1.
    x = torch.tensor([[-0.2, -0.2, -0.2], [-0.3, -0.1, -0.2], [-0.2, 10.0, 5.0]])
    found = adjust_saturation(x.view(3, 3, 1, 1), torch.tensor([1.2, 1.2, 1.2])).view(3, 3)
    assert torch.allclose(found[0], torch.full((3,), -0.2))
    assert torch.allclose(found[1], torch.full((3,), -0.1))
    assert torch.allclose(found[2], torch.tensor([0.0, 10.0, 10 - 5 / 1.02]), atol=1e-5)


def test_contrast_and_standardization_against_numpy():
    x, factors = images(3), torch.tensor([0.2, 1.0, 1.8])
    found = adjust_contrast(x, factors)
    for i, channel in np.ndindex(3, 3):
        values = x[i, channel].double().numpy()
        expected = (values - values.mean()) * factors[i].item() + values.mean()
        assert np.allclose(found[i, channel], expected, atol=1e-3)
    x[0] = 8.0  # uniform: the divisor is 1 / sqrt(N), not 0
    x[1] = 8.0
    x[1, 0, 0, 0] = 8.01
    found = standardize(x)
    for i in range(3):
        values = x[i].double().numpy()
        divisor = max(values.std(), 1 / math.sqrt(values.size))
        assert np.allclose(found[i], (values - values.mean()) / divisor, atol=1e-4)
    assert (found[0] == 0).all()


def test_the_whole_chain():
    x, draws = images(5), CIFAR.draw((5,), generator(1))
    expected = crop(x, draws.top, draws.left, 32, 2, draws.flip)
    expected = expected + draws.brightness.view(-1, 1, 1, 1)
    expected = adjust_contrast(adjust_saturation(expected, draws.saturation), draws.contrast)
    assert torch.equal(CIFAR.apply(x, draws), standardize(expected))
    plain = Augmentation(side=28, pad=0, spare=4, flip=False, colours=False)
    found = plain.apply(x, plain.draw((5,), generator(1)))
    assert found.shape == (5, 3, 28, 28)
    assert torch.allclose(found.mean((1, 2, 3)), torch.zeros(5), atol=1e-5)


def test_distributions():
    draws = CIFAR.draw((20_000,), generator())
    for offset in (draws.top, draws.left):
        shares = torch.bincount(offset, minlength=5) / 20_000
        assert shares.shape == (5,)
        assert torch.allclose(shares, torch.full((5,), 0.2), atol=0.015)
    assert draws.flip.float().mean().item() == pytest.approx(0.5, abs=0.015)
    for values, low, high in (
        (draws.brightness, -63 / 255, 63 / 255),
        (draws.saturation, 0.5, 1.5),
        (draws.contrast, 0.2, 1.8),
    ):
        assert low <= values.min() < low + 0.01
        assert high - 0.01 < values.max() <= high
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.015)
        assert values.std().item() == pytest.approx((high - low) / math.sqrt(12), rel=0.03)
    matrix = torch.stack([x.float() for x in vars(draws).values()])
    assert (torch.corrcoef(matrix) - torch.eye(6)).abs().max() < 0.04


def test_draws_depend_on_seed_set_and_epoch_alone():
    one, two, other = make(), make(), make(seed=43)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = next(iter(one.batches("train", 3)))[0]
    torch.rand(7)
    assert torch.equal(next(iter(two.batches("train", 3)))[0], first)
    torch.set_rng_state(state)
    draws = one.augmentation_draws("train", 3)
    for different in (
        other.augmentation_draws("train", 3),
        one.augmentation_draws("train", 4),
        one.augmentation_draws("train_eval", 3),
    ):
        assert not torch.equal(draws.contrast, different.contrast)
    assert draws.contrast.shape == one.batch_order(0).shape
    next(iter(one.batches("train", 3)))
    assert torch.equal(torch.get_rng_state(), state)


def test_every_image_and_epoch_has_draws_of_its_own():
    problem = make()
    draws = problem.augmentation_draws("train", 0)
    assert len(set(draws.contrast.flatten().tolist())) == draws.contrast.numel()
    # The phases hand out what `batches` says.
    batches = problem.batches("train", 0)
    problem.train_init_op()
    for _ in range(2):
        batch = next(batches)
        loss, _ = problem.get_batch_loss_and_accuracy("none", False)
        assert torch.equal(loss, problem.losses_of(problem.forward(batch), batch))


@pytest.mark.parametrize("switch", [True, False])
def test_training_images_in_evaluations(switch):
    problem = make(augmented_train_eval=switch)
    found, labels = next(iter(problem.batches("train_eval", 0)))
    raw = problem.data.take("train", problem.train_eval_order(0)[0])
    assert torch.equal(labels, raw[1])
    assert torch.equal(found, standardize(raw[0])) != switch
    assert make().augmented_train_eval


def test_test_and_validation_images_are_only_standardized():
    problem = make(split="validation", batch_size=32)
    for part in ("valid", "test"):
        found, labels = next(iter(problem.batches(part)))
        raw = problem.data.take(part, torch.arange(32))
        assert torch.equal(found, standardize(raw[0]))
        assert torch.equal(labels, raw[1])


def test_house_numbers_are_not_mirrored():
    problem = make(svhn_3c3d)
    assert not problem.augmentation.flip
    batch = problem.data.take("train", problem.batch_order(0)[0])
    draws = problem.augmentation_draws("train", 0)[0]
    expected = crop(batch[0], draws.top, draws.left, 32, 2)
    expected = expected + draws.brightness.view(-1, 1, 1, 1)
    expected = adjust_contrast(adjust_saturation(expected, draws.saturation), draws.contrast)
    assert torch.equal(next(iter(problem.batches("train", 0)))[0], standardize(expected))
