"""The repeat-copy task: read a short pattern and a number, write the pattern that many times.

This module needs NumPy alone, so that every framework gets the same numbers.

Graves et al.: Hybrid computing using a neural network with dynamic external memory, Nature 2016; in
the sizes of the ALI-G paper. There are so few sequences that all of them fit into a table, and a
random sequence is a random row of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alig_deepobs.seeds import derive_seed

BITS = 4
MAX_LENGTH = 2
MAX_REPEATS = 2
REPEATS_SCALE = 10.0
"""What the number of repetitions is divided by."""

INPUTS = BITS + 2
OUTPUTS = BITS + 1
STEPS_PER_EPOCH = 100
"""Mini-batches of an epoch. The paper reports the mean loss of each 100 iterations."""

STEPS = MAX_LENGTH * (MAX_REPEATS + 1) + 3
"""Steps of the longest sequence, 9; shorter ones are padded."""

Sequence = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def encode(pattern: NDArray[np.generic], repeats: int, steps: int = STEPS) -> Sequence:
    """The inputs, the targets and the mask of one sequence.

    Inputs: in step 0 the flag "start", then the pattern, row by row, then the number of repetitions
    (a tenth of it), then nothing. Targets: as soon as all of that is read, the pattern ``repeats``
    times, then the flag "end". The mask is 1 where the targets count.

    Args:
        pattern: bits, ``(length, bits)``.
        repeats: how often it has to be written, at least 1.
        steps: the sequence is padded to this length with zeros.

    Returns:
        Inputs ``(steps, bits + 2)``, the last channels being start and repetitions; targets
        ``(steps, bits + 1)``, the last channel being end; mask ``(steps,)``; all float32.

    Raises:
        ValueError: the sequence has more than ``steps`` steps, or there is nothing to write.

    Example:
        >>> inputs, targets, mask = encode(np.array([[1, 0, 1, 1], [0, 1, 0, 0]]), repeats=1)
        >>> mask.astype(int).tolist()
        [0, 0, 0, 0, 1, 1, 1, 0, 0]
        >>> targets[4:7].astype(int).tolist()
        [[1, 0, 1, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 1]]
    """
    length, bits = pattern.shape
    first, end = length + 2, length * (repeats + 1) + 2
    if length < 1 or repeats < 1 or end >= steps:
        raise ValueError(
            f"{repeats} repetitions of {length} rows do not fit into {steps} steps: "
            "both must be positive, and length * (repeats + 1) + 3 at most the steps"
        )
    inputs = np.zeros((steps, bits + 2), np.float32)
    inputs[0, bits] = 1.0
    inputs[1 : length + 1, :bits] = pattern
    inputs[length + 1, bits + 1] = repeats / REPEATS_SCALE
    targets = np.zeros((steps, bits + 1), np.float32)
    targets[first:end, :bits] = np.tile(pattern, (repeats, 1))
    targets[end, bits] = 1.0
    mask = np.zeros(steps, np.float32)
    mask[first : end + 1] = 1.0
    return inputs, targets, mask


def table() -> Sequence:
    """All sequences of the task, as often as they are likely: 1,024 rows, each equally likely.

    A row is ten flips of a coin: the length of the pattern (1 or 2 rows), the repetitions (1 or 2)
    and eight bits, of which a pattern with one row takes the first four. So 544 sequences are
    different; the 32 with one row are there 16 times.

    Returns:
        Inputs ``(1024, 9, 6)``, targets ``(1024, 9, 5)`` and mask ``(1024, 9)``.
    """
    rows = []
    cells = MAX_LENGTH * BITS
    for length in range(1, MAX_LENGTH + 1):
        for repeats in range(1, MAX_REPEATS + 1):
            for number in range(2**cells):
                flips = np.array([number >> i & 1 for i in range(cells)]).reshape(-1, BITS)
                rows.append(encode(flips[:length], repeats))
    inputs, targets, masks = zip(*rows, strict=True)
    return np.stack(inputs), np.stack(targets), np.stack(masks)


def draw(rows: int, steps: int, batch_size: int, *seed: int | str) -> NDArray[np.int64]:
    """Rows of the table for ``steps`` mini-batches, independent and equally likely.

    Args:
        rows: the length of the table.
        steps: number of mini-batches.
        batch_size: sequences in each.
        seed: named parts of the seed, see `alig_deepobs.seeds.derive_seed`.

    Returns:
        Shape ``(steps, batch_size)``.
    """
    generator = np.random.Generator(np.random.PCG64(derive_seed(*seed)))
    return generator.integers(rows, size=(steps, batch_size))
