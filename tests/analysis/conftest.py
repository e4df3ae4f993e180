"""Runs made up for tests: the numbers are planted, so every expected answer is known."""

from __future__ import annotations

import pytest

from alig_deepobs.registry import ProblemEntry
from alig_deepobs.run import Outcome, RunResult


@pytest.fixture
def accuracy_problem():
    return ProblemEntry(
        "toy", "Toy", "nowhere:toy", "toy", 32, 2, metric="accuracy", target=0.9, interpolates=True
    )


@pytest.fixture
def loss_problem():
    return ProblemEntry(
        "toy", "Toy", "nowhere:toy", "toy", 32, 2, metric="loss", target=1.0, interpolates=False
    )


@pytest.fixture
def make_run():
    """A run whose test accuracy ends at ``final`` (and its test loss at ``1 - final``)."""

    def make(label="SGD", seed=1, final=0.9, epochs=2, diverged_after=None, **changes):
        accuracies = [0.1 + (final - 0.1) * epoch / max(1, epochs) for epoch in range(epochs + 1)]
        accuracies[-1] = final
        losses = [1.0 - accuracy for accuracy in accuracies]
        if diverged_after is not None:
            accuracies, losses = accuracies[: diverged_after + 1], losses[: diverged_after + 1]
        finished = len(losses) - 1
        values = {
            "testproblem": "toy",
            "optimizer_name": label,
            "optimizer": label.lower(),
            "hyperparams": {"lr": 0.1},
            "batch_size": 32,
            "num_epochs": epochs,
            "random_seed": seed,
            "outcome": Outcome.DONE if diverged_after is None else Outcome.DIVERGED,
            "train_losses": [loss + 5 for loss in losses],
            "test_losses": [loss + 5 for loss in losses],
            "train_data_losses": [loss / 2 for loss in losses],
            "test_data_losses": losses,
            "train_accuracies": accuracies,
            "test_accuracies": accuracies,
            "training_seconds": [2.0] * finished,
            "evaluation_seconds": [0.5] * (finished + 1),
            "steps": 10 * finished,
            "data_label": "Toy data",
            "environment": {"device": "cpu"},
        }
        return RunResult(**{**values, **changes})

    return make
