"""Layers of PyTorch for many networks at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class PlainLayers(TorchFunctionMode):
    """Computes some layers as products of matrices, which are what `torch.func` batches best."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return _PLAIN.get(func, func)(*args, **(kwargs or {}))


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """What `torch.nn.functional.linear` returns; `torch.func` multiplies its bias by one."""
    product = input @ weight.t()
    return product if bias is None else product + bias


def lstm(
    x: Tensor,
    hx: tuple[Tensor, Tensor],
    weights: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """What `torch.lstm` returns, up to rounding; `torch.func` cannot batch it.

    Args:
        x: inputs, ``(batch, time, inputs)``.
        hx: output and cell state before the first step, each ``(1, batch, units)``.
        weights: kernels ``(4 * units, inputs)`` and ``(4 * units, units)``, and two biases
            ``(4 * units,)``.
        has_biases: must be true.
        num_layers: must be 1.
        dropout: that between layers; without meaning here.
        train: whether it is applied.
        bidirectional: must be false.
        batch_first: must be true.

    Returns:
        The outputs ``(batch, time, units)``, and both states after the last step.

    Raises:
        NotImplementedError: an argument is not what it must be.
    """
    if num_layers != 1 or bidirectional or not batch_first or not has_biases:
        raise NotImplementedError("of LSTMs, one layer and direction, with biases, batch first")
    (h,), (c,) = hx
    of_inputs, of_outputs, *biases = weights
    # The inputs of all steps meet their kernel at once, in one wide product.
    inputs = linear(x.transpose(0, 1), of_inputs, biases[0] + biases[1])
    outputs = []
    for gates in inputs.unbind():
        i, f, g, o = (gates + h @ of_outputs.t()).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs, dim=1), h.unsqueeze(0), c.unsqueeze(0)


_PLAIN = {torch.lstm: lstm, torch.nn.functional.linear: linear}
