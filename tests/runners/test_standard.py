"""DeepOBS's StandardRunner."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from alig_deepobs import AliG, StandardRunner
from alig_deepobs.errors import ResultError, UsageError

QUICK = {"testproblem": "digits_logreg", "num_epochs": 1, "synthetic": True}


def test_deepobs_1_2_form(tmp_path):
    runner = StandardRunner(torch.optim.SGD, {"lr": {"type": float}, "momentum": {"type": float,
                            "default": 0.0}})  # fmt: skip
    output = runner.run(hyperparams={"lr": 0.1}, output_dir=tmp_path, **QUICK)
    (path,) = tmp_path.rglob("*.json")
    assert json.loads(path.read_text()) == json.loads(json.dumps(output))
    assert path.parts[-4:-2] == ("digits_logreg", "SGD")
    assert output["optimizer_hyperparams"] == {"lr": 0.1, "momentum": 0.0}


def test_deepobs_1_1_form(tmp_path):
    runner = StandardRunner(torch.optim.SGD, [{"name": "momentum", "type": float}])
    output = runner.run(learning_rate=0.1, momentum=0.9, no_logs=True, **QUICK)
    assert output["optimizer_hyperparams"] == {"lr": 0.1, "momentum": 0.9}


def test_alig_gets_the_loss():
    runner = StandardRunner(AliG, {"max_lr": {"type": float}, "momentum": {"type": float}})
    output = runner.run(hyperparams={"max_lr": 0.1, "momentum": 0.9}, no_logs=True, **QUICK)
    assert output["outcome"] == "done"
    assert output["step_sizes"][0]["mean"] > 0
    assert output["test_losses"][-1] < output["test_losses"][0]


def test_a_class_that_cannot_be_imported():
    class Local(torch.optim.SGD):
        pass

    output = StandardRunner(Local, {"lr": {"type": float}}).run(
        hyperparams={"lr": 0.1}, no_logs=True, **QUICK
    )
    assert output["optimizer_name"] == "Local"


def test_command_line_is_never_read(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script", "--nonsense"])
    StandardRunner(torch.optim.SGD, {"lr": {"type": float}}).run(
        hyperparams={"lr": 0.1}, no_logs=True, **QUICK
    )


def test_bad_input(tmp_path):
    runner = StandardRunner(torch.optim.SGD, {"lr": {"type": float}})
    with pytest.raises(UsageError, match="'lr' has no default"):
        runner.run(no_logs=True, **QUICK)
    with pytest.raises(UsageError, match="'mu' was not declared; declared: lr"):
        runner.run(hyperparams={"lr": 0.1, "mu": 1}, no_logs=True, **QUICK)
    with pytest.raises(UsageError, match=r"lr='0\.1' is text"):
        runner.run(hyperparams={"lr": "0.1"}, no_logs=True, **QUICK)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="not writable"):
        runner.run(hyperparams={"lr": 0.1}, output_dir=tmp_path / "file", **QUICK)


def test_print_train_iter(capsys):
    StandardRunner(torch.optim.SGD, {"lr": {"type": float}}).run(
        hyperparams={"lr": 0.1}, no_logs=True, print_train_iter=True, **QUICK
    )
    assert "Epoch 0, step 0: loss 2.30" in capsys.readouterr().out


def test_options_of_the_problem():
    runner = StandardRunner(torch.optim.SGD, {"lr": {"type": float}})
    arguments = {"hyperparams": {"lr": 0.01}, "num_epochs": 0, "no_logs": True}
    output = runner.run("dnc_copy", problem_options={"hidden_dim": 8}, **arguments)
    assert output["problem_options"] == {"hidden_dim": 8}
