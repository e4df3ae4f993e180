"""What the paper proves about ALI-G (Berrada et al., ICML 2020), as properties of our step.

No momentum here: none of these statements survives it. Where a bound alone would also be met by
steps that are too short, an equality stands beside it, so that any wrong step size fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from alig_deepobs import AliG, L2Ball

SLACK = 1e-9
quick = settings(max_examples=60, deadline=None)

coordinates = st.floats(-10, 10, allow_nan=False)
vectors = st.lists(coordinates, min_size=3, max_size=3)
losses = st.floats(1e-6, 1e3)
caps = st.one_of(st.none(), st.floats(1e-4, 1e2))
offsets = st.sampled_from([0.0, 1e-5, 0.1, 1.0])


def vector(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def move(w: Tensor, loss: float, g: Tensor, **options: float | None) -> Tensor:
    """The ALI-G point after one step from ``w``."""
    parameter = w.clone().requires_grad_()
    optimizer = AliG([parameter], **options)
    parameter.grad = g.clone()
    optimizer.step(loss=loss)
    return parameter.detach()


def walk(
    w: float, function: Callable[[float], tuple[float, float]], steps: int, **options: float
) -> list[float]:
    """The iterates of ALI-G (delta = 0) on a function of one variable, until it is at 1e-12."""
    parameter = torch.tensor([w], dtype=torch.float64, requires_grad=True)
    optimizer = AliG([parameter], eps=0.0, **options)
    iterates = [w]
    for _ in range(steps):
        value, slope = function(iterates[-1])
        parameter.grad = torch.tensor([slope], dtype=torch.float64)
        optimizer.step(loss=value)
        iterates.append(parameter.item())
        if abs(iterates[-1]) < 1e-12:  # f and f'^2 underflow soon after
            break
    return iterates


# --- One step: the linear model, the range of the step, the proximal problem -----------------


@quick
@given(w=vectors, g=vectors, loss=losses, cap=caps, delta=offsets)
def test_step_lies_in_its_range_and_linear_model_stays_nonnegative(w, g, loss, cap, delta):
    w, g = vector(w), vector(g)
    square = float(g @ g)
    if square < 1e-6:
        return
    gamma = min(loss / (square + delta), math.inf if cap is None else cap)
    parameter = w.clone().requires_grad_()
    optimizer = AliG([parameter], max_lr=cap, eps=delta)
    parameter.grad = g.clone()
    optimizer.step(loss=loss)

    assert optimizer.step_size == pytest.approx(gamma, rel=1e-12)
    assert optimizer.step_size_unclipped == pytest.approx(loss / (square + delta), rel=1e-12)
    assert 0 <= optimizer.step_size * square <= loss * (1 + SLACK)
    model = loss + float(g @ (parameter.detach() - w))
    size = max(loss, float(g.abs() @ w.abs()), 1.0)
    assert model == pytest.approx(loss - gamma * square, abs=1e-12 * size)
    assert model >= -1e-12 * size


@quick
@given(w=vectors, g=vectors, loss=losses)
def test_uncapped_step_reaches_the_zero_of_the_linear_model(w, g, loss):
    w, g = vector(w), vector(g)
    if float(g @ g) < 1e-6:
        return
    model = loss + float(g @ (move(w, loss, g, eps=0.0) - w))
    assert model == pytest.approx(0, abs=1e-11 * max(loss, float(g.abs() @ w.abs()), 1.0))


def test_polyak_step_is_a_newton_raphson_root_step():
    """Figure 1 of the paper."""
    parabola = walk(7.0, lambda w: ((w - 3) ** 2, 2 * (w - 3)), 4)
    assert parabola == pytest.approx([7, 5, 4, 3.5, 3.25], rel=1e-14)
    exponential = walk(2.5, lambda w: (math.exp(w), math.exp(w)), 5)
    assert exponential == pytest.approx([2.5, 1.5, 0.5, -0.5, -1.5, -2.5], abs=1e-12)
    assert walk(5.0, lambda w: (abs(w), math.copysign(1, w)), 1) == [5.0, 0.0]


def proximal(w: Tensor, start: Tensor, loss: float, g: Tensor, eta: float) -> float:
    """The objective of Proposition 1: proximity plus the linear model cut off at zero."""
    distance = w - start
    return float(distance @ distance) / (2 * eta) + max(loss + float(g @ distance), 0.0)


def test_proximal_problem_numbers():
    start, g = vector([1, -1, 2]), vector([1, -4, 0.5])
    touching = move(start, 3.0, g, max_lr=0.2, eps=0.0)
    assert proximal(touching, start, 3.0, g, 0.2) == pytest.approx(1.304347826086957, rel=1e-12)
    assert 3 + float(g @ (touching - start)) == pytest.approx(0, abs=1e-12)
    short = move(start, 3.0, g, max_lr=0.1, eps=0.0)
    torch.testing.assert_close(short, vector([0.9, -0.6, 1.95]), rtol=1e-12, atol=0)
    assert proximal(short, start, 3.0, g, 0.1) == pytest.approx(2.1375, rel=1e-12)


@quick
@given(
    start=vectors,
    g=vectors,
    loss=st.floats(0.01, 100),
    eta=st.floats(0.01, 10),
    elsewhere=vectors,
    along=st.floats(-2, 2),
    zoom=st.floats(1e-4, 1),
)
def test_step_minimizes_the_proximal_problem(start, g, loss, eta, elsewhere, along, zoom):
    """The objective is 1/eta-strongly convex, so it grows quadratically around its minimizer."""
    start, g = vector(start), vector(g)
    if float(g @ g) < 1e-3:
        return
    best = move(start, loss, g, max_lr=eta, eps=0.0)
    least = proximal(best, start, loss, g, eta)
    by_hand = start - min(eta, loss / float(g @ g)) * g
    for other in (
        best + zoom * vector(elsewhere),
        best + zoom * along * g,
        start - eta * g,  # the SGD point
        start,
        by_hand,
    ):
        away = float((other - best) @ (other - best)) / (2 * eta)
        value = proximal(other, start, loss, g, eta)
        assert value - least >= away - 1e-10 * max(1.0, value, least)


@quick
@given(g=vectors, loss=losses, eta=st.floats(0.01, 10))
def test_sgd_minimizes_the_same_problem_without_the_cut(g, loss, eta):
    """So both points are the same exactly where SGD keeps the linear model above zero."""
    start, g = vector([1, -1, 2]), vector(g)
    if float(g @ g) < 1e-3:
        return
    point, sgd = move(start, loss, g, max_lr=eta, eps=0.0), start - eta * g
    if loss + float(g @ (sgd - start)) >= 0:
        torch.testing.assert_close(point, sgd, rtol=1e-9, atol=1e-9)
    else:
        assert proximal(point, start, loss, g, eta) < proximal(sgd, start, loss, g, eta)


# --- Convex, Lipschitz and stochastic: F3 to F5 and Theorem 1 ------------------------------


class AbsoluteErrors:
    """l_i(w) = |<a_i, w - w*> - e_i| with 20 unit rows in R^5: convex and 1-Lipschitz."""

    def __init__(self, seed: int, tolerance: float = 0.0) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        rows = self.draw(20, 5)
        self.rows = rows / rows.norm(dim=1, keepdim=True)
        self.solution = self.draw(5)
        self.noise = tolerance * (2 * self.draw(20).sigmoid() - 1)

    def draw(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64)

    def errors(self, w: Tensor) -> Tensor:
        return self.rows @ (w - self.solution) - self.noise

    def run(self, steps: int, w: Tensor | None = None, **options: object) -> list[dict]:
        parameter = torch.zeros(5, dtype=torch.float64) if w is None else w.clone()
        parameter.requires_grad_()
        options = {k: v(parameter) if k == "projection_fn" else v for k, v in options.items()}
        optimizer = AliG([parameter], **options)
        trace = []
        indices = torch.randint(20, (steps,), generator=self.generator).tolist()
        for i in indices:
            before = parameter.detach().clone()
            error = float(self.errors(before)[i])
            parameter.grad = math.copysign(1.0, error) * self.rows[i]
            optimizer.step(loss=abs(error))
            trace.append({"w": before, "loss": abs(error), "next": parameter.detach().clone()})
        return trace

    def distance(self, w: Tensor) -> float:
        """Squared distance from the solution."""
        return float((w - self.solution) @ (w - self.solution))


@pytest.mark.parametrize("eta", [None, 1.0, 0.05])
@pytest.mark.parametrize("delta", [0.0, 1e-5, 1.0])
def test_every_step_comes_closer_to_the_solution(eta, delta):
    """Fejer monotonicity: |w+ - w*|^2 <= |w - w*|^2 - gamma l, on every sample path."""
    problem = AbsoluteErrors(seed=1)
    start = problem.distance(torch.zeros(5, dtype=torch.float64))
    total = 0.0
    for line in problem.run(300, max_lr=eta, eps=delta):
        gamma = min(line["loss"] / (1 + delta), math.inf if eta is None else eta)
        before, after = problem.distance(line["w"]), problem.distance(line["next"])
        assert after <= before - gamma * line["loss"] + 1e-13 * start
        # For these losses <g, w - w*> = l and |g| = 1, so the exact decrease is known too.
        decrease = 2 * gamma * line["loss"] - gamma**2
        assert after == pytest.approx(before - decrease, abs=1e-12 * start)
        total += gamma * line["loss"]
    assert total <= start * (1 + SLACK)


def test_every_step_comes_closer_also_with_a_projection():
    """Any convex set that holds the solution will do: here the smallest such ball."""
    problem = AbsoluteErrors(seed=2)
    radius = float(problem.solution.norm())
    far = 3 * radius * torch.nn.functional.normalize(problem.draw(5), dim=0)
    trace = problem.run(300, far, projection_fn=lambda w: L2Ball([w], radius))
    projected = 0
    for line in trace:
        gamma = line["loss"] / (1 + 1e-5)
        assert float(line["next"].norm()) <= radius * (1 + SLACK)
        assert problem.distance(line["next"]) <= (
            problem.distance(line["w"]) - gamma * line["loss"] + 1e-12
        )
        projected += float(line["next"].norm()) >= radius * (1 - 1e-12)
    assert projected > 0, "the constraint never mattered, so the test showed nothing"


@pytest.mark.parametrize("delta", [1e-5, 0.1, 1.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_squared_losses_are_summable(seed, delta):
    """sum l^2 <= (C^2 + delta) |w_0 - w*|^2 without a cap, and nearly equal for a small delta."""
    problem = AbsoluteErrors(seed)
    trace = problem.run(1000, eps=delta)
    total = sum(line["loss"] ** 2 for line in trace)
    bound = (1 + delta) * problem.distance(trace[0]["w"])
    assert total <= bound * (1 + SLACK)
    if delta == 1e-5:
        assert total >= bound * (1 - 1e-3)


@pytest.mark.parametrize("delta", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("tolerance", [0.05, 0.5])
def test_losses_above_the_tolerance_are_summable(tolerance, delta):
    """sum (l - eps)^2 <= (C^2 + delta) (|w_0 - w*|^2 + (T + 1) eps^2 / delta) if l(w*) <= eps."""
    problem = AbsoluteErrors(seed=3, tolerance=tolerance)
    assert float(problem.errors(problem.solution).abs().max()) <= tolerance
    trace = problem.run(400, eps=delta)
    total = sum((line["loss"] - tolerance) ** 2 for line in trace)
    start = problem.distance(trace[0]["w"])
    assert total <= (1 + delta) * (start + len(trace) * tolerance**2 / delta)
    # The bound is loose. Pathwise and exactly: the step is loss / (1 + delta) along the row.
    for line in trace:
        length = float((line["next"] - line["w"]).norm())
        assert length == pytest.approx(line["loss"] / (1 + delta), rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("delta", [1e-5, 1.0])
def test_average_iterate_obeys_theorem_1(delta):
    """E f(mean of w_t) <= |w_0 - w*| sqrt(C^2 + delta) / sqrt(T + 1) under interpolation."""
    gaps = []
    for seed in range(5):
        problem = AbsoluteErrors(seed)
        trace = problem.run(500, eps=delta)
        mean = torch.stack([line["w"] for line in trace]).mean(0)
        bound = math.sqrt(problem.distance(trace[0]["w"]) * (1 + delta) / len(trace))
        gaps.append(float(problem.errors(mean).abs().mean()) - bound)
    assert sum(gaps) / len(gaps) <= 0


@pytest.mark.parametrize("eta", [None, 2.0, 0.3])
def test_smooth_losses_are_summable(eta):
    """sum l <= |w_0 - w*|^2 / min(eta, 1 / (2 beta)) for beta-smooth losses, delta = 0."""
    problem = AbsoluteErrors(seed=4)  # squared: l_i = e_i^2 / 2 with beta = 1
    parameter = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    optimizer = AliG([parameter], max_lr=eta, eps=0.0)
    start, total = problem.distance(parameter.detach()), 0.0
    for i in torch.randint(20, (200,), generator=problem.generator).tolist():
        error = float(problem.errors(parameter.detach())[i])
        if abs(error) < 1e-150:
            break
        parameter.grad = error * problem.rows[i]
        optimizer.step(loss=error**2 / 2)
        # Kaczmarz with relaxation: the Polyak step removes half of the error of its row.
        left = float(problem.errors(parameter.detach())[i])
        gamma = min(0.5, math.inf if eta is None else eta)
        assert left == pytest.approx((1 - gamma) * error, rel=1e-9, abs=1e-12)
        total += error**2 / 2
    assert total <= start / gamma * (1 + SLACK)


# --- Restricted secant inequality: Theorem 2 ---------------------------------------------


@pytest.mark.parametrize(
    ("eta", "factor"),
    # From 1 / (2 beta) = 0.113636..., the smallest admissible cap, to 2 mu / beta^2.
    [(0.11363636363636364, 0.913946), (0.13, 0.949946), (0.152752, 1.0)],
)
def test_nonconvex_contraction(eta, factor):
    """l_a(w) = w^2 + a sin(w)^2 is not convex (a = 1.2: l'' reaches -0.4) but has RSI."""
    beta, mu = 4.4, 2 - 2.4 * 0.2172336282
    exact = 1 - (2 * mu - eta * beta**2) / (2 * beta)
    assert exact == pytest.approx(factor, abs=2e-6)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        w = start = float(20 * torch.rand((), generator=generator, dtype=torch.float64) - 10)
        parameter = torch.tensor([w], dtype=torch.float64, requires_grad=True)
        optimizer = AliG([parameter], max_lr=eta, eps=0.0)
        for t in range(61):
            a = 0.3 * int(torch.randint(5, (), generator=generator))
            value, slope = w**2 + a * math.sin(w) ** 2, 2 * w + a * math.sin(2 * w)
            parameter.grad = torch.tensor([slope], dtype=torch.float64)
            optimizer.step(loss=value)
            after = parameter.item()
            assert optimizer.step_size == pytest.approx(min(value / slope**2, eta), rel=1e-12)
            assert optimizer.step_size >= (1 - SLACK) / (2 * beta)
            assert after**2 <= exact * w**2 * (1 + SLACK)
            rate = math.exp(-(2 * mu - eta * beta**2) * t / (2 * beta))
            assert after**2 + 0.6 * math.sin(after) ** 2 <= beta / 2 * rate * start**2
            w = after
            if abs(w) < 1e-100:
                break


@pytest.mark.parametrize("eta", [0.5, 0.75, 1.0])
def test_convex_contraction(eta):
    """l_z = 1/2 (w - w*)' H_z (w - w*) with mu = 1/2 and beta = 1: caps from 1/2 to 1 contract."""
    mu, beta = 0.5, 1.0
    factor = 1 - (2 * mu - eta * beta**2) / (2 * beta)
    generator = torch.Generator().manual_seed(5)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    solution, parameter = draw(4), (5 * draw(4)).requires_grad_()
    optimizer = AliG([parameter], max_lr=eta, eps=0.0)
    spectrum = torch.linspace(mu, beta, 4, dtype=torch.float64)
    for _ in range(100):
        basis, _ = torch.linalg.qr(draw(4, 4))
        away = parameter.detach() - solution
        g = basis @ (spectrum * (basis.T @ away))
        loss, square = float(away @ g) / 2, float(away @ away)
        parameter.grad = g
        optimizer.step(loss=loss)
        assert optimizer.step_size == pytest.approx(min(eta, loss / float(g @ g)), rel=1e-12)
        after = parameter.detach() - solution
        assert float(after @ after) <= factor * square * (1 + 1e-6)
        if square < 1e-16:
            break


