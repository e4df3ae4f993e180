"""Figure 1: where the minimum is 0, the Polyak step is a Newton-Raphson step towards a root.

In one dimension ``w - (f / f'^2) f' = w - f / f'``: the next point is where the tangent meets the
axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from alig_deepobs.reproduce.theory.claims import Claim
from alig_deepobs.reproduce.theory.walks import OptimizerFactory, iterates


@dataclass(frozen=True)
class Curve:
    """A function of one variable whose infimum is 0.

    Attributes:
        label: its formula.
        function: ``w`` -> value and derivative.
        start: where the walk starts.
        steps: how many steps are taken.
        view: what the picture shows, ``(lowest w, highest w)``.
        expected: the points after the start, known in closed form.
    """

    label: str
    function: Callable[[float], tuple[float, float]]
    start: float
    steps: int
    view: tuple[float, float]
    expected: tuple[float, ...]


CURVES = (
    Curve(
        "(w - 3)²", lambda w: ((w - 3) ** 2, 2 * (w - 3)), 7.0, 4, (1.5, 7.5), (5.0, 4.0, 3.5, 3.25)
    ),
    Curve(
        "exp(w)", lambda w: (math.exp(w), math.exp(w)), 2.5, 4, (-2.2, 2.8), (1.5, 0.5, -0.5, -1.5)
    ),
    Curve("|w|", lambda w: (abs(w), math.copysign(1.0, w)), 5.0, 1, (-3.0, 6.0), (0.0,)),
)


def figure1(polyak: OptimizerFactory) -> tuple[list[Claim], list[list[float]]]:
    """The walks of the Polyak step on the three curves, and what is to be checked about them.

    Args:
        polyak: makes the optimizer with the step ``f / |g|^2``.
    """
    claims, walks = [], []
    for curve in CURVES:
        walk = iterates(polyak, curve.start, curve.function, curve.steps)
        newton = [curve.start]
        for _ in range(len(walk) - 1):
            value, slope = curve.function(newton[-1])
            newton.append(newton[-1] - value / slope)
        claims.append(
            Claim(
                "Figure 1",
                f"{curve.label} from {curve.start:g}: largest distance from Newton's root steps",
                max(abs(a - b) for a, b in zip(walk, newton, strict=True)),
                "=",
                0.0,
            )
        )
        far = math.inf
        if len(walk) == len(curve.expected) + 1:
            far = max(abs(a - b) for a, b in zip(walk[1:], curve.expected, strict=True))
        points = ", ".join(f"{w:g}" for w in curve.expected)
        claims.append(Claim("Figure 1", f"{curve.label}: distance from {points}", far, "=", 0.0))
        walks.append(walk)
    return claims, walks
