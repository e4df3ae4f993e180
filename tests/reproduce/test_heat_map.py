"""Figure 3's end: shades, ranges of good values, and the statement of who has the widest."""

from __future__ import annotations

import math

import pytest

from alig_deepobs.reproduce.carry_out import Outcomes
from alig_deepobs.reproduce.declare import FULL, Kind, Method
from alig_deepobs.reproduce.heat_map import cells_csv, draw, objective, summarize
from alig_deepobs.reproduce.plan import make_plan
from alig_deepobs.run import Outcome

from .conftest import BASE, experiment, result


def test_objective():
    assert objective(result(epoch_mean_losses=[1.0, 0.25])) == 0.25
    assert objective(result(epoch_mean_losses=[1.0], outcome=Outcome.DIVERGED)) == math.inf
    assert objective(result(epoch_mean_losses=[])) == math.inf


@pytest.fixture
def outcomes():
    """ALI-G is good over three decades and without a cap, SGD at one value."""
    declared = experiment(
        Kind.HEAT_MAP,
        (
            Method("ALI-G", "alig", {}, grid={"max_lr": (0.1, 1.0, 10.0, 100.0, math.inf)}),
            Method("SGD", "sgd", {}, grid={"lr": (0.01, 0.1, 1.0)}),
        ),
    )
    plan = make_plan(declared, FULL, BASE)

    def runs(row, knob, losses):
        return [
            result(
                hyperparams={knob: spec.hyperparams[knob]},
                epoch_mean_losses=[1.0, loss],
                outcome=Outcome.DONE if math.isfinite(loss) else Outcome.DIVERGED,
            )
            for spec, loss in zip(row.candidates, losses, strict=True)
        ]

    alig = Outcomes(plan.rows[0], runs=runs(plan.rows[0], "max_lr", (5e-7, 1e-7, 2e-7, 4e-7, 3e-7)))
    sgd = Outcomes(plan.rows[1], runs=runs(plan.rows[1], "lr", (1e-3, 8e-7, math.inf)))
    return plan, [alig, sgd]


def test_summary(outcomes):
    summary = summarize(*outcomes)
    alig, sgd = summary.lines
    assert alig.measured.mean == 1e-7
    assert alig.setting == "max_lr 1, best of 5"
    assert "1 of 3 runs diverged" in sgd.note
    assert "learned: 0.01 to 0.1 (1 decade, 2 of 3 values, open at one end)" in sgd.note
    learned, near, opened = summary.statements
    # The loss before training is 2.3.
    assert learned.startswith("Learned the task (objective at most 0.023, 1% of the loss")
    assert "the widest range has ALI-G, 0.1 to 100 and without a cap (3 decades" in learned
    assert "at most 1e-06, a factor 10 from the best objective 1e-07" in near
    assert near.endswith("The others: SGD 0.1 (0 decades, 1 of 3 values).")
    assert opened.startswith("A range is open")


def test_the_statement_says_whatever_came_out(outcomes):
    plan, (alig, sgd) = outcomes
    for run in alig.runs[1:]:
        run.epoch_mean_losses[-1] = 1.0
    sgd.runs[0].epoch_mean_losses[-1] = 9e-7
    summary = summarize(plan, [alig, sgd])
    assert all("the widest range has SGD, 0.01 to 0.1" in text for text in summary.statements[:2])
    alig.runs[1].epoch_mean_losses[-1] = 9e-7
    equal = summarize(plan, [alig, sgd]).statements[0]
    assert "the widest range has ALI-G and SGD, 0.1 to 1 (1 decade" in equal


def test_where_nothing_has_learned_nothing_is_good(outcomes):
    plan, rows = outcomes
    for outcome in rows:
        for run in outcome.runs:
            run.epoch_mean_losses[-1] *= 1e7
    summary = summarize(plan, rows)
    (sentence,) = summary.statements
    assert sentence.startswith("No value has learned the task: the best objective is 1, and")
    assert "learned: none of 5 values; near the best: none of 5 values" in summary.lines[0].note


def test_everything_diverged(outcomes):
    plan, rows = outcomes
    for outcome in rows:
        for run in outcome.runs:
            run.outcome = Outcome.DIVERGED
    summary = summarize(plan, rows)
    assert summary.statements == ["Every run diverged."]
    assert {line.measured.n for line in summary.lines} == {0}


def test_cells(outcomes):
    lines = cells_csv(outcomes[1]).splitlines()
    assert lines[0] == "method,knob,value,objective,seed,outcome"
    assert lines[5] == "ALI-G,max_lr,inf,3e-07,42,done"
    assert lines[8] == "SGD,lr,1,,42,diverged"
    assert len(lines) == 9


def test_picture(outcomes, tmp_path):
    plan, rows = outcomes
    path = draw(plan, summarize(plan, rows), rows, tmp_path / "map.png")
    assert path.read_bytes().startswith(b"\x89PNG")
