"""The reader of MNIST's format: what it makes of good and of bad files."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from alig_deepobs.errors import DataError
from alig_deepobs.testproblems import mnist_logreg
from alig_deepobs.testproblems.datasets.idx import read_images, read_labels
from alig_deepobs.testproblems.datasets.images import mnist

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


def test_good_files(mnist_folder, mnist_arrays):
    folder = mnist_folder / "mnist"
    assert np.array_equal(read_images(folder / IMAGES, "").array, mnist_arrays[IMAGES])
    assert np.array_equal(read_labels(folder / LABELS, "").array, mnist_arrays[LABELS])


def cut(path):
    path.write_bytes(path.read_bytes()[:-500])


def flip(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)


def recompress(change):
    def spoil(path):
        path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))

    return spoil


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        (IMAGES, Path.unlink, "missing in"),
        (IMAGES, cut, "truncated after"),
        (IMAGES, flip, "corrupt; expected a gzip file"),
        (IMAGES, lambda path: path.write_bytes(b"<html>not found</html>"), "expected a gzip file"),
        (IMAGES, lambda path: path.write_bytes(b""), "expected a header"),
        (IMAGES, recompress(lambda content: content[:9]), "9 bytes; expected a header of 16"),
        (
            IMAGES,
            recompress(lambda content: content[:3] + b"\x01" + content[4:]),
            "magic number 2049; expected 2051",
        ),
        (
            IMAGES,
            recompress(lambda content: content[:-1]),
            "235215 decompressed bytes; expected 235216",
        ),
        (IMAGES, recompress(lambda content: content + b"x"), "235217 or more decompressed bytes"),
        (
            IMAGES,
            recompress(lambda content: content[:8] + b"\0\0\0\x0e\0\0\0\x38" + content[16:]),
            "images of 14 x 56 pixels; expected 28 x 28",
        ),
        (IMAGES, recompress(lambda content: content[:4] + bytes(4) + content[8:16]), "no images"),
        (
            LABELS,
            recompress(lambda content: content[:-1] + b"\x0a"),
            "label 10; expected labels from 0 to 9",
        ),
    ],
)  # fmt: skip
def test_bad_files(mnist_folder, name, spoil, message):
    spoil(mnist_folder / "mnist" / name)
    with pytest.raises(DataError) as caught:
        mnist(data_dir=str(mnist_folder))
    text = str(caught.value)
    assert message in text
    assert name in text
    assert "\n" not in text
    assert f"`alig-deepobs data fetch mnist --data_dir {mnist_folder}`" in text
    assert "--data_dir names another folder" in text


def test_different_numbers_of_images_and_labels(mnist_folder, write_idx, mnist_arrays):
    write_idx(mnist_folder / "mnist" / LABELS, mnist_arrays[LABELS][:-1])
    with pytest.raises(DataError, match="300 images, but its labels file has 299 labels"):
        mnist(data_dir=str(mnist_folder))


def test_a_replaced_file_is_read_again(mnist_folder, write_idx, mnist_arrays):
    first = mnist(data_dir=str(mnist_folder))
    write_idx(mnist_folder / "mnist" / LABELS, 9 - mnist_arrays[LABELS])
    second = mnist(data_dir=str(mnist_folder))
    assert first.version != second.version


def test_the_problem_reports_it(mnist_folder):
    flip(mnist_folder / "mnist" / LABELS)
    with pytest.raises(DataError, match="corrupt"):
        mnist_logreg(32, data_dir=str(mnist_folder), device="cpu").set_up()
