"""Runs are carried out once, chosen on validation data, and reported beside published figures."""

from __future__ import annotations

import dataclasses
import json

import pytest

from alig_deepobs.reproduce.carry_out import choose, unfinished
from alig_deepobs.reproduce.declare import FULL, Budget, Kind, Method
from alig_deepobs.reproduce.finish import finish
from alig_deepobs.reproduce.plan import make_plan
from alig_deepobs.reproduce.report import as_rich, as_text
from alig_deepobs.results import read_result
from alig_deepobs.run import Outcome
from alig_deepobs.runners.selection import select

from .conftest import BASE, METHODS, experiment, result

ONE_EPOCH = Budget("smoke", ("1 epoch instead of 4",), epochs=1)


def test_choice_is_on_validation_data():
    worse = result(valid_accuracies=[0.1, 0.8, 0.8], test_accuracies=[0.1, 0.99, 0.99])
    better = result(valid_accuracies=[0.1, 0.85, 0.7], test_accuracies=[0.1, 0.5, 0.6])
    assert choose([worse, better]) == 1  # by its best epoch, though its test accuracy is lower
    assert choose([better, better]) == 0
    lower_loss = dataclasses.replace(better, valid_data_losses=[2.3, 0.9, 0.6])
    assert choose([better, lower_loss]) == 1
    diverged = result(valid_accuracies=[0.1, 0.95, 0.95], outcome=Outcome.DIVERGED)
    assert choose([diverged, worse]) == 1
    assert choose([diverged, result(outcome=Outcome.FAILED)]) is None
    assert choose([]) is None


@pytest.fixture
def table(run):
    return run(experiment(), ONE_EPOCH)


def test_table(table, tmp_path):
    plan, outcomes, shown = table
    sgd, _, missing, wrong = outcomes
    assert "[9/9]" in shown
    best = max(range(3), key=lambda k: select(sgd.tuning[k]).valid_accuracy)
    assert sgd.chosen == best
    assert [run.random_seed for run in sgd.runs] == [42, 43]
    assert {run.hyperparams["lr"] for run in sgd.runs} == {(1e-3, 0.1, 1.0)[best]}
    assert missing.runs == wrong.runs == []

    report = finish(plan, outcomes, tmp_path)
    lines = {line.method: line for line in report.summary.lines}
    assert list(lines) == ["SGD", "ALI-G", "Missing", "Wrong", "Elsewhere"]
    accuracies = [100 * run.best_valid_test_accuracy for run in sgd.runs]
    assert lines["SGD"].measured.mean == pytest.approx(sum(accuracies) / 2)
    assert lines["SGD"].measured.known
    assert lines["SGD"].difference == pytest.approx(lines["SGD"].measured.mean - 90.0)
    assert lines["SGD"].setting.startswith("chosen: lr ")
    assert "unknown optimizer 'not_there'" in lines["Missing"].note
    assert lines["Elsewhere"].published == 95.0
    assert lines["Elsewhere"].measured.n == 0
    assert any(line.startswith("digits: best here ") for line in report.summary.statements)


def test_reports(table, tmp_path):
    plan, outcomes, _ = table
    report = finish(plan, outcomes, tmp_path)
    assert [path.name for path in report.written] == ["small.md", "small.csv", "small.png"]
    markdown = (tmp_path / "small.md").read_text()
    assert "| digits | SGD | 90 | " in markdown
    assert "* Budget smoke: 1 epoch instead of 4." in markdown
    assert "* Seeds: 42, 43." in markdown
    assert "Digits" in markdown  # what the data were
    assert (tmp_path / "small.png").read_bytes().startswith(b"\x89PNG")
    rows = (tmp_path / "small.csv").read_text().splitlines()
    assert rows[0].startswith("part,method,published,measured,low,high,n")
    assert len(rows) == 6
    text = as_text(plan, outcomes, report.summary)
    for words in ("What came out:", "What the paper says:", "ALI-G is good.", "Everything."):
        assert words in text
    assert as_rich(plan, outcomes, report.summary)


