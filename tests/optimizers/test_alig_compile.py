"""A compiled step is one graph and takes the same steps."""

from __future__ import annotations

import copy

import pytest
import torch

from alig_deepobs import AliG


@pytest.mark.slow
@pytest.mark.parametrize("adjusted", [False, True])
def test_compiled_step(adjusted):
    torch.manual_seed(0)
    eager_net = torch.nn.Linear(4, 2)
    compiled_net = copy.deepcopy(eager_net)
    options = {"max_lr": 0.1, "momentum": 0.9, "adjusted_momentum": adjusted}
    eager = AliG(eager_net.parameters(), **options)
    compiled = AliG(compiled_net.parameters(), **options)
    step = torch.compile(compiled.step, backend="eager", fullgraph=True)
    inputs = torch.randn(3, 4)
    for _ in range(5):
        for net, optimizer, take in (
            (eager_net, eager, eager.step),
            (compiled_net, compiled, step),
        ):
            optimizer.zero_grad()
            loss = net(inputs).square().mean()
            loss.backward()
            take(loss=loss.detach())
    torch.testing.assert_close(compiled_net.weight, eager_net.weight)
    assert not torch.equal(compiled_net.weight, torch.nn.Linear(4, 2).weight)
