import dataclasses

import pytest

from alig_deepobs.analysis import collapsed, find_flags
from alig_deepobs.baselines import measured_results, published_runs
from alig_deepobs.registry import find_testproblem


def kinds(flags):
    return [flag.kind for flag in flags]


def test_the_trap_of_the_auto_encoders():
    """DeepOBS's Momentum on mnist_vae: ten seeds, all at the mean image."""
    flags = find_flags(published_runs("mnist_vae"), find_testproblem("mnist_vae"))
    by_label = {flag.label: flag for flag in flags if flag.kind == "collapsed"}
    assert set(by_label) == {"Momentum", "SGD"}  # Adam never collapsed
    assert by_label["Momentum"].seeds == tuple(range(42, 52))
    assert "10 of 10 runs" in by_label["Momentum"].text
    assert "52.9" in by_label["Momentum"].text
    # Read off the published runs by hand.
    assert by_label["SGD"].seeds == (44, 46, 50, 51)
    assert "describes no run" in by_label["SGD"].text


def test_published_collapses_are_all_there_are():
    for problem in ("fmnist_2c2d", "cifar10_3c3d", "cifar100_allcnnc", "svhn_wrn164",
                    "tolstoi_char_rnn", "quadratic_deep"):  # fmt: skip
        flags = find_flags(published_runs(problem), find_testproblem(problem))
        assert "collapsed" not in kinds(flags)


def test_collapsed_accuracy(make_run, accuracy_problem):
    mnist = dataclasses.replace(accuracy_problem, data_set="mnist")
    run = make_run(final=0.1135)
    assert "11.35 %" in collapsed(run, mnist)
    assert collapsed(make_run(final=0.3), mnist) == ""
    assert collapsed(make_run(final=0.1135, synthetic=True), mnist) == ""
    assert collapsed(make_run(final=0.1135, diverged_after=1), mnist) == ""


def test_a_training_loss_that_did_not_fall(make_run, loss_problem):
    run = make_run(train_data_losses=[1.0, 0.5, 1.0])
    assert "not below" in collapsed(run, loss_problem)


def test_interpolation(make_run, accuracy_problem, loss_problem):
    runs = [make_run(seed=seed, train_data_losses=[90.0, 87.0, 85.0 + seed]) for seed in (1, 2)]
    assert find_flags(runs, accuracy_problem) == []  # the registry knows that it interpolates
    (flag,) = find_flags(runs, loss_problem)
    assert (flag.kind, flag.label, flag.seeds) == ("non_interpolating", "", (1,))
    assert "86" in flag.text
    unknown = dataclasses.replace(loss_problem, interpolates=None)
    assert "was not interpolated here" in find_flags(runs, unknown)[0].text
    near = [make_run(seed=seed, train_data_losses=[90.0, 1.0, 0.001]) for seed in (1, 2)]
    assert find_flags(near, unknown) == []
    assert "close to 0" in find_flags(near, loss_problem)[0].text


@pytest.mark.parametrize(("clipped", "word"), [(1.0, "it was SGD"), (0.4, "40 % of its steps")])
def test_wrong_bound(make_run, loss_problem, clipped, word):
    run = make_run(
        "AliG",
        hyperparams={"max_lr": 0.1, "f_min": 0.0},
        train_data_losses=[90.0, 87.0, 85.0],
        step_sizes=[{"mean": 0.1, "clipped_fraction": clipped}] * 2,
        guarded_steps={"below_f_min": 5},
    )
    floor, bound = find_flags([run], loss_problem)
    assert (floor.kind, bound.kind) == ("non_interpolating", "wrong_bound")
    assert word in bound.text
    assert "25 % had a loss at or below the bound" in bound.text  # 5 of 20 steps


def test_measured_quadratic():
    """The measured runs show it: with its tuned cap and no momentum, ALI-G is SGD there."""
    flags = find_flags(measured_results("quadratic_deep"), find_testproblem("quadratic_deep"))
    bounds = [flag for flag in flags if flag.kind == "wrong_bound"]
    assert len(bounds) == 4
    assert sum("of its steps were at the cap" in flag.text for flag in bounds) == 4
    assert not any(flag.label.startswith(("SGD", "Momentum", "Adam")) for flag in bounds)