# --- Figure 2: without a cap, a Polyak step may oscillate for ever -------------------------


def hill(w: float) -> tuple[float, float]:
    """A function with RSI and a non-convex shoulder, on which the Polyak map is w -> -w.

    Our own instance of what Figure 2 of the paper shows; smooth with beta = 1.4.
    """
    a, sign = abs(w), math.copysign(1.0, w)
    if a <= 0.5:
        return 0.7 * a**2, sign * 1.4 * a
    if a <= 1:
        return 1.2 * a - 0.5 * a**2 - 0.3, sign * (1.2 - a)
    if a <= 4:
        return 0.4 * math.sqrt(a), sign * 0.2 / math.sqrt(a)
    return 0.6 + a**2 / 80, sign * a / 40


def test_the_hill_is_smooth_and_has_rsi():
    """The premises of the tests below, so that they cannot hold for the wrong reason."""
    points = [0.001 * k for k in range(1, 8001)]
    for w in points:
        slope = hill(w)[1]
        assert (hill(w + 1e-7)[0] - hill(w - 1e-7)[0]) / 2e-7 == pytest.approx(slope, abs=1e-6)
        assert slope / w >= 1 / 40 - 1e-15
        assert abs(hill(w + 1e-3)[1] - slope) <= 1.4e-3 * (1 + 1e-9)


