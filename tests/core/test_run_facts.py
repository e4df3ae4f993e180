"""A run as a value: what makes two runs the same, one setting, comparable; what repeats a run."""

from __future__ import annotations

import dataclasses
import math
import shlex

import pytest

from alig_deepobs.registry import find_optimizer, find_testproblem
from alig_deepobs.run import (
    TRAINING_PARAMS,
    Evaluation,
    Outcome,
    ResolvedRun,
    Run,
    RunResult,
    RunSpec,
    facets,
)
from alig_deepobs.settings import parse_setting

# Another value of every field of a run.
OTHER = {
    "testproblem": "digits_logreg",
    "optimizer_name": "Mine",
    "hyperparams": {"lr": 0.2},
    "optimizer": "momentum",
    "batch_size": 64,
    "num_epochs": 4,
    "random_seed": 43,
    "weight_decay": 0.1,
    "split": "validation",
    "reshuffle": True,
    "problem_options": {"size": 3},
    "training_params": {"clip_norm": 1.0},
    "framework": "tensorflow",
    "precision": "bfloat16",
    "synthetic": True,
    "data_set": "mnist",
    "data_label": "MNIST",
    "data_source": "official",
    "data_version": "abc",
    "numbers_version": 7,
    "train_log_interval": 3,
    "purpose": "tuning",
    "setting_source": "somebody",
    "tuning": {"protocol": "equal"},
}
IDENTITY = {
    "testproblem", "hyperparams", "optimizer", "batch_size", "num_epochs", "random_seed",
    "weight_decay", "split", "reshuffle", "problem_options", "training_params", "framework",
    "precision", "synthetic", "data_version", "numbers_version",
}  # fmt: skip
COMPARABLE = {
    "testproblem", "num_epochs", "split", "reshuffle", "problem_options", "framework",
    "precision", "synthetic", "data_label", "data_version", "numbers_version",
}  # fmt: skip


@pytest.fixture
def run():
    return Run(
        "digits_mlp", "SGD", {"lr": 0.1}, optimizer="sgd", batch_size=32, num_epochs=3,
        random_seed=42,
    )  # fmt: skip


def test_every_field_has_a_facet_with_a_label_and_another_value():
    assert set(facets(Run)) == set(OTHER)
    for of in (Run, ResolvedRun):
        assert all(facet.label for facet in facets(of).values())
    measured = {name: facet for name, facet in facets(RunResult).items() if name not in OTHER}
    assert not any(facet.identity or facet.comparable for facet in measured.values())
    own = {name: facet for name, facet in facets(ResolvedRun).items() if name not in OTHER}
    assert not any(facet.identity or facet.comparable for facet in own.values())


@pytest.mark.parametrize("name", OTHER)
def test_what_a_field_changes(run, name):
    other = dataclasses.replace(run, **{name: OTHER[name]})
    assert (other.identity() != run.identity()) == (name in IDENTITY)
    assert (other.setting() != run.setting()) == (name in IDENTITY - {"random_seed"})
    assert (other.comparison() != run.comparison()) == (name in COMPARABLE)


def test_values_that_mean_the_same_are_one_identity(run):
    for one, same in [
        ({"k": 1}, {"k": 1.0}), ({"b": (0.9, 0.99)}, {"b": [0.9, 0.99]}),
        ({"d": {"x": (1, 2.0)}}, {"d": {"x": [1.0, 2]}}), ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ]:  # fmt: skip
        first, second = (dataclasses.replace(run, hyperparams=h) for h in (one, same))
        assert first.identity() == second.identity()
    for one, other in [
        ({"k": 1}, {"k": 1.5}), ({"k": "1"}, {"k": 1}), ({"k": None}, {}), ({"k": 0}, {"k": None}),
    ]:  # fmt: skip
        first, second = (dataclasses.replace(run, hyperparams=h) for h in (one, other))
        assert first.identity() != second.identity()
    assert len(run.identity()) == len(run.setting()) == 20


