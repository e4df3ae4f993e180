"""Figure 2: without a cap the Polyak step may oscillate for ever; a cap below 10 mends it.

The paper draws such a function without giving its formula. `valley` is one with the announced
properties: it satisfies the restricted secant inequality, and the threshold of the cap is 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from alig_deepobs.reproduce.theory.claims import Claim
from alig_deepobs.reproduce.theory.walks import OptimizerFactory, iterates

THRESHOLD = 10.0
"""The cap from which on there are starts that never converge."""

CAPS_BELOW = (0.1, 1.0, 5.0, 9.0, 9.9, 9.99)
CAPS_AROUND = (5.0, 8.0, 9.0, 9.9, 10.1, 10.5, 11.0, 13.0, 16.0, 20.0, 30.0, 50.0, 80.0, 100.0)
STARTS = (0.01, -0.4, 0.75, -0.99, 1.0, -1.05, 2.0, 3.0, -4.0, 25.0)


def valley(w: float) -> tuple[float, float]:
    """An even, once continuously differentiable function and its derivative.

    For ``1 <= |w| <= 4`` it is ``0.4 sqrt(|w|)``, where ``f = 2 w f'``: the Polyak step leads from
    ``w`` exactly to ``-w``, with a step size of ``10 |w|^(3/2)``, which is 10 or more. The function
    is 1.4-smooth and not convex for ``1/2 < |w| < 4``; ``f'(w) w >= w^2 / 40``.

    Example:
        >>> value, slope = valley(2.0)
        >>> round(2.0 - value / slope, 12), round(value / slope**2 / 2**1.5, 12)
        (-2.0, 10.0)
    """
    a, sign = abs(w), math.copysign(1.0, w)
    if a <= 0.5:
        return 0.7 * a**2, sign * 1.4 * a
    if a <= 1:
        return 1.2 * a - 0.5 * a**2 - 0.3, sign * (1.2 - a)
    if a <= 4:
        return 0.4 * math.sqrt(a), sign * 0.2 / math.sqrt(a)
    return 0.6 + a**2 / 80, sign * a / 40


@dataclass(frozen=True)
class Oscillation:
    """What Figure 2 shows.

    Attributes:
        polyak: the walk without a cap, from 2.
        capped: the walk with the cap 5, from 2.
        shares: cap -> share of the starts in [1, 4] that never converge.
    """

    polyak: list[float]
    capped: list[float]
    shares: dict[float, float]


def figure2(
    polyak: OptimizerFactory, alig: OptimizerFactory
) -> tuple[list[Claim], Oscillation]:  # fmt: skip
    """The walks of the Polyak step and of ALI-G, and what is to be checked about them.

    Args:
        polyak: makes the optimizer with the step ``f / |g|^2``.
        alig: makes ALI-G; called with ``max_lr`` and ``eps``.
    """
    claims = _premises()

    cycle = iterates(polyak, 2.0, valley, 1000)
    drift = max(abs(w - 2.0 * (-1) ** t) for t, w in enumerate(cycle))
    claims += [
        Claim("Figure 2", "Polyak step from 2: steps without an end", len(cycle) - 1, "=", 1000),
        Claim("Figure 2", "Polyak step from 2: distance from 2, -2, 2, ...", drift, "=", 0.0),
    ]
    for start, size in ((5.0, 2.3), (10.0, 2.6)):
        last = abs(iterates(polyak, start, valley, 200)[-1])
        claims.append(
            Claim("Figure 2", f"Polyak step from {start:g}: |w| of the cycle", last, "=", size)
        )

    for cap in CAPS_BELOW:
        walks = [iterates(alig, start, valley, 3000, max_lr=cap, eps=0.0) for start in STARTS]
        wrong = sum(abs(b) >= abs(a) for walk in walks for a, b in pairwise(walk))
        claims += [
            Claim("Figure 2", f"ALI-G, cap {cap:g}: steps that do not decrease |w|", wrong, "=", 0),
            Claim(
                "Figure 2",
                f"ALI-G, cap {cap:g}: largest last |w| of {len(STARTS)} starts",
                max(abs(walk[-1]) for walk in walks),
                "<=",
                1e-12,
            ),
        ]

    shares = {cap: _stuck_share(alig, cap) for cap in CAPS_AROUND}
    claims += [
        Claim("Figure 2", "highest cap tried with which every start converges",
              max((cap for cap, share in shares.items() if share == 0), default=-math.inf),
              "=", 9.9),
        Claim("Figure 2", "lowest cap tried with which some start never converges",
              min((cap for cap, share in shares.items() if share > 0), default=math.inf),
              "=", 10.1),
        Claim("Figure 2", "share of starts in [1, 4] that never converge, cap 80",
              shares[80.0], "=", 1.0),
    ]  # fmt: skip
    capped = iterates(alig, 2.0, valley, 30, rest=1e-4, max_lr=5.0, eps=0.0)
    return claims, Oscillation(cycle, capped, shares)


def cycling_share(cap: float) -> float:
    """The share of [1, 4] that never leaves the cycle: up to ``(cap / 10)^(2/3)``, exactly.

    The measured share is larger: other starts jump into that interval.
    """
    highest = math.pow(cap / THRESHOLD, 2 / 3)
    return (min(4.0, max(1.0, highest)) - 1) / 3


def _premises() -> list[Claim]:
    """That the function is what it is said to be, on a fine grid."""
    points = [0.001 * k for k in range(1, 8001)]
    slopes = [valley(w)[1] for w in points]
    return [
        Claim("Figure 2", "restricted secant inequality: smallest f'(w) / w",
              min(slope / w for slope, w in zip(slopes, points, strict=True)), ">=", 1 / 40),
        Claim("Figure 2", "smoothness: largest change of f' over the change of w",
              max(abs(b - a) / 0.001 for a, b in pairwise(slopes)), "<=", 1.4),
        Claim("Figure 2", "not convex: smallest change of f' over the change of w",
              min((b - a) / 0.001 for a, b in pairwise(slopes)), "<=", -0.9),
    ]  # fmt: skip


def _stuck_share(alig: OptimizerFactory, cap: float) -> float:
    """The share of 60 starts in [1, 4] from which the walk never converges.

    The first start is just above 1 and the last just below 4: at the ends, rounding decides.
    """
    starts = [1.002 + 2.99 * k / 59 for k in range(60)]
    walks = [iterates(alig, start, valley, 100, max_lr=cap, eps=0.0) for start in starts]
    return sum(abs(walk[-1]) >= 1.0 for walk in walks) / len(starts)