@pytest.mark.parametrize("start", [1.05, 1.5, 2.0, 3.3, 3.99, -2.5])
def test_uncapped_oscillates(start):
    iterates = walk(start, hill, 200)
    assert len(iterates) == 201
    alternating = [start * (-1) ** t for t in range(201)]
    assert iterates == pytest.approx(alternating, rel=1e-12)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (5.0, [-2.3, 2.3, -2.3, 2.3]),
        (10.0, [2.6, -2.6, 2.6, -2.6]),
    ],
)
def test_uncapped_falls_into_the_cycle_from_outside(start, expected):
    assert walk(start, hill, 4)[1:] == pytest.approx(expected, rel=1e-9)


def test_uncapped_converges_from_the_valley():
    iterates = walk(0.99, hill, 60)
    assert iterates[1:4] == pytest.approx([-0.905, 0.371, 0.186], abs=1e-3)
    assert abs(iterates[-1]) < 1e-12
    for before, after in pairwise(iterates[2:]):
        assert after == pytest.approx(before / 2, rel=1e-12)


@pytest.mark.parametrize("eta", [0.1, 1.0, 5.0, 9.0, 9.9, 9.99])
def test_every_cap_below_the_threshold_converges(eta):
    """|w| decreases strictly, from any start, for every cap below 10."""
    for start in (0.01, -0.4, 0.75, -0.99, 1.0, -1.05, 2.0, 3.0, -4.0, 25.0):
        iterates = walk(start, hill, 3000, max_lr=eta)
        sizes = [abs(w) for w in iterates]
        assert all(after < before for before, after in pairwise(sizes))
        assert sizes[-1] < 1e-12


