"""The differentiable neural computer as a TensorFlow graph.

The same network as `alig_deepobs.testproblems.models.dnc`, with variables of the same names (with
slashes for dots), shapes and order. It is written down step by step, with a sort where the one
for PyTorch compares pairs and with a product for each of the controller's ten outputs, so that
each of the two checks the other.

TensorFlow objects are typed as Any, because TensorFlow is an optional dependency.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from typing import Any

from alig_deepobs.tensorflow import enable

enable()  # says so in one line if TensorFlow is missing
tf: Any = importlib.import_module("tensorflow")
v1: Any = tf.compat.v1
EPSILON = 1e-6


@dataclass(frozen=True)
class Sizes:
    """Sizes of the network; see `alig_deepobs.testproblems.models.dnc.DNC`."""

    inputs: int
    outputs: int
    hidden_dim: int = 64
    memory_slots: int = 16
    word_size: int = 16
    read_heads: int = 4
    write_heads: int = 1
    clip_value: float = 20.0


class DNC:
    """The network: creates its variables, then builds the graph of a sequence.

    Args:
        sizes: sizes of the network.
        dtype: type of the variables.
    """

    def __init__(self, sizes: Sizes, dtype: Any = tf.float32) -> None:
        self.sizes, self.dtype = sizes, dtype
        hidden, words = sizes.hidden_dim, sizes.word_size
        reads, writes = sizes.read_heads, sizes.write_heads
        shapes = {
            "controller/gates": (sizes.inputs + reads * words + hidden, 4 * hidden),
            "access/heads/write_vectors": (hidden, writes * words),
            "access/heads/erase_vectors": (hidden, writes * words),
            "access/heads/free_gates": (hidden, reads),
            "access/heads/allocation_gates": (hidden, writes),
            "access/heads/write_gates": (hidden, writes),
            "access/heads/read_modes": (hidden, reads * (1 + 2 * writes)),
            "access/heads/write_keys": (hidden, writes * words),
            "access/heads/write_strengths": (hidden, writes),
            "access/heads/read_keys": (hidden, reads * words),
            "access/heads/read_strengths": (hidden, reads),
            "output": (hidden + reads * words, sizes.outputs),
        }
        self.variables = {name: self._affine(name, *shape) for name, shape in shapes.items()}

    def unroll(self, inputs: Any, steps: int) -> tuple[Any, dict[str, Any]]:
        """Runs over a batch of sequences, from an empty memory.

        Args:
            inputs: ``(batch, steps, inputs)``.
            steps: length of the sequences.

        Returns:
            The outputs, within the clip value, ``(batch, steps, outputs)``; the state after the
            last step by name.
        """
        state = self._zero_state(v1.shape(inputs)[0])
        outputs = []
        for step in range(steps):
            self._control(inputs[:, step], state)
            self._access(state)
            features = v1.concat([state["h"], state["words"]], axis=1)
            outputs.append(self._clip(self._map("output", features)))
        return v1.stack(outputs, axis=1), state

    def _affine(self, name: str, inputs: int, outputs: int) -> tuple[Any, Any]:
        """A kernel and a bias with the initial values of the Sonnet library."""
        normal = v1.truncated_normal_initializer(stddev=1.0 / math.sqrt(inputs))
        start = normal if name == "controller/gates" else v1.zeros_initializer()
        return (
            v1.get_variable(f"{name}/weight", (inputs, outputs), self.dtype, normal),
            v1.get_variable(f"{name}/bias", (outputs,), self.dtype, start),
        )

    def _map(self, name: str, x: Any) -> Any:
        weight, bias = self.variables[name]
        return v1.matmul(x, weight) + bias

    def _clip(self, x: Any) -> Any:
        return v1.clip_by_value(x, -self.sizes.clip_value, self.sizes.clip_value)

    def _zero_state(self, batch: Any) -> dict[str, Any]:
        s = self.sizes
        shapes = {
            "h": (s.hidden_dim,),
            "c": (s.hidden_dim,),
            "words": (s.read_heads * s.word_size,),
            "memory": (s.memory_slots, s.word_size),
            "read_weights": (s.read_heads, s.memory_slots),
            "write_weights": (s.write_heads, s.memory_slots),
            "link": (s.write_heads, s.memory_slots, s.memory_slots),
            "precedence": (s.write_heads, s.memory_slots),
            "usage": (s.memory_slots,),
        }
        return {
            name: v1.zeros(v1.stack([batch, *shape]), self.dtype) for name, shape in shapes.items()
        }

    def _control(self, x: Any, state: dict[str, Any]) -> None:
        """The LSTM: gates in the order input, cell, forget, output; forget gates shifted by 1."""
        gates = self._map("controller/gates", v1.concat([x, state["words"], state["h"]], axis=1))
        i, j, f, o = v1.split(gates, 4, axis=1)
        c = v1.sigmoid(f + 1.0) * state["c"] + v1.sigmoid(i) * v1.tanh(j)
        state["h"] = self._clip(v1.tanh(c) * v1.sigmoid(o))
        state["c"] = self._clip(c)

    def _access(self, state: dict[str, Any]) -> None:
        """Writes to the memory, then reads from it."""
        s, h = self.sizes, state["h"]

        def heads(name: str, heads: int, size: int) -> Any:
            return v1.reshape(self._map(f"access/heads/{name}", h), (-1, heads, size))

        reads, writes, words = s.read_heads, s.write_heads, s.word_size
        free = v1.sigmoid(heads("free_gates", reads, 1))
        allocation_gate = v1.sigmoid(heads("allocation_gates", writes, 1))
        write_gate = v1.sigmoid(heads("write_gates", writes, 1))
        modes = v1.nn.softmax(heads("read_modes", reads, 1 + 2 * writes))

        written = 1.0 - v1.reduce_prod(1.0 - v1.stop_gradient(state["write_weights"]), axis=1)
        usage = state["usage"] + (1.0 - state["usage"]) * written
        usage *= v1.reduce_prod(1.0 - free * state["read_weights"], axis=1)
        state["usage"] = usage

        content = content_weights(
            state["memory"],
            heads("write_keys", writes, words),
            heads("write_strengths", writes, 1),
        )
        w_w = write_weights(content, usage, allocation_gate, write_gate, writes)
        kept = 1.0 - w_w[..., None] * v1.sigmoid(heads("erase_vectors", writes, words))[:, :, None]
        added = v1.matmul(w_w, heads("write_vectors", writes, words), transpose_a=True)
        memory = state["memory"] * v1.reduce_prod(kept, axis=1) + added

        decay = 1.0 - w_w[..., None] - w_w[:, :, None]
        link = decay * state["link"] + w_w[..., None] * state["precedence"][:, :, None]
        link = v1.matrix_set_diag(link, v1.zeros_like(w_w))
        last = 1.0 - v1.reduce_sum(w_w, axis=2, keepdims=True)

        w_r = modes[:, :, 2 * writes :] * content_weights(
            memory, heads("read_keys", reads, words), heads("read_strengths", reads, 1)
        )
        for head in range(writes):
            backward = v1.matmul(state["read_weights"], link[:, head])
            forward = v1.matmul(state["read_weights"], link[:, head], transpose_b=True)
            w_r += modes[:, :, head, None] * backward + modes[:, :, writes + head, None] * forward
        state.update(
            memory=memory,
            read_weights=w_r,
            write_weights=w_w,
            link=link,
            precedence=last * state["precedence"] + w_w,
            words=v1.reshape(v1.matmul(w_r, memory), (-1, reads * words)),
        )


def content_weights(memory: Any, keys: Any, strengths: Any) -> Any:
    """Weightings of the slots by their similarity with keys, ``(batch, heads, slots)``.

    Args:
        memory: ``(batch, slots, words)``.
        keys: ``(batch, heads, words)``.
        strengths: before the softplus, ``(batch, heads, 1)``.
    """

    def norms(rows: Any) -> Any:
        return v1.sqrt(v1.reduce_sum(v1.square(rows), axis=2, keepdims=True) + EPSILON)

    scale = v1.matmul(norms(keys), norms(memory), transpose_b=True) + EPSILON
    cosines = v1.matmul(keys, memory, transpose_b=True) / scale
    return v1.nn.softmax(v1.nn.softplus(strengths) * cosines)


def allocation_weights(usage: Any) -> Any:
    """The weighting of a new entry: slots by ascending usage, ``(batch, slots)``."""
    usage = EPSILON + (1.0 - EPSILON) * usage
    order = tf.argsort(1.0 - usage, axis=1, direction="DESCENDING", stable=True)
    ranked = tf.gather(usage, order, batch_dims=1)
    allocated = (1.0 - ranked) * v1.cumprod(ranked, axis=1, exclusive=True)
    # The inverse of a permutation is what sorts it.
    return tf.gather(allocated, tf.argsort(order, axis=1), batch_dims=1)


def write_weights(
    content: Any, usage: Any, allocation_gate: Any, write_gate: Any, heads: int
) -> Any:
    """Where each head writes, ``(batch, heads, slots)``; one head's allocation uses slots up."""
    weights = []
    for head in range(heads):
        allocated = allocation_weights(usage)
        by_allocation, gate = allocation_gate[:, head], write_gate[:, head]
        weights.append(
            gate * (by_allocation * allocated + (1.0 - by_allocation) * content[:, head])
        )
        usage += (1.0 - usage) * by_allocation * gate * allocated
    return v1.stack(weights, axis=1)
