"""How a differentiable neural computer finds its way about its memory.

Pure functions of tensors with the batch in front; ``heads`` are write or read heads, ``slots`` the
rows of the memory. Notation: memory ``M``, usage ``u``, weightings ``w`` over the slots, temporal
link ``L``, precedence ``p``. Source: Graves et al.: Hybrid computing using a neural network with
dynamic external memory, Nature 2016, with the details of DeepMind's implementation.

Nothing here branches on data, works in place, sorts or scatters, so that it can be traced, compiled
and computed for many models at once. Loops are over heads, of which there are few.
"""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-6


def row_norms(rows: Tensor) -> Tensor:
    """``sqrt(|row|^2 + EPSILON)`` of each row: ``(..., rows, words)`` to ``(..., rows, 1)``."""
    return torch.sqrt(rows.square().sum(dim=-1, keepdim=True) + EPSILON)


def content_weights(
    memory: Tensor, norms: Tensor, keys: Tensor, key_norms: Tensor, strengths: Tensor
) -> Tensor:
    """Weightings of the slots by the similarity of their content with keys.

    ``softmax_i(strength * cos_i)`` with ``cos_i = <k, M_i> / (|k| |M_i| + EPSILON)``.

    Args:
        memory: ``(batch, slots, words)``.
        norms: `row_norms` of the memory, ``(batch, slots, 1)``.
        keys: ``(batch, heads, words)``.
        key_norms: `row_norms` of the keys, ``(batch, heads, 1)``.
        strengths: positive, ``(batch, heads, 1)``.

    Returns:
        Shape ``(batch, heads, slots)``; each row sums to 1.
    """
    products = keys @ memory.transpose(-2, -1)
    cosines = products / (key_norms * norms.transpose(-2, -1) + EPSILON)
    return torch.softmax(strengths * cosines, dim=-1)


def update_usage(
    usage: Tensor, write_weights: Tensor, read_weights: Tensor, free_gates: Tensor
) -> Tensor:
    """How much each slot is in use, after the writes and reads of the previous step.

    Writing raises it, ``u + (1 - u) w``, through which no gradient goes to ``w``; reading with an
    open free gate lowers it, ``u (1 - f w)``.

    Args:
        usage: ``(batch, slots)``, from 0 to 1.
        write_weights: of the previous step, ``(batch, write heads, slots)``.
        read_weights: of the previous step, ``(batch, read heads, slots)``.
        free_gates: from 0 to 1, ``(batch, read heads, 1)``.
    """
    for written in write_weights.detach().unbind(dim=-2):
        usage = _raised(usage, written)
    for kept in (1.0 - free_gates * read_weights).unbind(dim=-2):
        usage = usage * kept
    return usage


def allocation_weights(usage: Tensor, lower_index: Tensor) -> Tensor:
    """The weighting that a new entry should have: on the slots that are least in use.

    With the usages ``s`` in ascending order (equal ones by index), the j-th gets
    ``(1 - s_j) * prod_{m < j} s_m``. The product is the exponential of a sum of logarithms over
    the slots that come earlier, which a comparison of all pairs finds without sorting; gradients
    go through the usages, not through their order.

    Args:
        usage: ``(batch, slots)``.
        lower_index: `lower_indices` of the slots.

    Returns:
        Shape ``(batch, slots)``; the sum is at most 1.
    """
    usage = EPSILON + (1.0 - EPSILON) * usage
    free = 1.0 - usage
    # The order is that of `free`: rounding may make it equal where the usages differ.
    mine, others = free.detach().unsqueeze(-1), free.detach().unsqueeze(-2)
    earlier = torch.where(lower_index, others >= mine, others > mine).to(usage.dtype)
    log_product = (earlier @ usage.log().unsqueeze(-1)).squeeze(-1)
    return free * log_product.exp()


def lower_indices(slots: int, device: torch.device | None = None) -> Tensor:
    """Whether slot ``m`` (column) comes before slot ``n`` (row): booleans ``(slots, slots)``."""
    index = torch.arange(slots, device=device)
    return index.unsqueeze(0) < index.unsqueeze(1)


