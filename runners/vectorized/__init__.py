"""Many runs as one computation: runs that differ in numbers alone train side by side.

The weights of all runs of a group (its *members*) are the rows of one matrix; losses, gradients and
updates are computed for all rows at once. Which runs may be together says `grouping`, what happens
then `training`; the update rules are in `rules` and `loss_rules`.
"""

from __future__ import annotations

from typing import Literal, get_args

Mode = Literal["auto", "vectorized", "processes"]
"""Which runs are trained as one computation: where that is faster, wherever possible, or none."""

MODES: tuple[Mode, ...] = get_args(Mode)
