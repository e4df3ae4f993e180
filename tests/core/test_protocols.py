"""How optimizers get their settings."""

from __future__ import annotations

import math
import sys
from itertools import pairwise

import pytest
import torch

from alig_deepobs.comparison import compare
from alig_deepobs.entries import HyperParameter
from alig_deepobs.errors import UsageError
from alig_deepobs.protocols import KINDS, Protocol
from alig_deepobs.registry import find_optimizer, optimizers
from alig_deepobs.run import RunSpec
from alig_deepobs.searches import EXTENSION, Extension
from alig_deepobs.spaces import Axis, check_axes, main_axis, parse_axes

SEEDS = (42, 43)


def cell_of(text="equal", optimizer="sgd", problem="digits_mlp", grids=(), given=None, **options):
    spec = RunSpec(problem, optimizer, given or {}, **options.pop("spec", {}))
    return Protocol.parse(text, grids, **options).cell(spec, SEEDS)


def settings(cell):
    return [spec.hyperparams for spec in cell.candidates]


@pytest.mark.parametrize("name", [name for name, entry in optimizers().items() if main_axis(entry)])
def test_equal_gives_every_optimizer_as_many_trials(name):
    """Whatever it declares: nine values with one ratio, around its default, none of them twice."""
    cell, axis = cell_of(optimizer=name), main_axis(find_optimizer(name))
    values = [setting[axis.name] for setting in settings(cell)]
    assert len(set(values)) == len(values) == 9
    assert values[0] == axis.low
    assert values[-1] == axis.high
    ratios = [high / low for low, high in pairwise(values)]
    assert max(ratios) / min(ratios) < 1.02  # values are rounded
    assert values[0] <= find_optimizer(name).hyperparameters[axis.name].default <= values[-1]
    assert cell.protocol == "equal"
    assert not set(cell.rule.seeds) & set(SEEDS)
    assert len(cell.rule.seeds) == 3


def test_nothing_to_tune():
    cell = cell_of(optimizer="alig_inf")
    assert len(cell.candidates) == 1
    assert cell.candidates[0].setting_source == "nothing to tune"


def test_what_is_given_is_fixed():
    given = cell_of(optimizer="momentum", given={"lr": 0.5})
    assert settings(given) == [{"lr": 0.5}]
    assert given.reported(given.candidates, 0)[0].tuning == {"protocol": "given"}
    rest = cell_of(optimizer="momentum", given={"momentum": 0.0})
    assert {setting["momentum"] for setting in settings(rest)} == {0.0}
    assert len(rest.candidates) == 9


def extended(best, trials=5, low=1e-2, high=1.0, **bounds):
    """All values that are tried where the score is the distance to the best one, in order."""
    axis = Axis("lr", (), low, high, **bounds)
    search = Extension(axis, trials)
    specs = [RunSpec("digits_mlp", "sgd", {"lr": value}) for value in axis.spaced(trials)]
    while True:
        values = [spec.hyperparams["lr"] for spec in specs]
        more = search.more(specs, [(abs(math.log(value / best)),) for value in values])
        if not more:
            return values
        specs += more


def test_a_search_goes_on_beyond_the_end_of_its_range():
    assert extended(0.1) == [0.01, 0.0316, 0.1, 0.316, 1.0]  # it has a neighbour on either side
    assert extended(1.0) == [0.01, 0.0316, 0.1, 0.316, 1.0, 3.16, 10.0]
    assert extended(100.0)[5:] == [3.16, 10.0, 31.6, 100.0, 316.0, 1000.0]
    assert extended(1e-4)[5:] == [0.00316, 0.001, 0.000316, 1e-4, 3.16e-5, 1e-5]


def test_a_search_ends_at_its_limits():
    values = extended(1e30)
    assert max(values) == 10.0**EXTENSION
    assert min(extended(1e-30)) == 1e-2 / 10.0**EXTENSION
    assert max(extended(1e30, maximum=5.0)) == 3.16
    assert min(extended(1e-30, minimum=1e-3)) == 1e-3


def test_where_all_diverge_smaller_steps_are_tried_down_to_the_limit():
    search = Extension(Axis("lr", (), 1e-2, 1.0), 3)
    specs = [RunSpec("digits_mlp", "sgd", {"lr": value}) for value in (0.01, 0.1, 1.0)]
    while more := search.more(specs, [(math.inf,)] * len(specs)):
        specs += more
    assert min(spec.hyperparams["lr"] for spec in specs) == 1e-6
    assert max(spec.hyperparams["lr"] for spec in specs) == 1.0


