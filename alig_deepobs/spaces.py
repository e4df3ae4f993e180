"""Values of hyper-parameters to choose from: ``alig:max_lr=1e-3..10,momentum=0|0.9``.

``low..high`` is a range, with equal steps of the logarithm where both ends are positive;
``low..high/9`` is nine of its values; ``a|b|c`` are values, and a single one is fixed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alig_deepobs.entries import HyperParameter, OptimizerEntry
from alig_deepobs.errors import UsageError, unknown_choice
from alig_deepobs.settings import parse_setting, split_at_commas

_RANGE = re.compile(r"(?P<low>[^/|]+?)\.\.(?P<high>[^/|]+?)(?:/(?P<count>[^/|]+))?")
_DECADES = 2
"""A range that is not declared reaches from so many decades below the default to as many above."""


@dataclass(frozen=True)
class Axis:
    """One hyper-parameter and what it may be.

    Attributes:
        name: the hyper-parameter.
        values: the only values; empty for a range.
        low, high: the ends of the range.
        log: whether equal steps are steps of the logarithm.
        minimum, maximum: values outside make no sense, so that the range is never extended to them.
    """

    name: str
    values: tuple[Any, ...] = ()
    low: float = math.nan
    high: float = math.nan
    log: bool = True
    minimum: float = -math.inf
    maximum: float = math.inf

    def spaced(self, count: int) -> tuple[Any, ...]:
        """That many values of the range, ends included; the values themselves where there are some.

        Example:
            >>> Axis("lr", low=1e-3, high=1e-1).spaced(5)
            (0.001, 0.00316, 0.01, 0.0316, 0.1)
        """
        return self.values or tuple(self.at(i / (count - 1)) for i in range(count))

    def at(self, share: float) -> Any:
        """The value at a share of the range, from 0 to 1 (below and above: beyond its ends)."""
        if self.values:
            return self.values[min(int(share * len(self.values)), len(self.values) - 1)]
        if self.log:
            return _rounded(self.low * (self.high / self.low) ** share)
        return _rounded(self.low + (self.high - self.low) * share)

    def rounded(self, value: Any) -> Any:
        """A value of the range as it is tried: with three digits, and not beyond an end."""
        if self.values:
            return value
        return min(max(_rounded(value), self.low), self.high)

    def __str__(self) -> str:
        if self.values:
            return f"{self.name} in {', '.join(map(str, self.values))}"
        return f"{self.name} in {self.low:g} to {self.high:g}"


def declared_axis(name: str, declared: HyperParameter) -> Axis | None:
    """The range that a hyper-parameter's entry gives it; None where it gives none."""
    if declared.low is None or declared.high is None:
        return None
    lowest = 0.0 if declared.log else -math.inf
    minimum = lowest if declared.minimum is None else declared.minimum
    maximum = math.inf if declared.maximum is None else declared.maximum
    return Axis(name, (), declared.low, declared.high, declared.log, minimum, maximum)


def main_axis(entry: OptimizerEntry) -> Axis | None:
    """What is tuned first: the main hyper-parameter over its range.

    Where the entry declares no range, it reaches two decades to either side of the default. None
    where there is no hyper-parameter, or none whose default is a positive number.

    Example:
        >>> from alig_deepobs.registry import find_optimizer
        >>> str(main_axis(find_optimizer("alig"))), main_axis(find_optimizer("alig_inf"))
        ('max_lr in 0.001 to 10', None)
    """
    name = entry.main_hyperparameter
    if name is None:
        return None
    declared = entry.hyperparameters[name]
    default = declared.default
    if declared.type is float and declared.low is None and default is not None and default > 0:
        factor = 10.0**_DECADES
        return Axis(name, (), _rounded(default / factor), _rounded(default * factor), minimum=0.0)
    return declared_axis(name, declared)


def parse_axes(text: str) -> tuple[str, tuple[Axis, ...]]:
    """Reads ``optimizer:name=values,name=values``.

    Returns:
        The optimizer (a name, or ``package.module:Class``) and its axes.

    Raises:
        UsageError: the text has not that form, or a range is empty or reversed.

    Example:
        >>> name, axes = parse_axes("mine:Opt:lr=1e-3..0.1/3,momentum=0|0.9")
        >>> name, axes[0].values, axes[1].values
        ('mine:Opt', (0.001, 0.01, 0.1), (0, 0.9))
    """
    head, equals, _ = text.partition("=")
    optimizer, colon, first = head.rpartition(":")
    if not (equals and colon and optimizer.strip()):
        raise UsageError(
            f"malformed grid {text!r}: write optimizer:name=values, "
            "for example 'alig:max_lr=1e-3..10/9,momentum=0|0.9'"
        )
    axes: list[Axis] = []
    for part in split_at_commas(f"{first}{text[len(head) :]}"):
        name, equals, values = (word.strip() for word in part.partition("="))
        if not equals or not name.isidentifier() or not values:
            raise UsageError(f"malformed grid {text!r}: {part.strip()!r} is not name=values")
        if name in [axis.name for axis in axes]:
            raise UsageError(f"grid {text!r} has {name} twice")
        axes.append(_axis(name, values, text))
    return optimizer.strip(), tuple(axes)


def check_axes(axes: Sequence[Axis], entry: OptimizerEntry) -> tuple[Axis, ...]:
    """The axes with what the entry declares of them (whether it is logarithmic, its bounds).

    Raises:
        UsageError: the optimizer has no such hyper-parameter.
    """
    known = entry.hyperparameters
    checked = []
    for axis in axes:
        declared = known.get(axis.name)
        if declared is None and not entry.is_path:
            raise unknown_choice(f"hyper-parameter of {entry.name}", axis.name, known)
        if declared is None or axis.values:
            checked.append(axis)
            continue
        minimum = -math.inf if declared.minimum is None else declared.minimum
        maximum = math.inf if declared.maximum is None else declared.maximum
        log = axis.log and declared.log
        checked.append(Axis(axis.name, (), axis.low, axis.high, log, minimum, maximum))
    return tuple(checked)


def _axis(name: str, values: str, text: str) -> Axis:
    found = _RANGE.fullmatch(values)
    if found is None:
        listed = parse_setting(f"grid[values=({values.replace('|', ',')},)]").params["values"]
        if not isinstance(listed, tuple):  # words
            listed = tuple(parse_setting(f"grid[v={v}]").params["v"] for v in values.split("|"))
        if len(set(map(repr, listed))) < len(listed):
            raise UsageError(f"grid {text!r} has a value of {name} twice")
        return Axis(name, listed)
    try:
        low, high = float(found["low"]), float(found["high"])
        count = None if found["count"] is None else int(found["count"])
    except ValueError:
        raise UsageError(f"grid {text!r}: {values!r} is not low..high or low..high/count") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(f"grid {text!r}: the range {values} of {name} is empty or reversed")
    axis = Axis(name, (), low, high, log=low > 0)
    if count is None:
        return axis
    if count < 2:
        raise UsageError(f"grid {text!r}: a range has at least 2 values, not {count}")
    return Axis(name, axis.spaced(count))


def _rounded(value: float) -> float:
    """Three digits, which is as fine as anybody tunes, and reads well."""
    return float(f"{value:.3g}")
