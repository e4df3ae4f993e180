"""Our problems and DeepOBS's have the same losses for the same weights and data."""

import pytest

# Problem -> batch size. The sizes of the first four data sets, 1,000 and 10,000, are multiples.
CHEAP = {
    "quadratic_deep": 100,
    "two_d_beale": 1000,
    "two_d_branin": 1000,
    "two_d_rosenbrock": 1000,
    "mnist_logreg": 20,
    "mnist_mlp": 20,
    "mnist_2c2d": 20,
    "mnist_vae": 20,
    "fmnist_logreg": 20,
    "fmnist_mlp": 20,
    "fmnist_2c2d": 20,
    "fmnist_vae": 20,
    "cifar10_3c3d": 20,
    "cifar100_3c3d": 20,
    "cifar100_allcnnc": 10,
    "svhn_3c3d": 20,
    "svhn_wrn164": 10,
    "tolstoi_char_rnn": 10,
}
COSTLY = {
    "cifar10_vgg16": 2,
    "cifar10_vgg19": 2,
    "cifar100_vgg16": 2,
    "cifar100_vgg19": 2,
    "cifar100_wrn404": 4,
}
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def answers(worker):
    return worker("parity_worker", *(f"{name}={size}" for name, size in CHEAP.items()))


def check(answer):
    assert "error" not in answer, answer["error"]
    ours, theirs = answer["ours"], answer["theirs"]
    assert ours["regularizer"] == pytest.approx(theirs["regularizer"], rel=TOLERANCE)
    for phase in theirs.keys() - {"regularizer"}:
        expected = theirs[phase]["loss"]
        assert ours[phase]["loss"] == pytest.approx(expected, rel=TOLERANCE)
        assert ours[phase]["losses"] == pytest.approx(
            theirs[phase]["losses"], abs=TOLERANCE * expected
        )
        assert ours[phase]["accuracy"] == pytest.approx(theirs[phase]["accuracy"], abs=1e-6)


@pytest.mark.parametrize("problem", CHEAP)
def test_losses_on_the_same_weights(problem, answers):
    check(answers[problem])


@pytest.mark.slow
@pytest.mark.parametrize("problem", COSTLY)
def test_losses_of_large_networks(problem, worker):
    # A process for each gives the memory back.
    check(worker("parity_worker", f"{problem}={COSTLY[problem]}")[problem])
