"""Figure 3's end: shades, ranges of good values, and the statement of who has the widest."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from alig_deepobs.reproduce.declare import FULL, Kind, PaperMethod
from alig_deepobs.reproduce.findings import Finding, objective, statements
from alig_deepobs.reproduce.pictures import pictures
from alig_deepobs.reproduce.plan import make_plan
from alig_deepobs.reproduce.report import as_table, write_report
from alig_deepobs.run import Outcome
from alig_deepobs.runners.cells import CellOutcome

from .conftest import BASE, experiment, result


def test_objective():
    assert objective(result(epoch_mean_losses=[1.0, 0.25])) == 0.25
    assert objective(result(epoch_mean_losses=[1.0], outcome=Outcome.DIVERGED)) == math.inf
    assert objective(result(epoch_mean_losses=[])) == math.inf


@pytest.fixture
def made():
    """ALI-G is good over three decades and without a cap, SGD at one value."""
    declared = experiment(
        Kind.HEAT_MAP,
        (
            PaperMethod("ALI-G", "alig", {}, grid={"max_lr": (0.1, 1.0, 10.0, 100.0, None)}),
            PaperMethod("SGD", "sgd", {}, grid={"lr": (0.01, 0.1, 1.0)}),
        ),
    )
    plan = make_plan(declared, FULL, BASE)
    losses = ((5e-7, 1e-7, 2e-7, 4e-7, 3e-7), (1e-3, 8e-7, math.inf))
    findings = []
    for planned, of_method in zip(plan.methods, losses, strict=True):
        outcomes = [
            CellOutcome(cell, runs=[
                result(
                    hyperparams=cell.candidates[0].hyperparams,
                    epoch_mean_losses=[1.0, loss],
                    outcome=Outcome.DONE if math.isfinite(loss) else Outcome.DIVERGED,
                )
            ])
            for cell, loss in zip(planned.cells, of_method, strict=True)
        ]  # fmt: skip
        findings.append(Finding(Kind.HEAT_MAP, planned, outcomes))
    return plan, findings


def test_findings(made):
    plan, (alig, sgd) = made
    assert alig.measured.mean == 1e-7
    assert alig.setting == "max_lr 1, best of 5"
    assert sgd.note == "1 of 3 runs diverged"
    notes = [cells[-1].text for cells in as_table(plan, [alig, sgd]).cells]
    assert "learned: 0.01 to 0.1 (1 decade, 2 of 3 values, open at one end)" in notes[1]
    learned, near, opened = statements(plan, [alig, sgd])
    # The loss before training is 2.3.
    assert learned.startswith("Learned the task (objective at most 0.023, 1% of the loss")
    assert "the widest range has ALI-G, 0.1 to 100 and without a cap (3 decades" in learned
    assert "at most 1e-06, a factor 10 from the best objective 1e-07" in near
    assert near.endswith("The others: SGD 0.1 (0 decades, 1 of 3 values).")
    assert opened.startswith("A range is open")


def test_the_statement_says_whatever_came_out(made):
    plan, (alig, sgd) = made
    for run in alig.runs[1:]:
        run.epoch_mean_losses[-1] = 1.0
    sgd.runs[0].epoch_mean_losses[-1] = 9e-7
    found = statements(plan, [alig, sgd])
    assert all("the widest range has SGD, 0.01 to 0.1" in text for text in found[:2])
    alig.runs[1].epoch_mean_losses[-1] = 9e-7
    equal = statements(plan, [alig, sgd])[0]
    assert "the widest range has ALI-G and SGD, 0.1 to 1 (1 decade" in equal


def test_where_nothing_has_learned_nothing_is_good(made):
    plan, findings = made
    for finding in findings:
        for run in finding.runs:
            run.epoch_mean_losses[-1] *= 1e7
    (sentence,) = statements(plan, findings)
    assert sentence.startswith("No value has learned the task: the best objective is 1, and")
    note = as_table(plan, findings).cells[0][-1].text
    assert "learned: none of 5 values; near the best: none of 5 values" in note


def test_everything_diverged(made):
    plan, findings = made
    for finding in findings:
        for run in finding.runs:
            run.outcome = Outcome.DIVERGED
    assert statements(plan, findings) == ["Every run diverged."]
    assert {finding.measured.n for finding in findings} == {0}


def test_files(made, tmp_path):
    plan, findings = made
    outcomes = [outcome for finding in findings for outcome in finding.outcomes]
    _, written = write_report(plan, outcomes, tmp_path)
    frame = pd.read_csv(tmp_path / "small_runs.csv")
    assert frame["final_epoch_mean_loss"].tolist()[:5] == [5e-7, 1e-7, 2e-7, 4e-7, 3e-7]
    assert frame["outcome"].tolist().count("diverged") == 1
    assert written[-1].read_bytes().startswith(b"\x89PNG")


def test_picture(made):
    ((name, figure),) = pictures(*made)
    assert name == "small"
    cells = [text.get_text() for text in figure.axes[0].texts]
    assert len(cells) == 8
    assert cells[4:] == ["3e-7", "0.001", "8e-7", "×"]
    assert figure.axes[0].get_xticklabels()[-1].get_text() == "∞"
