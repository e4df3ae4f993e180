"""What an optimizer says of its health."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
from optimizer_cases import (
    BY_LOSS,
    BY_VALUE,
    CASES,
    OWN,
    WITH_RATE,
    Convex,
    arguments,
    named,
)
from torch import Tensor

from alig_deepobs import AliG, HealthWarning
from alig_deepobs.run import RunSpec
from alig_deepobs.runners import execute

pytestmark = pytest.mark.filterwarnings("ignore::alig_deepobs.HealthWarning")


def feed(optimizer: Any, w: Tensor, steps: int, loss: float, grad: float = 1.0) -> list[str]:
    """Steps with prescribed numbers; what was said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(steps):
            w.grad = torch.full_like(w, grad * (1 + step % 7))
            optimizer.step(loss=loss)
        optimizer.health()
    assert all(issubclass(each.category, HealthWarning) for each in caught)
    assert all(each.filename == __file__ for each in caught)  # where the step was called
    return [str(each.message) for each in caught]


@pytest.mark.parametrize("capturable", [False, True], ids=["host", "device"])
@pytest.mark.parametrize(
    ("kind", "loss", "grad", "words"),
    [
        ("non_finite", math.nan, 1.0, "not finite in"),
        ("below_f_min", 0.0, 1.0, "at or below its lower bound"),
        ("at_cap", 1e9, 1.0, "steps were at the cap, where it is SGD"),
        ("idle_cap", 1e-6, 1.0, "so it does nothing"),
    ],
)
def test_each_kind_of_trouble_is_said_once(capturable, kind, loss, grad, words):
    w = torch.ones(2, requires_grad=True)
    optimizer = AliG([w], max_lr=0.1, capturable=capturable)
    given: Any = torch.tensor(loss) if capturable else loss
    said = feed(optimizer, w, 400, given, grad)
    assert len(said) == 1
    assert words in said[0]
    assert optimizer.health().remarks == tuple(said)
    if kind == "non_finite":
        assert optimizer.health().non_finite == 400
        assert optimizer.guarded_steps["non_finite"] == 400


@named(BY_LOSS)
def test_losses_that_are_not_finite_are_said_once_by_all(case):
    w = torch.ones(2, requires_grad=True)
    optimizer = case.build([w])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(30):
            w.grad = torch.full_like(w, 1.0 + step % 7)
            optimizer.step(**arguments(case, math.nan))
    assert [w.category for w in caught if "not finite in 10 of" in str(w.message)] == [
        HealthWarning
    ]
    assert optimizer.health().non_finite == 30


@named([case for case in BY_VALUE if case in WITH_RATE and case.name not in ("bpgrad", "alig_inf")])
def test_a_cap_that_always_binds_is_said_once_by_all(case):
    w = torch.ones(2, requires_grad=True)
    optimizer = case.build([w])
    said = feed(optimizer, w, 450, 1e9)
    assert len(said) == 1
    assert "of 200 steps were at the cap, where it is " in said[0]
    assert optimizer.rate in said[0]
    assert optimizer.health().at_cap == 450


@named(BY_VALUE)
@pytest.mark.parametrize("gradient", [None, 0.0])
def test_no_gradient_is_not_taken_for_a_low_cap(case, gradient):
    """As without backward(), or where all parameters are frozen."""
    w = torch.ones(2, requires_grad=gradient is not None)
    optimizer = case.build([w])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(450):
            w.grad = None if gradient is None else torch.zeros(2)
            optimizer.step(lambda: 1.0)
    (said,) = [str(each.message) for each in caught]
    assert "no parameter had a gradient (other than 0) in any of 10 steps: call loss.back" in said
    assert optimizer.health().remarks == (said,)
    assert not optimizer.health().at_cap


def test_gradients_that_vanish_at_the_minimum_are_no_trouble():
    w = torch.ones(1, requires_grad=True)
    optimizer = AliG([w], max_lr=0.1, f_min=-1.0)
    assert feed(optimizer, w, 10, 1.0) == feed(optimizer, w, 300, 1.0, grad=0.0) == []


def test_a_warning_is_at_the_line_of_the_user_also_through_torchs_wrappers():
    w = torch.ones(1, requires_grad=True)
    optimizer = AliG([w], max_lr=0.1)
    optimizer.register_step_post_hook(lambda *_: None)
    torch.optim.lr_scheduler.ConstantLR(optimizer)
    assert "not finite" in feed(optimizer, w, 20, math.nan)[0]


def test_a_healthy_run_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = Convex()
        optimizer = AliG(task.parameters, max_lr=0.2)
        for _ in range(150):
            optimizer.zero_grad()
            loss = task.loss()
            loss.backward()
            optimizer.step(loss=loss)
    health = optimizer.health()
    assert (health.steps, health.non_finite, health.remarks) == (150, 0, ())
    assert 0 < health.at_cap <= 150


def test_a_run_says_what_is_wrong():
    spec = RunSpec("digits_logreg", "alig", {"max_lr": 0.001}, num_epochs=20, device="cpu")
    with pytest.warns(HealthWarning, match="steps were at the cap, where it is SGD"):
        execute(spec)


def test_warnings_can_be_silenced():
    w = torch.ones(1, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=HealthWarning)
        optimizer = AliG([w], max_lr=0.1)
        for _ in range(20):
            w.grad = torch.ones(1)
            optimizer.step(loss=math.nan)
    assert len(optimizer.health().remarks) == 1


@named(CASES)
def test_the_table_is_complete(case):
    """A new optimizer of the package comes with the base that all of this is written in."""
    module = case.entry.load().__module__
    assert not module.startswith("alig_deepobs.") or case in OWN