def test_finished_runs_are_not_run_again(run, tmp_path):
    first, outcomes, _ = run(experiment(), ONE_EPOCH)
    assert unfinished(first, tmp_path) == (0, 9)
    _, again, shown = run(experiment(), ONE_EPOCH)
    assert shown == ""
    assert [run.valid_accuracies for run in again[0].runs] == [
        run.valid_accuracies for run in outcomes[0].runs
    ]
    # Other epochs are other runs.
    assert unfinished(make_plan(experiment(), FULL, BASE), tmp_path) == (9, 0)
    paths = sorted(tmp_path.glob("digits_logreg/SGD/**/*.json"))
    paths[0].unlink()
    _, _, shown = run(experiment(), ONE_EPOCH)
    assert "[1/1]" in shown


def test_interrupted_and_failed_runs_are_run_again(run, tmp_path):
    run(experiment(), ONE_EPOCH)
    for outcome, path in zip(
        ("interrupted", "failed"), tmp_path.glob("digits_logreg/AliG/**/*.json"), strict=True
    ):
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "outcome": outcome}))
    _, outcomes, shown = run(experiment(), ONE_EPOCH)
    assert "[2/2]" in shown
    assert [run.outcome for run in outcomes[1].runs] == [Outcome.DONE] * 2


def test_an_interrupt_leaves_what_is_finished(run, tmp_path, monkeypatch):
    from alig_deepobs.cli import progress

    carried_out = []

    def interrupted_at_the_third(spec, watcher):
        if len(carried_out) == 2:
            raise KeyboardInterrupt
        carried_out.append(spec)
        return real(spec, watcher)

    real = progress.execute
    monkeypatch.setattr(progress, "execute", interrupted_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run(experiment(), ONE_EPOCH)
    monkeypatch.setattr(progress, "execute", real)
    assert len(list(tmp_path.glob("tuning/**/*.json"))) == 2
    _, _, shown = run(experiment(), ONE_EPOCH)
    assert "[7/7]" in shown


def test_several_processes_give_the_same(run, tmp_path):
    declared = experiment(methods=METHODS[:2])
    budget = dataclasses.replace(ONE_EPOCH, released=True)
    _, side_by_side, _ = run(declared, budget, jobs=2)
    for path in tmp_path.glob("digits_logreg/**/*.json"):
        path.unlink()
    _, alone, _ = run(declared, budget)
    for one, other in zip(side_by_side, alone, strict=True):
        for here, there in zip(one.runs, other.runs, strict=True):
            assert here.test_losses == pytest.approx(there.test_losses)


def test_a_search_in_which_everything_diverges(run, tmp_path):
    hopeless = Method("SGD", "sgd", {"lr": 1e38}, grid={"lr": (1e38, 3e38)})
    declared = experiment(methods=(hopeless, METHODS[1]))
    plan, outcomes, shown = run(declared, Budget("b", epochs=1, seeds=1))
    assert outcomes[0].chosen is None
    assert outcomes[0].runs == []
    assert "[5/5]" in shown  # two searches and one report; SGD has nothing to report
    report = finish(plan, outcomes, tmp_path)
    assert "every setting of the search diverged" in report.summary.lines[0].note


def test_curves(run, tmp_path):
    methods = (
        Method("SGD", "sgd", {"lr": 0.1}),
        Method("ALI-G", "alig", {"max_lr": 0.1, "momentum": 0.9}),
        Method("Hopeless", "sgd", {"lr": 1e38}),
    )
    plan, outcomes, _ = run(experiment(Kind.CURVES, methods), Budget("b", epochs=2, seeds=1))
    report = finish(plan, outcomes, tmp_path)
    sgd, alig, hopeless = report.summary.lines
    assert sgd.measured.mean == outcomes[0].runs[0].epoch_mean_losses[-1]
    assert hopeless.measured.n == 0
    assert "1 of 1 runs diverged" in hopeless.note
    (sentence,) = report.summary.statements
    ratio = sgd.measured.mean / alig.measured.mean
    assert (
        f"that of the best other method (SGD) is {sgd.measured.mean:.4g}: {ratio:.3g}" in sentence
    )
    assert (tmp_path / "small.png").read_bytes().startswith(b"\x89PNG")


def test_results_are_complete_records(table, tmp_path):
    (path, _) = sorted(tmp_path.glob("digits_logreg/SGD/**/*.json"))
    record = read_result(path)
    assert record.setting_source == "best of 3 settings on validation data"
    assert record.best_valid_epoch == 1
