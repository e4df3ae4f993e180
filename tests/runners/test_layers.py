"""Layers for many networks at once compute what PyTorch's do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from alig_deepobs.runners.vectorized.layers import PlainLayers


def test_an_lstm_is_computed_by_products():
    torch.manual_seed(0)
    layer, x = nn.LSTM(3, 4, batch_first=True), torch.randn(2, 5, 3)
    state = torch.randn(1, 2, 4), torch.randn(1, 2, 4)
    expected = layer(x, state)
    with PlainLayers():
        torch.testing.assert_close(layer(x, state), expected)
        for other in ({"num_layers": 2}, {"bidirectional": True}, {"bias": False}):
            with pytest.raises(NotImplementedError, match="one layer and direction"):
                nn.LSTM(3, 4, batch_first=True, **other)(x)
        with pytest.raises(NotImplementedError, match="batch first"):
            nn.LSTM(3, 4)(x)


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_is_computed_by_a_product(bias):
    """`torch.func` batches PyTorch's own by multiplying each bias by one."""
    layer, x = nn.Linear(3, 4, bias=bias), torch.randn(2, 5, 3)
    weights = {name: torch.stack([p.detach(), -p.detach()]) for name, p in layer.named_parameters()}
    expected = layer(x)
    with PlainLayers(), torch.profiler.profile() as profile:
        found = torch.vmap(lambda w: torch.func.functional_call(layer, w, (x,)))(weights)
    torch.testing.assert_close(found, torch.stack([expected, -expected]))
    assert "aten::mul" not in {event.name for event in profile.events()}
    with PlainLayers():
        names = dict(layer.named_parameters())
        torch.testing.assert_close(nn.functional.linear(input=x, **names), expected)
