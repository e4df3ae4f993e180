"""What people write by habit, with every optimizer."""

from __future__ import annotations

import math
import re
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from optimizer_cases import (
    BY_VALUE,
    FACTS_OF_OPTIMIZERS,
    OWN,
    WITH_RATE,
    WITHOUT_DECAY,
    Case,
    Convex,
    named,
)
from torch.optim import lr_scheduler

from alig_deepobs import AliG, registry
from alig_deepobs.errors import UsageError, no_weight_decay
from alig_deepobs.registry import NeedsLoss

pytestmark = pytest.mark.filterwarnings("ignore::alig_deepobs.HealthWarning")


@named(OWN)
def test_options_that_are_one_for_all_groups_are_not_ignored(case):
    """Another value in the second group changes the steps, or is refused by name."""
    options = case.build([torch.ones(1)]).defaults
    for name in case.entry.load().shared:
        value = {"adapt_flag": "another"}.get(name, not options[name])
        w, v = torch.ones(2, requires_grad=True), torch.ones(1, requires_grad=True)
        with pytest.raises(ValueError, match=f"{name} is one for all groups: give it to "):
            case.build([{"params": [w]}, {"params": [v], name: value}])


@named(OWN)
@pytest.mark.parametrize("wrong", ["a", True, 1j])
def test_arguments_that_are_no_numbers_are_refused_by_name(case, wrong):
    w, options = torch.ones(2, requires_grad=True), plain_arguments(case)
    for name in FACTS_OF_OPTIMIZERS["refused"][case.name]:
        rate = {"lr": 0.1} if case in WITH_RATE and name not in ("max_lr", "eta_max") else {}
        with pytest.raises(ValueError, match=rf"^{name} (must be|and f_star belong)"):
            case.entry.load()([w], **{**rate, **options, name: wrong})


@named(OWN)
def test_options_that_are_on_or_off_are_nothing_else(case):
    w = torch.ones(2, requires_grad=True)
    options, rate = plain_arguments(case), {"lr": 0.1} if case in WITH_RATE else {}
    defaults = case.build([w]).defaults
    names = [name for name, value in defaults.items() if isinstance(value, bool)]
    for name in [*names, *({"foreach", "fused"} & defaults.keys())]:
        with pytest.raises(ValueError, match=f"^{name} must be True"):
            case.entry.load()([w], **{**rate, **options, name: "no"})
    with pytest.raises(ValueError, match=r"^foreach must be True, False or None, not 'no'"):
        case.build([{"params": [w], "foreach": "no"}])


@named(WITH_RATE)
@pytest.mark.parametrize("rate", ["a", True, math.nan])
def test_a_rate_that_became_no_number(case, rate):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    optimizer.param_groups[0]["lr"] = rate
    became = f"{optimizer.rate} became {rate!r}: give group['lr'] a number"
    with pytest.raises(ValueError, match=re.escape(became)):
        problem.steps(optimizer, case, 1)


