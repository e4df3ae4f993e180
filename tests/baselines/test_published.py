"""The published figures: everything is computed from the committed runs and must give DeepOBS's."""

import json
import statistics
from pathlib import Path

import numpy as np
import pytest

from alig_deepobs.analysis import good_range
from alig_deepobs.analysis.frames import final_headline, headline_curve
from alig_deepobs.analysis.targets import epochs_until
from alig_deepobs.baselines import published_grid, published_problems, published_runs
from alig_deepobs.baselines.committed import write_published
from alig_deepobs.baselines.trivial import is_trivial
from alig_deepobs.registry import find_testproblem
from alig_deepobs.results import read_result
from alig_deepobs.run import Outcome

OPTIMIZERS = ("sgd", "momentum", "adam")
PAIRS = [(problem, name) for problem in published_problems() for name in OPTIMIZERS]

# The summary of the official 1.4 GB of JSON, made from it by other code; 12 significant digits.
OFFICIAL = json.loads(Path(__file__).with_name("deepobs_summary.json").read_text())
CURVES = {
    "train_loss": "train_losses", "test_loss": "test_losses",
    "train_accuracy": "train_accuracies", "test_accuracy": "test_accuracies",
}  # fmt: skip

# DeepOBS's overview table: problem -> mean final metric of SGD, Momentum and Adam (accuracies in
# percent), and mean epochs to the convergence performance.
TABLE = {
    "quadratic_deep": ((87.40, 87.05, 87.11), (51.1, 70.5, 39.9)),
    "mnist_vae": ((38.46, 52.93, 27.83), (1.0, 1.0, 1.0)),
    "fmnist_2c2d": ((92.27, 92.14, 92.34), (40.6, 59.1, 40.1)),
    "cifar10_3c3d": ((83.71, 84.41, 84.75), (42.5, 40.7, 36.0)),
    "fmnist_vae": ((23.80, 59.23, 23.07), (1.0, 1.0, 1.0)),
    "cifar100_allcnnc": ((57.06, 60.33, 56.15), (128.7, 72.8, 152.6)),
    "svhn_wrn164": ((95.37, 95.53, 95.25), (28.3, 10.8, 12.1)),
    "tolstoi_char_rnn": ((62.07, 61.30, 61.23), (47.7, 88.0, 62.8)),
}


def finals(problem, optimizer):
    entry = find_testproblem(problem)
    return [final_headline(run, entry) for run in published_runs(problem, optimizer)]


def epochs(problem, optimizer):
    """Epoch of the target, None for never."""
    entry = find_testproblem(problem)
    found = [epochs_until(run, entry) for run in published_runs(problem, optimizer)]
    return [int(time.time) if time.reached else None for time in found]


def deepobs_speed(problem, optimizer):
    """DeepOBS counts a seed that never meets the target as one epoch more than there are."""
    never = find_testproblem(problem).num_epochs + 1
    return statistics.fmean(never if e is None else e for e in epochs(problem, optimizer))


@pytest.mark.parametrize(("problem", "optimizer"), PAIRS)
def test_tuned_runs(problem, optimizer):
    official = OFFICIAL[problem][optimizer]
    runs, values = published_runs(problem, optimizer), finals(problem, optimizer)
    assert [run.random_seed for run in runs] == list(range(42, 52))
    assert {run.learning_rate for run in runs} == {official["best_learning_rate"]}
    mine = {
        "mean": statistics.fmean(values), "std": statistics.pstdev(values),
        "std_sample": statistics.stdev(values), "median": statistics.median(values),
        "min": min(values), "max": max(values),
    }  # fmt: skip
    for name, value in official["final_performance"].items():
        # The inputs have 12 digits, of which the difference of near numbers keeps fewer.
        tolerance = 3e-9 if "std" in name else 1e-11
        assert mine[name] == pytest.approx(value, rel=tolerance), name
    selection = official["selection"]
    assert values[0] == pytest.approx(selection["final_at_seed42"], rel=1e-11)
    others = selection["final_mean_over_the_nine_other_seeds"]
    assert statistics.fmean(values[1:]) == pytest.approx(others, rel=1e-11)
    for metric, facts in official["final_all_metrics"].items():
        mean = statistics.fmean(getattr(run, CURVES[metric])[-1] for run in runs)
        assert mean == pytest.approx(facts["mean"], rel=1e-11), metric
    reached = [epoch for epoch in epochs(problem, optimizer) if epoch is not None]
    assert len(reached) == official["speed"]["num_seeds_reached"]
    assert statistics.fmean(reached) == official["speed"]["mean_over_seeds_that_reached"]
    assert deepobs_speed(problem, optimizer) == pytest.approx(official["speed"]["deepobs_mean"])


