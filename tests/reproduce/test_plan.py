"""From declarations to runs, and what they will cost."""

from __future__ import annotations

import dataclasses
import json

import pytest

from alig_deepobs.errors import UsageError
from alig_deepobs.reproduce.declare import FULL, Budget, Kind, Method
from alig_deepobs.reproduce.plan import make_plan
from alig_deepobs.reproduce.show import plan_text
from alig_deepobs.reproduce.speed import Speed, Speeds

from .conftest import BASE, METHODS, experiment


def test_rows():
    plan = make_plan(experiment(), FULL, BASE)
    sgd, alig, missing, wrong = plan.rows
    assert [len(row.candidates) for row in plan.rows] == [3, 2, 0, 0]
    assert [spec.hyperparams["lr"] for spec in sgd.tuning] == [1e-3, 0.1, 1.0]
    assert {spec.random_seed for spec in (*sgd.tuning, *alig.tuning)} == {1000}
    assert {spec.purpose for spec in sgd.tuning} == {"tuning"}
    assert {spec.split for spec in sgd.tuning} == {"validation"}
    reported = sgd.reported(chosen=2)
    assert [spec.random_seed for spec in reported] == [42, 43]
    assert {spec.hyperparams["lr"] for spec in reported} == {1.0}
    assert reported[0].setting_source == "best of 3 settings on validation data"
    assert sgd.candidates[0].training_params == {
        "lr_sched_epochs": (2,), "lr_sched_factors": (0.1,),
    }  # fmt: skip
    # What cannot be run stays in the plan, with the reason.
    assert "unknown optimizer 'not_there'" in missing.refused
    assert "clip_norm" in wrong.refused
    assert plan.runs == (3 + 2) + (2 + 2)
    assert plan.epochs == 4 * plan.runs


def test_the_tuning_seed_is_never_one_of_the_reported():
    plan = make_plan(experiment(), FULL, dataclasses.replace(BASE, random_seed=999))
    for row in plan.rows[:2]:
        assert {spec.random_seed for spec in row.tuning}.isdisjoint(row.seeds)


def test_budgets_cut():
    budget = Budget(
        "tiny", epochs=1, seeds=1, values=2, synthetic=True, setting={"batch_size": 16}
    )  # fmt: skip
    plan = make_plan(experiment(), budget, BASE)
    sgd = plan.rows[0]
    assert [spec.hyperparams["lr"] for spec in sgd.candidates] == [1e-3, 1.0]
    assert {spec.batch_size for spec in sgd.candidates} == {16}
    assert {spec.num_epochs for spec in sgd.candidates} == {1}
    assert sgd.synthetic
    assert len(sgd.reported()) == 1
    # The step of the schedule would fall on the end of the run.
    assert sgd.candidates[0].training_params == {"lr_sched_epochs": (), "lr_sched_factors": ()}
    released = make_plan(experiment(), Budget("short", released=True), BASE)
    assert [row.tuning for row in released.rows] == [[], [], [], []]
    assert released.rows[0].reported()[0].hyperparams["lr"] == 0.1


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (10, ((3, 6, 8), (0.2, 0.04, 0.008))),
        (4, ((1, 2, 3), (0.2, 0.04, 0.008))),
        (2, ((1,), (0.04,))),
    ],
)
def test_schedules_scale_with_the_epochs(epochs, expected):
    method = Method(
        "SGD", "sgd",
        {"lr": 0.1, "lr_sched_epochs": (60, 120, 160), "lr_sched_factors": (0.2, 0.04, 0.008)},
    )  # fmt: skip
    declared = experiment(methods=(method,))
    part = dataclasses.replace(declared.parts[0], epochs=200)
    declared = dataclasses.replace(declared, parts=(part,))
    (row,) = make_plan(declared, Budget("short", epochs=epochs), BASE).rows
    training = row.candidates[0].training_params
    assert (training["lr_sched_epochs"], training["lr_sched_factors"]) == expected


def test_some_methods_only():
    plan = make_plan(experiment(), FULL, BASE, ["ali-g"])
    assert [row.method.label for row in plan.rows] == ["ALI-G"]
    with pytest.raises(UsageError, match=r"did you mean sgd\? \(all: sgd, ali-g, missing"):
        make_plan(experiment(), FULL, BASE, ["sdg"])
    with pytest.raises(UsageError, match="nothing can be run; unknown optimizer"):
        make_plan(experiment(), FULL, BASE, ["missing"])


def test_heat_maps_have_a_run_for_each_value():
    method = Method(
        "SGD", "sgd", {"momentum": 0.9}, grid={"lr": (0.1, 1.0)}, extra={"lr": (10.0, 0.1)}
    )  # fmt: skip
    with_momentum = dataclasses.replace(method, optimizer="momentum")
    (row,) = make_plan(experiment(Kind.HEAT_MAP, (with_momentum,)), Budget("b", seeds=1), BASE).rows
    assert row.tuning == []
    assert [spec.hyperparams["lr"] for spec in row.reported()] == [0.1, 1.0, 10.0]
    assert {spec.hyperparams["momentum"] for spec in row.reported()} == {0.9}


def test_unknown_knobs_are_refused():
    (row,) = [
        row for row in make_plan(
            experiment(methods=(METHODS[1], Method("Odd", "sgd", {"rate": 1.0}))), FULL, BASE
        ).rows if row.method.label == "Odd"
    ]  # fmt: skip
    assert "no hyper-parameter 'rate'" in row.refused


def test_the_plan_is_shown_with_its_cost(tmp_path):
    plan = make_plan(experiment(), FULL, BASE)
    speeds = Speeds(tmp_path / "speed.json")
    text = plan_text(plan, speeds, jobs=2, finished=3)
    assert "search: 3 lr; then the best with 2 seeds" in text
    assert "9 runs, 36 epochs, about" in text
    assert "with 2 jobs" in text
    assert "3 of the runs are finished" in text
    assert "not run: unknown optimizer 'not_there'" in text
    # Measured once, then read.
    stored = json.loads((tmp_path / "speed.json").read_text())
    assert len(stored) == 1
    assert plan_text(plan, Speeds(tmp_path / "speed.json")) == plan_text(plan, speeds)


def test_the_estimate_is_made_of_its_parts(tmp_path, monkeypatch):
    speed = Speed(1e-3, 1e-4, 16, 100, 50, {"sgd": 0.01})
    monkeypatch.setattr(Speeds, "_of", lambda self, spec: speed)
    row = make_plan(experiment(), Budget("b", released=True, seeds=1), BASE).rows[0]
    seconds = Speeds(tmp_path / "s.json").seconds(row)
    steps = 1000 / 64
    assert seconds == pytest.approx(4 * (1000 * 1e-3 + steps * 0.01) + 5 * 500 * 1e-4)
