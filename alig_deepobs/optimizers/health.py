"""Whether a loss-driven optimizer works as it is meant to: counters, and one warning of each kind.

On the CPU the numbers of a step are at hand. On an accelerator they are kept as tensors and looked
at where the host reads the device anyway (``step_size``, ``guarded_steps``, ``state_dict()``,
``health()``), so the step itself reads nothing.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections import deque
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from alig_deepobs.optimizers._scalars import Scalar

_SEVERAL = 10
"""Steps that were dropped or had no gap, after which it is worth a word."""
_OFTEN, _SHARE = 20, 0.25
"""Steps with one gradient norm, and their share of all steps, that point to clipping."""
_MANY = 200
"""Steps after which the share of steps at the cap means something."""
_SAME_NORM = 1e-5
_KEPT = 512


class HealthWarning(UserWarning):
    """An optimizer does something that its user may not have meant.

    Each kind is said once for each optimizer. To silence all of them::

        warnings.filterwarnings("ignore", category=alig_deepobs.HealthWarning)
    """


def warn_user(message: str) -> None:
    """Warns at the line that called this package, directly or through torch's wrappers."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_inside(frame.f_globals.get("__name__")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, HealthWarning, stacklevel=level)


def _is_inside(module: str | None) -> bool:
    return str(module).partition(".")[0] in ("alig_deepobs", "torch")


@dataclass(frozen=True)
class Health:
    """What an optimizer has seen since it was made.

    Attributes:
        steps: steps that were looked at. On an accelerator at most the last 512 between two looks.
        at_cap: how many of those with a gradient were at the cap; None if there is no cap.
        below_f_min: how many had a loss at or below the lower bound.
        zero_norm: how many had step size 0 because there was nothing to divide by, or so little
            that the weights' type cannot hold the step.
        non_finite: how many had a loss or a gradient that is not finite.
        same_norm: how many had a gradient of the largest norm, ``largest_norm``; many if the
            gradients were clipped.
        largest_norm: the largest norm of a gradient.
        remarks: what is wrong, one sentence each.
    """

    steps: int
    at_cap: int | None
    below_f_min: int
    zero_norm: int
    non_finite: int
    same_norm: int
    largest_norm: float
    remarks: tuple[str, ...]


class Monitor:
    """Counts for one optimizer.

    Args:
        name: of the optimizer.
        cap: name of the argument that caps its step size.
        capped: what the optimizer is where the cap always binds.
    """

    def __init__(self, name: str, cap: str, capped: str) -> None:
        self.name, self.cap, self.capped = name, cap, capped
        self.steps = self.below = self.zero_norm = self.non_finite = self.same_norm = 0
        self.with_cap = self.at_cap = 0
        self.largest = 0.0
        self.pending: deque[tuple[Scalar, ...]] = deque(maxlen=_KEPT)
        self.remarks: dict[str, str] = {}

    def note(
        self,
        loss: float,
        bound: float,
        squared_norm: float,
        size: float,
        unclipped: float,
        has_cap: bool,
    ) -> None:
        """Counts a step.

        Args:
            loss: what the step was given.
            bound: its lower bound.
            squared_norm: of the gradient; negative if it is not known.
            size: the step size.
            unclipped: the step size without the cap.
            has_cap: whether there is a cap.
        """
        self.steps += 1
        if not (math.isfinite(loss) and math.isfinite(squared_norm)):
            self.non_finite += 1
            if self.non_finite >= _SEVERAL:
                self._say_not_finite()
            return
        if loss <= bound:
            self.below += 1
            if self.below >= _SEVERAL:
                self._say_below()
        elif unclipped == 0:
            self.zero_norm += 1
        if squared_norm == 0 or squared_norm < 0 == self.largest:  # no step, so none at the cap
            if self.largest == 0 and self.steps >= _SEVERAL and loss > bound:
                self._say_no_gradient()
            return
        norm = math.sqrt(max(squared_norm, 0.0))
        if norm > self.largest * (1 + _SAME_NORM):
            self.largest, self.same_norm = norm, 1
        elif norm > self.largest * (1 - _SAME_NORM):
            self.same_norm += 1
            if "clipped" not in self.remarks and self.same_norm >= max(_OFTEN, _SHARE * self.steps):
                self._say_clipped()
        if has_cap and loss > bound:
            self.with_cap += 1
            self.at_cap += size < unclipped
            if self.with_cap % _MANY == 0:
                self._say_cap()

    def keep(self, *numbers: Scalar) -> None:
        """Keeps the arguments of `note`, some of them tensors, for later."""
        self.pending.append(numbers)

    def look(self) -> None:
        """Counts what was kept; the host waits for the device."""
        if not self.pending:
            return
        rows = list(self.pending)
        self.pending.clear()
        device = next((x.device for x in rows[-1] if isinstance(x, Tensor)), torch.device("cpu"))
        table = torch.stack(
            [
                torch.stack([torch.as_tensor(x, device=device).double() for x in column])
                for column in zip(*rows, strict=True)
            ]
        )
        for row in cast("list[list[float]]", table.T.tolist()):
            loss, bound, squared, size, unclipped, has_cap = row
            self.note(loss, bound, squared, size, unclipped, bool(has_cap))

    def report(self) -> Health:
        """All of it; the host waits for the device."""
        self.look()
        at_cap = self.at_cap if self.with_cap else None
        return Health(
            self.steps, at_cap, self.below, self.zero_norm, self.non_finite, self.same_norm,
            self.largest, tuple(self.remarks.values()),
        )  # fmt: skip

    def say(self, kind: str, remark: str) -> None:
        """Warns, once for each kind."""
        if kind not in self.remarks:
            self.remarks[kind] = f"{self.name}: {remark}"
            warn_user(self.remarks[kind])

    def _say_no_gradient(self) -> None:
        self.say(
            "no_gradient",
            f"no parameter had a gradient (other than 0) in any of {self.steps} steps: call "
            "loss.backward() before the step, in the closure if there is one, and see that the "
            "loss depends on parameters that are not frozen (requires_grad=False)",
        )

    def _say_not_finite(self) -> None:
        self.say(
            "non_finite",
            f"loss or gradient was not finite in {self.non_finite} of {self.steps} steps: look for "
            "bad examples, or for an overflow in half precision",
        )

    def _say_below(self) -> None:
        self.say(
            "below_f_min",
            f"the loss was at or below its lower bound in {self.below} of {self.steps} steps, "
            "which leaves no gap to close: either these batches are fitted exactly, or the bound "
            "(f_min, f_star, lb; 0 by default) must be lower",
        )

    def _say_clipped(self) -> None:
        self.say(
            "clipped",
            f"the gradient had the norm {self.largest:.4g} in {self.same_norm} of {self.steps} "
            "steps. If it is clipped before the step, the step size is wrong, because the loss "
            "belongs to the whole gradient: turn clipping off (max_grad_norm=0 in transformers), "
            "or use AliG(..., clip_norm=...)",
        )

    def _say_cap(self) -> None:
        share = self.at_cap / self.with_cap
        if share >= 0.98:
            self.say(
                "at_cap",
                f"{self.at_cap} of {self.with_cap} steps were at the cap, where it is "
                f"{self.capped} with a constant rate: a larger {self.cap} may train faster",
            )
        elif share <= 0.01:
            self.say(
                "idle_cap",
                f"{self.at_cap} of {self.with_cap} steps were at the cap, so it does nothing: a "
                f"smaller {self.cap} may be safer",
            )
