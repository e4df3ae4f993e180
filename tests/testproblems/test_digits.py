"""Which digits train, which are held out and which are for testing."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from alig_deepobs.errors import UsageError
from alig_deepobs.testproblems import digits_logreg, digits_mlp
from alig_deepobs.testproblems.datasets.digits import digits

# SHA-256 of the images (one byte a pixel), then of the labels (eight bytes each).
DIGESTS = {
    "train": "65b35bcac58886c63a0234fa5cb6643a5ec65d53fc763c50fa7ac95804a753bf",
    "held out": "ee17704672b0fe0bc4666ae239c009179f0c2263868895fe33070a34189882de",
    "test": "9adb64578192a65124462e42a4530ef3462bf8d749758444ef889ba393140a79",
}


def digest(images, labels):
    return hashlib.sha256(images.numpy().tobytes() + labels.numpy().tobytes()).hexdigest()


def test_parts_are_the_documented_ones():
    data = digits()
    found = {name: digest(*data.parts[name]) for name in ("train", "test")}
    images, labels = data.parts["train"]
    found["held out"] = digest(images[data.held_out], labels[data.held_out])
    assert found == DIGESTS
    assert data.held_out.tolist() == list(range(1445 - 256, 1445))


def test_every_image_is_in_one_part_and_keeps_its_label():
    pixels, labels = load_digits(return_X_y=True)
    expected = sorted((image.tobytes(), label) for image, label in zip(
        pixels.astype(np.uint8), labels, strict=True
    ))  # fmt: skip
    data = digits()
    found = sorted(
        (image.numpy().tobytes(), int(label))
        for part in data.parts.values()
        for image, label in zip(*part, strict=True)
    )
    assert found == expected
    assert data.scale == 16.0


def test_twin_is_a_part_of_the_data():
    data, twin = digits(), digits(synthetic=True)
    for name, size in (("train", 512), ("test", 256)):
        for whole, part in zip(data.parts[name], twin.parts[name], strict=True):
            assert torch.equal(whole[:size], part)
    assert twin.held_out.tolist() == list(range(512 - 128, 512))
    assert (data.label, twin.label) == ("Digits (scikit-learn)", "Digits (synthetic twin)")


@pytest.mark.parametrize("split", ["full", "validation"])
def test_held_out_images_do_not_train(split):
    problem = digits_logreg(1, device="cpu", seed=0, split=split)
    problem.set_up()
    sizes = (1445, 0) if split == "full" else (1189, 256)
    assert (problem.steps_per_epoch, problem.data.size("train")) == (sizes[0],) * 2
    if split == "full":
        return
    images, labels = digits().parts["train"]
    kept, held_out = problem.data.parts["train"], problem.data.parts["valid"]
    assert torch.equal(held_out[1], labels[-256:])
    assert torch.equal(held_out[0], images[-256:])
    assert torch.equal(kept[0], images[:-256])


@pytest.mark.parametrize(("hidden_dim", "weights"), [(10, 765), (100, 12_060)])
def test_hidden_units_are_an_option(hidden_dim, weights):
    problem = digits_mlp(32, hidden_dim=hidden_dim)
    problem.set_up()
    assert sum(p.numel() for p in problem.net.parameters()) == weights


def test_a_network_without_hidden_units_is_refused():
    with pytest.raises(UsageError, match="hidden_dim"):
        digits_mlp(32, hidden_dim=1)