@pytest.mark.parametrize(("problem", "optimizer"), PAIRS)
def test_grids(problem, optimizer):
    official, entry = OFFICIAL[problem][optimizer], find_testproblem(problem)
    grid = published_grid(problem, optimizer)
    rates = [run.learning_rate for run in grid]
    assert rates == pytest.approx([10 ** (-5 + 0.2 * k) for k in range(36)], rel=1e-9)
    counts = official["outcome_counts_on_grid_seed42"]
    diverged = [run for run in grid if run.outcome is Outcome.DIVERGED]
    assert len(diverged) == counts["nonfinite"]
    assert sum(map(is_trivial, grid)) == counts["trivial"] + counts["never_below_initial"]
    results = {run.learning_rate: final_headline(run, entry) for run in grid}
    # DeepOBS chose the rate with the best final metric of seed 42.
    best = good_range(results, entry.higher_is_better).best
    assert best == published_runs(problem, optimizer)[0].learning_rate
    rules = official["selection"]["learning_rate_each_rule_would_pick"]
    assert best == rules["final_metric_seed42"]
    for part in ("train", "test"):
        losses = {run.learning_rate: getattr(run, f"{part}_losses")[-1]
                  for run in grid if run.outcome is Outcome.DONE}  # fmt: skip
        assert min(losses, key=losses.get) == rules[f"final_{part}_loss_seed42"]


@pytest.mark.parametrize("problem", TABLE)
def test_the_table_of_deepobs(problem):
    means, speeds = TABLE[problem]
    percent = 100 if find_testproblem(problem).metric == "accuracy" else 1
    for optimizer, mean, speed in zip(OPTIMIZERS, means, speeds, strict=True):
        assert f"{percent * statistics.fmean(finals(problem, optimizer)):.2f}" == f"{mean:.2f}"
        assert f"{deepobs_speed(problem, optimizer):.1f}" == f"{speed:.1f}"


def test_all_runs_are_there():
    both = [(published_runs(*pair), published_grid(*pair)) for pair in PAIRS]
    identities = {run.identity() for runs, grid in both for run in (*runs, *grid)}
    assert len(identities) == 1080
    for (problem, _), (runs, grid) in zip(PAIRS, both, strict=True):
        for run in runs:
            curve = headline_curve(run, find_testproblem(problem))
            assert len(curve) == run.num_epochs + 1
            assert np.isfinite(curve).all()
            assert run.outcome is Outcome.DONE
            assert not run.purpose
        assert {run.purpose for run in grid} == {"", "tuning"}
        assert [run.learning_rate for run in grid if not run.purpose] == [runs[0].learning_rate]
        assert {(run.framework, run.numbers_version, run.schema_version) for run in grid} == {
            ("tensorflow", 0, 0)
        }


def test_a_network_of_nans_has_no_result():
    (run,) = (r for r in published_grid("cifar10_3c3d", "sgd") if r.learning_rate == 0.1)
    # Recorded was the accuracy of one class, 9.99 %.
    assert (run.outcome, len(run.test_accuracies)) == (Outcome.DIVERGED, 1)


def test_runs_as_results():
    runs = published_runs("cifar10_3c3d")
    assert [run.optimizer for run in runs] == ["sgd"] * 10 + ["momentum"] * 10 + ["adam"] * 10
    assert runs[0].effective_weight_decay == runs[0].weight_decay == 0.002
    assert runs[0].regularization == "l2"
    assert published_runs("mnist_mlp") == []
    assert published_grid("quadratic_deep", "alig") == []


def test_what_is_written_as_files_is_read_again(tmp_path):
    """The runs of the grids, too, of which the ends of the curves were kept."""
    write_published(tmp_path)
    runs = [read_result(path) for path in tmp_path.glob("quadratic_deep/SGD/*/*.json")]
    assert len(runs) == 45
    assert {len(run.test_losses) for run in runs if run.purpose} >= {2}
