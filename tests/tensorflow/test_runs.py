"""All problems of DeepOBS 1.1.2 train in its own runner, on TensorFlow 2."""

import math

import pytest

# Problem -> batch size and number of parameters; an epoch has two mini-batches.
CHEAP = {
    "quadratic_deep": (500, 100),
    "two_d_beale": (5000, 2),
    "two_d_branin": (5000, 2),
    "two_d_rosenbrock": (5000, 2),
    "mnist_logreg": (16, 7_850),
    "mnist_mlp": (16, 1_336_610),
    "mnist_2c2d": (16, 3_274_634),
    "mnist_vae": (16, 10_151_489),
    "fmnist_logreg": (16, 7_850),
    "fmnist_mlp": (16, 1_336_610),
    "fmnist_2c2d": (16, 3_274_634),
    "fmnist_vae": (16, 10_151_489),
    "cifar10_3c3d": (16, 895_210),
    "cifar100_3c3d": (16, 918_340),
    "cifar100_allcnnc": (8, 1_387_108),
    "svhn_3c3d": (16, 895_210),
    "svhn_wrn164": (8, 2_748_890),
    "tolstoi_char_rnn": (4, 284_499),
}
COSTLY = {
    "cifar10_vgg16": (2, 134_301_514),
    "cifar10_vgg19": (2, 139_611_210),
    "cifar100_vgg16": (2, 134_670_244),
    "cifar100_vgg19": (2, 139_979_940),
    "cifar100_wrn404": (2, 8_972_340),
    "imagenet_vgg16": (2, 138_361_641),
    "imagenet_vgg19": (2, 143_671_337),
    "imagenet_inception_v3": (2, 27_164_082),
}


def check(answer, parameters):
    assert "error" not in answer, answer["error"]
    assert answer["parameters"] == parameters
    losses = answer["train_losses"] + answer["test_losses"] + answer["minibatch_train_losses"]
    assert len(losses) == 2 + 2 + 2
    assert all(math.isfinite(loss) for loss in losses)
    before, after = answer["test_losses"]
    assert before != after


@pytest.fixture(scope="module")
def answers(worker):
    return worker("run_worker", *(f"{name}={size}" for name, (size, _) in CHEAP.items()))


@pytest.mark.parametrize("problem", CHEAP)
def test_two_steps(problem, answers):
    check(answers[problem], CHEAP[problem][1])


@pytest.mark.slow
@pytest.mark.parametrize("problem", COSTLY)
def test_two_steps_of_a_large_network(problem, worker):
    size, parameters = COSTLY[problem]
    # A process for each gives the memory back.
    check(worker("run_worker", f"{problem}={size}")[problem], parameters)


def test_all_problems_are_tried():
    assert len(CHEAP | COSTLY) == 26
