"""How many CPU threads a run gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

SMALL = 5_000_000
"""Weights times examples of a mini-batch, below which a second thread costs more than it brings.

Threads that wait for each other spin. On a machine whose cores have other work they spin for long:
a step of ``digits_mlp`` (0.3 million) was then thirty times slower with two threads than with one.
"""


def suitable_threads(problem: Any) -> int:
    """One for small networks and mini-batches, else all that PyTorch may use here."""
    weights = sum(parameter.numel() for parameter in problem.net.parameters())
    return 1 if weights * problem.batch_size < SMALL else torch.get_num_threads()


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """So many threads within; afterwards as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