@pytest.mark.parametrize(
    ("eta", "start", "stuck"),
    # The cycle survives from |w| in [1, (eta / 10)^(2/3)], at most up to 4. (At the ends of the
    # interval, rounding decides: just below 1 the Polyak map is unstable, its slope is -10.)
    [
        (11.0, 1.01, True),
        (11.0, 1.05, True),
        (11.0, 1.5, False),
        (20.0, 1.5, True),
        (80.0, 1.01, True),
        (80.0, 3.9, True),
        (100.0, 3.99, True),
    ],
)
def test_caps_above_the_threshold_leave_cycles(eta, start, stuck):
    iterates = walk(start, hill, 300, max_lr=eta)
    if stuck:
        assert iterates[1:] == pytest.approx(
            [start * (-1) ** t for t in range(1, len(iterates))], rel=1e-12
        )
        assert len(iterates) == 301
    else:
        assert abs(iterates[-1]) < 1e-12


def test_capped_iterates_in_numbers():
    iterates = walk(2.0, hill, 4, max_lr=5.0)
    expected = [2.0, 1.29289321881, 0.413427994749, 0.206713997374, 0.103356998687]
    assert iterates == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("eta", "count"), [(1.0, 35), (5.0, 20), (9.0, 21), (9.9, 21)])
def test_steps_until_converged(eta, count):
    iterates = walk(3.0, hill, 100, max_lr=eta)
    assert next(t for t, w in enumerate(iterates) if abs(w) < 1e-6) == count
