"""Input as people give it: NumPy's numbers, re-exported classes, Ctrl-C in a loop."""

from __future__ import annotations

import functools
import json
import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch

from alig_deepobs import AliG, StandardRunner, registry
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import HyperParameter, NeedsLoss, OptimizerEntry
from alig_deepobs.results import read_result
from alig_deepobs.run import RunSpec
from alig_deepobs.runners import Callback, execute
from alig_deepobs.runners.deepobs import pytorch_config
from alig_deepobs.runners.deepobs.runners import PTRunner

LR = {"lr": {"type": float}}


def test_numbers_of_numpy_and_torch(tmp_path):
    runner = StandardRunner(torch.optim.SGD, LR)
    for seed, rate in ((np.int64(3), np.float32(1e-4)), (3, torch.tensor(1e-4))):
        runner.run(
            "two_d_branin", {"lr": rate}, num_epochs=np.int64(1), random_seed=seed,
            output_dir=tmp_path, synthetic=True,
        )  # fmt: skip
    for path in tmp_path.rglob("*.json"):
        record = json.loads(path.read_text())
        assert record["random_seed"] == 3
        assert record["optimizer_hyperparams"]["lr"] == pytest.approx(1e-4)


def test_interrupt_ends_the_callers_loop_too(tmp_path):
    class Stop(Callback):
        def evaluated(self, epoch, evaluations):
            raise KeyboardInterrupt

    runner = StandardRunner(torch.optim.SGD, LR)
    with pytest.raises(KeyboardInterrupt):
        runner.run("digits_logreg", {"lr": 0.1}, num_epochs=1, output_dir=tmp_path, synthetic=True,
                   callback=Stop())  # fmt: skip
    (path,) = tmp_path.rglob("*.json")
    result = read_result(path)
    assert result.outcome.value == "interrupted"
    assert result.outcome_reason == "interrupted after 0 epochs"


def test_the_entry_says_what_the_step_needs(monkeypatch, spec):
    class Mine(torch.optim.SGD):
        def step(self, closure=None, loss=None):
            assert loss is not None
            super().step()

    # Defined in one module, exported by another, as packages do.
    package = ModuleType("package_for_tests")
    package.Mine = Mine
    monkeypatch.setitem(sys.modules, "package_for_tests", package)
    lr = {"lr": HyperParameter(float, 0.1)}
    entry = OptimizerEntry("mine", "Mine", "package_for_tests:Mine", NeedsLoss.VALUE, lr)
    monkeypatch.setitem(registry.optimizers(), "mine", entry)
    assert execute(replace(spec, optimizer="mine", hyperparams={})).outcome.value == "done"


def test_no_class():
    partial = functools.partial(torch.optim.SGD, momentum=0.9)
    with pytest.raises(UsageError, match="is not a class"):
        StandardRunner(partial, LR).run("digits_logreg", {"lr": 0.1}, no_logs=True)


def test_no_cap_survives_reading_back(tmp_path):
    runner = StandardRunner(AliG, {"max_lr": {"type": float}})
    given = {"num_epochs": 1, "synthetic": True, "output_dir": tmp_path}
    with pytest.raises(UsageError, match=r"max_lr=inf is no number .* or None for no limit"):
        runner.run("digits_logreg", {"max_lr": float("inf")}, **given)
    assert not list(tmp_path.iterdir())
    runner.run("digits_logreg", {"max_lr": None}, **given)
    (path,) = tmp_path.rglob("*.json")
    read = read_result(path)
    assert read.hyperparams == {"max_lr": None}
    again = RunSpec("digits_logreg", "alig", read.hyperparams, num_epochs=1)
    assert execute(again).outcome.value == "done"


class Ported(PTRunner):
    """A runner with its own training, whose run diverges."""

    def training(self, tproblem, hyperparams, num_epochs, *more, **training_params):
        return {"train_losses": [3.0, float("nan")], "test_losses": [3.0, 2.0]}


def test_a_ported_runner_that_diverges(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script.py"])
    monkeypatch.setattr(pytorch_config, "get_default_device", lambda: "cpu")
    runner = Ported(torch.optim.SGD, LR)
    runner.run("digits_mlp", {"lr": 0.1}, num_epochs=1, output_dir=str(tmp_path))
    (path,) = tmp_path.rglob("*.json")
    result = read_result(path)
    assert result.outcome.value == "diverged"
    assert result.train_losses == result.test_losses == [3.0]
    # Who trained does not matter for what the record says of the data.
    assert result.split == "validation"
    assert result.data_label == "Digits (scikit-learn)"
    assert result.environment["torch"] == torch.__version__