def test_budget_spreads_over_all_ranges():
    cell = cell_of("budget:16", "momentum")
    rates = [setting["lr"] for setting in settings(cell)]
    momenta = [setting["momentum"] for setting in settings(cell)]
    assert len(set(rates)) == len(set(momenta)) == 16
    # Evenly: every quarter of either range has its share.
    quarters = [int(math.log10(rate / 1e-4)) for rate in rates]
    assert all(3 <= quarters.count(number) <= 5 for number in range(4))
    assert sum(momentum < 0.495 for momentum in momenta) in (7, 8, 9)
    assert settings(cell_of("budget:16", "momentum")) == settings(cell)  # the same every time
    assert len(cell_of("budget:7", "sgd").candidates) == 7  # one range: equal steps


def test_halving_trains_the_best_third_three_times_as_long():
    """Of 9 settings 3 go on, of these 1; the last one has the full length."""
    cell = cell_of("halving:9", "sgd", spec={"num_epochs": 9})
    candidates, best = list(cell.candidates), 0.1
    assert {spec.num_epochs for spec in candidates} == {1}
    lengths = []
    while more := cell.search.more(candidates, scores_of(candidates, best)):
        candidates += more
        lengths.append([spec.num_epochs for spec in more])
    assert lengths == [[3, 3, 3], [9]]
    assert candidates[-1].hyperparams == {"lr": best}
    with pytest.raises(UsageError, match="no stages"):
        cell_of("halving:9", "sgd", spec={"num_epochs": 1})


def test_tpe_looks_where_the_best_are():
    pytest.importorskip("optuna")
    cell = cell_of("tpe:40", "momentum")
    candidates, best = list(cell.candidates), 0.03
    while more := cell.search.more(candidates, scores_of(candidates, best)):
        assert more == cell.search.more(candidates, scores_of(candidates, best))
        candidates += more
    assert len(candidates) == 40
    rates = [spec.hyperparams["lr"] for spec in candidates]
    assert all(1e-4 <= rate <= 1.0 for rate in rates)
    near = [abs(math.log10(rate / best)) < 0.5 for rate in rates]
    # A quarter of the range: without learning, 14 of 30 are there once in 100 times.
    assert sum(near[10:]) >= 14
    assert all(0.0 <= spec.hyperparams["momentum"] <= 0.99 for spec in candidates)


@pytest.mark.parametrize(
    ("grid", "trials"),
    [
        ("max_lr=0.1|1|3,momentum=0|0.5|0.9", 8),
        ("max_lr=1e-3..10/9,momentum=0|0.5|0.8|0.9", 35),
        ("max_lr=0.1..0.11,momentum=0|0.9", 9),
    ],
)
@pytest.mark.parametrize("kind", ["budget", "halving", "tpe"])
def test_no_setting_is_tried_twice(kind, grid, trials):
    if kind == "tpe":
        pytest.importorskip("optuna")
    cell = cell_of(f"{kind}:{trials}", "alig", grids=[f"alig:{grid}"], spec={"num_epochs": 9})
    candidates = list(cell.candidates)
    while kind == "tpe" and (
        more := cell.search.more(candidates, [(s.hyperparams["max_lr"],) for s in candidates])
    ):
        candidates += more
    assert len({repr(spec.hyperparams) for spec in candidates}) == len(candidates) == trials


def test_a_range_of_too_few_numbers_is_refused():
    with pytest.raises(UsageError, match="fewer than 9 different settings: widen a range"):
        cell_of("equal", "sgd", grids=["sgd:lr=0.1..0.101"])


def scores_of(candidates, best):
    return [
        (-(spec.num_epochs or 0), abs(math.log(spec.hyperparams["lr"] / best)))
        for spec in candidates
    ]


def test_deepobs_is_what_the_published_baselines_were_tuned_by():
    from alig_deepobs.baselines import published_grid

    cell = cell_of("deepobs", "sgd", "quadratic_deep")
    published = [run.learning_rate for run in published_grid("quadratic_deep", "sgd")]
    assert [setting["lr"] for setting in settings(cell)] == pytest.approx(published, rel=1e-9)
    (run,) = cell.rule.runs(cell.candidates[0])
    assert (run.random_seed, run.split) == (42, "full")
    assert cell.rule.metric == "test_losses"
    assert cell_of("deepobs", "sgd", "mnist_mlp").rule.metric == "test_accuracies"
    assert "by test accuracy" in cell_of("deepobs", "sgd", "mnist_mlp").rule.source(cell.candidates)


