"""Choosing from a grid."""

from __future__ import annotations

import pytest

from alig_deepobs.errors import RunError
from alig_deepobs.run import Outcome, RunResult, RunSpec
from alig_deepobs.runners import tune


@pytest.fixture
def fake_run():
    """Carries out nothing: the metrics of each setting are planted."""

    def make(planted):
        specs = []

        def run(spec):
            specs.append(spec)
            accuracy, loss = planted[spec.hyperparams["lr"]]
            diverged = accuracy is None
            return RunResult(
                spec.testproblem, "SGD", dict(spec.hyperparams), 32, 1, spec.random_seed,
                outcome=Outcome.DIVERGED if diverged else Outcome.DONE,
                valid_accuracies=[] if diverged else [accuracy],
                valid_data_losses=[] if diverged else [loss],
                train_data_losses=[] if diverged else [loss],
                # The test set says the opposite: choosing by it would be seen.
                test_accuracies=[] if diverged else [1 - accuracy],
            )  # fmt: skip

        run.specs = specs
        return run

    return make


def grid(*rates):
    return [{"lr": rate} for rate in rates]


def test_best_validation_accuracy_wins_then_the_lower_loss(fake_run):
    run = fake_run({0.1: (0.8, 1.0), 0.2: (0.9, 0.5), 0.3: (0.9, 0.4), 0.4: (None, None)})
    tuned = tune(RunSpec("digits_mlp", "sgd"), grid(0.1, 0.2, 0.3, 0.4), run)
    assert tuned.params == {"lr": 0.3}
    assert tuned.source == "best of a grid of 4 by a validation part, seed 1000"
    assert {spec.split for spec in run.specs} == {"validation"}
    assert {spec.random_seed for spec in run.specs} == {1000}


def test_problems_of_losses(fake_run):
    run = fake_run({0.1: (0.9, 1.0), 0.2: (0.1, 0.5)})
    assert tune(RunSpec("mnist_vae", "sgd"), grid(0.1, 0.2), run).params == {"lr": 0.2}


def test_problems_without_validation_part(fake_run):
    run = fake_run({0.1: (0.9, 1.0), 0.2: (0.1, 0.5)})
    tuned = tune(RunSpec("two_d_branin", "sgd"), grid(0.1, 0.2), run)
    assert tuned.params == {"lr": 0.2}
    assert "the training loss" in tuned.source
    assert {spec.split for spec in run.specs} == {"full"}


def test_all_diverged(fake_run):
    run = fake_run({0.1: (None, None)})
    with pytest.raises(RunError, match="every setting of the grid diverged or failed"):
        tune(RunSpec("digits_mlp", "sgd"), grid(0.1), run)
