"""What a predictor that ignores its input achieves: no result below that is one.

Measured on the official test sets; the loss of Fashion-MNIST's mean image is the plateau on which
DeepOBS's collapsed runs end.
"""

from __future__ import annotations

from alig_deepobs.registry import testproblems
from alig_deepobs.run import Outcome, RunResult

CONSTANT_ACCURACY = {
    "mnist": 0.1135,
    "fmnist": 0.1,
    "cifar10": 0.1,
    "cifar100": 0.01,
    "svhn": 0.1959,
    "tolstoi": 0.156,
    "digits": 0.1194,
    "imagenet": 0.001,
    "snli": 0.343,
}
"""Data set -> share of the most frequent class (for Tolstoi: character) in the test set."""

CONSTANT_LOSS = {"mnist_vae": 52.9, "fmnist_vae": 67.9}
"""Test problem -> test loss of the mean training image."""

_ACCURACY_MARGIN = 1.05
_LOSS_MARGIN = 0.99


def is_trivial_accuracy(data_set: str, accuracy: float) -> bool:
    """Whether a test accuracy is at most 1.05 x that of always predicting the same class.

    Example:
        >>> is_trivial_accuracy("mnist", 0.1135), is_trivial_accuracy("mnist", 0.2)
        (True, False)
    """
    return accuracy <= _ACCURACY_MARGIN * CONSTANT_ACCURACY.get(data_set, 0.0)


def is_trivial_loss(problem: str, loss: float) -> bool:
    """Whether a test loss is at least 0.99 x that of the mean image.

    Example:
        >>> is_trivial_loss("mnist_vae", 52.91), is_trivial_loss("mnist_vae", 28.0)
        (True, False)
    """
    return problem in CONSTANT_LOSS and loss >= _LOSS_MARGIN * CONSTANT_LOSS[problem]


def is_trivial(run: RunResult) -> bool:
    """Whether a finished run with the losses that DeepOBS records is no result.

    Its training loss is not below that before training, or its test result is no better than a
    prediction that ignores the input.

    Example:
        >>> from alig_deepobs.baselines import published_runs
        >>> sum(is_trivial(run) for run in published_runs("mnist_vae", "sgd"))
        4
    """
    if run.outcome is not Outcome.DONE:
        return False
    if run.train_losses[-1] >= run.train_losses[0]:
        return True
    if run.test_accuracies:
        data_set = testproblems()[run.testproblem].data_set
        return is_trivial_accuracy(data_set, run.test_accuracies[-1])
    return is_trivial_loss(run.testproblem, run.test_losses[-1])
