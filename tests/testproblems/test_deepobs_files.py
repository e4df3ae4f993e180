"""Files written for DeepOBS 1.1.2 hold what they were written from."""

import numpy as np
import pytest
import torch

from alig_deepobs.testproblems.datasets.cifar import cifar10, cifar100
from alig_deepobs.testproblems.datasets.deepobs_files import write_for_deepobs
from alig_deepobs.testproblems.datasets.generated import quadratic
from alig_deepobs.testproblems.datasets.images import fmnist, mnist
from alig_deepobs.testproblems.datasets.svhn import svhn
from alig_deepobs.testproblems.datasets.tolstoi import tolstoi


@pytest.mark.parametrize("load", [mnist, fmnist, cifar10, cifar100, svhn, tolstoi])
def test_read_again(load, tmp_path):
    twin = load(synthetic=True)
    write_for_deepobs(twin, tmp_path)
    again = load(data_dir=str(tmp_path), offline=True)
    for part in ("train", "test"):
        for written, read in zip(twin.parts[part], again.parts[part], strict=True):
            assert torch.equal(written, read)


def test_names_are_those_that_deepobs_looks_for(tmp_path):
    for load in (mnist, cifar10, cifar100, svhn, tolstoi):
        write_for_deepobs(load(synthetic=True), tmp_path)
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {
        "mnist/train-images-idx3-ubyte.gz", "mnist/train-labels-idx1-ubyte.gz",
        "mnist/t10k-images-idx3-ubyte.gz", "mnist/t10k-labels-idx1-ubyte.gz",
        *(f"cifar-10/data_batch_{n}.bin" for n in range(1, 6)), "cifar-10/test_batch.bin",
        "cifar-100/train.bin", "cifar-100/test.bin",
        *(f"svhn/data_batch_{n}.bin" for n in range(5)), "svhn/test_batch.bin",
        "tolstoi/train.npy", "tolstoi/test.npy",
    }  # fmt: skip


def test_text_is_whole(tmp_path):
    twin = tolstoi(synthetic=True)
    write_for_deepobs(twin, tmp_path)
    ids = np.load(tmp_path / "tolstoi" / "train.npy")
    assert ids.dtype == np.int64
    assert len(ids) == twin.parts["train"][0].numel() + 1


def test_data_that_deepobs_draws_itself(tmp_path):
    write_for_deepobs(quadratic(), tmp_path)
    assert list(tmp_path.iterdir()) == []
