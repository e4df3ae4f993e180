"""Data sets: labels, versions, decoding, synthetic twins."""

import gzip
import logging

import numpy as np
import pytest
import torch

from alig_deepobs.errors import DataError
from alig_deepobs.testproblems import mnist_logreg
from alig_deepobs.testproblems.datasets import images
from alig_deepobs.testproblems.datasets.digits import digits
from alig_deepobs.testproblems.datasets.generated import quadratic, two_d
from alig_deepobs.testproblems.datasets.images import fmnist, mnist
from alig_deepobs.testproblems.datasets.sources import FMNIST, SOURCES


def load(source, folder):
    return images.load_images(source, synthetic=False, data_dir=str(folder), offline=False)


def test_official_files_are_recognized(official, mnist_folder, mnist_arrays, caplog):
    data = load(official, mnist_folder)
    assert data.label == "MNIST"
    assert not caplog.records
    pixels, labels = data.parts["train"]
    assert pixels.dtype == torch.uint8
    index = torch.tensor([3, 1])
    batch = data.take("train", index)
    name = "train-images-idx3-ubyte.gz"
    assert torch.equal(batch[1], labels[index])
    assert np.array_equal(
        batch[0][:, 0], mnist_arrays[name][[3, 1]].astype(np.float32) / np.float32(255)
    )


def test_files_that_were_compressed_again_are_recognized(official, mnist_folder):
    version = load(official, mnist_folder).version
    for file in official.files:
        path = mnist_folder / "mnist" / file.name
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1, mtime=1))
    data = load(official, mnist_folder)
    assert data.label == "MNIST"
    assert data.version == version


def test_unknown_content_is_marked(mnist_folder, caplog):
    with caplog.at_level(logging.WARNING):
        data = mnist(data_dir=str(mnist_folder))
    assert data.label == "MNIST (unverified files)"
    assert data.source == "unverified"
    assert "are not the official ones of MNIST" in caplog.text


def test_files_of_another_data_set_are_refused(official, mnist_folder, monkeypatch):
    # The two have files of the same names, and data_dir may hold them directly.
    monkeypatch.setitem(SOURCES, "mnist", official)
    with pytest.raises(DataError, match=r"holds train-images-idx3-ubyte[.]gz of MNIST; expected"):
        load(FMNIST, mnist_folder / "mnist")


def test_problems_read_the_files(mnist_folder):
    problem = mnist_logreg(50, data_dir=str(mnist_folder), device="cpu", split="validation")
    problem.set_up()
    assert [problem.data.size(part) for part in ("train", "valid", "test")] == [225, 75, 150]


@pytest.mark.parametrize("load_set", [mnist, fmnist])
def test_synthetic_images(load_set, cache):
    data, again = load_set(synthetic=True), load_set(synthetic=True)
    assert data.version == again.version
    assert data.version != (fmnist if load_set is mnist else mnist)(synthetic=True).version
    assert data.label.endswith("(synthetic twin)")
    for part, size in (("train", 512), ("test", 256)):
        pixels, labels = data.parts[part]
        assert pixels.shape == (size, 1, 28, 28)
        assert pixels.dtype == torch.uint8
        assert set(labels.tolist()) == set(range(10))
    # Class-dependent: the nearest class mean of the training set tells the classes apart.
    pixels, labels = data.parts["train"]
    means = torch.stack([pixels[labels == c].float().mean(0) for c in range(10)]).flatten(1)
    pixels, labels = data.parts["test"]
    assert (torch.cdist(pixels.float().flatten(1), means).argmin(1) == labels).float().mean() > 0.9
    assert not cache.exists()


def test_generated_sets():
    points = quadratic()
    assert [points.size(part) for part in ("train", "test", "valid")] == [1000] * 3
    expected = np.random.RandomState(43).normal(0.0, 0.6, (1000, 100)).astype(np.float32)
    assert np.array_equal(points.parts["test"][0], expected)
    twin = quadratic(synthetic=True)
    assert torch.equal(twin.parts["train"][0], points.parts["train"][0][:256])
    assert not two_d().parts["test"][0].any()
    versions = {data.version for data in (points, twin, two_d(), two_d(synthetic=True), digits())}
    assert len(versions) == 5
    assert all(len(version) == 64 for version in versions)


def test_digits():
    data = digits()
    pixels, labels = data.take("train", torch.arange(1445))
    assert pixels.shape == (1445, 1, 8, 8)
    assert (pixels.min(), pixels.max()) == (0.0, 1.0)
    assert labels.dtype == torch.int64
    twin = digits(synthetic=True)
    assert torch.equal(twin.parts["test"][0], data.parts["test"][0][:256])


def test_versions_do_not_change():
    # Results carry them: a change here means that results no longer compare.
    assert quadratic().version.startswith("11f8f84f8197aeb8")
    assert digits().version.startswith("6c1302fcc9a00669")
