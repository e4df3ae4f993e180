"""The declarations against the paper's tables: settings, grids, figures, and how many runs."""

from __future__ import annotations

import pytest

from alig_deepobs.registry import find_optimizer, find_testproblem
from alig_deepobs.reproduce.declare import FULL, Kind, PaperMethod, settings_of
from alig_deepobs.reproduce.experiments import EXPERIMENTS
from alig_deepobs.reproduce.plan import make_plan
from alig_deepobs.reproduce.targets import TARGETS, THEORY
from alig_deepobs.runners.resolve import resolve

from .conftest import BASE, epochs, runs


@pytest.fixture(scope="module")
def full():
    """The full plan of every experiment."""
    return {name: make_plan(entry, FULL, BASE) for name, entry in EXPERIMENTS.items()}


def settings_in(plan, part=0):
    """Label of a method -> its settings as they are run, every default filled in."""
    return {
        planned.method.label: [
            resolve(spec, check_data=False) for cell in planned.cells for spec in cell.candidates
        ]
        for planned in plan.of(plan.experiment.parts[part])
    }


def test_targets():
    assert list(EXPERIMENTS) == ["fig3", "fig4", "fig5", "table1", "table2", "table3"]
    assert {*EXPERIMENTS, *THEORY} == set(TARGETS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_method_can_be_run(full, name):
    assert [planned for planned in full[name].methods if planned.refused] == []


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("budget", ["full", "short", "smoke"])
def test_every_budget_has_a_plan(name, budget):
    entry = EXPERIMENTS[name]
    plan = make_plan(entry, entry.budgets[budget], BASE)
    assert runs(plan) > 0
    assert not any(planned.refused for planned in plan.methods)
    if budget != "full":
        assert epochs(plan) < epochs(make_plan(entry, FULL, BASE)) / 10
        assert entry.budgets[budget].words
    if budget == "smoke" and name != "fig3":  # whose data are made, not fetched, in any case
        assert all(spec.synthetic for cell in plan.cells for spec in cell.candidates)
    known = {method.key for part in entry.parts for method in part.methods}
    assert set(entry.budgets[budget].methods or ()) <= known
    assert set(entry.budgets[budget].cells) <= known


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_labels_and_published_figures_belong_together(name):
    for part in EXPERIMENTS[name].parts:
        labels = [method.label for method in part.methods]
        assert len({method.key for method in part.methods}) == len(labels)
        assert set(part.published) <= set(labels)
        find_testproblem(part.problem)
        for method in part.methods:
            find_optimizer(method.optimizer)
            knobs = set(method.setting)
            # What the authors chose is in the grid that they chose from.
            for knob, values in method.grid.items():
                assert knob not in knobs or method.setting[knob] in values


# --- Figure 3: the table of grids --------------------------------------------------------------


def test_figure_3_has_the_grids_of_the_released_script_and_of_the_text(full):
    settings = settings_in(full["fig3"])
    released = {
        planned.method.label: len(next(iter(planned.method.grid.values())))
        for planned in full["fig3"].methods
    }
    assert released == {
        "ALI-G": 7, "RMSProp": 12, "L4Adam": 19, "L4Mom": 19, "Adam": 12, "Adagrad": 12,
        "SGD": 12, "SGD with momentum": 12,
    }  # fmt: skip
    assert sum(released.values()) == 105
    # The text's powers of ten from 1e-4 to 1e4, beside the script's values.
    assert {label: len(runs) for label, runs in settings.items()} == {
        "ALI-G": 13, "RMSProp": 15, "L4Adam": 19, "L4Mom": 19, "Adam": 15, "Adagrad": 15,
        "SGD": 15, "SGD with momentum": 15,
    }  # fmt: skip
    assert runs(full["fig3"]) == 126
    assert epochs(full["fig3"]) == 126 * 100
    assert {run.num_epochs for of in settings.values() for run in of} == {100}


def test_figure_3_settings(full):
    rows = settings_in(full["fig3"])
    caps = [run.hyperparams["max_lr"] for run in rows["ALI-G"]]
    assert caps == [10.0**k for k in range(-4, 8)] + [None]  # no cap
    for label, of in rows.items():
        for spec in of:
            computed = label in ("ALI-G", "L4Adam", "L4Mom")
            assert spec.training_params == ({} if computed else {"clip_norm": 50.0})
            assert spec.batch_size == 16
    alig = rows["ALI-G"][0].hyperparams
    assert (alig["momentum"], alig["eps"], alig["max_norm"]) == (0.0, 0.0, None)
    assert rows["SGD with momentum"][0].hyperparams["nesterov"] is False
    assert rows["SGD with momentum"][0].hyperparams["momentum"] == 0.9
    assert rows["Adagrad"][0].hyperparams["initial_accumulator_value"] == 0.1
    rmsprop = rows["RMSProp"][0].hyperparams
    assert (rmsprop["decay"], rmsprop["eps"]) == (0.9, 1e-10)
    fractions = [spec.hyperparams["fraction"] for spec in rows["L4Adam"]]
    assert fractions == pytest.approx([0.05 * k for k in range(1, 20)])


def test_figure_3_short_has_five_values_for_five_methods_and_more():
    entry = EXPERIMENTS["fig3"]
    plan = make_plan(entry, entry.budgets["short"], BASE)
    assert len(plan.methods) >= 5
    assert min(len(planned.cells) for planned in plan.methods) >= 5


# --- Table 1 -----------------------------------------------------------------------------------


def test_table_1(full):
    rows = settings_in(full["table1"])
    # Rate, three values; L2 factor, two; ALI-G has no L2 term, SGD's rate is not searched for.
    assert {label: len(of) for label, of in rows.items()} == {
        "Adagrad": 6, "Adam": 6, "AMSGrad": 6, "BPGrad": 6, "DFW": 6, "L4Adam": 6, "L4Mom": 6,
        "ALI-G": 3, "ALI-G, no momentum": 3, "SGD": 2,
    }  # fmt: skip
    part = EXPERIMENTS["table1"].parts[0]
    assert (part.epochs, part.batch_size, part.seeds) == (160, 128, 1)
    assert part.published == {
        "Adagrad": 98.0, "Adam": 97.9, "AMSGrad": 97.9, "BPGrad": 98.1, "DFW": 98.1,
        "L4Adam": 98.2, "L4Mom": 19.6, "ALI-G": 98.1, "SGD": 98.3,
    }  # fmt: skip
    released = {method.label: method.setting for method in part.methods}
    assert [released[x]["lr"] for x in ("Adagrad", "Adam", "AMSGrad", "BPGrad", "DFW")] == [
        0.01, 1e-5, 1e-4, 0.01, 0.01,
    ]  # fmt: skip
    assert [released[x]["fraction"] for x in ("L4Adam", "L4Mom")] == [0.15, 0.0015]
    assert released["ALI-G"] == {"max_lr": 0.01, "momentum": 0.9, "max_norm": 50.0}
    assert released["DFW"]["l2"] == released["L4Adam"]["l2"] == 1e-4
    assert rows["DFW"][0].problem_options == {"loss": "hinge"}
    sgd = rows["SGD"][0]
    assert sgd.training_params == {"lr_sched_epochs": [80, 120], "lr_sched_factors": [0.1, 0.01]}


# --- Table 2 -----------------------------------------------------------------------------------


def test_table_2(full):
    cross_entropy, svm = (settings_in(full["table2"], number) for number in (0, 1))
    counts = {label: len(of) for label, of in cross_entropy.items()}
    assert counts == {
        "Adagrad": 1, "Adam": 1, "AMSGrad": 1, "BPGrad": 1, "L4Adam": 2, "L4Mom": 2,
        "ALI-G^inf": 1, "ALI-G": 3, "SGD": 1,
    }  # fmt: skip
    assert {label: len(of) for label, of in svm.items()} == {**counts, "DFW": 1}
    assert runs(full["table2"]) == 33
    rates = {"Adagrad": 0.01, "Adam": 1e-4, "AMSGrad": 1e-4, "BPGrad": 1.0}
    for rows, sgd in ((cross_entropy, 1.0), (svm, 0.1)):
        for label, rate in {**rates, "SGD": sgd}.items():
            spec = rows[label][0]
            assert spec.hyperparams["lr"] == rate
            clipped = label != "BPGrad"
            assert spec.training_params.get("clip_norm") == (5.0 if clipped else None)
        assert rows["SGD"][0].training_params == {
            "clip_norm": 5.0, "lr_decay_per_epoch": 0.99, "lr_plateau_factor": 0.2,
        }  # fmt: skip
        for label in ("ALI-G", "ALI-G^inf"):
            assert rows[label][0].hyperparams["momentum"] == 0.0
            assert rows[label][0].hyperparams["max_norm"] is None
    parts = EXPERIMENTS["table2"].parts
    assert [part.published["ALI-G"] for part in parts] == [84.8, 85.2]
    assert [part.published["ALI-G^inf"] for part in parts] == [84.6, 84.7]
    assert {(part.epochs, part.batch_size) for part in parts} == {(20, 64)}
    fractions = [
        method.setting["fraction"]
        for part in parts for method in part.methods if method.label == "L4Adam"
    ]  # fmt: skip
    assert fractions == [0.15, 0.015]


# --- Table 3 -----------------------------------------------------------------------------------

# batch size, rate or fraction, L2 factor or radius or decay: the table of released choices.
CHOICES = {
    "SGD": ((128, 0.1, 5e-4), (64, 0.1, 1e-4), (128, 0.1, 5e-4), (64, 0.1, 1e-4)),
    "ALI-G": ((256, 1, 100), (64, 0.1, 80), (128, 0.1, 100), (256, 0.1, 75)),
    "DFW": ((512, 1, 1e-4), (64, 0.1, 1e-4), (256, 0.1, 5e-4), (64, 0.1, 1e-4)),
    "AMSGrad": ((512, 1e-3, 1e-4), (128, 1e-3, 1e-4), (128, 1e-3, 1e-4), (64, 1e-3, 1e-4)),
    "AdamW": ((128, 1e-3, 1e-3), (64, 1e-3, 1e-4), (128, 1e-3, 5e-4), (64, 1e-3, 1e-2)),
    "Yogi": ((128, 1e-3, 1e-4), (64, 1e-3, 1e-4), (128, 1e-3, 1e-4), (64, 1e-3, 1e-4)),
    "L4Adam": ((128, 0.015, 1e-4), (256, 0.15, 1e-4), (512, 0.015, 1e-4), (256, 0.015, 1e-4)),
    "L4Mom": ((128, 0.15, 1e-4), (64, 0.15, 1e-4), (512, 0.015, 5e-4), (256, 0.015, 1e-4)),
}


@pytest.mark.parametrize("label", CHOICES)
def test_table_3_has_the_released_choices(label):
    for part, choice in zip(EXPERIMENTS["table3"].parts, CHOICES[label], strict=True):
        (method,) = (method for method in part.methods if method.label == label)
        setting = method.setting
        main = next(name for name in ("lr", "max_lr", "fraction") if name in setting)
        other = {"ALI-G": "max_norm", "AdamW": "weight_decay"}.get(label, "l2")
        assert (setting["batch_size"], setting[main], setting[other]) == choice


def test_table_3_counts(full):
    counts = [
        {label: len(of) for label, of in settings_in(full["table3"], n).items()} for n in range(4)
    ]
    wide = {
        "AMSGrad": 18, "AdamW": 27, "Yogi": 18, "DFW": 18, "L4Adam": 12, "L4Mom": 12, "ALI-G": 6,
        "SGD": 1,
    }  # fmt: skip
    dense = {
        "AMSGrad": 9, "AdamW": 27, "Yogi": 9, "DFW": 9, "L4Adam": 6, "L4Mom": 6, "ALI-G": 6,
        "SGD": 1,
    }  # fmt: skip
    # The released decay of AdamW on the third is no power of ten, so it is tried as well.
    assert counts == [wide, dense, {**wide, "AdamW": 36}, dense]
    parts = EXPERIMENTS["table3"].parts
    assert [part.epochs for part in parts] == [200, 300, 200, 300]
    assert {part.seeds for part in parts} == {3}
    assert [part.published["ALI-G"] for part in parts] == [95.2, 95.0, 75.8, 76.3]
    assert [part.published["SGD"] for part in parts] == [95.3, 95.1, 77.8, 76.3]
    # Each search ends with three runs of what was chosen; a setting without search has them too.
    searches = sum(count for part in counts for count in part.values() if count > 1)
    assert runs(full["table3"]) == searches + 3 * 8 * 4


def test_table_3_spec(full):
    rows = settings_in(full["table3"])
    assert rows["DFW"][0].problem_options == {"loss": "smooth_hinge"}
    decayed = rows["AdamW"][0]
    assert decayed.weight_decay == 0.0  # the decay is the optimizer's own
    assert decayed.hyperparams["weight_decay"] == 1e-4
    sgd = rows["SGD"][0]
    assert sgd.training_params["lr_sched_epochs"] == [60, 120, 160]
    assert sgd.training_params["lr_sched_factors"] == pytest.approx([0.2, 0.04, 0.008])
    assert {run.split for of in rows.values() for run in of} == {"validation"}


# --- Figures 4 and 5 ---------------------------------------------------------------------------


def test_figure_4(full):
    parts = EXPERIMENTS["fig4"].parts
    assert [(part.epochs, part.batch_size) for part in parts] == [(200, 128), (300, 64)]
    chosen = [
        {method.label: method.setting.get("lr", method.setting.get("max_lr"))
         for method in part.methods if not method.label.startswith("L4")}
        for part in parts
    ]  # fmt: skip
    assert chosen == [
        {"SGD": 0.1, "Adagrad": 0.1, "Adam": 1e-3, "ALI-G": 1.0},
        {"SGD": 0.01, "Adagrad": 0.1, "Adam": 1e-3, "ALI-G": 0.1},
    ]
    assert runs(full["fig4"]) == 12  # eight curves of the figure, and the two L4 that diverge
    for cell in full["fig4"].cells:
        (spec,) = cell.candidates
        assert spec.weight_decay == 0.0
        assert spec.hyperparams.get("max_norm") is None
        assert spec.training_params == {}


def test_figure_5(full):
    rows = settings_in(full["fig5"])
    assert (runs(full["fig5"]), epochs(full["fig5"])) == (2, 180)
    (alig,) = rows["ALI-G"]
    assert (alig.batch_size, alig.num_epochs) == (1024, 90)
    assert alig.hyperparams["max_lr"] == 10.0
    assert (alig.hyperparams["momentum"], alig.hyperparams["max_norm"]) == (0.0, 400.0)
    assert full["fig5"].experiment.kind is Kind.CURVES


def test_settings_are_all_combinations():
    method = PaperMethod(
        "M", "sgd", {"lr": 1.0, "l2": 0.0}, grid={"lr": (1.0, 2.0), "l2": (0.0, 0.1)}
    )
    assert [tuple(setting.values()) for setting in settings_of(method)] == [
        (1.0, 0.0), (1.0, 0.1), (2.0, 0.0), (2.0, 0.1),
    ]  # fmt: skip