def test_known_settings_are_refused_where_they_were_made_for_something_else():
    (spec,) = cell_of("known", "momentum", "quadratic_deep").candidates
    assert spec.hyperparams["momentum"] == 0.99
    with pytest.raises(UsageError, match=r"tuned for 100 epochs, not for 5 epochs .*--force_known"):
        cell_of("known", "momentum", "quadratic_deep", spec={"num_epochs": 5})
    with pytest.raises(UsageError, match="tuned for fmnist_2c2d, not for 100 epochs of mnist_2c2d"):
        cell_of("known", "sgd", "mnist_2c2d")
    with pytest.raises(UsageError, match="no setting of rmsprop is known for mnist_mlp"):
        cell_of("known", "rmsprop", "mnist_mlp")
    forced = cell_of("known", "sgd", "mnist_2c2d", force_known=True, spec={"num_epochs": 2})
    source = forced.candidates[0].setting_source
    assert source.endswith("tuned for fmnist_2c2d and for 100 epochs")


def test_a_grid_of_the_user():
    grid = ["alig:max_lr=1e-3..10/3,momentum=0|0.9"]
    cell = cell_of("grid", "alig", grids=grid)
    assert settings(cell) == [
        {"max_lr": cap, "momentum": momentum} for cap in (0.001, 0.1, 10.0) for momentum in (0, 0.9)
    ]
    with pytest.raises(UsageError, match=r"6 settings.*each optimizer 9.*equal:6"):
        cell_of("equal", "alig", grids=grid)
    assert len(cell_of("equal:6", "alig", grids=grid).candidates) == 6
    with pytest.raises(UsageError, match="max_lr is given and has a grid"):
        cell_of("grid", "alig", grids=grid, given={"max_lr": 1.0})
    with pytest.raises(UsageError, match="needs a grid for sgd"):
        cell_of("grid", "sgd", grids=grid)
    with pytest.raises(UsageError, match=r"needs a number of values: lr=0\.1\.\.1/7"):
        cell_of("grid", "sgd", grids=["sgd:lr=0.1..1"])


def test_a_range_of_the_user_takes_the_place_of_the_declared_one():
    cell = cell_of("equal", "sgd", grids=["sgd:lr=0.1..1"])
    values = [setting["lr"] for setting in settings(cell)]
    assert (values[0], values[-1], len(values)) == (0.1, 1.0, 9)
    assert cell.search is not None  # and is extended like it
    both = cell_of("equal", "alig", grids=["alig:max_lr=0.1..1,momentum=0|0.5|0.9"])
    assert len(both.candidates) == 9
    assert {setting["momentum"] for setting in settings(both)} == {0, 0.5, 0.9}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sgd", "write optimizer:name=values"),
        ("sgd:lr", "write optimizer:name=values"),
        ("sgd:lr=", "not name=values"),
        ("sgd:lr=1..0.1", "empty or reversed"),
        ("sgd:lr=1..1", "empty or reversed"),
        ("sgd:lr=a..b", r"not low\.\.high"),
        ("sgd:lr=0.1..1/1", "at least 2 values"),
        ("sgd:lr=0.1..1/x", r"not low\.\.high"),
        ("sgd:lr=0.1|0.1", "a value of lr twice"),
        ("sgd:lr=0.1,lr=1", "has lr twice"),
        ("sgd:lr=1e-3..inf", "empty or reversed"),
        ("sgd:lr=0.1,0.2", "'0.2' is not name=values"),
    ],
)
def test_malformed_grids(text, message):
    with pytest.raises(UsageError, match=message):
        parse_axes(text)


