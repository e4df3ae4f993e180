"""From declarations to the cells of a study."""

from __future__ import annotations

import dataclasses

import pytest

from alig_deepobs.errors import UsageError
from alig_deepobs.reproduce.declare import FULL, Budget, Kind, PaperMethod
from alig_deepobs.reproduce.plan import make_plan

from .conftest import BASE, METHODS, epochs, experiment, runs


def test_cells():
    plan = make_plan(experiment(), FULL, BASE)
    sgd, alig, missing, wrong = plan.methods
    assert [len(planned.cells) for planned in plan.methods] == [1, 1, 0, 0]
    (cell,) = sgd.cells
    assert [spec.hyperparams["lr"] for spec in cell.tuning(cell.candidates)] == [1e-3, 0.1, 1.0]
    assert {
        spec.random_seed
        for spec in (*cell.tuning(cell.candidates), *alig.cells[0].tuning(alig.cells[0].candidates))
    } == {1000}
    assert {spec.split for spec in cell.tuning(cell.candidates)} == {"validation"}
    assert cell.rule.epoch == "best"  # the paper's, not DeepOBS's
    reported = cell.reported(cell.candidates, chosen=2)
    assert [spec.random_seed for spec in reported] == [42, 43]
    assert {spec.hyperparams["lr"] for spec in reported} == {1.0}
    assert cell.candidates[0].training_params == {
        "lr_sched_epochs": (2,), "lr_sched_factors": (0.1,),
    }  # fmt: skip
    # What cannot be run stays in the plan, with the reason.
    assert "unknown optimizer 'not_there'" in missing.refused
    assert "clip_norm" in wrong.refused
    assert runs(plan) == (3 + 2) + (2 + 2)
    assert epochs(plan) == 4 * runs(plan)


def test_the_tuning_seed_is_never_one_of_the_reported():
    plan = make_plan(experiment(), FULL, dataclasses.replace(BASE, random_seed=999))
    for cell in plan.cells:
        assert {spec.random_seed for spec in cell.tuning(cell.candidates)}.isdisjoint(cell.seeds)


def test_budgets_cut():
    budget = Budget(
        "tiny", epochs=1, seeds=1, values=2, synthetic=True, setting={"batch_size": 16}
    )  # fmt: skip
    cell = make_plan(experiment(), budget, BASE).cells[0]
    assert [spec.hyperparams["lr"] for spec in cell.candidates] == [1e-3, 1.0]
    assert {spec.batch_size for spec in cell.candidates} == {16}
    assert {spec.num_epochs for spec in cell.candidates} == {1}
    assert all(spec.synthetic for spec in cell.candidates)
    assert len(cell.reported(cell.candidates, 0)) == 1
    # The step of the schedule would fall on the end of the run.
    assert cell.candidates[0].training_params == {"lr_sched_epochs": (), "lr_sched_factors": ()}
    released = make_plan(experiment(), Budget("short", released=True), BASE)
    assert [cell.tuning(cell.candidates) for cell in released.cells] == [[], []]
    (first, _) = released.cells[0].reported(released.cells[0].candidates, 0)
    assert (first.hyperparams["lr"], first.setting_source) == (0.1, "the authors' choice")


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (10, ((3, 6, 8), (0.2, 0.04, 0.008))),
        (4, ((1, 2, 3), (0.2, 0.04, 0.008))),
        (2, ((1,), (0.04,))),
    ],
)
def test_schedules_scale_with_the_epochs(epochs, expected):
    method = PaperMethod(
        "SGD", "sgd",
        {"lr": 0.1, "lr_sched_epochs": (60, 120, 160), "lr_sched_factors": (0.2, 0.04, 0.008)},
    )  # fmt: skip
    declared = experiment(methods=(method,))
    part = dataclasses.replace(declared.parts[0], epochs=200)
    declared = dataclasses.replace(declared, parts=(part,))
    (cell,) = make_plan(declared, Budget("short", epochs=epochs), BASE).cells
    training = cell.candidates[0].training_params
    assert (training["lr_sched_epochs"], training["lr_sched_factors"]) == expected


def test_some_methods_only():
    plan = make_plan(experiment(), FULL, BASE, ["ali-g"])
    assert [planned.method.label for planned in plan.methods] == ["ALI-G"]
    with pytest.raises(UsageError, match=r"did you mean sgd\? \(all: sgd, ali-g, missing"):
        make_plan(experiment(), FULL, BASE, ["sdg"])
    with pytest.raises(UsageError, match="nothing can be run; unknown optimizer"):
        make_plan(experiment(), FULL, BASE, ["missing"])


def test_heat_maps_have_a_run_for_each_value():
    method = PaperMethod(
        "SGD", "sgd", {"momentum": 0.9}, grid={"lr": (0.1, 1.0)}, extra={"lr": (10.0, 0.1)}
    )  # fmt: skip
    with_momentum = dataclasses.replace(method, optimizer="momentum")
    plan = make_plan(
        experiment(Kind.HEAT_MAP, (with_momentum,)), Budget("b", seeds=1), BASE
    )  # fmt: skip
    assert [cell.tuning(cell.candidates) for cell in plan.cells] == [[]] * 3
    specs = [spec for cell in plan.cells for spec in cell.reported(cell.candidates, 0)]
    assert [spec.hyperparams["lr"] for spec in specs] == [0.1, 1.0, 10.0]
    assert {spec.hyperparams["momentum"] for spec in specs} == {0.9}
    assert {spec.setting_source for spec in specs} == {"a cell of the heat map"}


def test_unknown_knobs_are_refused():
    odd = PaperMethod("Odd", "sgd", {"rate": 1.0})
    _, refused = make_plan(experiment(methods=(METHODS[1], odd)), FULL, BASE).methods
    assert "no hyper-parameter 'rate'" in refused.refused


def test_a_plan_names_what_is_refused():
    plan = make_plan(experiment(), FULL, BASE)
    lines = str(plan).splitlines()
    assert lines[:2] == ["A small experiment", "budget full: as the paper"]
    assert lines[2].startswith("not run: Missing (digits): unknown optimizer 'not_there'")
    assert lines[3].startswith("not run: Wrong (digits): ")
    assert len(lines) == 4
