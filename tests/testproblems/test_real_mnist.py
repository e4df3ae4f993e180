"""Initial losses on the real MNIST, where its files are at hand."""

import os

import numpy as np
import pytest

import alig_deepobs.testproblems as testproblems

DATA = os.environ.get("ALIG_DEEPOBS_TEST_DATA")
pytestmark = pytest.mark.skipif(
    DATA is None, reason="ALIG_DEEPOBS_TEST_DATA names no folder with the official files"
)


# DeepOBS 1.1.2 starts at 2.3026, 2.3004, 2.3731 and 181.4, with other draws of the weights.
@pytest.mark.parametrize(
    ("name", "batches", "low", "high"),
    [
        ("mnist_logreg", 78, 2.30258, 2.30259),
        ("mnist_mlp", 78, 2.295, 2.312),
        ("mnist_2c2d", 8, 2.28, 2.5),
        ("mnist_vae", 16, 178.0, 185.0),
    ],
)
def test_initial_loss(name, batches, low, high):
    problem = getattr(testproblems, name)(
        64 if name == "mnist_vae" else 128, data_dir=DATA, seed=42, device="cpu"
    )
    problem.set_up()
    assert problem.data.label == "MNIST"
    assert (problem.data.size("train"), problem.data.size("test")) == (60_000, 10_000)
    problem.test_init_op()
    losses = [problem.get_batch_loss_and_accuracy()[0].item() for _ in range(batches)]
    assert low < np.mean(losses) < high


def test_splits():
    problem = testproblems.mnist_logreg(128, data_dir=DATA, device="cpu", split="validation")
    problem.set_up()
    assert [problem.data.size(part) for part in ("train", "valid")] == [50_000, 10_000]
    assert problem.train_eval_order(0).shape == (78, 128)
