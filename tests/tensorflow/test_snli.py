"""``snli_bilstm`` on TensorFlow: the same outputs and gradients, and DeepOBS's own runner."""

import math

import pytest

from alig_deepobs import registry


@pytest.fixture(scope="module")
def answer(worker):
    return worker("snli_worker")


@pytest.mark.slow
@pytest.mark.parametrize("case", ["snli_bilstm", "masked", "snli_bilstm_svm"])
def test_outputs_losses_and_gradients_of_pytorch(case, answer):
    # The mini-batch is the same one, too: the second of the first epoch under the same seed.
    assert answer[case]["same_labels"]
    assert answer[case]["largest_difference"] < 1e-5
    assert answer[case]["largest_gradient"] > 1e-2


@pytest.mark.slow
def test_deepobs_own_runner_trains_it(answer):
    losses, accuracies = answer["train"]["train_losses"], answer["train"]["test_accuracies"]
    assert len(losses) == len(accuracies) == 4
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[0] != losses[-1]


@pytest.mark.slow
def test_full_size(answer):
    assert answer["parameters"] == 47_155_715


def test_the_registry_names_the_classes():
    for name in ("snli_bilstm", "snli_bilstm_svm"):
        factory = registry.find_testproblem(name).tensorflow_factory
        assert factory == f"alig_deepobs.testproblems.tensorflow.snli_bilstm:{name}"
