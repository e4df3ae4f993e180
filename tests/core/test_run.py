"""A run as a value: one identity, decided in one place."""

from __future__ import annotations

import dataclasses
import json
import shlex

import numpy as np
import pytest
import torch

from alig_deepobs.analysis import group_runs, load_results
from alig_deepobs.cli import progress
from alig_deepobs.cli.main import cli
from alig_deepobs.cli.run import run as run_verb
from alig_deepobs.errors import ResultError, UsageError
from alig_deepobs.registry import find_testproblem
from alig_deepobs.results import read_result, setting_folder, to_json, write_result
from alig_deepobs.run import Outcome, ResolvedRun, Run, RunResult, RunSpec, facets
from alig_deepobs.runners import Cell, Store, Study
from alig_deepobs.runners.resolve import resolve

# Another value for each field of the identity.
OTHERS = {
    "testproblem": "digits_logreg",
    "hyperparams": {"lr": 0.2},
    "optimizer": "somebody.elses:SGD",
    "batch_size": 64,
    "num_epochs": 2,
    "random_seed": 43,
    "weight_decay": 0.1,
    "split": "validation",
    "reshuffle": False,
    "problem_options": {"width": 3},
    "training_params": {"clip_norm": 1.0},
    "framework": "tensorflow",
    "precision": "bf16",
    "synthetic": True,
    "data_version": "other",
    "numbers_version": 2,
}
IDENTITY = [name for name, facet in facets(Run).items() if facet.identity]
SPEC = RunSpec("digits_mlp", "sgd", {"lr": 0.1}, num_epochs=1)


@pytest.fixture
def result():
    curve = [2.0, 1.0]
    return resolve(SPEC).result(
        train_losses=curve, test_losses=curve, train_data_losses=curve, test_data_losses=curve,
        train_accuracies=[0.1, 0.5], test_accuracies=[0.1, 0.5],
        started="2026-01-01T00:00:00.000001+00:00",
    )  # fmt: skip


def test_every_field_of_the_identity_is_tried():
    assert set(OTHERS) == set(IDENTITY)


@pytest.mark.parametrize("name", IDENTITY)
def test_runs_that_differ_in_one_field_are_kept_apart(name, result, tmp_path):
    other = dataclasses.replace(result, **{name: OTHERS[name]})
    if name == "num_epochs":
        other.outcome = Outcome.DIVERGED  # it has no more curves than the other
    assert other.identity() != result.identity()
    is_seed = name == "random_seed"
    assert (other.setting() == result.setting()) == is_seed
    assert (setting_folder(other) == setting_folder(result)) == is_seed
    store = Store(tmp_path)
    store.write(result)
    assert store.find(other) is None  # not resumed from the other's result
    store.write(other)
    assert store.find(other) == other
    assert store.find(result) == result
    loaded = load_results(tmp_path)
    assert len(loaded.results) == 2
    assert not loaded.problems
    if name == "testproblem":
        return
    comparable = other.comparison() == result.comparison()
    assert comparable != facets(Run)[name].comparable
    entry = find_testproblem("digits_mlp")
    if comparable:
        assert len(group_runs([result, other], entry)) == (1 if is_seed else 2)
    else:
        with pytest.raises(UsageError, match="cannot be compared"):
            group_runs([result, other], entry)


@pytest.mark.parametrize("name", [n for n in facets(Run) if n not in IDENTITY])
def test_other_fields_do_not_matter(name, result):
    value = getattr(result, name)
    changed = value + 1 if isinstance(value, int) else f"{value} changed"
    assert dataclasses.replace(result, **{name: changed}).identity() == result.identity()


def test_every_field_has_a_facet():
    for of in (Run, ResolvedRun, RunResult):
        assert all("facet" in item.metadata for item in dataclasses.fields(of))
    asked = {item.name for item in dataclasses.fields(RunSpec)}
    assert asked <= set(facets(ResolvedRun))


def test_every_flag_reaches_the_command_line():
    options = {name for option in run_verb.params for name in option.opts}
    for name, facet in facets(ResolvedRun).items():
        if facet.flags is not None and name not in ("problem", "entry"):
            assert {f"--{name}", *facet.flags} <= options, name
            assert facet.help, name


def test_a_command_line_has_what_is_zero():
    run = resolve(dataclasses.replace(SPEC, checkpoint_interval=0.0, time_limit=0.0))
    assert "--checkpoint_interval 0.0" in run.command_line()
    assert "--time_limit 0.0" in run.command_line()
    assert "--offline" not in run.command_line()


