"""The measured baselines: what they claim is checked against what is in them."""

import math

import pytest
import results_page

from alig_deepobs.analysis import budget_curve, leaderboard
from alig_deepobs.analysis.frames import final_headline
from alig_deepobs.baselines import (
    known_setting,
    measured_grid,
    measured_problems,
    measured_results,
    published_runs,
)
from alig_deepobs.registry import find_testproblem, resolve_optimizer
from alig_deepobs.run import Outcome
from alig_deepobs.runners.selection import Rule
from alig_deepobs.settings import Setting

OPTIMIZERS = {"alig", "sgd", "momentum", "adam"}
RIVALS = {"nesterov", "adamw", "sps", "momo"}


def on_equal_terms(problem, epochs=None):
    return [
        run for run in measured_results(problem)
        if run.tuning.get("protocol") == "equal" and epochs in (None, run.num_epochs)
    ]  # fmt: skip


@pytest.mark.parametrize("problem", measured_problems())
def test_every_file(problem):
    entry = find_testproblem(problem)
    runs = measured_results(problem)
    equal = bool(on_equal_terms(problem))
    # One run of DeepOBS's settings is held against its ten, and compared with nothing else.
    published = [run for run in runs if run.tuning.get("protocol") == "known"]
    against_published = len(published) == len(runs)
    optimizers = OPTIMIZERS | (RIVALS if equal else set())
    found = {run.optimizer for run in runs}
    assert found <= optimizers if against_published else found == optimizers
    seeds = {}
    for run in runs:
        of_protocol = seeds.setdefault(run.tuning.get("protocol"), {})
        of_protocol.setdefault(run.setting(), set()).add(run.random_seed)
        resolve_optimizer(Setting(run.optimizer, run.setting_params()))
        assert run.testproblem == problem
        assert run.data_label
        # Nobody publishes digests of SNLI-mini; its label says what it is.
        is_mini = run.data_label.startswith("SNLI-mini") and run.data_source == "unverified"
        assert is_mini or run.data_source in ("official", "bundled", "generated")
        assert not run.synthetic
        assert run.reshuffle == entry.reshuffles
        assert run.weight_decay == entry.weight_decay
        assert run.setting_source
        assert {"torch", "cpu", "python", "note"} <= run.environment.keys()
        assert run.started.startswith("2026-11-2")
        finished = run.outcome is Outcome.DONE
        assert finished or (run.outcome is Outcome.DIVERGED and run.optimizer in RIVALS)
        assert len(run.test_data_losses) == run.num_epochs + 1 or not finished
        assert len(run.training_seconds) == run.num_epochs or not finished
    # Every optimizer has the same seeds, and at least three, once a comparison is carried out.
    under_way = f"* {problem} (cpu)" in results_page._open().splitlines()
    for protocol, of_setting in seeds.items():
        assert under_way or len(set(map(frozenset, of_setting.values()))) == 1
        assert under_way or len(next(iter(of_setting.values()))) >= (
            1 if protocol == "known" else 3
        )
    for epochs in {run.num_epochs for run in on_equal_terms(problem)}:
        compared = on_equal_terms(problem, epochs)
        assert len(leaderboard(compared, entry).rows) == 8
        # Tuned alike: with seeds of their own, at this length, on as many settings or more.
        for run in compared:
            assert run.tuning["trials"] >= 9
            assert not set(run.tuning["seeds"]) & {each.random_seed for each in compared}
        tried = [run for run in measured_grid(problem) if run.num_epochs == epochs]
        assert {run.optimizer for run in tried} == OPTIMIZERS | RIVALS


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_quadratic_deep_lies_with_the_published_seeds(optimizer):
    entry = find_testproblem("quadratic_deep")
    published = leaderboard(published_runs("quadratic_deep", optimizer), entry).rows[0].headline
    rate = published_runs("quadratic_deep", optimizer)[0].learning_rate
    runs = [
        run for run in measured_results("quadratic_deep")
        if run.optimizer == optimizer and run.learning_rate == rate
    ]  # fmt: skip
    finals = [run.test_data_losses[-1] for run in runs]
    assert len(finals) == 10
    # Four standard errors of the published mean; 2.262 is Student's quantile for ten seeds.
    error = (published.high - published.low) / 2 / 2.262
    assert abs(math.fsum(finals) / 10 - published.mean) < 4 * math.sqrt(2) * error


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS | RIVALS))
@pytest.mark.parametrize("problem", ["quadratic_deep", "digits_mlp", "two_d_beale"])
def test_the_chosen_setting_is_the_best_of_those_that_were_tried(problem, optimizer):
    entry = find_testproblem(problem)
    run = next(run for run in on_equal_terms(problem, entry.num_epochs)
               if run.optimizer == optimizer)  # fmt: skip
    tried = {}
    for each in measured_grid(problem, optimizer):
        if each.num_epochs == run.num_epochs:
            tried.setdefault(str(each.hyperparams), []).append(each)
    assert len(tried) == run.tuning["trials"]
    assert {len(runs) for runs in tried.values()} == {3}
    best = Rule().ranked(list(tried.values()))[0]
    assert list(tried)[best] == str(run.hyperparams)
    if optimizer not in ("sgd", "momentum", "adam") or problem != "quadratic_deep":
        known = known_setting(problem, optimizer).params
        assert str(known).replace("(", "[").replace(")", "]") == str(run.hyperparams)


def test_grids_give_a_budget_curve():
    entry = find_testproblem("digits_mlp")
    runs = [run for run in measured_grid("digits_mlp", "sgd") if run.random_seed == 1000]
    curve = budget_curve(
        [final_headline(run, entry) for run in runs],
        higher_is_better=True,
        failed=0.1,
        chosen_by=[run.valid_accuracies[-1] for run in runs],
    )
    assert len(curve.budgets) == 9
    assert curve.expected[0] < curve.expected[4] < curve.expected[-1]


def test_nothing_measured():
    assert measured_results("imagenet_vgg16") == []
    assert measured_grid("imagenet_vgg16") == []
