"""Labels, groups and comparability follow from a run's fields and nothing else."""

from __future__ import annotations

import dataclasses

import pytest

from alig_deepobs.analysis import comparable_groups, differences, group_runs, load_results
from alig_deepobs.analysis.report import build_report
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import find_testproblem
from alig_deepobs.results import write_result
from alig_deepobs.run import Run, RunResult, facets

OTHER = {
    "testproblem": "other", "hyperparams": {"lr": 0.2}, "optimizer": "package.module:SGD",
    "batch_size": 64, "num_epochs": 3, "random_seed": 2, "weight_decay": 0.5,
    "split": "validation", "reshuffle": True, "problem_options": {"dim": 3},
    "training_params": {"clip_norm": 1.0}, "framework": "tensorflow", "precision": "float16",
    "synthetic": True, "data_label": "other", "data_version": "other", "numbers_version": 2,
}  # fmt: skip


def test_every_field_that_decides_has_another_value_here():
    decides = {name for name, facet in facets(Run).items() if facet.identity or facet.comparable}
    assert set(OTHER) == decides


@pytest.mark.parametrize("name", sorted(OTHER))
def test_runs_that_differ_in_one_field(make_run, accuracy_problem, name):
    facet, run = facets(Run)[name], make_run()
    other = dataclasses.replace(run, **{name: OTHER[name]})
    assert len(comparable_groups([run, other])) == 1 + facet.comparable
    assert differences([run, other]).keys() == ({name} if facet.comparable else set())
    if not facet.comparable:
        groups = group_runs([run, other], accuracy_problem)
        assert len(groups) == (1 if name == "random_seed" else 2)
        assert len({group.label for group in groups}) == len(groups)


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"hyperparams": {"lr": 0.2}}, "SGD (lr=0.2)"),
        ({"batch_size": 64}, "SGD (batch_size=64)"),
        ({"optimizer": "package.module:SGD"}, "SGD (optimizer=package.module:SGD)"),
        ({"training_params": {"clip_norm": 1.0}}, "SGD (clip_norm=1.0)"),
    ],
)
def test_labels_say_what_differs(make_run, accuracy_problem, changes, label):
    groups = group_runs([make_run(), make_run(**changes)], accuracy_problem)
    assert label in [group.label for group in groups]


def test_a_weight_decay_of_the_optimizer_beside_the_problems(make_run, accuracy_problem):
    own = {"lr": 0.1, "weight_decay": 0.01}
    runs = [make_run("AdamW", hyperparams=own, weight_decay=l2) for l2 in (0.1, 0.2)]
    labels = [group.label for group in group_runs(runs, accuracy_problem)]
    assert labels == ["AdamW (problem's weight decay=0.1)", "AdamW (problem's weight decay=0.2)"]


def test_files_of_deepobs_are_told_apart_by_their_label(make_run, accuracy_problem):
    runs = [make_run(label, optimizer="") for label in ("SGD", "Adagrad")]
    assert [g.label for g in group_runs(runs, accuracy_problem)] == ["Adagrad", "SGD"]


def test_unverified_data_of_different_content_is_never_pooled(tmp_path):
    """Three seeds of one setting, each on a file of its own that only claims to be MNIST."""
    runs = [
        RunResult(
            "mnist_mlp", "SGD", {"lr": 0.1}, optimizer="sgd", batch_size=128, num_epochs=1,
            random_seed=seed, data_source="unverified", data_label="MNIST (unverified files)",
            data_version=f"digest {seed}", test_accuracies=[0.1, 0.3 + seed / 10],
            test_losses=[2.0, 1.0], test_data_losses=[2.0, 1.0],
        )
        for seed in range(3)
    ]  # fmt: skip
    for run in runs:
        write_result(run, tmp_path)
    found = load_results(tmp_path).results
    assert len(comparable_groups(found)) == 3
    with pytest.raises(UsageError, match="differ in version of the data"):
        group_runs(found, find_testproblem("mnist_mlp"))
    assert [len(s.board.rows) for s in build_report([tmp_path]).sections] == [1, 1, 1]
    means = [s.board.rows[0].headline.n for s in build_report([tmp_path]).sections]
    assert means == [1, 1, 1]