@named(WITH_RATE)
def test_a_rate_of_none(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    optimizer.param_groups[0]["lr"] = None
    if isinstance(optimizer, AliG):  # as in its constructor
        problem.steps(optimizer, case, 1)
        assert optimizer.param_groups[0]["lr"] == math.inf
        return
    with pytest.raises(ValueError, match=f"{optimizer.rate} became None"):
        problem.steps(optimizer, case, 1)


@named(OWN)
def test_the_list_of_groups_may_be_changed(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    problem.steps(optimizer, case, 1)
    optimizer.param_groups.append({**optimizer.param_groups[0], "params": [problem.idle]})
    problem.steps(optimizer, case, 1)
    del optimizer.param_groups[0]  # and with it what belongs to no group
    optimizer.add_param_group({"params": problem.parameters})
    optimizer.param_groups.reverse()
    if case.entry.load().memory:
        with pytest.raises(ValueError, match="keeps numbers in the first of its param_groups"):
            problem.steps(optimizer, case, 1)


@named(BY_VALUE)
def test_losses_that_are_no_numbers_are_refused_by_name(case):
    w = torch.ones(2, requires_grad=True)
    optimizer = case.build([w])
    w.grad = torch.ones(2)
    name = type(optimizer).__name__
    for wrong in ((torch.tensor(1.0), 2), {"loss": torch.tensor(1.0)}, "1.0"):
        with pytest.raises(TypeError, match=f"{name}: the loss must be a number or a tensor"):
            optimizer.step(loss=wrong)
    with pytest.raises(TypeError, match=f"{name}: the loss must be a real number"):
        optimizer.step(loss=torch.tensor(1.0 + 1.0j))
    with pytest.raises(ValueError, match=f"{name}: the loss must be one number"):
        optimizer.step(loss=torch.ones(2))
    assert w.tolist() == [1.0, 1.0]


@named(BY_VALUE)
@pytest.mark.parametrize("array", [np.array(2.0), np.array([2.0]), np.float32(2.0)])
def test_the_loss_may_come_from_numpy(case, array):
    ends = []
    for loss in (2.0, array):
        w = torch.ones(2, requires_grad=True)
        optimizer = case.build([w])
        w.grad = torch.tensor([0.5, -1.0])
        optimizer.step(loss=loss)
        ends.append(w.detach())
    assert torch.equal(*ends)


@named(WITHOUT_DECAY)
def test_weight_decay_says_what_to_use_instead(case):
    w = torch.ones(2, requires_grad=True)
    if case.name == "sls":  # a line search relies on no bound
        with pytest.raises(ValueError, match="put the L2 term into the loss"):
            case.build([{"params": [w], "weight_decay": 1e-4}])
        return
    sentence = re.escape(no_weight_decay(case.entry.load().__name__))
    rate = {"lr": 0.1} if case in WITH_RATE and case.name != "sps" else {}
    with pytest.raises(ValueError, match=sentence):
        case.entry.load()([w], **rate, **plain_arguments(case), weight_decay=1e-4)
    with pytest.raises(ValueError, match=sentence):
        case.build([{"params": [w], "weight_decay": 1e-4}])
    with pytest.raises(UsageError, match=re.escape(no_weight_decay(case.name))):
        case.entry.complete({"weight_decay": 1e-4})
    optimizer = case.build([{"params": [w], "weight_decay": 0.0}])  # asks for nothing
    assert "weight_decay" not in optimizer.param_groups[0]


def plain_arguments(case: Case) -> dict[str, Any]:
    built = case.build([torch.ones(1)])
    names = case.entry.load().__init__.__code__.co_varnames
    return {k: v for k, v in built.defaults.items() if k in names and k != "lr" and v is not None}


@named(OWN)
def test_unknown_options_of_a_group_are_refused_by_name(case):
    w = torch.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="'momentun'"):
        case.build([{"params": [w], "momentun": 0.5}])
    optimizer = case.build([{"params": [w], "name": "all"}])  # a label is no option
    with pytest.raises(ValueError, match="'dampening'"):
        optimizer.add_param_group({"params": [torch.ones(1)], "dampening": 0.5})


@named(OWN)
def test_old_groups_make_a_new_optimizer(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    if "lr" in optimizer.param_groups[0]:
        lr_scheduler.OneCycleLR(optimizer, max_lr=0.3, total_steps=9, cycle_momentum=False)
    problem.steps(optimizer, case, 2)
    again = case.build(optimizer.param_groups)
    if "lr" in optimizer.param_groups[0]:
        assert again.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
    problem.steps(again, case, 1)


@named(BY_VALUE)
@pytest.mark.parametrize("kind", [lambda x: x, float], ids=["tensor", "number"])
def test_the_loss_may_be_positional(case, kind):
    problem, other = Convex(), Convex()
    expected = problem.steps(case.build(problem.parameters), case, 3)
    optimizer = case.build(other.parameters)
    for _ in range(3):
        optimizer.zero_grad()
        loss = other.loss()
        loss.backward()
        given = kind(loss.detach())
        assert optimizer.step(given) is given
    assert torch.equal(other.weights, expected)
    with pytest.raises(TypeError, match="two losses"):
        optimizer.step(1.0, loss=1.0)


def test_positional_losses_of_examples():
    case = next(c for c in OWN if c.entry.needs_loss is NeedsLoss.PER_EXAMPLE)
    problem, other = Convex(), Convex()
    expected = problem.steps(case.build(problem.parameters), case, 1)
    optimizer = case.build(other.parameters)
    loss = other.loss()
    loss.backward()
    optimizer.step(loss.detach().reshape(1), indices=torch.tensor([2]))
    assert torch.equal(other.weights, expected)


@named(OWN)
@pytest.mark.parametrize("foreign", [torch.optim.SGD, torch.optim.Adam, "another of ours"])
def test_the_state_of_another_optimizer_is_refused(case, foreign):
    problem = Convex()
    if isinstance(foreign, str):
        name = "dfw" if case.name != "dfw" else "aprox"
        other = next(c for c in OWN if c.name == name).build(problem.parameters)
    else:
        other = foreign(problem.parameters, lr=0.1)
    optimizer = case.build(problem.parameters)
    with pytest.raises(ValueError, match=f"{type(optimizer).__name__} cannot go on from this"):
        optimizer.load_state_dict(other.state_dict())


@named(OWN)
def test_every_optimizer_takes_lr(case, recwarn):
    """As skorch gives it."""
    w = torch.ones(2, requires_grad=True)
    given = {k: v for k, v in plain_arguments(case).items() if k not in ("max_lr", "eta_max")}
    warnings.simplefilter("always")
    optimizer = case.entry.load()([w], lr=0.25, **given)
    if case in WITH_RATE:
        assert optimizer.param_groups[0]["lr"] == 0.25
        assert not [w for w in recwarn if "is ignored" in str(w.message)]
    else:
        assert "lr" not in optimizer.param_groups[0]
        assert [w for w in recwarn if "lr=0.25 is ignored" in str(w.message)]


def test_recommended_settings_are_those_of_the_command_line():
    w = torch.ones(2, requires_grad=True)
    optimizer = AliG.recommended([w])
    entry = registry.find_optimizer("alig")
    assert optimizer.defaults["lr"] == entry.hyperparameters["max_lr"].default == 0.1
    assert optimizer.defaults["momentum"] == entry.hyperparameters["momentum"].default == 0.9
    assert AliG.recommended([w], lr=0.5).defaults["lr"] == 0.5
    assert AliG.recommended([w], max_lr=0.5, eps=0.0).defaults["eps"] == 0.0
