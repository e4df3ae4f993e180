"""The checks of ALI-G's arguments that its three TensorFlow versions share; needs no TensorFlow."""

from __future__ import annotations

import math
from typing import Any

NO_LOSS = (
    "AliG computes its step size from the loss, and was given none: pass the argument `loss`, the "
    "objective whose gradient was taken, {how}"
)


def check_arguments(
    max_lr: Any, momentum: float, eps: float, f_min: float, max_norm: float | None
) -> None:
    """Checks everything that is a number; a cap that is a tensor or a schedule is left alone.

    Raises:
        ValueError: an argument is out of its range; the message names it.
    """
    if isinstance(max_lr, (int, float)) and not max_lr > 0:
        raise ValueError(f"max_lr must be positive (or None for no cap), not {max_lr!r}")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum must be in [0, 1), not {momentum!r}")
    if not (eps >= 0 and math.isfinite(eps)):
        raise ValueError(f"eps must be a number >= 0, not {eps!r}")
    if not math.isfinite(f_min):
        raise ValueError(f"f_min must be a finite number, not {f_min!r}")
    if max_norm is not None and not max_norm > 0:
        raise ValueError(f"max_norm must be positive (or None for no ball), not {max_norm!r}")
