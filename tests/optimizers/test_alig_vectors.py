"""Numbers that ALI-G has to reproduce: results of its authors' implementation in float64.

Berrada, Zisserman, Kumar: Training Neural Networks for and by Interpolation, ICML 2020.
In every table, ``loss`` is the loss before the update of that line and ``w`` the weights after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from alig_deepobs import L2Ball, l2_projection

TOLERANCE = {"rtol": 1e-10, "atol": 1e-12}


def close(actual: Tensor | float, expected: list[float] | float) -> None:
    actual = torch.as_tensor(actual, dtype=torch.float64)
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=torch.float64), **TOLERANCE)


@dataclass(frozen=True)
class Line:
    loss: float
    w: list[float]
    step: float
    unclipped: float


@dataclass(frozen=True)
class Listing:
    options: dict[str, Any]
    lines: tuple[Line, ...]
    radius: float | None = None


# The first step by hand: |g|^2 = 1 + 16 + 1/4, so gamma = 3 / 17.25001.
FIRST = Line(
    3.0,
    [0.826087057340836, -0.304348229363345, 1.91304352867042],
    0.173912942659164,
    0.173912942659164,
)
FIRST_MOMENTUM = Line(
    3.0,
    [0.669565408947589, 0.321738364209644, 1.83478270447379],
    0.173912942659164,
    0.173912942659164,
)

QUADRATIC = {
    "uncapped": Listing(
        {},
        (
            FIRST,
            Line(
                0.983932545409699,
                [0.486453534105488, 0.196164933313962, 1.71641361298199],
                0.411135267424023,
                0.411135267424023,
            ),
            Line(
                0.563539343899738,
                [0.221963175384872, -0.23046355177678, 1.48310517734417],
                0.543711454799013,
                0.543711454799013,
            ),
        ),
    ),
    "capped": Listing(
        {"max_lr": 0.2},
        (
            FIRST,
            Line(
                0.983932545409699,
                [0.660869645872669, -0.060869645872669, 1.8173913522369],
                0.2,
                0.411135267424023,
            ),
            Line(
                0.638648487893444,
                [0.528695716698135, -0.0121739291745338, 1.72652178462505],
                0.2,
                0.909143799263705,
            ),
        ),
    ),
    "capped, eps 0": Listing(
        {"max_lr": 0.2, "eps": 0.0},
        (
            Line(
                3.0,
                [0.826086956521739, -0.304347826086957, 1.91304347826087],
                0.173913043478261,
                0.173913043478261,
            ),
            Line(
                0.983931947069943,
                [0.660869565217391, -0.0608695652173913, 1.81739130434783],
                0.2,
                0.411137440758294,
            ),
            Line(
                0.638648393194707,
                [0.528695652173913, -0.0121739130434783, 1.72652173913043],
                0.2,
                0.909156962076412,
            ),
        ),
    ),
    "standard momentum": Listing(
        {"max_lr": 0.2, "momentum": 0.9},
        (
            FIRST_MOMENTUM,
            Line(
                0.851993515017692,
                [0.274261069993583, 0.396173984826675, 1.59004360577182],
                0.2,
                0.368035132615031,
            ),
            Line(
                0.667547053295888,
                [-0.0652102680520186, 0.0926332086764007, 1.30128949609305],
                0.2,
                0.243230377535816,
            ),
        ),
    ),
    "adjusted momentum": Listing(
        {"max_lr": 0.2, "momentum": 0.9, "adjusted_momentum": True},
        (
            FIRST_MOMENTUM,
            Line(
                0.851993515017692,
                [0.253130553547505, 0.480696050610985, 1.57947834754878],
                0.2,
                0.368035132615032,
            ),
            Line(
                0.80601890601256,
                [-0.0973286530500563, 0.124751593674438, 1.28221920500046],
                0.2,
                0.205768971714308,
            ),
        ),
    ),
    # |w| = sqrt(6) > 2 at the start: the projection at construction makes the first loss 2.
    "ball of radius 2": Listing(
        {"max_lr": 0.2},
        (
            Line(
                2.0,
                [0.674497299026628, -0.248499453323332, 1.5619935209049],
                0.173912892249659,
                0.173912892249659,
            ),
            Line(
                0.65595522971971,
                [0.539597839221302, -0.0496998906646664, 1.48389384485966],
                0.2,
                0.41113418076646,
            ),
            Line(
                0.425765690161856,
                [0.431678271377042, -0.00993997813293327, 1.40969915261667],
                0.2,
                0.909137218001749,
            ),
        ),
        radius=2.0,
    ),
    "standard momentum, ball of radius 2": Listing(
        {"max_lr": 0.2, "momentum": 0.9},
        (
            Line(
                2.0,
                [0.546697945315639, 0.262697961520623, 1.49809384404941],
                0.173912892249659,
                0.173912892249659,
            ),
            Line(
                0.567995405377694,
                [0.223933307755806, 0.323474733368835, 1.29826521969477],
                0.2,
                0.368034766865389,
            ),
            Line(
                0.445031442000945,
                [-0.0532438928384345, 0.0756347656064454, 1.06249848488682],
                0.2,
                0.24322992806666,
            ),
        ),
        radius=2.0,
    ),
}

TWO_GROUPS = (
    Line(3.0, [0.9, -0.6, 1.83478270447379], 0.136956471329582, 0.173912942659164),
    Line(1.54580344657952, [0.81, -0.36, 1.5656577601808], 0.163990382123102, 0.227980764246204),
    Line(
        0.893660527751794, [0.729, -0.216, 1.18702976192434], 0.204992506881788, 0.309985013763576
    ),
)

PRESCRIBED_STEPS = (0.17391294265916368, 0.07907951445178127, 0.2)
PRESCRIBED = {
    "no momentum": (
        {},
        (
            [0.826087057340836, -0.304348229363345, 1.91304352867042],
            [0.824505467051801, -0.300394253640756, 1.87350377144453],
            [0.884505467051801, -0.302394253640756, 1.92350377144453],
        ),
    ),
    "standard momentum": (
        {"momentum": 0.9},
        (
            [0.669565408947589, 0.321738364209644, 1.83478270447379],
            [0.525690903844499, 0.892728852298253, 1.68922242396764],
            [0.51162728051185, 1.39926171342767, 1.6888039530154],
        ),
    ),
    "adjusted momentum": (
        {"momentum": 0.9, "adjusted_momentum": True},
        (
            [0.669565408947589, 0.321738364209644, 1.83478270447379],
            [0.602505980692479, 0.585468544906334, 1.72762996239163],
            [0.567465980692479, 1.17296854490633, 1.66872996239163],
        ),
    ),
}


def check(problem: Any, optimizer: Any, drive: Any, lines: tuple[Line, ...]) -> None:
    for line in lines:
        close(problem.loss().detach(), line.loss)
        drive(optimizer, problem.backward)
        close(problem.weights, line.w)
        close(optimizer.step_size, line.step)
        close(optimizer.step_size_unclipped, line.unclipped)


@pytest.mark.parametrize("name", QUADRATIC)
def test_quadratic(name, make, drive, problem_q):
    listing, problem = QUADRATIC[name], problem_q()
    options = dict(listing.options)
    if listing.radius is not None:
        options["projection_fn"] = L2Ball(problem.parameters, listing.radius)
    check(problem, make(problem.parameters, **options), drive, listing.lines)


def test_quadratic_with_the_projection_as_a_lambda(make, drive, problem_q):
    listing, problem = QUADRATIC["ball of radius 2"], problem_q()
    optimizer = make(
        problem.parameters,
        projection_fn=lambda: l2_projection(problem.parameters, 2.0),
        **listing.options,
    )
    check(problem, optimizer, drive, listing.lines)


def two_groups(problem: Any, cap: str) -> list[dict[str, Any]]:
    return [
        {"params": [problem.a], cap: 0.1, "momentum": 0.0},
        {"params": [problem.b], cap: None, "momentum": 0.9},
    ]


def test_two_groups(make, drive, problem_q):
    """One global unclipped step size; cap and momentum per group; step_size is their average."""
    problem = problem_q()
    check(problem, make(two_groups(problem, "max_lr")), drive, TWO_GROUPS)


def test_two_groups_with_the_cap_as_lr(make_fast, drive, problem_q):
    problem = problem_q()
    check(problem, make_fast(two_groups(problem, "lr")), drive, TWO_GROUPS)


@pytest.mark.parametrize("name", PRESCRIBED)
def test_prescribed_gradients(name, make, drive, problem_p):
    options, expected = PRESCRIBED[name]
    problem = problem_p()
    optimizer = make(problem.parameters, max_lr=0.2, **options)
    for t, w in enumerate(expected):
        drive(optimizer, lambda t=t: problem.feed(t))
        close(problem.weights, w)
        close(optimizer.step_size, PRESCRIBED_STEPS[t])


def test_standard_momentum_coasts_when_gradients_vanish(make, drive, problem_p):
    problem = problem_p()
    optimizer = make(problem.parameters, max_lr=0.2, momentum=0.9)

    def vanished() -> float:
        problem.set_gradients([0.0, 0.0], [0.0])
        return 0.0

    drive(optimizer, lambda: problem.feed(0))
    close(problem.weights, [0.669565408947589, 0.321738364209644, 1.8347827044737945])
    drive(optimizer, vanished)
    close(problem.weights, [0.5286959253936664, 0.8852162984253343, 1.7643479626968332])
    drive(optimizer, vanished)
    close(problem.weights, [0.40191339019513606, 1.3923464392194558, 1.700956695097568])


def test_adjusted_momentum_waits_when_gradients_vanish(make, drive, problem_p, velocity):
    """The buffer is multiplied by a step size of zero, but it decays all the same."""
    problem = problem_p()
    optimizer = make(problem.parameters, max_lr=0.2, momentum=0.9, adjusted_momentum=True)

    def vanished() -> float:
        problem.set_gradients([0.0, 0.0], [0.0])
        return 0.0

    for t, buffer in enumerate(([-1.0, 4.0], [-0.9, 3.6], [-0.81, 3.24])):
        drive(optimizer, vanished if t else (lambda: problem.feed(0)))
        close(problem.weights, [0.669565408947589, 0.321738364209644, 1.8347827044737945])
        close(velocity(optimizer, problem.a), buffer)


def test_parameter_without_gradient_is_left_out(make, drive, problem_p):
    problem = problem_p()
    optimizer = make(problem.parameters, max_lr=0.2, momentum=0.9)

    def backward() -> float:
        problem.set_gradients([1.0, -4.0], None)
        return 3.0

    drive(optimizer, backward)
    close(optimizer.step_size, 3 / 17.00001)
    close(problem.weights, [0.664706079584659, 0.3411756816613637, 2.0])


def test_negative_loss_takes_no_step(make, drive, problem_p):
    """A documented deviation: the authors' code walks uphill here, with a step of -3 / 17.25001.

    It would reach (1.1739129426591637, -1.6956517706366547, 2.086956471329582).
    """
    problem = problem_p()
    optimizer = make(problem.parameters, max_lr=0.2)
    before = problem.weights

    def backward() -> float:
        problem.feed(0)
        return -3.0

    drive(optimizer, backward)
    assert torch.equal(problem.weights, before)
    assert optimizer.step_size == 0.0
    assert optimizer.guarded_steps["below_f_min"] == 1


@pytest.mark.parametrize(
    ("radius", "a", "b"),
    [
        (1.0, 0.4082482904638631, 0.8164965809277261),
        (2.0, 0.8164965809277261, 1.6329931618554523),
        (3.0, 1.0, 2.0),
        (None, 1.0, 2.0),
    ],
)
def test_projection_on_the_ball(radius, a, b, problem_q):
    problem = problem_q()
    l2_projection(problem.parameters, radius)
    close(problem.weights, [a, -a, b])
