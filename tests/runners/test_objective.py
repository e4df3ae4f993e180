"""The loss contract: the step gets the objective whose gradient was taken."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from alig_deepobs.errors import RunError, UsageError
from alig_deepobs.runners import execute
from alig_deepobs.runners.noise import generator_states, restore_generators


@pytest.fixture
def with_l2(spec):
    return replace(spec, weight_decay=0.1, num_epochs=1, train_log_interval=1)


def run(spec, spy):
    return execute(spec, optimizer_class=spy)


def test_nothing(with_l2, spy_class):
    spy = spy_class("nothing")
    run(with_l2, spy)
    assert all(call == {} for call in spy.calls)


def test_value(with_l2, spy_class):
    spy = spy_class("value")
    result = run(with_l2, spy)
    assert [float(call["loss"]) for call in spy.calls] == result.minibatch_train_losses
    assert not spy.calls[0]["loss"].requires_grad


def test_closure(with_l2, spy_class):
    spy = spy_class("closure")
    result = run(with_l2, spy)
    assert [float(call["closure_loss"]) for call in spy.calls] == result.minibatch_train_losses
    plain = spy_class("nothing")
    assert run(with_l2, plain).test_losses == result.test_losses


@pytest.mark.parametrize(
    ("step", "declared", "wanted"),
    [
        (lambda self, closure=None, *, loss: None, "nothing", "value"),
        (lambda self, closure: None, "nothing", "closure"),
        (lambda self, loss, losses: None, "value", "per_example"),
        (lambda self: None, "value", "nothing"),
    ],
)
def test_a_step_that_does_not_fit_its_declaration(with_l2, step, declared, wanted):
    mine = type("Mine", (torch.optim.SGD,), {"step": step, "needs_loss": declared})
    words = f'does not fit needs_loss = "{declared}" .*: write needs_loss = "{wanted}" into'
    with pytest.raises(UsageError, match=words):
        run(with_l2, mine)


def test_closure_that_is_never_called(with_l2):
    class Lazy(torch.optim.SGD):
        needs_loss = "closure"

        def step(self, closure=None):
            return None

    with pytest.raises(RunError, match="never called the closure"):
        run(with_l2, Lazy)


def test_per_example_losses(with_l2, spy_class):
    spy = spy_class("per_example")
    result = run(with_l2, spy)
    for call, recorded in zip(spy.calls, result.minibatch_train_losses, strict=True):
        assert call["losses"].shape == (32,)
        assert float(call["losses"].mean()) == pytest.approx(recorded, rel=1e-6)


def test_l2_is_in_loss_and_gradient_of_optimizers_that_take_it(with_l2, spy_class):
    result = run(with_l2, spy_class("value"))
    assert result.regularization == "l2"
    assert result.effective_weight_decay == 0.1
    assert result.max_norm is None
    for loss, data in zip(result.test_losses, result.test_data_losses, strict=True):
        assert loss > data + 0.1  # half of 0.1 |w|^2, with |w|^2 of some hundred
    assert result.minibatch_train_losses[0] > result.train_data_losses[0] + 0.1


def test_l2_is_left_out_for_optimizers_with_a_ball(with_l2, spy_class):
    spy = spy_class("value", regularization="ball")
    result = run(with_l2, spy)
    plain = run(replace(with_l2, weight_decay=None), spy_class("value"))
    assert result.regularization == "none"
    assert result.effective_weight_decay == 0.0
    assert result.weight_decay == 0.0  # without effect, it makes no other run
    assert result.test_losses == result.test_data_losses == plain.test_losses


def test_ball(with_l2):
    spec = replace(with_l2, optimizer="alig", hyperparams={"max_norm": 3.0})
    result = execute(spec)
    assert result.regularization == "ball"
    assert result.max_norm == 3.0
    assert result.effective_weight_decay == 0.0
    assert result.test_losses == result.test_data_losses
    free = execute(replace(spec, hyperparams={}))
    # Projected at construction already, so even the first evaluation differs.
    assert result.test_losses[0] != free.test_losses[0]


def test_data_terms_of_both_are_comparable(with_l2):
    """At the start both have the same weights, so the same data term."""
    l2 = execute(with_l2)
    ball = execute(replace(with_l2, optimizer="alig", hyperparams={}))
    assert l2.test_data_losses[0] == ball.test_data_losses[0]
    assert l2.test_losses[0] != ball.test_losses[0]


def test_noise_of_an_accelerator_is_that_of_the_device_in_use(monkeypatch):
    """Each device has a generator of its own; the current device may be another one."""
    device = torch.device("cuda", 1)
    states = {device: torch.tensor([1])}
    monkeypatch.setattr(torch.cuda, "get_rng_state", states.__getitem__)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, of: states.update({of: state}))
    found = generator_states(device)
    assert found["cuda"].tolist() == [1]
    restore_generators({**found, "cuda": torch.tensor([2])}, device)
    assert {of: state.tolist() for of, state in states.items()} == {device: [2]}