def test_only_runs_that_came_to_an_end_are_final():
    final = {outcome.value: outcome.is_final for outcome in Outcome}
    ended = dict.fromkeys(["done", "diverged"], True)
    cut = dict.fromkeys(["out of memory", "timeout", "interrupted", "failed"], False)
    assert final == {**ended, **cut}


@pytest.mark.parametrize(
    ("hyperparams", "rate"),
    [
        ({"lr": 0.1, "max_lr": 5.0}, 0.1), ({"learning_rate": 1}, 1.0), ({"max_lr": 2.0}, 2.0),
        ({"max_lr": None}, None), ({"lr": math.inf}, None), ({"lr": "auto"}, None), ({}, None),
    ],
)  # fmt: skip
def test_learning_rate_whatever_it_is_called(run, hyperparams, rate):
    assert dataclasses.replace(run, hyperparams=hyperparams).learning_rate == rate


def test_what_was_set_by_hand(run):
    run.weight_decay = find_testproblem("digits_mlp").weight_decay
    assert run.setting_params() == {"lr": 0.1}
    changed = dataclasses.replace(
        run,
        weight_decay=0.5,
        hyperparams={"betas": [0.9, 0.99]},
        training_params={"clip_norm": 1.0},
    )
    assert changed.setting_params() == {"betas": (0.9, 0.99), "clip_norm": 1.0, "weight_decay": 0.5}
    own = dataclasses.replace(run, weight_decay=0.5, hyperparams={"weight_decay": 0.01})
    assert own.setting_params() == {"weight_decay": 0.01}
    default = find_testproblem("cifar10_3c3d").weight_decay
    problem = {"testproblem": "cifar10_3c3d", "hyperparams": {}}
    assert dataclasses.replace(run, weight_decay=default, **problem).setting_params() == {}
    unknown = dataclasses.replace(run, testproblem="strangers", weight_decay=0.1, hyperparams={})
    assert unknown.setting_params() == {"weight_decay": 0.1}


def test_command_that_repeats_a_run(run):
    words = shlex.split(run.repeat_command())
    assert words[:2] == ["alig-deepobs", "run"]
    assert words[2:5] == ["digits_mlp", "--optimizer", "sgd[lr=0.1]"]
    options = dict(zip(words[5::2], words[6::2], strict=False))
    assert options["--batch_size"] == "32"
    assert options["--num_epochs"] == "3"
    assert options["--random_seed"] == "42"
    # The problem's default may change, so the order is said in any case.
    assert "--no-reshuffle" in words
    assert not {"--split", "--framework", "--synthetic", "--no-synthetic", "--weight_decay"} & {
        *words
    }
    assert "--seeds" not in words
    assert shlex.split(run.repeat_command(5))[-2:] == ["--seeds", "5"]
    assert dataclasses.replace(run, optimizer="").repeat_command() == ""


def test_command_says_everything_that_was_changed(run):
    changed = dataclasses.replace(
        run, weight_decay=0.5, split="validation", reshuffle=True, framework="tensorflow",
        synthetic=True, problem_options={"size": 3}, hyperparams={"lr": 0.1, "mode": "a b"},
        training_params={
            "lr_sched_epochs": [1, 2], "lr_sched_factors": (0.1, 0.01), "clip_norm": 2.0,
        },
    )  # fmt: skip
    words = shlex.split(changed.repeat_command())
    assert parse_setting(words[2]).params == {"size": 3}
    assert parse_setting(words[4]).params == {"lr": 0.1, "mode": "a b"}
    text = " ".join(words[5:])
    for part in (
        "--weight_decay 0.5", "--split validation", "--reshuffle", "--framework tensorflow",
        "--synthetic", "--lr_sched_epochs 1,2", "--lr_sched_factors 0.1,0.01", "--clip_norm 2.0",
    ):  # fmt: skip
        assert part in text
    assert "--no-reshuffle" not in text


