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


OPTIMIZERS = ("sgd", "momentum", "adam", "alig")
# With all four optimizers in every test run; the others have the other three in a slow test.
LIGHT = ("quadratic_deep", "two_d_beale", "mnist_logreg", "mnist_2c2d", "mnist_vae")
HEAVY = tuple(name for name in CHEAP if name not in LIGHT)


def check(answer, parameters, optimizers):
    assert "error" not in answer, answer["error"]
    assert set(answer) == set(optimizers)
    for name, found in answer.items():
        if "sgd" in answer:
            assert found["parameters"] == parameters
        losses = found["train_losses"] + found["test_losses"] + found["minibatch_train_losses"]
        assert len(losses) == 2 + 2 + 2
        assert all(math.isfinite(loss) for loss in losses)
        before, after = found["test_losses"]
        assert before != after, name


@pytest.fixture(scope="module")
def answers(worker):
    every = ",".join(OPTIMIZERS)
    return worker(
        "run_worker",
        *(f"{name}={CHEAP[name][0]}={every}" for name in LIGHT),
        *(f"{name}={CHEAP[name][0]}" for name in HEAVY),
    )


@pytest.mark.parametrize("problem", LIGHT)
def test_two_steps_with_each_optimizer(problem, answers):
    check(answers[problem], CHEAP[problem][1], OPTIMIZERS)


@pytest.mark.parametrize("problem", HEAVY)
def test_two_steps(problem, answers):
    check(answers[problem], CHEAP[problem][1], ["sgd"])


@pytest.mark.slow
@pytest.mark.parametrize("problem", HEAVY)
def test_two_steps_with_the_other_optimizers(problem, worker):
    size, parameters = CHEAP[problem]
    others = OPTIMIZERS[1:]
    check(worker("run_worker", f"{problem}={size}={','.join(others)}")[problem], parameters, others)


@pytest.mark.slow
@pytest.mark.parametrize("problem", COSTLY)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_two_steps_of_a_large_network(problem, optimizer, worker):
    size, parameters = COSTLY[problem]
    # A process for each gives the memory back.
    answers = worker("run_worker", f"{problem}={size}={optimizer}")
    check(answers[problem], parameters, [optimizer])


def test_all_problems_are_tried():
    assert len(CHEAP | COSTLY) == 26
    assert set(LIGHT) < set(CHEAP)
