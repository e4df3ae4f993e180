"""Optimizers that watch what the runner gives them."""

from __future__ import annotations

import pytest
import torch

from alig_deepobs.run import RunSpec


@pytest.fixture
def spec():
    """A run that takes about 50 ms."""
    return RunSpec("digits_mlp", "sgd", {"lr": 0.1}, num_epochs=2, synthetic=True, device="cpu")


@pytest.fixture
def spy_class():
    """Makes an SGD that records what its step was given."""

    def make(needs, regularization="l2"):
        class Spy(torch.optim.SGD):
            needs_loss = needs
            calls: list = []  # noqa: RUF012 - one list per class is what the tests want

            def step(self, closure=None, **kwargs):
                if closure is not None:
                    kwargs["closure_loss"] = closure().detach()
                self.calls.append(kwargs)
                super().step()

        Spy.regularization = regularization
        return Spy

    return make
