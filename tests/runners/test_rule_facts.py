"""Single facts of the rule that chooses a setting, and of what a reader is told of it."""

from __future__ import annotations

import pytest

from alig_deepobs.run import Outcome, RunResult, RunSpec
from alig_deepobs.runners.selection import TUNING_SEED, Rule, tuning_seeds


def run(problem="digits_mlp", outcome=Outcome.DONE, **lists):
    return RunResult(
        problem, "SGD", {"lr": 0.1}, batch_size=32, num_epochs=3, random_seed=1000,
        outcome=outcome, **lists,
    )  # fmt: skip


def chosen(*runs, **rule):
    return Rule(**rule).ranked([[one] for one in runs])


def test_all_are_ranked():
    runs = [run(valid_data_losses=[9, loss], valid_accuracies=[0, accuracy], test_losses=[1, 1])
            for accuracy, loss in ((0.8, 0.1), (0.9, 0.5), (0.9, 0.4))]  # fmt: skip
    assert chosen(*runs) == [2, 1, 0]


def test_accuracies_that_differ_by_rounding_are_equal():
    runs = [run(valid_data_losses=[9, loss], valid_accuracies=[0, accuracy], test_losses=[1, 1])
            for accuracy, loss in ((0.9, 0.5), (0.9 - 1e-8, 0.4), (0.9 - 2e-5, 0.3))]  # fmt: skip
    assert chosen(*runs) == [1, 0, 2]


def test_losses_below_0_are_no_accuracies():
    """Noise is added to those of two_d_*."""
    near, nearest = (run("two_d_beale", test_losses=[1, 1], train_data_losses=[3.0, -0.001 - x])
                     for x in (1e-7, 2e-7))  # fmt: skip
    assert chosen(near, nearest) == [1, 0]
    assert Rule().score_text([near]) == "training loss -0.001"


@pytest.mark.parametrize("kind", ["train_data_losses", "train_losses"])
def test_training_losses_decide_at_the_epoch_that_is_reported(kind):
    """Files of DeepOBS have no data terms."""
    early = run("two_d_branin", test_losses=[1, 1, 1], **{kind: [9.0, 0.1, 3.0]})
    late = run("two_d_branin", test_losses=[1, 1, 1], **{kind: [9.0, 0.5, 0.4]})
    assert chosen(early, late) == [1, 0]
    assert chosen(early, late, epoch="best") == [0, 1]


def test_of_equal_training_losses_the_first():
    runs = [run("two_d_branin", test_losses=[1] * n, train_data_losses=[2.0, 1.0]) for n in (2, 2)]
    assert chosen(*runs) == [0, 1]


def test_validation_losses_of_files_without_data_terms():
    runs = [run("strangers", valid_losses=[9, loss], test_losses=[9, 1]) for loss in (2, 1)]
    assert chosen(*runs) == [1, 0]


@pytest.mark.parametrize(
    ("metric", "last", "best"),
    [("test_losses", [1, 0], [0, 1]), ("test_accuracies", [0, 1], [1, 0])],
)
def test_a_metric_of_ones_own(metric, last, best):
    """Losses are to be low and accuracies high; the validation data say nothing of it."""
    shared = {"valid_data_losses": [1.0, 1.0, 1.0]}
    runs = [
        run(test_losses=[3.0, 0.5, 2.0], test_accuracies=[0.1, 0.6, 0.5], **shared),
        run(test_losses=[3.0, 1.5, 1.0], test_accuracies=[0.1, 0.9, 0.3], **shared),
    ]
    assert chosen(*runs, metric=metric) == last
    assert chosen(*runs, metric=metric, epoch="best") == best
    # Where a result does not have it, the usual rule decides.
    better = run(valid_data_losses=[1.0, 1.0, 0.5])
    assert chosen(run(**shared), better, metric=metric) == [1, 0]


def test_what_a_reader_is_told():
    def accurate(*accuracies, **options):
        valid = {"valid_accuracies": [0.0, *accuracies], "valid_data_losses": [9.0, 1.0]}
        return run(**valid, test_losses=[9.0, 1.0], **options)

    rule = Rule((1, 2))
    assert rule.score_text([accurate(0.5), accurate(0.75)]) == "validation accuracy 62.50%"
    bad = accurate(0.5, outcome=Outcome.DIVERGED)
    assert rule.score_text([accurate(0.5), bad]) == "diverged in 1 of 2 runs"
    assert rule.score_text([bad]) == "diverged"
    assert rule.score_text([accurate(0.5), accurate(0.5, outcome=Outcome.FAILED), bad]) == (
        "failed in 2 of 3 runs"
    )
    lossy = run("two_d_branin", train_data_losses=[3.0, 0.123456], test_losses=[3.0, 1.0])
    assert rule.score_text([lossy]) == "training loss 0.1235"
    valid = run("mnist_vae", valid_data_losses=[3.0, 45.67891], test_losses=[3.0, 1.0])
    assert rule.score_text([valid]) == "validation loss 45.68"


def test_source_of_a_choice():
    specs = [RunSpec("digits_mlp", "sgd", {"lr": lr}) for lr in (0.1, 0.2)]
    assert Rule().source(specs) == (
        "best of 2 settings by validation accuracy, last epoch, seed 1000"
    )
    best = Rule((7, 8), "best").source([RunSpec("two_d_branin", "sgd")])
    assert best == "best of 1 setting by training loss, best epoch, seeds 7, 8"
    (in_tensorflow,) = [RunSpec("mnist_mlp", "sgd", framework="tensorflow")]
    assert "by training loss" in Rule().source([in_tensorflow])


def test_tuning_seeds():
    assert TUNING_SEED == 1000
    assert Rule().seeds == (1000,)
    assert tuning_seeds([]) == tuning_seeds([999, 1001]) == (1000,)
    assert tuning_seeds([1001], 2) == (1002, 1003)
    assert tuning_seeds([1002], 2) == (1000, 1001)
    assert tuning_seeds([1000, 5]) == (1001,)
