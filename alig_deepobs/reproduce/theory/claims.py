"""A statement with numbers: what the theory allows, and what was observed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

SLACK = 1e-9
"""Relative room for rounding: all computations are in float64."""


@dataclass(frozen=True)
class Claim:
    """One line of a demonstration.

    Attributes:
        name: what it belongs to, for example ``"Theorem 2"``.
        statement: what was observed, in words.
        observed: the number.
        relation: how it must stand to the bound; ``"="`` leaves room for rounding.
        bound: the number of the theory.

    Example:
        >>> claim = Claim("F4", "sum of squared losses", 9.2928, "<=", 9.2929)
        >>> claim.holds, str(claim)
        (True, 'ok        F4: sum of squared losses: 9.2928 <= 9.2929')
        >>> Claim("F4", "the same", math.nan, "<=", 1.0).holds
        False
    """

    name: str
    statement: str
    observed: float
    relation: Literal["<=", ">=", "="]
    bound: float

    @property
    def holds(self) -> bool:
        """Whether the observed number keeps to the bound; one that is not finite never does."""
        if not math.isfinite(self.observed):
            return False
        room = SLACK * max(1.0, abs(self.bound))
        above, below = self.observed - self.bound, self.bound - self.observed
        if self.relation == "<=":
            return above <= room
        if self.relation == ">=":
            return below <= room
        return abs(above) <= room

    def __str__(self) -> str:
        mark = "ok      " if self.holds else "VIOLATED"
        numbers = f"{self.observed:.6g} {self.relation} {self.bound:.6g}"
        return f"{mark}  {self.name}: {self.statement}: {numbers}"


def violated(claims: Iterable[Claim]) -> list[Claim]:
    """The claims that do not hold."""
    return [claim for claim in claims if not claim.holds]