def test_result_of_a_resolved_run(run):
    values = {field.name: getattr(run, field.name) for field in dataclasses.fields(Run)}
    resolved = ResolvedRun(
        **values, problem=find_testproblem("digits_mlp"), entry=find_optimizer("sgd")
    )
    result = resolved.result(steps=7, started="now")
    assert result.identity() == resolved.identity() == run.identity()
    assert (result.steps, result.started, result.command) == (7, "now", run.repeat_command())
    assert (result.outcome, result.schema_version) == (Outcome.DONE, 2)
    assert result.test_losses == []


def test_evaluations_of_a_result(run):
    result = RunResult(**dataclasses.asdict(run))
    evaluations = [Evaluation(1.5, 1.0, 0.25), Evaluation(0.75, 0.5, 0.5)]
    for evaluation in evaluations:
        result.append("valid", evaluation)
    assert result.valid_losses == [1.5, 0.75]
    assert result.valid_data_losses == [1.0, 0.5]
    assert result.valid_accuracies == [0.25, 0.5]
    assert result.last("valid") == evaluations[1]
    result.append("test", Evaluation(2.0, 2.0, None))
    assert result.last("test") == Evaluation(2.0, 2.0, None)
    assert (result.test_accuracies, result.train_losses) == ([], [])


@pytest.mark.parametrize(
    ("loss", "data_loss", "finite"),
    [(1.0, 1.0, True), (math.inf, 1.0, False), (1.0, math.nan, False), (math.nan, math.nan, False)],
)
def test_finite_evaluations(loss, data_loss, finite):
    assert Evaluation(loss, data_loss, None).is_finite == finite


def test_defaults_of_what_is_asked():
    spec = RunSpec("digits_mlp", "sgd")
    values = dataclasses.asdict(spec)
    assert (spec.random_seed, spec.train_log_interval, spec.framework) == (42, 10, "pytorch")
    assert {name for name, value in values.items() if value is None} == {
        "batch_size", "num_epochs", "weight_decay", "split", "reshuffle", "data_dir", "device",
        "threads", "keep_best", "time_limit", "checkpoint_interval",
    }  # fmt: skip
    assert {name for name, value in values.items() if value is False} == {
        "synthetic", "offline", "compile", "channels_last",
    }  # fmt: skip
    assert spec.precision == "float32"
    names = {field.name for field in dataclasses.fields(ResolvedRun)}
    assert set(values) <= names
    assert set(TRAINING_PARAMS) == {
        "lr_sched_epochs", "lr_sched_factors", "lr_decay_per_epoch", "lr_plateau_factor",
        "clip_norm",
    }  # fmt: skip


def test_limits_and_defaults_of_the_fields():
    limits = {name: facet.minimum for name, facet in facets(ResolvedRun).items()}
    assert {name: limit for name, limit in limits.items() if limit is not None} == {
        "batch_size": 1, "num_epochs": 0, "weight_decay": 0, "train_log_interval": 1, "threads": 1,
        "time_limit": 0, "checkpoint_interval": 0,
    }  # fmt: skip
    choices = {name: facet.choices for name, facet in facets(ResolvedRun).items() if facet.choices}
    assert choices == {
        "split": ("full", "validation"), "framework": ("pytorch", "tensorflow"),
        "precision": ("float32", "bf16"), "purpose": ("", "tuning"),
    }  # fmt: skip
    result = RunResult("p", "o", {}, batch_size=1, num_epochs=1, random_seed=1)
    empty = {name: value for name, value in dataclasses.asdict(result).items() if not value}
    assert {name: value for name, value in empty.items() if value == ""} == dict.fromkeys(
        ["optimizer", "data_set", "data_label", "data_source", "data_version", "purpose",
         "setting_source", "outcome_reason", "best_weights", "optimizer_class", "started",
         "command"], "",
    )  # fmt: skip
    assert {name for name, value in empty.items() if value is None} == {
        "weight_decay", "best_valid_epoch", "best_valid_test_loss", "best_valid_test_accuracy",
        "max_norm", "peak_memory_bytes", "time_limit",
    }  # fmt: skip
    assert (result.numbers_version, result.train_log_interval, result.split) == (1, 10, "full")
