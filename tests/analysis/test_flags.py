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
    assert "is 0.001 (" in find_flags(near, loss_problem)[0].text


def at_cap(make_run, clipped, **hyperparams):
    return make_run(
        "AliG",
        hyperparams={"max_lr": 0.1, **hyperparams},
        train_data_losses=[90.0, 87.0, 85.0],
        step_sizes=[{"mean": 0.1, "clipped_fraction": clipped}] * 2,
        guarded_steps={"below_f_min": 5},
        optimizer="alig",
    )


def test_wrong_bound(make_run, loss_problem):
    floor, bound = find_flags([at_cap(make_run, 0.4, f_min=0.0)], loss_problem)
    assert (floor.kind, bound.kind) == ("non_interpolating", "wrong_bound")
    assert "40 % of its recorded steps (one in 10)" in bound.text
    assert "25 % of all steps had a loss at or below the bound" in bound.text  # 5 of 20 steps


@pytest.mark.parametrize(
    ("momentum", "words"),
    [
        (0.0, "it was SGD and the cap 0.1 as learning rate"),
        (0.9, "it was SGD with Nesterov momentum 0.9 and the cap 0.1 as learning rate"),
    ],
)
def test_all_steps_at_the_cap(make_run, accuracy_problem, loss_problem, momentum, words):
    """Said on every problem, and with the method that is left."""
    run = at_cap(make_run, 1.0, momentum=momentum, f_min=0.0)
    (flag,) = find_flags([run], accuracy_problem)
    assert flag.kind == "at_cap"
    assert f"100 % of its recorded steps (one in 10) were at the cap, so {words}" in flag.text
    assert kinds(find_flags([run], loss_problem)) == ["at_cap", "non_interpolating", "wrong_bound"]
    assert find_flags([at_cap(make_run, 0.5, momentum=momentum)], accuracy_problem) == []


def test_a_cap_that_moves_is_no_constant_step_size(make_run, accuracy_problem):
    run = at_cap(make_run, 1.0, adapt_flag="smooth_iter")
    (flag,) = find_flags([dataclasses.replace(run, optimizer="sps")], accuracy_problem)
    assert flag.text.endswith(
        "they grew as fast as smooth_iter lets them, whatever the losses were"
    )


def test_at_the_cap_is_the_method_that_the_flag_names():
    """ALI-G whose steps are all at the cap moves as torch's SGD with Nesterov momentum does."""
    import torch

    from alig_deepobs import AliG

    found = {}
    for name, make in {
        "alig": lambda w: AliG(w, max_lr=0.1, momentum=0.9),
        "sgd": lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9, nesterov=True),
    }.items():
        weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        optimizer = make([weight])
        for _ in range(5):
            optimizer.zero_grad()
            loss = weight.square().sum() + 100  # far above 0, so the step is the cap
            loss.backward()
            optimizer.step(lambda loss=loss: loss)
        found[name] = weight.detach().clone()
    torch.testing.assert_close(found["alig"], found["sgd"])


def test_measured_quadratic():
    """The measured runs show it: with its tuned cap ALI-G is SGD there."""
    runs = [run for run in measured_results("quadratic_deep")
            if run.num_epochs == 100 and run.tuning["protocol"] == "equal"]  # fmt: skip
    flags = find_flags(runs, find_testproblem("quadratic_deep"))
    bounds = [flag for flag in flags if flag.kind == "wrong_bound"]
    capped = [flag for flag in flags if flag.kind == "at_cap"]
    assert (len(bounds), len(capped)) == (1, 1)
    assert "SGD with Nesterov momentum 0.9" in capped[0].text
    assert not any(flag.label.startswith(("SGD", "Momentum", "Adam")) for flag in flags)
