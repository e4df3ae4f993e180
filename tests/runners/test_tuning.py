"""Choosing one of several settings: `Rule`."""

from __future__ import annotations

import pytest

from alig_deepobs.run import Outcome, RunResult, RunSpec
from alig_deepobs.runners import execute
from alig_deepobs.runners.selection import Rule, tuning_seeds


def result(problem, *valid, outcome=Outcome.DONE, epochs=1):
    """A run with these (accuracy, loss) after its epochs."""
    accuracies = [accuracy for accuracy, _ in valid]
    losses = [loss for _, loss in valid]
    return RunResult(
        problem, "SGD", {"lr": 0.1}, batch_size=32, num_epochs=epochs, random_seed=1000,
        outcome=outcome, train_data_losses=losses, valid_data_losses=[9.0, *losses],
        valid_accuracies=[0.0, *accuracies],
        # The test set says the opposite: choosing by it would be seen.
        test_losses=[0.0] * (len(valid) + 1), test_data_losses=[0.0, *losses],
        test_accuracies=[1.0, *(1 - accuracy for accuracy in accuracies)],
    )  # fmt: skip


def choose(*candidates, problem="digits_mlp", **rule):
    return Rule(**rule).choose([[result(problem, *runs) for runs in c] for c in candidates])


def test_best_validation_accuracy_wins_then_the_lower_loss_then_the_first():
    assert choose([[(0.8, 0.1)]], [[(0.9, 0.5)]], [[(0.9, 0.4)]], [[(0.9, 0.4)]]) == 2


def test_the_epoch_that_is_reported_decides():
    early, late = [[(0.95, 0.1), (0.5, 1.0)]], [[(0.6, 0.8), (0.7, 0.7)]]
    assert choose(early, late) == 1
    assert choose(early, late, epoch="best") == 0


def test_the_mean_over_seeds_decides():
    lucky, steady = [[(0.99, 0.1)], [(0.5, 1.0)]], [[(0.9, 0.3)], [(0.9, 0.3)]]
    assert choose(lucky, steady, seeds=(1000, 1001)) == 1


def test_problems_of_losses():
    assert choose([[(0.9, 1.0)]], [[(0.1, 0.5)]], problem="mnist_vae") == 1


def test_without_a_validation_set_the_training_loss_decides():
    runs = [result("two_d_branin", (0.0, loss)) for loss in (1.0, 0.5)]
    for run in runs:
        run.valid_data_losses, run.valid_accuracies = [], []
    assert Rule().choose([[run] for run in runs]) == 1
    assert Rule().score_text([runs[1]]) == "training loss 0.5"


@pytest.mark.parametrize("outcome", [Outcome.DIVERGED, Outcome.FAILED, Outcome.INTERRUPTED])
def test_a_setting_with_a_run_that_did_not_finish_is_out(outcome):
    good = [result("digits_mlp", (0.2, 2.0)) for _ in range(2)]
    bad = [result("digits_mlp", (0.9, 0.1)), result("digits_mlp", (0.9, 0.1), outcome=outcome)]
    assert Rule((1, 2)).choose([bad, good]) == 1


def test_of_settings_that_all_diverge_the_one_that_got_furthest():
    ends = [
        [result("digits_mlp", *[(0.1, 2.0)] * n, outcome=Outcome.DIVERGED)] for n in (1, 3, 2)
    ]  # fmt: skip
    assert Rule().choose(ends) == 1


def test_runs_that_serve_to_choose():
    (run,) = Rule((1000,)).runs(RunSpec("digits_mlp", "sgd", keep_best="best"))
    assert (run.random_seed, run.split, run.purpose) == (1000, "validation", "tuning")
    assert run.keep_best is None
    (run,) = Rule().runs(RunSpec("two_d_branin", "sgd"))  # nothing to hold out
    assert run.split == "full"
    (run,) = Rule().runs(RunSpec("mnist_mlp", "sgd", framework="tensorflow"))
    assert run.split == "full"


def test_tuning_seeds_are_never_reported():
    assert tuning_seeds(range(995, 1005), 3) == (1005, 1006, 1007)


@pytest.mark.parametrize(
    ("metric", "criterion"),
    [("test_losses", "test loss"), ("valid_accuracies", "valid accuracy")],
)
def test_a_rule_says_the_metric_that_it_decides_by(metric, criterion):
    spec = RunSpec("digits_logreg", "sgd", split="validation", num_epochs=1, synthetic=True)
    rule = Rule((0,), metric=metric)
    assert rule.criterion(spec) == criterion
    assert rule.score_text([execute(spec)]).startswith(f"{criterion} ")
