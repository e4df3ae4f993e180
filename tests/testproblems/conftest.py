"""Small official-format files and an empty cache for every test."""

import gzip
import hashlib
import struct

import numpy as np
import pytest

from alig_deepobs.testproblems.datasets.fetch import CACHE_VARIABLE
from alig_deepobs.testproblems.datasets.sources import MNIST, RemoteFile, Source


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))
    monkeypatch.setenv("NO_PROXY", "*")
    return folder


def write_idx(path, array, magic=None):
    """Writes bytes in the official format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    magic = 0x0800 + array.ndim if magic is None else magic
    header = struct.pack(f">{1 + array.ndim}I", magic, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes(), mtime=0))
    return path


@pytest.fixture(name="write_idx")
def write_idx_fixture():
    return write_idx


@pytest.fixture
def mnist_arrays():
    rng = np.random.default_rng(0)
    return {
        "train-images-idx3-ubyte.gz": rng.integers(0, 256, (300, 28, 28), np.uint8),
        "train-labels-idx1-ubyte.gz": rng.integers(0, 10, 300, np.uint8),
        "t10k-images-idx3-ubyte.gz": rng.integers(0, 256, (150, 28, 28), np.uint8),
        "t10k-labels-idx1-ubyte.gz": rng.integers(0, 10, 150, np.uint8),
    }


@pytest.fixture
def mnist_folder(tmp_path, mnist_arrays):
    """A data_dir with 300 + 150 random images in MNIST's files."""
    for name, array in mnist_arrays.items():
        write_idx(tmp_path / "data" / "mnist" / name, array)
    return tmp_path / "data"


@pytest.fixture
def official(mnist_folder):
    """A source whose digests are those of the files in `mnist_folder`."""

    def describe(name):
        raw = (mnist_folder / "mnist" / name).read_bytes()
        content = hashlib.sha256(gzip.decompress(raw)).hexdigest()
        return RemoteFile(name, len(raw), hashlib.sha256(raw).hexdigest(), content)

    return Source("mnist", "MNIST", tuple(describe(file.name) for file in MNIST.files))
