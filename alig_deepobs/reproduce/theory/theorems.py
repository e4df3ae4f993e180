"""The paper's facts and theorems on instances with numbers: bound beside observation.

No momentum: none of these statements survives it (which F6 shows). ``delta`` is the ``eps`` of the
optimizer, ``eta`` its cap.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from alig_deepobs.reproduce.theory.claims import Claim
from alig_deepobs.reproduce.theory.instances import (
    NON_CONVEX_BETA,
    NON_CONVEX_MU,
    AbsoluteErrors,
    NonConvex,
    Quadratics,
)
from alig_deepobs.reproduce.theory.walks import OptimizerFactory, steps

STEPS = 1000


def theorems(alig: OptimizerFactory) -> list[Claim]:
    """All claims, in the order of the paper.

    Args:
        alig: makes the optimizer; called with ``max_lr``, ``momentum`` and ``eps``.
    """
    return [
        *_one_step(alig),
        *_every_step(alig),
        *_sums(alig),
        *_theorem1(alig),
        *_proposition1(alig),
        *_theorem2(alig),
    ]


def _one_step(alig: OptimizerFactory) -> list[Claim]:
    """F1 and F2: what a single step does to the linear model of the loss."""
    models, lowest, lengths, excess = [], [], [], []
    for eta, delta in ((None, 0.0), (0.2, 0.0), (None, 1e-5), (0.2, 0.1)):
        problem = AbsoluteErrors(seed=0)
        for step in steps(alig, problem.start, problem.draw, 200, max_lr=eta, eps=delta):
            model = step.loss + float(step.gradient @ (step.after - step.w))
            square = float(step.gradient @ step.gradient)
            lowest.append(model)
            lengths.append(step.gamma * square - step.loss)
            limit = math.inf if eta is None else eta
            excess.append(step.gamma - min(limit, step.loss / (square + delta)))
            if eta is None and delta == 0.0:
                models.append(abs(model))
    return [
        Claim("F1", "uncapped step: largest |loss + <g, w+ - w>|", max(models), "=", 0.0),
        Claim("F1", "any step: smallest loss + <g, w+ - w>", min(lowest), ">=", 0.0),
        Claim("F2", "largest gamma |g|² - loss", max(lengths), "<=", 0.0),
        Claim("F2", "largest gamma - min(eta, loss / (|g|² + delta))", max(excess), "<=", 0.0),
    ]


def _every_step(alig: OptimizerFactory) -> list[Claim]:
    """F3: every step comes closer to a solution, on every path; F6: not with momentum."""

    def worst(momentum: float, eta: float | None, delta: float) -> float:
        problem = AbsoluteErrors(seed=1)
        return max(
            problem.squared_distance(step.after)
            - problem.squared_distance(step.w)
            + step.gamma * step.loss
            for step in steps(
                alig, problem.start, problem.draw, STEPS, max_lr=eta, momentum=momentum, eps=delta
            )
        )

    pairs = [(eta, delta) for eta in (None, 1.0, 0.05) for delta in (0.0, 1e-5, 1.0)]
    largest = max(worst(0.0, *pair) for pair in pairs)
    statement = "largest |w+ - w*|² - |w - w*|² + gamma loss"
    return [
        Claim("F3", f"{statement}, {len(pairs)} x {STEPS} steps", largest, "<=", 0.0),
        Claim("F6", f"momentum 0.9: {statement}", worst(0.9, 0.3, 1e-5), ">=", 0.01),
    ]


def _sums(alig: OptimizerFactory) -> list[Claim]:
    """F4 and F5: sums of losses along every path."""
    claims = []
    for delta in (1e-5, 0.1, 1.0):
        problem = AbsoluteErrors(seed=0)
        walk = steps(alig, problem.start, problem.draw, STEPS, eps=delta)
        claims.append(
            Claim(
                "F4",
                f"Lipschitz losses, delta {delta:g}: sum of loss²",
                sum(step.loss**2 for step in walk),
                "<=",
                (1 + delta) * problem.squared_distance(problem.start),
            )
        )
    for eta in (None, 2.0, 0.3):
        smooth = Quadratics(seed=0)
        walk = steps(alig, smooth.start, smooth.draw, 200, max_lr=eta, eps=0.0)
        shortest = min(math.inf if eta is None else eta, 1 / (2 * smooth.beta))
        claims.append(
            Claim(
                "F4",
                f"smooth losses, cap {_cap(eta)}: sum of losses",
                sum(step.loss for step in walk),
                "<=",
                smooth.squared_distance(smooth.start) / shortest,
            )
        )
    for delta in (0.01, 1.0):
        tolerance = 0.05
        noisy = AbsoluteErrors(seed=3, tolerance=tolerance)
        walk = steps(alig, noisy.start, noisy.draw, STEPS, eps=delta)
        claims.append(
            Claim(
                "F5",
                f"losses up to {tolerance:g} at w*, delta {delta:g}: sum of (loss - 0.05)²",
                sum((step.loss - tolerance) ** 2 for step in walk),
                "<=",
                (1 + delta) * (noisy.squared_distance(noisy.start) + STEPS * tolerance**2 / delta),
            )
        )
    return claims


def _theorem1(alig: OptimizerFactory, seeds: int = 10) -> list[Claim]:
    """The mean over seeds of ``f`` at the average iterate, without a cap."""
    claims = []
    for tolerance, delta in ((0.0, 1e-5), (0.0, 1.0), (0.05, 0.1), (0.05, 1.0)):
        values, bounds = [], []
        for seed in range(seeds):
            problem = AbsoluteErrors(seed, tolerance)
            walk = list(steps(alig, problem.start, problem.draw, STEPS, eps=delta))
            average = torch.stack([step.w for step in walk]).mean(0)
            values.append(problem.full_loss(average))
            distance = math.sqrt(problem.squared_distance(problem.start))
            bound = distance * math.sqrt((1 + delta) / len(walk))
            bounds.append(bound + tolerance * math.sqrt(1 / delta + 1))
        claims.append(
            Claim(
                "Theorem 1",
                f"losses up to {tolerance:g} at w*, delta {delta:g}: "
                f"f(average of {STEPS} points), {seeds} seeds",
                math.fsum(values) / seeds,
                "<=",
                math.fsum(bounds) / seeds,
            )
        )
    return claims


def _proposition1(alig: OptimizerFactory) -> list[Claim]:
    """The step minimizes proximity plus the linear model cut off at 0."""
    start = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64)
    gradient = torch.tensor([1.0, -4.0, 0.5], dtype=torch.float64)
    loss = 3.0

    def objective(w: Tensor, eta: float) -> float:
        away = w - start
        return float(away @ away) / (2 * eta) + max(loss + float(gradient @ away), 0.0)

    generator = torch.Generator().manual_seed(0)
    claims = []
    for eta, least in ((0.2, 9 / (2 * 0.2 * 17.25)), (0.1, 2.1375)):
        (step,) = steps(alig, start, lambda w: (loss, gradient), 1, max_lr=eta, eps=0.0)
        value = objective(step.after, eta)
        lower = 0
        for scale in (1e-4, 1e-2, 1.0):
            noise = torch.randn(1000, 3, generator=generator, dtype=torch.float64)
            lower += sum(objective(step.after + scale * move, eta) < value for move in noise)
        claims += [
            Claim("Proposition 1", f"eta {eta:g}: proximal objective", value, "=", least),
            Claim("Proposition 1", f"eta {eta:g}: points of 3,000 that are lower", lower, "=", 0),
        ]
    return claims


def _theorem2(alig: OptimizerFactory, seeds: int = 20) -> list[Claim]:
    """Linear convergence under the restricted secant inequality, for caps of an interval."""
    claims = []
    beta, mu = NON_CONVEX_BETA, NON_CONVEX_MU
    for eta in (1 / (2 * beta), 0.13, 2 * mu / beta**2):
        factor, excess = 0.0, -math.inf
        for seed in range(seeds):
            problem = NonConvex(seed)
            first = float(problem.start.square())
            walk = steps(alig, problem.start, problem.draw, 60, max_lr=eta, eps=0.0)
            for t, step in enumerate(walk):
                before, after = float(step.w.square()), float(step.after.square())
                factor = max(factor, after / before)
                rate = math.exp(-(2 * mu - eta * beta**2) * t / (2 * beta))
                excess = max(excess, problem.full_loss(step.after) - beta / 2 * rate * first)
        bound = 1 - (2 * mu - eta * beta**2) / (2 * beta)
        claims += [
            Claim("Theorem 2", f"non-convex, eta {eta:.6g}: largest |w+|² / |w|², {seeds} seeds",
                  factor, "<=", bound),
            Claim("Theorem 2", f"non-convex, eta {eta:.6g}: largest f - bound", excess, "<=", 0.0),
        ]  # fmt: skip
    for eta in (0.5, 0.75, 1.0):
        factor = 0.0
        for seed in range(seeds):
            convex = Quadratics(seed)
            for step in steps(alig, convex.start, convex.draw, 60, max_lr=eta, eps=0.0):
                before = convex.squared_distance(step.w)
                if before < 1e-16:  # what is left is rounding
                    break
                factor = max(factor, convex.squared_distance(step.after) / before)
        bound = 1 - (2 * convex.mu - eta * convex.beta**2) / (2 * convex.beta)
        claims.append(
            Claim("Theorem 2",
                  f"convex, eta {eta:g}: largest |w+ - w*|² / |w - w*|², {seeds} seeds",
                  factor, "<=", bound)
        )  # fmt: skip
    return claims


def _cap(eta: float | None) -> str:
    return "none" if eta is None else f"{eta:g}"
