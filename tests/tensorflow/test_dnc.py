"""``dnc_copy`` in TensorFlow: PyTorch's numbers, and DeepOBS's own runner."""

import math

import pytest

from alig_deepobs import registry

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def answer(worker):
    return worker("dnc_worker")


def test_the_entry_names_it():
    factory = registry.find_testproblem("dnc_copy").tensorflow_factory
    assert factory == "alig_deepobs.testproblems.tensorflow.dnc_copy:dnc_copy"


def test_variables(answer):
    problem = answer["problem"]
    assert problem["names"] == problem["our_names"]
    assert len(problem["names"]) == 24
    assert sum(size for _, _, size in problem["start"].values()) == 43_980
    for name, (deviation, largest, size) in problem["start"].items():
        if name.endswith("bias") and name != "controller.gates.bias":
            assert largest == 0.0
        elif size > 1000:
            inputs = {"controller.gates.weight": 134}.get(name, 64)
            assert deviation == pytest.approx(0.8796 / math.sqrt(inputs), rel=0.05)
            assert largest <= 2.0001 / math.sqrt(inputs)


def test_outputs_losses_and_gradients_equal_those_of_pytorch(answer):
    problem = answer["problem"]
    assert problem["outputs"] < 1e-5
    assert problem["losses"] < 1e-5
    ours, theirs = problem["loss"]
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert problem["accuracy"][0] == problem["accuracy"][1]
    assert len(problem["gradients"]) == 24
    for difference, _ in problem["gradients"].values():
        assert difference < 1e-5
    largest = max(slope for _, slope in problem["gradients"].values())
    assert largest > 0.1


@pytest.mark.parametrize("write_heads", ["1", "2"])
def test_states_and_gradients_of_a_small_network_in_double_precision(answer, write_heads):
    network = answer["networks"][write_heads]
    assert network["outputs"] < 1e-12
    assert len(network["state"]) == 9
    assert max(network["state"].values()) < 1e-12
    assert len(network["gradients"]) == 24
    assert max(network["gradients"].values()) < 1e-11


def test_mini_batches_are_those_of_pytorch(answer):
    assert answer["problem"]["batches"] == [True] * 200


def test_evaluations_equal_those_of_pytorch(answer):
    for size, theirs, ours, their_accuracy, our_accuracy in (
        answer["problem"]["evaluations"].values()
    ):  # fmt: skip
        assert size == 1024
        assert ours == pytest.approx(theirs, rel=1e-5)
        assert our_accuracy == pytest.approx(their_accuracy, abs=1e-6)


def test_deepobs_runner_trains_it(answer):
    run = answer["run"]
    assert len(run["minibatch_train_losses"]) == 100
    assert run["test_losses"][0] == pytest.approx(11.264, rel=0.05)
    assert run["test_losses"][1] < 8.5
    assert len(run["test_accuracies"]) == 2
