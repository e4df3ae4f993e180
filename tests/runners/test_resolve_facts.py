"""Single facts of what a specification means."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from alig_deepobs.errors import UsageError
from alig_deepobs.registry import find_testproblem
from alig_deepobs.run import RunSpec
from alig_deepobs.runners import Cell
from alig_deepobs.runners.resolve import _say_without_effect, json_value, resolve

SPEC = RunSpec("digits_mlp", "sgd", {"lr": 0.1}, synthetic=True)


def test_defaults_are_those_of_the_problem():
    paper = resolve(RunSpec("cifar10_wrn404_alig", "alig"), check_data=False)
    entry = find_testproblem("cifar10_wrn404_alig")
    assert (paper.split, paper.batch_size, paper.num_epochs, paper.weight_decay) == (
        "validation", entry.batch_size, entry.num_epochs, entry.weight_decay,
    )  # fmt: skip
    run = resolve(SPEC)
    assert (run.split, run.reshuffle, run.random_seed, run.precision) == (
        "full", True, 42, "float32",
    )  # fmt: skip
    given = replace(SPEC, split="validation", reshuffle=False, batch_size=7, num_epochs=0)
    run = resolve(replace(given, weight_decay=0.5))
    assert (run.split, run.reshuffle, run.batch_size, run.num_epochs, run.weight_decay) == (
        "validation", False, 7, 0, 0.5,
    )  # fmt: skip


def test_tensorflow_has_neither_another_order_nor_a_validation_set():
    for problem in ("snli_bilstm", "mnist_mlp"):
        run = resolve(RunSpec(problem, "sgd", framework="tensorflow"), check_data=False)
        assert (run.split, run.reshuffle) == ("full", False)


def test_numbers_of_numpy_are_recorded_as_pythons():
    params = {"betas": (np.float64(0.8), 0.9), "eps": np.float32(0.5), "lr": np.int64(1)}
    sched = {"lr_sched_epochs": np.array([1, 2]), "lr_sched_factors": (np.float64(0.5), 0.1),
             "clip_norm": None}  # fmt: skip
    run = resolve(
        replace(SPEC, optimizer="adam", hyperparams=params, random_seed=np.int64(3),
                training_params=sched)
    )  # fmt: skip
    assert run.hyperparams["betas"] == (0.8, 0.9)
    assert [type(value) for value in run.hyperparams["betas"]] == [float, float]
    assert (type(run.hyperparams["lr"]), type(run.hyperparams["eps"])) == (float, float)
    assert type(run.random_seed) is int
    assert run.training_params == {"lr_sched_epochs": [1, 2], "lr_sched_factors": [0.5, 0.1]}
    assert all(type(value) is int for value in run.training_params["lr_sched_epochs"])
    clipped = resolve(replace(SPEC, training_params={"clip_norm": 2.0}))
    assert clipped.training_params == {"clip_norm": 2.0}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.inf, r"sgd: lr=inf is no number to train with: give one of at most 1e\+100, or None"),
        (-math.inf, "sgd: lr=-inf is no number to train with: give one"),
        (math.nan, "sgd: lr=nan is no number to train with: give one"),
        ((1.0, math.nan), "sgd: lr=nan"),
        (1e101, r"sgd: lr=1e\+101 is no number to train with: give one of at most 1e\+100$"),
        (1 << 63, "sgd: lr has more than 64 bits"),
        ([{}], "sgd: lr is a dict, which a result file cannot hold"),
    ],
)
def test_what_no_file_can_hold(value, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        json_value("lr", value, "sgd")
    assert json_value("x", ["a", (True, None, 2)], "sgd") == ("a", (True, None, 2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_log_interval": 0}, "train_log_interval must be at least 1, not 0"),
        ({"time_limit": math.nan}, "time_limit must be a number or None, not nan"),
        ({"checkpoint_interval": -1.0}, "checkpoint_interval must be at least 0, not -1.0"),
        ({"threads": 0}, "threads must be at least 1, not 0"),
        ({"num_epochs": 0.5}, "num_epochs must be an integer or None, not 0.5"),
        ({"num_epochs": "3"}, "num_epochs must be an integer or None, not '3'"),
        ({"random_seed": True}, "random_seed must be an integer, not True"),
        ({"reshuffle": "no"}, "reshuffle must be True or False or None, not 'no'"),
        ({"time_limit": "1"}, "time_limit must be a number or None, not '1'"),
        ({"training_params": {"clip_norm": "a"}}, "clip_norm must be a number, not 'a'"),
        ({"training_params": {"lr_sched_epochs": 3}}, "lr_sched_epochs must be a list, not 3"),
        ({"framework": "jax"}, "unknown framework 'jax' .all: pytorch, tensorflow"),
        ({"training_params": {"lr_sched_epoch": [1]}}, "did you mean lr_sched_epochs"),
        ({"keep_best": "x"}, "add --split validation"),
        ({"optimizer": ["sgd"]}, "optimizer must be text, not"),
        ({"hyperparams": [0.1]}, "hyperparams must be a dictionary, not"),
        ({"setting_source": None}, "setting_source must be text, not None"),
        ({"weight_decay": True}, "weight_decay must be a number or None, not True"),
        ({"random_seed": 1 << 63}, "random_seed has more than 64 bits"),
        # What would be trained with and written, and then not be read.
        ({"training_params": {"lr_sched_epochs": [1 << 64]}}, "cannot be recorded: the integer"),
        ({"training_params": {"clip_norm": 1e101}}, "cannot be recorded: training_params.clip_no"),
        ({"tuning": {"a": {1}}}, "cannot be recorded: Object of type set"),
        ({"purpose": "x"}, "unknown purpose 'x'"),
        ({"batch_size": 257}, "batch_size must be from 1 to 256"),
    ],
)
def test_mistakes(changes, message):
    with pytest.raises(UsageError, match=message):
        resolve(replace(SPEC, **changes))
    if "batch_size" in changes:  # what is in a store may be resolved without its data
        assert resolve(replace(SPEC, **changes), check_data=False).data_version == ""


def test_numbers_and_switches_of_numpy():
    spec = RunSpec("mnist_mlp", "sgd", num_epochs=np.int64(2), weight_decay=np.float64(0.1),
                   reshuffle=np.bool_(True), time_limit=np.float32(3), synthetic=True)  # fmt: skip
    plain = replace(spec, num_epochs=2, weight_decay=0.1, reshuffle=True, time_limit=3.0)
    assert resolve(spec) == resolve(plain)
    place = replace(spec, data_dir=Path("x"), device=torch.device("cpu"))
    assert (place.data_dir, place.device) == ("x", "cpu")
    assert Cell((SPEC,), np.arange(42, 44)).seeds == (42, 43)
    for seeds in ((42, 42), 42):
        with pytest.raises(UsageError, match="seeds must be different numbers"):
            Cell((SPEC,), seeds)


def test_a_weight_decay_that_has_no_effect_is_said(caplog):
    with caplog.at_level(logging.WARNING):
        run = resolve(RunSpec("two_d_beale", "sgd", weight_decay=0.1, synthetic=True))
    assert "weight_decay=0.1 is ignored: two_d_beale has no L2 term" in caplog.text
    assert run.weight_decay is None


def test_what_is_known_of_the_data():
    run = resolve(SPEC)
    assert (run.data_set, run.data_label, run.data_source) == (
        "digits", "Digits (synthetic twin)", "synthetic",
    )  # fmt: skip
    whole = resolve(replace(SPEC, synthetic=False))
    assert (whole.data_label, whole.data_source) == ("Digits (scikit-learn)", "bundled")
    held_out = resolve(replace(SPEC, split="validation"))
    assert len({run.data_version, whole.data_version, held_out.data_version}) == 3


def test_a_weight_decay_without_effect_is_said_and_makes_no_other_run(caplog):
    _say_without_effect.cache_clear()
    alike = [resolve(RunSpec("cifar10_3c3d", "alig", weight_decay=w), check_data=False).identity()
             for w in (None, 0.1, 0.1, 0.0)]  # fmt: skip
    assert len(set(alike)) == 1
    (record,) = caplog.records
    assert record.getMessage() == (
        "--weight_decay has no effect on alig, which takes no L2 term: bound its weights with "
        "max_norm instead"
    )
    assert (
        resolve(RunSpec("cifar10_3c3d", "sgd", weight_decay=0.1), check_data=False).weight_decay
        == 0.1
    )