def test_values_that_mean_the_same_are_the_same(result):
    for params in ({"lr": np.float64(0.1)}, {"lr": 0.1}):
        assert resolve(dataclasses.replace(SPEC, hyperparams=params)).identity() == (
            result.identity()
        )
    one, two = (
        dataclasses.replace(result, hyperparams={"betas": betas, "lr": lr})
        for betas, lr in (((0.9, 1.0), 1), ([0.9, 1], 1.0))
    )
    assert one.identity() == two.identity()
    assert dataclasses.replace(result, hyperparams={"nesterov": True}).identity() != (
        dataclasses.replace(result, hyperparams={"nesterov": 1}).identity()
    )


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        dataclasses.replace(SPEC, optimizer="alig", hyperparams={"max_lr": None, "momentum": 0.0}),
        dataclasses.replace(SPEC, split="validation", reshuffle=False, synthetic=True,
                            batch_size=16, random_seed=7, weight_decay=0.01),
        dataclasses.replace(SPEC, training_params={
            "lr_sched_epochs": [1, 3], "lr_sched_factors": [0.5, 0.1], "clip_norm": 2.0}),
        dataclasses.replace(SPEC, optimizer="torch.optim:RAdam", hyperparams={"lr": 1e-5}),
        RunSpec("dnc_copy", "adam", {"betas": (0.8, 0.9)}, num_epochs=1,
                problem_options={"hidden_dim": 16}),
    ],
)  # fmt: skip
def test_the_command_repeats_the_run(spec, monkeypatch):
    asked = resolve(spec)
    words = shlex.split(asked.repeat_command())[1:]
    seen = []

    def look(cells, **options):
        seen.extend(run for run in Study(cells, None).runs)

    monkeypatch.setattr(progress, "carry_out", look)
    cli.main(words, standalone_mode=False)
    assert [run.identity() for run in seen] == [asked.identity()]


def test_round_trip_of_schema_2(result, tmp_path):
    path = write_result(result, tmp_path)
    record = json.loads(path.read_text())
    assert record["schema_version"] == 2
    assert record["identity"] == result.identity()
    assert record["command"].startswith("alig-deepobs run digits_mlp --optimizer 'sgd[lr=0.1]'")
    assert (record["precision"], record["synthetic"], record["data_source"]) == (
        "float32", False, "bundled",
    )  # fmt: skip
    assert read_result(path) == result


def test_schema_1_still_loads(result, tmp_path):
    record = to_json(result) | {"schema_version": 1, "weight_decay": None}
    for key in ("precision", "synthetic", "data_source", "identity", "started", "command"):
        del record[key]
    record["environment"] = {"started": "2026-06-30T12:00:00+0200"}
    record["data_label"] = "Digits (synthetic twin)"
    record["optimizer_hyperparams"] = {"max_lr": "inf"}
    path = tmp_path / "old.json"
    path.write_text(json.dumps(record))
    old = read_result(path)
    assert old.schema_version == 1
    assert old.synthetic
    assert old.data_source == "synthetic"
    assert old.weight_decay == find_testproblem("digits_mlp").weight_decay
    assert old.started == "2026-06-30T10:00:00+00:00"
    assert old.hyperparams == {"max_lr": float("inf")}


def test_of_two_results_of_one_run_the_later_counts_whatever_the_clock_on_the_wall(
    tmp_path, result
):
    early = dataclasses.replace(result, started="2026-10-25T00:30:00.000000+00:00", steps=1)
    late = dataclasses.replace(result, started="2026-10-25T00:30:00.000001+00:00", steps=2)
    for order in ((early, late), (late, early)):
        folder = tmp_path / str(order[0].steps)
        for one in order:
            write_result(one, folder)
        loaded = load_results(folder)
        assert [found.steps for found in loaded.results] == [2]
        assert Store(folder).find(result).steps == 2


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("inf"), "or None for no limit"),
        (float("nan"), "is no number"),
        (b"bytes", "bytes"),
        (np.zeros(3), "ndarray"),
        (torch.zeros(3), "Tensor"),
        (print, "builtin_function"),
        ({1, 2}, "set"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_before_the_first_step(value, message):
    spec = RunSpec("digits_mlp", "torch.optim:SGD", {"lr": value})
    with pytest.raises(UsageError, match=message):
        resolve(spec)


@pytest.mark.parametrize(
    "label",
    [
        "../../escaped",
        "SGD/fast",
        "<script>",
        "a" * 200,
        "",
        ".hidden",
        "a\\b",
        "a\nb",
        "a" * 300,
        "\u00e4" * 61,
    ],
)
def test_unsafe_labels_are_refused_before_the_first_step(label, result, tmp_path):
    class Mine(torch.optim.SGD):
        pass

    Mine.__name__ = label
    spec = RunSpec("digits_mlp", "mine", {"lr": 0.1}, num_epochs=0)
    with pytest.raises(UsageError, match="cannot be the name of a folder"):
        resolve(spec, Mine)
    with pytest.raises(ResultError, match="cannot be the name of a folder"):
        write_result(dataclasses.replace(result, optimizer_name=label), tmp_path / "results")
    assert list(tmp_path.rglob("*.json")) == []


@pytest.mark.parametrize(
    "text", ["../../escaped", "SGD/fast", "<script>", "x" * 300, "\u00e4" * 300]
)
@pytest.mark.parametrize("as_name", [False, True])
def test_hyperparameters_never_leave_their_folder(text, as_name, result, tmp_path):
    hyperparams = {text: 1} if as_name else {"mode": text}
    one = dataclasses.replace(result, hyperparams=hyperparams)
    path = write_result(one, tmp_path)
    assert path.parent.parent == tmp_path / "digits_mlp" / "SGD"
    assert path.resolve().is_relative_to(tmp_path.resolve())
    assert len(path.parent.name.encode()) <= 255  # a limit of file systems, in bytes
    assert not set("/\\<>") & set(path.parent.name)
    assert Store(tmp_path).find(one).hyperparams == hyperparams


def test_a_plan_knows_all_its_runs_before_it_starts():
    study = Study([Cell((SPEC,), (42, 43))], None)
    assert [run.random_seed for run in study.missing] == [42, 43]
    assert study.found == []
