"""DeepOBS's recurrent network for character prediction."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.models.init import build_empty

UNITS = 128
DROPOUT = 0.2


class LSTMLayer(nn.Module):
    """One LSTM layer with a single bias, as TensorFlow's cell has it.

    TensorFlow adds a constant 1 to the forget gate instead of starting its bias there. Here this
    constant is the second bias that PyTorch's kernel takes.

    The rows of kernels and bias are the gates in PyTorch's order: input, forget, cell, output;
    TensorFlow has input, cell, forget, output, and one kernel ``(inputs + units, 4 * units)``.

    Args:
        units: size of the input, of the output and of the state.
    """

    forget_bias: Tensor

    def __init__(self, units: int) -> None:
        super().__init__()
        self.input_kernel = nn.Parameter(torch.empty(4 * units, units))
        self.recurrent_kernel = nn.Parameter(torch.empty(4 * units, units))
        self.bias = nn.Parameter(torch.empty(4 * units))
        self.register_buffer("forget_bias", torch.empty(4 * units))

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Runs over a batch of sequences.

        Args:
            x: inputs, ``(batch, time, units)``.
            h: output before the first step, ``(batch, units)``.
            c: cell state before the first step, ``(batch, units)``.

        Returns:
            The outputs ``(batch, time, units)``, and ``h`` and ``c`` after the last step.
        """
        weights = [self.input_kernel, self.recurrent_kernel, self.bias, self.forget_bias]
        y, h_last, c_last = torch.lstm(
            x, (h.unsqueeze(0), c.unsqueeze(0)), weights,
            has_biases=True, num_layers=1, dropout=0.0, train=self.training,
            bidirectional=False, batch_first=True,
        )  # fmt: skip
        return y, h_last.squeeze(0), c_last.squeeze(0)


class CharRNN(nn.Module):
    """Embedding, two LSTM layers with dropout before and after each, and a dense layer.

    Dropout draws from PyTorch's global generator, since it takes no other; a runner that wants
    repeatable runs seeds it. The cell state itself is not dropped.

    Args:
        vocabulary: number of different characters.
        units: size of the embedding and of both layers.
        layers: number of LSTM layers.
    """

    def __init__(self, vocabulary: int, units: int = UNITS, layers: int = 2) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(vocabulary, units))
        self.layers = nn.ModuleList(LSTMLayer(units) for _ in range(layers))
        self.dense = nn.Linear(units, vocabulary)

    def zero_state(self, batch_size: int) -> Tensor:
        """The state at the start of a text, ``(layers, 2, batch_size, units)``."""
        shape = (len(self.layers), 2, batch_size, self.embedding.shape[1])
        return self.embedding.new_zeros(shape)

    def forward(self, ids: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Predicts the next character at each position.

        Args:
            ids: characters, int64 of shape ``(batch, time)``.
            state: ``h`` and ``c`` of each layer, ``(layers, 2, batch, units)``; None at the start
                of a text.

        Returns:
            Logits of shape ``(batch, time, vocabulary)``, and the state after the last character.
        """
        state = self.zero_state(len(ids)) if state is None else state
        hidden = nn.functional.embedding(ids, self.embedding)
        states = []
        for layer, (h, c) in zip(self.layers, state, strict=True):
            hidden = nn.functional.dropout(hidden, DROPOUT, self.training)
            hidden, h_last, c_last = layer(hidden, h, c)
            hidden = nn.functional.dropout(hidden, DROPOUT, self.training)
            states.append(torch.stack((h_last, c_last)))
        return self.dense(hidden), torch.stack(states)


def char_rnn(vocabulary: int, generator: torch.Generator) -> CharRNN:
    """DeepOBS's network with 128 units and TensorFlow's default start.

    Kernels and the embedding start with Glorot's uniform distribution, for which the two kernels of
    an LSTM layer count as one. Its bias is zero; that of the dense layer has no initial value
    in DeepOBS, so TensorFlow draws it, too, with both fans equal to its length.
    """
    net = build_empty(lambda: CharRNN(vocabulary))

    def draw(weight: Tensor, fans: int) -> None:
        limit = (6.0 / fans) ** 0.5
        nn.init.uniform_(weight, -limit, limit, generator=generator)

    draw(net.embedding, sum(net.embedding.shape))
    for layer in net.layers:
        assert isinstance(layer, LSTMLayer)
        units = layer.input_kernel.shape[1]
        draw(layer.input_kernel, 2 * units + 4 * units)
        draw(layer.recurrent_kernel, 2 * units + 4 * units)
        nn.init.zeros_(layer.bias)
        layer.forget_bias.zero_()
        layer.forget_bias[units : 2 * units] = 1.0
    draw(net.dense.weight, sum(net.dense.weight.shape))
    draw(net.dense.bias, 2 * vocabulary)
    return net
