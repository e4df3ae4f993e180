"""The differentiable neural computer: a recurrent controller with an external memory."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.models.dnc_access import AccessState, Affine, MemoryAccess
from alig_deepobs.testproblems.models.init import truncated_normal


class ControllerState(NamedTuple):
    """Output and cell state of the controller, each ``(batch, hidden)``; both start at zero."""

    h: Tensor
    c: Tensor


class DNCState(NamedTuple):
    """Everything that goes from one step to the next; it starts at zero.

    Attributes:
        controller: state of the controller.
        access: state of the memory.
        words: what was read in the previous step, ``(batch, read heads * words)``.
    """

    controller: ControllerState
    access: AccessState
    words: Tensor


class Controller(nn.Module):
    """An LSTM cell whose output and cell state are clipped.

    One kernel for input, read words and previous output; the gates in the order input, cell,
    forget, output; the forget gate is shifted by 1.

    Args:
        inputs: size of the input.
        words: size of all read words.
        hidden: size of output and cell state.
        clip_value: bound of both.
    """

    def __init__(self, inputs: int, words: int, hidden: int, clip_value: float) -> None:
        super().__init__()
        self.inputs, self.hidden, self.clip_value = inputs, hidden, clip_value
        self.gates = Affine(inputs + words + hidden, 4 * hidden)

    def input_part(self, inputs: Tensor) -> Tensor:
        """What the inputs and the biases add to the gates, for all steps at once.

        Args:
            inputs: ``(batch, time, inputs)``.

        Returns:
            Shape ``(batch, time, 4 * hidden)``.
        """
        shift = self.gates.bias.new_zeros(4, 1)
        shift = torch.cat((shift[:2], shift[:1] + 1.0, shift[:1])).expand(4, self.hidden)
        return inputs @ self.gates.weight[: self.inputs] + (self.gates.bias + shift.flatten())

    def recurrent_kernel(self) -> Tensor:
        """The rows of the kernel that the read words and the previous output go through."""
        return self.gates.weight[self.inputs :]

    def forward(
        self, part: Tensor, kernel: Tensor, words: Tensor, state: ControllerState
    ) -> ControllerState:
        """One step.

        Args:
            part: `input_part` of this step, ``(batch, 4 * hidden)``.
            kernel: `recurrent_kernel`.
            words: what was read in the previous step, ``(batch, words)``.
            state: after the previous step.
        """
        gates = torch.addmm(part, torch.cat((words, state.h), dim=-1), kernel)
        i, j, f, o = gates.chunk(4, dim=-1)
        c = torch.addcmul(torch.sigmoid(f) * state.c, torch.sigmoid(i), torch.tanh(j))
        h = torch.tanh(c) * torch.sigmoid(o)
        return ControllerState(self.clip(h), self.clip(c))

    def clip(self, x: Tensor) -> Tensor:
        """Limits ``|x|``."""
        return x.clamp(-self.clip_value, self.clip_value)


class DNC(nn.Module):
    """A differentiable neural computer.

    Graves et al.: Hybrid computing using a neural network with dynamic external memory, Nature
    2016, as DeepMind implemented it (strengths are a plain softplus; no layer normalization). The
    weights are not filled on construction: `fill_dnc` does it.

    It is a pure function of its parameters and its input without branches on data, so it can be
    traced, compiled, and computed for many models at once with `torch.func`.

    Args:
        inputs: size of the input of a step.
        outputs: size of the output of a step.
        hidden_dim: size of the controller.
        memory_slots: rows of the memory.
        word_size: numbers in a slot.
        read_heads: number of read heads.
        write_heads: number of write heads.
        clip_value: bound of the controller's output and cell state and of the logits.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden_dim: int = 64,
        memory_slots: int = 16,
        word_size: int = 16,
        read_heads: int = 4,
        write_heads: int = 1,
        clip_value: float = 20.0,
    ) -> None:
        super().__init__()
        self.clip_value = clip_value
        words = read_heads * word_size
        self.controller = Controller(inputs, words, hidden_dim, clip_value)
        self.access = MemoryAccess(hidden_dim, memory_slots, word_size, read_heads, write_heads)
        self.output = Affine(hidden_dim + words, outputs)

    def initial_state(self, batch_size: int) -> DNCState:
        """The state at the start of a sequence: all zeros."""
        zeros = self.output.bias.new_zeros
        hidden = zeros(batch_size, self.controller.hidden)
        return DNCState(
            ControllerState(hidden, hidden),
            self.access.initial_state(batch_size),
            zeros(batch_size, self.access.read_heads * self.access.words),
        )

    def unroll(self, inputs: Tensor, state: DNCState) -> tuple[Tensor, DNCState]:
        """Runs over a batch of sequences.

        Args:
            inputs: ``(batch, time, inputs)``.
            state: before the first step.

        Returns:
            The outputs, within the clip value, ``(batch, time, outputs)``; the state after the last
            step.
        """
        parts = self.controller.input_part(inputs).unbind(dim=-2)
        kernel = self.controller.recurrent_kernel()
        weight, bias = self.access.heads.merged()
        constants = self.access.constants()
        controller, access, words = state
        features = []
        for part in parts:
            controller = self.controller(part, kernel, words, controller)
            raw = torch.addmm(bias, controller.h, weight)
            words, access = self.access(raw, access, constants)
            features += [controller.h, words]
        # The output goes into no later step, so one product serves all steps.
        stacked = torch.cat(features, dim=-1).unflatten(-1, (len(parts), -1))
        outputs = stacked @ self.output.weight + self.output.bias
        clipped = outputs.clamp(-self.clip_value, self.clip_value)
        return clipped, DNCState(controller, access, words)

    def forward(self, inputs: Tensor) -> Tensor:
        """The outputs for sequences that start with an empty memory.

        Args:
            inputs: ``(batch, time, inputs)``.

        Returns:
            Shape ``(batch, time, outputs)``.
        """
        return self.unroll(inputs, self.initial_state(inputs.shape[0]))[0]


@torch.no_grad()
def fill_dnc(net: DNC, generator: torch.Generator) -> DNC:
    """Fills the weights as the Sonnet library does.

    Kernels: normal with standard deviation ``1 / sqrt(inputs)``, cut at two deviations. Biases: 0,
    but those of the controller are drawn as its kernel is.

    Returns:
        The network itself.
    """
    for layer in net.modules():
        if isinstance(layer, Affine):
            draw = truncated_normal(1.0 / math.sqrt(layer.weight.shape[0]), generator)
            draw(layer.weight)
            if layer is net.controller.gates:
                draw(layer.bias)
            else:
                nn.init.zeros_(layer.bias)
    return net
