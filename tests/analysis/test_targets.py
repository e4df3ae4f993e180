import json
import math
from pathlib import Path
from statistics import fmean

import pytest

from alig_deepobs.analysis import (
    TimeToTarget,
    epochs_until,
    median_interval,
    seconds_until,
    survival_curve,
)
from alig_deepobs.baselines import published_runs
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import find_testproblem
from alig_deepobs.run import Outcome

# Freireich et al. 1963, as in Kalbfleisch, Prentice (1980), table 1.1: weeks in remission of 21
# leukaemia patients with 6-mercaptopurine; + is censored.
REMISSION = [
    "6",
    "6",
    "6",
    "6+",
    "7",
    "9+",
    "10",
    "10+",
    "11+",
    "13",
    "16",
    "17+",
    "19+",
    "20+",
    "22",
    "23",
    "25+",
    "32+",
    "32+",
    "34+",
    "35+",
]


def times(texts):
    return [TimeToTarget(float(t.rstrip("+")), not t.endswith("+")) for t in texts]


def test_kaplan_meier_of_the_leukaemia_trial():
    curve = survival_curve(times(REMISSION))
    assert curve.times == (0.0, 6.0, 7.0, 10.0, 13.0, 16.0, 22.0, 23.0)
    # As printed in every textbook that uses the data.
    printed = (1, 0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448)
    assert curve.shares == pytest.approx(printed, abs=5e-4)
    assert curve.median == 23
    assert curve.at(12) == pytest.approx(0.753, abs=5e-4)
    assert math.isnan(curve.at(36))


def test_median_is_never_made_up():
    assert survival_curve(times(["3", "9+", "9+"])).median is None
    assert survival_curve(times(["3", "4", "9+"])).median == 4
    assert survival_curve(times(["0", "0"])).median == 0
    median, low, high = median_interval(times(["3", "4", "5", "9+", "9+"]))
    assert (median, low) == (5, 3)
    assert high == math.inf


def test_censoring(make_run, accuracy_problem):
    reached = make_run(final=0.95, epochs=4)
    assert epochs_until(reached, accuracy_problem) == (4, True)
    assert epochs_until(make_run(final=0.5, epochs=4), accuracy_problem) == (4, False)
    # A diverged run never gets there; an interrupted one is only known until it stopped.
    diverged = make_run(final=0.95, epochs=4, diverged_after=1)
    assert epochs_until(diverged, accuracy_problem) == (4, False)
    for outcome in (Outcome.INTERRUPTED, Outcome.TIMEOUT, Outcome.OUT_OF_MEMORY):
        stopped = make_run(final=0.95, epochs=4, diverged_after=1, outcome=outcome)
        assert epochs_until(stopped, accuracy_problem) == (1, False)
    assert epochs_until(reached, accuracy_problem, target=0.3).time == 1
    with pytest.raises(UsageError, match="no target"):
        epochs_until(reached, find_testproblem("mnist_mlp"))


def test_seconds(make_run, accuracy_problem):
    run = make_run(final=0.95, epochs=4, training_seconds=[1.0, 2.0, 3.0, 4.0])
    assert seconds_until(run, accuracy_problem, 0.5) == (3.0, True)
    assert seconds_until(run, accuracy_problem) == (10.0, True)
    missed = make_run(final=0.5, epochs=4, diverged_after=2, training_seconds=[1.0, 3.0])
    assert seconds_until(missed, accuracy_problem) == (8.0, False)  # two more epochs of 2 s
    assert seconds_until(make_run(training_seconds=[]), accuracy_problem) is None


def test_published_speeds():
    """The published epochs to the target, from the curves; DeepOBS's 101 is a censored 100."""
    path = Path(__file__).parents[1] / "baselines/deepobs_summary.json"
    published = json.loads(path.read_text())
    for problem in ("fmnist_2c2d", "quadratic_deep"):
        for optimizer, expected in published[problem].items():
            runs = [run for run in published_runs(problem) if run.optimizer == optimizer]
            times = [epochs_until(run, find_testproblem(problem)) for run in runs]
            reached = [found.time for found in times if found.reached]
            speed = expected["speed"]
            assert len(reached) == speed["num_seeds_reached"]
            if reached:
                assert fmean(reached) == speed["mean_over_seeds_that_reached"]
            as_deepobs = [t if done else runs[0].num_epochs + 1 for t, done in times]
            assert fmean(as_deepobs) == speed["deepobs_mean"]
