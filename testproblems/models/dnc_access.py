"""The memory of a differentiable neural computer and the heads that access it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.models import dnc_addressing as addressing


class Affine(nn.Module):
    """``x @ weight + bias`` with the kernel as ``(inputs, outputs)``, as TensorFlow has it.

    The weights are not filled: on construction nothing is drawn.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(batch, inputs)`` to ``(batch, outputs)``."""
        return torch.addmm(self.bias, x, self.weight)


class AccessState(NamedTuple):
    """What the memory knows between two steps; everything starts at zero.

    Attributes:
        memory: ``(batch, slots, words)``.
        read_weights: ``(batch, read heads, slots)``.
        write_weights: ``(batch, write heads, slots)``.
        link: ``(batch, write heads, slots, slots)``.
        precedence: ``(batch, write heads, slots)``.
        usage: ``(batch, slots)``.
    """

    memory: Tensor
    read_weights: Tensor
    write_weights: Tensor
    link: Tensor
    precedence: Tensor
    usage: Tensor


class Interface(NamedTuple):
    """What the controller tells the heads to do in a step; the batch is in front.

    Attributes:
        write_vectors: ``(write heads, words)``.
        erase_vectors: ``(write heads, words)``, from 0 to 1.
        free_gates: ``(read heads, 1)``, from 0 to 1.
        allocation_gates: ``(write heads, 1)``, from 0 to 1.
        write_gates: ``(write heads, 1)``, from 0 to 1.
        read_modes: ``(read heads, 1 + 2 * write heads)``, each row sums to 1.
        keys: ``(write heads + read heads, words)``, those of the write heads first.
        strengths: ``(write heads + read heads, 1)``, positive.
    """

    write_vectors: Tensor
    erase_vectors: Tensor
    free_gates: Tensor
    allocation_gates: Tensor
    write_gates: Tensor
    read_modes: Tensor
    keys: Tensor
    strengths: Tensor


class Heads(nn.Module):
    """Ten affine maps from the controller's output to the `Interface`, computed as one product.

    Args:
        inputs: size of the controller's output.
        words: numbers in a slot of the memory.
        read_heads: number of read heads.
        write_heads: number of write heads.
    """

    def __init__(self, inputs: int, words: int, read_heads: int, write_heads: int) -> None:
        super().__init__()
        self.words, self.read_heads, self.write_heads = words, read_heads, write_heads
        modes = 1 + 2 * write_heads
        self.write_vectors = Affine(inputs, write_heads * words)
        self.erase_vectors = Affine(inputs, write_heads * words)
        self.free_gates = Affine(inputs, read_heads)
        self.allocation_gates = Affine(inputs, write_heads)
        self.write_gates = Affine(inputs, write_heads)
        self.read_modes = Affine(inputs, read_heads * modes)
        self.write_keys = Affine(inputs, write_heads * words)
        self.write_strengths = Affine(inputs, write_heads)
        self.read_keys = Affine(inputs, read_heads * words)
        self.read_strengths = Affine(inputs, read_heads)

    def merged(self) -> tuple[Tensor, Tensor]:
        """All kernels side by side and all biases, in the order that `interface` cuts them.

        They are the same for all steps of a sequence, so they are merged once for it.
        """
        maps = (
            self.write_vectors, self.erase_vectors, self.free_gates, self.allocation_gates,
            self.write_gates, self.read_modes, self.write_keys, self.read_keys,
            self.write_strengths, self.read_strengths,
        )  # fmt: skip
        return torch.cat([m.weight for m in maps], dim=1), torch.cat([m.bias for m in maps])

    def interface(self, raw: Tensor) -> Interface:
        """Cuts the merged product ``(batch, outputs)`` into pieces and puts each in its range."""
        reads, writes, words = self.read_heads, self.write_heads, self.words
        heads, modes = reads + writes, 1 + 2 * writes
        vectors, gates, read_modes, keys, strengths = raw.split(
            [writes * words, writes * words + reads + 2 * writes, reads * modes, heads * words,
             heads], dim=-1,
        )  # fmt: skip
        erase, free, allocation, write = torch.sigmoid(gates).split(
            [writes * words, reads, writes, writes], dim=-1
        )
        return Interface(
            write_vectors=vectors.unflatten(-1, (writes, words)),
            erase_vectors=erase.unflatten(-1, (writes, words)),
            free_gates=free.unsqueeze(-1),
            allocation_gates=allocation.unsqueeze(-1),
            write_gates=write.unsqueeze(-1),
            read_modes=torch.softmax(read_modes.unflatten(-1, (reads, modes)), dim=-1),
            keys=keys.unflatten(-1, (heads, words)),
            strengths=nn.functional.softplus(strengths).unsqueeze(-1),
        )


class MemoryAccess(nn.Module):
    """The memory and its heads.

    Args:
        inputs: size of the controller's output.
        slots: rows of the memory.
        words: numbers in a slot.
        read_heads: number of read heads.
        write_heads: number of write heads.
    """

    def __init__(
        self, inputs: int, slots: int, words: int, read_heads: int, write_heads: int
    ) -> None:
        super().__init__()
        self.slots, self.words = slots, words
        self.read_heads, self.write_heads = read_heads, write_heads
        self.heads = Heads(inputs, words, read_heads, write_heads)

    def initial_state(self, batch_size: int) -> AccessState:
        """The empty memory."""
        zeros = self.heads.write_gates.bias.new_zeros
        reads, writes, slots = self.read_heads, self.write_heads, self.slots
        return AccessState(
            memory=zeros(batch_size, slots, self.words),
            read_weights=zeros(batch_size, reads, slots),
            write_weights=zeros(batch_size, writes, slots),
            link=zeros(batch_size, writes, slots, slots),
            precedence=zeros(batch_size, writes, slots),
            usage=zeros(batch_size, slots),
        )

    def constants(self) -> tuple[Tensor, Tensor]:
        """`lower_indices` of the slots, and 1 everywhere but on the diagonal."""
        like = self.heads.write_gates.bias
        lower = addressing.lower_indices(self.slots, like.device)
        return lower, (lower | lower.t()).to(like.dtype)

    def forward(
        self, raw: Tensor, state: AccessState, constants: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, AccessState]:
        """Writes, then reads.

        Args:
            raw: the product of the controller's output with the `Heads.merged` maps.
            state: after the previous step.
            constants: `constants`, which are made once for a sequence.

        Returns:
            The words read, ``(batch, read heads * words)``, and the new state.
        """
        lower_index, off_diagonal = constants
        control = self.heads.interface(raw)
        sizes = [self.write_heads, self.read_heads]
        write_keys, read_keys = control.keys.split(sizes, dim=-2)
        write_norms, read_norms = addressing.row_norms(control.keys).split(sizes, dim=-2)
        write_strengths, read_strengths = control.strengths.split(sizes, dim=-2)

        usage = addressing.update_usage(
            state.usage, state.write_weights, state.read_weights, control.free_gates
        )
        by_content = addressing.content_weights(
            state.memory, addressing.row_norms(state.memory), write_keys, write_norms,
            write_strengths,
        )  # fmt: skip
        write_weights = addressing.write_weights(
            by_content, usage, control.allocation_gates, control.write_gates, lower_index
        )
        memory = addressing.write_to_memory(
            state.memory, write_weights, control.erase_vectors, control.write_vectors
        )
        link = addressing.update_link(state.link, state.precedence, write_weights, off_diagonal)
        by_content = addressing.content_weights(
            memory, addressing.row_norms(memory), read_keys, read_norms, read_strengths
        )
        read_weights = addressing.read_weights(
            by_content, link, state.read_weights, control.read_modes
        )
        words = (read_weights @ memory).flatten(-2)
        return words, AccessState(
            memory=memory,
            read_weights=read_weights,
            write_weights=write_weights,
            link=link,
            precedence=addressing.update_precedence(state.precedence, write_weights),
            usage=usage,
        )