def write_weights(
    content: Tensor,
    usage: Tensor,
    allocation_gates: Tensor,
    write_gates: Tensor,
    lower_index: Tensor,
) -> Tensor:
    """Where each write head writes: ``g (a_gate * allocation + (1 - a_gate) * content)``.

    What one head is going to allocate counts as used for the next head.

    Args:
        content: `content_weights` of the write keys, ``(batch, write heads, slots)``.
        usage: ``(batch, slots)``.
        allocation_gates: from 0 (by content) to 1 (by allocation), ``(batch, write heads, 1)``.
        write_gates: from 0 (do not write) to 1, ``(batch, write heads, 1)``.
        lower_index: `lower_indices` of the slots.

    Returns:
        Shape ``(batch, write heads, slots)``.
    """
    allocations = []
    for gate in (allocation_gates * write_gates).unbind(dim=-2):
        allocations.append(allocation_weights(usage, lower_index))
        usage = _raised(usage, gate * allocations[-1])
    allocation = torch.stack(allocations, dim=-2)
    # Under autocast the three may be of different types.
    allocation, allocation_gates = allocation.to(content.dtype), allocation_gates.to(content.dtype)
    return write_gates * torch.lerp(content, allocation, allocation_gates)


def write_to_memory(memory: Tensor, weights: Tensor, erase: Tensor, write: Tensor) -> Tensor:
    """Erases, ``M * prod_i (1 - w_i e_i^T)``, then adds ``sum_i w_i v_i^T``.

    Args:
        memory: ``(batch, slots, words)``.
        weights: `write_weights`, ``(batch, write heads, slots)``.
        erase: from 0 to 1, ``(batch, write heads, words)``.
        write: ``(batch, write heads, words)``.
    """
    columns = weights.unsqueeze(-1)
    for erased in (columns * erase.unsqueeze(-2)).unbind(dim=-3):
        memory = torch.addcmul(memory, memory, erased, value=-1.0)
    return memory + weights.transpose(-2, -1) @ write


def update_link(
    link: Tensor, precedence: Tensor, weights: Tensor, off_diagonal: Tensor
) -> Tensor:  # fmt: skip
    """Who was written after whom: ``L[m, n]`` is near 1 if ``m`` was the next one after ``n``.

    ``L[m, n] <- (1 - w[m] - w[n]) L[m, n] + w[m] p[n]``, and 0 on the diagonal.

    Args:
        link: ``(batch, write heads, slots, slots)``.
        precedence: before this step, ``(batch, write heads, slots)``.
        weights: `write_weights`, ``(batch, write heads, slots)``.
        off_diagonal: 0 on the diagonal and 1 elsewhere, ``(slots, slots)``.
    """
    rows, columns = weights.unsqueeze(-1), weights.unsqueeze(-2)
    kept = link * (1.0 - rows - columns)
    return torch.addcmul(kept, rows, precedence.unsqueeze(-2)) * off_diagonal


def update_precedence(precedence: Tensor, weights: Tensor) -> Tensor:
    """How much each slot was the last one written to: ``(1 - sum(w)) p + w``."""
    return torch.addcmul(weights, 1.0 - weights.sum(dim=-1, keepdim=True), precedence)


def read_weights(content: Tensor, link: Tensor, previous: Tensor, modes: Tensor) -> Tensor:
    """Where each read head reads: a mixture of going back, going on and looking up.

    Args:
        content: `content_weights` of the read keys, ``(batch, read heads, slots)``.
        link: `update_link`, ``(batch, write heads, slots, slots)``.
        previous: read weights of the previous step, ``(batch, read heads, slots)``.
        modes: mixture weights ``(batch, read heads, 2 * write heads + 1)``: backwards along each
            link, then forwards along each link, then by content.

    Returns:
        Shape ``(batch, read heads, slots)``. The rows sum to less than 1 as long as links are few.
    """
    links = link.unbind(dim=-3)
    # Row vectors: going back multiplies by L (its transpose from the left), going on by L^T.
    steps = [previous @ each for each in links]
    steps += [previous @ each.transpose(-2, -1) for each in links]
    *directions, by_content = modes.unsqueeze(-2).unbind(dim=-1)
    weights = by_content * content
    for mode, step in zip(directions, steps, strict=True):
        weights = torch.addcmul(weights, mode, step)
    return weights


def _raised(usage: Tensor, weights: Tensor) -> Tensor:
    """``u + (1 - u) w``."""
    return torch.addcmul(usage, 1.0 - usage, weights)
