"""Without momentum, ALI-G is optax's ``polyak_sgd`` (what JAX's users have)."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

from alig_deepobs import AliG


@pytest.mark.parametrize("max_lr", [0.05, 10.0])
@pytest.mark.parametrize("f_min", [0.0, 0.5])
def test_same_steps_as_optax(max_lr, f_min):
    optax = pytest.importorskip("optax")
    jax = pytest.importorskip("jax")
    # An asymmetric objective: on a sum of squares an uncapped step and its update have one value.
    scales, shift = np.array([1.0, 4.0, 0.25]), np.array([0.5, -1.0, 2.0])

    def loss_of(w, square):
        return 0.5 * (scales * square(w - shift)).sum() + 0.6

    ours = torch.nn.Parameter(torch.tensor([3.0, 1.0, -2.0]))
    optimizer = AliG([ours], max_lr=max_lr, eps=0.1, f_min=f_min)
    theirs = jax.numpy.array([3.0, 1.0, -2.0])
    polyak = optax.polyak_sgd(max_learning_rate=max_lr, f_min=f_min, eps=0.1)
    state = polyak.init(theirs)
    tensors = torch.tensor(scales, dtype=torch.float32), torch.tensor(shift, dtype=torch.float32)
    for _ in range(10):
        optimizer.zero_grad()
        loss = 0.5 * (tensors[0] * (ours - tensors[1]).square()).sum() + 0.6
        loss.backward()
        optimizer.step(loss=loss)
        value, gradient = jax.value_and_grad(loss_of)(theirs, jax.numpy.square)
        updates, state = polyak.update(gradient, state, theirs, value=value)
        theirs = optax.apply_updates(theirs, updates)
        np.testing.assert_allclose(ours.detach().numpy(), np.asarray(theirs), rtol=1e-5, atol=1e-5)


def test_the_defaults_of_optax_are_the_documented_ones():
    optax = pytest.importorskip("optax")
    parameters = inspect.signature(optax.polyak_sgd).parameters
    found = {name: parameters[name].default for name in ("max_learning_rate", "f_min", "eps")}
    assert found == {"max_learning_rate": 1.0, "f_min": 0.0, "eps": 0.0}
