"""Names, metadata, entry points."""

from __future__ import annotations

import logging
from importlib import metadata

import pytest
import torch

from alig_deepobs import registry
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import (
    HyperParameter,
    NeedsLoss,
    OptimizerEntry,
    ProblemEntry,
    find_optimizer,
    find_testproblem,
    needs_loss_of,
    resolve_optimizer,
)
from alig_deepobs.runners.objective import build_optimizer
from alig_deepobs.settings import Setting


@pytest.fixture
def empty_registry(monkeypatch):
    monkeypatch.setattr(registry, "_optimizers", {})
    monkeypatch.setattr(registry, "_testproblems", {})


@pytest.mark.parametrize("name", sorted(registry.optimizers()))
def test_every_optimizer_entry_builds_with_its_defaults(name):
    entry = find_optimizer(name)
    assert entry.label
    assert entry.description
    assert entry.citation
    if not entry.is_installed:
        pytest.skip(f"needs the package {entry.package}")
    build_optimizer(
        entry.load(), entry, [torch.nn.Parameter(torch.ones(2))], entry.complete({})
    )  # fmt: skip
    assert needs_loss_of(entry.load()) is entry.needs_loss


@pytest.mark.parametrize("name", sorted(registry.testproblems()))
def test_every_problem_entry_says_what_its_class_says(name):
    entry = find_testproblem(name)
    problem = entry.load()
    assert problem.__name__ == name
    assert entry.batch_size >= 1
    assert entry.num_epochs >= 1
    assert problem.has_accuracy or entry.metric == "loss"
    assert entry.reshuffles is problem.reshuffles
    assert entry.default_split == problem.default_split
    assert entry.weight_decay == problem.default_weight_decay
    data = problem(1, synthetic=True, device="cpu").load_data()
    assert entry.has_validation is ("valid" in data.parts or data.held_out is not None)
    assert data.name == entry.data_set


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean mnist_mlp"):
        find_testproblem("mnist_mpl")
    with pytest.raises(UsageError, match="did you mean adam"):
        find_optimizer("adamm")


def test_a_class_is_given_by_its_path():
    with pytest.raises(UsageError, match=r"or by path, .*, 'torch\.optim\.sgd:SGD'"):
        find_optimizer(torch.optim.SGD)
    with pytest.raises(UsageError, match="test problems are given by name"):
        find_testproblem(None)


def test_hyperparameters_are_checked():
    entry, params = resolve_optimizer(Setting("alig", {"max_lr": 1}))
    assert params["max_lr"] == 1.0
    assert isinstance(params["max_lr"], float)
    assert entry.complete({"max_lr": None})["max_lr"] is None
    with pytest.raises(UsageError, match="alig: max_lr must be a number or None, not 'big'"):
        entry.complete({"max_lr": "big"})
    with pytest.raises(UsageError, match="alig: adjusted_momentum must be True or False, not 1"):
        entry.complete({"adjusted_momentum": 1})
    with pytest.raises(UsageError, match="no hyper-parameter 'lr': write max_lr; it has: max_lr,"):
        entry.complete({"lr": 0.1})
    with pytest.raises(UsageError, match=r"betas must be a tuple such as \(0.9, 0.999\), not 0.9"):
        find_optimizer("adam").complete({"betas": 0.9})
    with pytest.raises(UsageError, match="sgd: lr must be a number, not nan"):
        find_optimizer("sgd").complete({"lr": float("nan")})


def test_class_by_import_path():
    entry, params = resolve_optimizer(Setting("torch.optim:RAdam", {"lr": 0.1}))
    assert entry.label == "RAdam"
    assert entry.load() is torch.optim.RAdam
    assert params == {"lr": 0.1}
    assert find_optimizer("alig_deepobs:AliG").needs_loss is NeedsLoss.VALUE
    assert find_optimizer("torch.optim:LBFGS").needs_loss is NeedsLoss.CLOSURE
    with pytest.raises(UsageError, match="'torch:nn' is not a class"):
        find_optimizer("torch:nn")
    for path in ("torch.optim:Nothing", "no.such.module:Class", "torch.optim:"):
        with pytest.raises(UsageError, match="import"):
            find_optimizer(path)


def test_entry_points_of_other_packages(empty_registry, monkeypatch, caplog):
    theirs = OptimizerEntry("theirs", "Theirs", "torch.optim:SGD", hyperparameters={
        "lr": HyperParameter(float, 0.1)})  # fmt: skip

    class Point:
        def __init__(self, name, load):
            self.name, self.value, self.load = name, "package:entry", load

    def broken():
        raise ImportError("no module named theirs2")

    points = {
        "alig_deepobs.optimizers": [
            Point("theirs", lambda: theirs),
            Point("broken", broken),
            Point("wrong", lambda: 3),
            Point("other_sgd", lambda: OptimizerEntry("sgd", "Theirs", "torch.optim:Adam")),
        ],
        "alig_deepobs.testproblems": [
            Point("digits_mlp", lambda: ProblemEntry("digits_mlp", "Mine", "a:b", "digits", 8, 1)),
        ],
    }
    monkeypatch.setattr(metadata, "entry_points", lambda group: points[group])
    with caplog.at_level(logging.WARNING):
        assert find_optimizer("theirs") is theirs
    assert find_optimizer("alig").label == "AliG"
    assert "broken" in caplog.text
    assert "wrong" in caplog.text
    # What comes with the package stays, even if another package uses its name.
    with caplog.at_level(logging.WARNING):
        assert find_testproblem("digits_mlp").label == "Digits MLP"
    assert find_optimizer("sgd").factory == "torch.optim:SGD"
    assert "other_sgd (package:entry) left out: the name sgd is taken" in caplog.text
    assert "digits_mlp (package:entry) left out" in caplog.text


def test_registering_by_a_call(empty_registry):
    mine = ProblemEntry("mine", "Mine", "somewhere:mine", "digits", 8, 1)
    registry.register_testproblem(mine)
    assert find_testproblem("mine") is mine
    assert find_testproblem("digits_mlp").label == "Digits MLP"
    replaced = OptimizerEntry("sgd", "My SGD", "torch.optim:SGD")
    registry.register_optimizer(replaced)
    assert find_optimizer("sgd") is replaced
