"""How long an epoch takes, to say before a study starts how long it will.

The table is measured by ``tools/measure_epoch_seconds.py``.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any


def seconds_per_epoch(testproblem: str, batch_size: int) -> float | None:
    """Seconds of an epoch on one CPU core: training with SGD, and the evaluations after it.

    An order of magnitude, not a promise: it is that of one machine, with the official data and the
    problem's default options.

    Args:
        testproblem: name of the test problem.
        batch_size: examples a step.

    Returns:
        Seconds; None for a problem that was not measured.

    Example:
        >>> seconds_per_epoch("digits_mlp", 16) > seconds_per_epoch("digits_mlp", 32)
        True
    """
    row = _table().get(testproblem)
    if row is None:
        return None
    # Half the batch size: as many examples, twice as many steps.
    more_steps = row["batch_size"] / batch_size
    seconds: float = row["seconds"] * (1 + row["step_share"] * (more_steps - 1))
    return seconds


@cache
def _table() -> dict[str, dict[str, Any]]:
    content = resources.files(__package__).joinpath("epoch_seconds.json").read_text()
    table: dict[str, dict[str, Any]] = json.loads(content)["problems"]
    return table
