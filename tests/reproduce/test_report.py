"""Settings are chosen on validation data, runs reported beside published figures."""

from __future__ import annotations

import math

import pytest

from alig_deepobs.analysis.render import to_rich, to_text
from alig_deepobs.reproduce.declare import Budget, Kind, PaperMethod
from alig_deepobs.reproduce.findings import find, statements
from alig_deepobs.reproduce.report import write_report
from alig_deepobs.results import read_result
from alig_deepobs.runners.selection import select

from .conftest import METHODS, experiment

ONE_EPOCH = Budget("smoke", ("1 epoch instead of 4",), epochs=1)


@pytest.fixture
def table(run):
    return run(experiment(), ONE_EPOCH)


def test_table(table):
    plan, outcomes, _ = table
    sgd, alig, missing, wrong = find(plan, outcomes)
    (outcome,) = sgd.outcomes
    best = max(range(3), key=lambda k: select(outcome.tuning[k][0]).valid_accuracy)
    assert outcome.chosen == best
    assert [run.random_seed for run in sgd.runs] == [42, 43]
    assert {run.hyperparams["lr"] for run in sgd.runs} == {(1e-3, 0.1, 1.0)[best]}
    assert missing.runs == wrong.runs == []
    accuracies = [100 * run.best_valid_test_accuracy for run in sgd.runs]
    assert sgd.measured.mean == pytest.approx(sum(accuracies) / 2)
    assert sgd.measured.known
    assert sgd.difference == pytest.approx(sgd.measured.mean - 90.0)
    assert sgd.setting == f"chosen: lr {(1e-3, 0.1, 1.0)[best]:g}"
    assert sgd.note == "with a schedule"
    assert missing.note.startswith("not run: unknown optimizer 'not_there'")
    (sentence,) = statements(plan, [sgd, alig, missing, wrong])
    first = max((sgd, alig), key=lambda finding: finding.measured.mean)
    assert sentence == (
        f"digits: best here {first.label} ({first.measured.mean:.2f} %), of the same methods in "
        "the paper ALI-G (91 %)."
    )


def test_reports(table, tmp_path):
    plan, outcomes, _ = table
    report, written = write_report(plan, outcomes, tmp_path)
    names = ["small.md", "small.csv", "small_runs.csv", "small.png"]
    assert [path.name for path in written] == names
    markdown = (tmp_path / "small.md").read_text()
    assert "| SGD | 90 | " in markdown
    assert "Differs from the paper: Budget smoke: 1 epoch instead of 4." in markdown
    assert "Differs from the paper: Seeds: 42, 43." in markdown
    assert "Differs from the paper: Data: Digits" in markdown
    assert "![small](small.png)" in markdown
    assert (tmp_path / "small.png").read_bytes().startswith(b"\x89PNG")
    rows = (tmp_path / "small.csv").read_text().splitlines()
    assert rows[0] == (
        "part,method,published,measured_mean,measured_low,measured_high,measured_n,difference,"
        "setting,notes"
    )
    assert [row.split(",")[1] for row in rows[1:3]] == ["SGD", "ALI-G"]
    assert rows[5].startswith("digits,Elsewhere,95.0,,,,0,,,not run here")
    assert len((tmp_path / "small_runs.csv").read_text().splitlines()) == 1 + 4
    assert [row.label for row in report.rows] == ["SGD", "ALI-G", "Missing", "Wrong", "Elsewhere"]
    for words in ("In the paper: ALI-G is good.", "Differs from the paper: Everything."):
        assert words in to_text(report)
    assert to_rich(report)


def test_finished_runs_are_not_run_again(run, tmp_path):
    _, first, found = run(experiment(), ONE_EPOCH)
    assert found == 0
    _, again, found = run(experiment(), ONE_EPOCH)
    assert found == 9
    assert [r.started for r in again[0].runs] == [r.started for r in first[0].runs]
    # Other epochs are other runs.
    _, _, found = run(experiment(), Budget("b", epochs=2))
    assert found == 0


def test_a_search_in_which_everything_diverges(run, tmp_path):
    hopeless = PaperMethod("SGD", "sgd", {"lr": 1e38}, grid={"lr": (1e38, 3e38)})
    declared = experiment(methods=(hopeless, METHODS[1]))
    plan, outcomes, _ = run(declared, Budget("b", epochs=1, seeds=1))
    sgd, alig = find(plan, outcomes)
    assert sgd.note == "every setting of the search diverged or failed; 1 of 1 run diverged"
    assert sgd.measured.n == 0
    assert sgd.difference is None
    assert alig.measured.n == 1
    report, _ = write_report(plan, outcomes, tmp_path)
    assert [cell.text for cell in report.cells[0][2:4]] == ["–", "–"]


def test_curves(run, tmp_path):
    methods = (
        PaperMethod("SGD", "sgd", {"lr": 0.1}),
        PaperMethod("ALI-G", "alig", {"max_lr": 0.1, "momentum": 0.9}),
        PaperMethod("Hopeless", "sgd", {"lr": 1e38}),
    )
    plan, outcomes, _ = run(experiment(Kind.CURVES, methods), Budget("b", epochs=2, seeds=1))
    sgd, alig, hopeless = findings = find(plan, outcomes)
    assert sgd.measured.mean == outcomes[0].runs[0].epoch_mean_losses[-1]
    assert hopeless.measured.n == 0
    assert hopeless.note == "1 of 1 run diverged"
    (sentence,) = statements(plan, findings)
    ratio = sgd.measured.mean / alig.measured.mean
    assert sentence == (
        f"digits: ALI-G's final objective is {alig.measured.mean:.4g}, that of the best other "
        f"method (SGD) is {sgd.measured.mean:.4g}: {ratio:.3g} times as high."
    )
    report, written = write_report(plan, outcomes, tmp_path)
    assert written[-1].read_bytes().startswith(b"\x89PNG")
    assert report.cells[0][3].text == f"x {sgd.measured.mean / 90:.3g}"  # losses: how many times


def test_synthetic_figures_are_not_compared(run):
    plan, outcomes, _ = run(experiment(methods=METHODS[:1]), ONE_EPOCH, synthetic=True)
    (sgd,) = find(plan, outcomes)
    assert sgd.measured.n == 2
    assert math.isfinite(sgd.measured.mean)
    assert sgd.difference is None


def test_results_are_complete_records(table, tmp_path):
    (path, _) = sorted(tmp_path.glob("digits_logreg/SGD/**/*.json"))
    record = read_result(path)
    assert (
        record.setting_source == "best of 3 settings by validation accuracy, best epoch, seed 1000"
    )
    assert record.best_valid_epoch == 1