def test_a_grid_of_words_and_of_a_hyperparameter_that_is_not():
    name, (axis,) = parse_axes("sps:adapt_flag=smooth_iter|constant")
    assert (name, axis.values) == ("sps", ("smooth_iter", "constant"))
    _, (betas, rate) = parse_axes("adam:betas=(0.9,0.99)|(0.8,0.9),lr=1e-3|0.1")
    assert (betas.values, rate.values) == (((0.9, 0.99), (0.8, 0.9)), (1e-3, 0.1))
    with pytest.raises(UsageError, match="did you mean lr"):
        check_axes([Axis("lrr", (1, 2))], find_optimizer("sgd"))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("equl", {}, "did you mean equal"),
        ("budget", {}, "budget:12"),
        ("budget:0", {}, "no number of trials"),
        ("equal:1", {}, "from 2 to 10000"),
        ("equal:99999999999999", {}, "from 2 to 10000"),
        ("budget:" + "9" * 5000, {}, "from 2 to 10000"),
        ("equal:²", {}, "no number of trials"),
        ("equal:x", {}, "no number of trials"),
        ("known:3", {}, "has no number of trials"),
        ("known", {"grids": ["sgd:lr=1|2"]}, "takes no grid"),
        ("equal", {"force_known": True}, "belongs to the protocol known"),
        ("grid", {"grids": ["sgd:lr=1|2", "sgd:lr=3|4"]}, "two grids for sgd"),
    ],
)
def test_wrong_protocols(text, options, message):
    with pytest.raises(UsageError, match=message):
        Protocol.parse(text, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_every_protocol_says_what_it_does(kind):
    if kind == "tpe":
        pytest.importorskip("optuna")
    counted = kind in ("budget", "halving", "tpe")
    protocol = Protocol.parse(f"{kind}:8" if counted else kind)
    assert protocol.words
    assert str(Protocol.parse(str(protocol))) == str(protocol)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 0.0, "high": 1.0}, "log=False"),
        ({"low": 1.0, "high": 0.1}, "low < high"),
        ({"low": 1.0}, "low < high"),
        ({"low": 0.01, "high": 1.0, "maximum": 0.5}, "leaves its bounds"),
        ({"low": 0.01, "high": 1.0, "minimum": 0.1}, "leaves its bounds"),
    ],
)
def test_a_range_that_is_none_is_refused_where_it_is_declared(options, message):
    with pytest.raises(UsageError, match=message):
        HyperParameter(float, 0.5, **options)
    assert HyperParameter(float, 0.5, low=0.0, high=1.0, log=False).high == 1.0


class Picky(torch.optim.SGD):
    """A constructor that refuses a part of its range."""

    def __init__(self, params, lr=0.01):
        if lr > 0.05:
            raise ValueError(f"lr={lr} is too large")
        super().__init__(params, lr=lr)


def test_a_value_that_a_constructor_refuses_is_a_failed_trial(monkeypatch):
    monkeypatch.setitem(sys.modules, "picky", sys.modules[__name__])
    found = compare("quadratic_deep", "picky:Picky", seeds=1, num_epochs=1, protocol="equal:3",
                    tuning_seeds=1, output_dir=None)  # fmt: skip
    outcome = found.outcomes[0]
    kinds = {runs[0].hyperparams["lr"]: runs[0].outcome.value for runs in outcome.tuning}
    assert (kinds[1e-4], kinds[0.01], kinds[1.0]) == ("done", "done", "failed")
    assert outcome.runs[0].hyperparams["lr"] == 0.01
    with pytest.raises(UsageError, match="too large"):
        compare("quadratic_deep", "picky:Picky[lr=1.0]", num_epochs=1, output_dir=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "seeds must be a number"),
        ({"seeds": True}, "seeds must be an integer, not True"),
        ({"random_seed": "x"}, "random_seed must be an integer, not 'x'"),
        ({"force": "no"}, "force must be True or False, not 'no'"),
        ({"protocol": None}, "protocol must be text, not None"),
        ({"tuning_seeds": 2.5}, "tuning_seeds must be an integer or None, not 2.5"),
        ({"grids": 3}, "grid"),
        ({"log": 3}, "logger"),
        ({"hyperparams": {"lr": 1}}, "unknown option 'hyperparams'"),
        ({"optimizers": {"sgd": {"lr": 1}}}, "give each optimizer as a text such as"),
        ({"jobs": 0}, "jobs must be a number"),
        ({"sedes": 1}, "did you mean random_seed|unknown option 'sedes'"),
        ({"executor": "foo"}, "unknown executor 'foo'"),
        ({"tuning_seeds": 0}, "tuning_seeds must be at least 1"),
        ({"protocol": "known", "tuning_seeds": 7}, "the protocol known takes no tuning seeds"),
        ({"protocol": "budget:5", "grids": "sgd:lr=1e-3..10/9"}, "budget:9 for all"),
        ({"protocol": "halving:9", "grids": "sgd:lr=1|2|3"}, "halving:3 for all"),
        ({"protocol": "grid", "grids": "sgd:lr=1..0"}, "empty or reversed"),
    ],
)
def test_python_refuses_what_the_command_line_refuses(options, message):
    with pytest.raises(UsageError, match=message):
        compare("quadratic_deep", num_epochs=1, output_dir=None, **{"optimizers": "sgd", **options})


def test_where_nothing_comes_to_its_end_the_record_says_so():
    found = compare("two_d_beale", "sgd,sgd", seeds=1, num_epochs=1, protocol="grid",
                    grids="sgd:lr=1|10|100", tuning_seeds=1, output_dir=None)  # fmt: skip
    (outcome,) = found.outcomes  # and what is asked for twice is run once
    assert outcome.runs[0].tuning["failed"]
    assert "no setting came to its end" in outcome.runs[0].setting_source
