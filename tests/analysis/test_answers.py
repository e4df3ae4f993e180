"""What a leaderboard answers: which is best, is mine better, by how much, how many more seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from alig_deepobs.analysis import compare_all, compare_pairs, leaderboard, seeds_to_tell, to_text
from alig_deepobs.analysis.statistics import mean_interval, share_interval
from alig_deepobs.errors import UsageError
from alig_deepobs.run import Outcome


def runs_of(make_run, finals, **changes):
    """Label -> final accuracy of each seed, as runs."""
    return [
        make_run(label, seed, float(final), **changes)
        for label, of in finals.items()
        for seed, final in enumerate(of, 1)
    ]


def studies(make_run, accuracy_problem, n, gains, count=100, reference=None):
    """Leaderboards of optimizers that differ by planted gains alone."""
    generator = np.random.default_rng(100 * n + len(gains))
    for _ in range(count):
        seeds = 0.003 * generator.normal(size=n)  # what runs with one seed share
        finals = {
            label: 0.95 + gain + seeds + 0.003 * generator.normal(size=n)
            for label, gain in gains.items()
        }
        yield leaderboard(runs_of(make_run, finals), accuracy_problem, reference=reference)


# --- Planted cases ---------------------------------------------------------------------------


@pytest.mark.parametrize("n", [3, 10])
@pytest.mark.parametrize("reference", [None, "Mine"])
def test_one_method_under_two_names_stays_tied(make_run, accuracy_problem, n, reference):
    """In at least 95 of 100 studies, whichever question is asked."""
    gains = {"Mine": 0.0, "Theirs": 0.0, "SGD": -0.05}
    tied = 0
    for board in studies(make_run, accuracy_problem, n, gains, reference=reference):
        rows = {row.label: row for row in board.rows}
        pairs = [of for row in board.rows for of in (row.to_best, row.to_reference) if of]
        between = [of for of in pairs if {of.first, of.second} == {"Mine", "Theirs"}]
        assert between
        tied += rows["Mine"].tied and rows["Theirs"].tied and not any(p.separated for p in between)
    assert tied >= 95


@pytest.mark.parametrize(("n", "least"), [(5, 40), (10, 99)])
def test_a_planted_point_is_found(make_run, accuracy_problem, n, least):
    """One point, where the paired differences have a standard deviation of 0.42."""
    gains = {"Mine": 0.01, "SGD": 0.0, "Adam": 0.0}
    found = 0
    for board in studies(make_run, accuracy_problem, n, gains):
        found += board.verdict[0] == "Mine is ahead of all others."
    assert found >= least


def test_fewer_tests_where_the_question_is_smaller(make_run, accuracy_problem):
    """A reference against each of seven is corrected seven times, all pairs twenty-eight times."""
    gains = {"Mine": 0.008, **{f"O{i}": 0.0 for i in range(7)}}
    wins = {}
    for reference in (None, "Mine"):
        boards = studies(make_run, accuracy_problem, 6, gains, 60, reference)
        wins[reference] = sum(row.separated for board in boards for row in board.rows)
    assert wins["Mine"] > 1.2 * wins[None]


def test_families_of_tests():
    scores = {
        "A": {1: 0.90, 2: 0.915, 3: 0.92, 4: 0.9},
        "B": {1: 0.89, 2: 0.90, 3: 0.91, 4: 0.895},
        "C": {1: 0.88, 2: 0.89, 3: 0.905, 4: 0.88},
    }
    every = {(p.first, p.second): p for p in compare_all(scores, True)}
    some = {(p.first, p.second): p for p in compare_pairs(scores, [("B", "A"), ("C", "A")], True)}
    for first in "BC":
        pair, other = some[first, "A"], every["A", first]
        assert pair.p_value == other.p_value
        assert pair.difference.mean == -other.difference.mean
        assert pair.p_adjusted < other.p_adjusted
        assert pair.seeds_to_tell <= other.seeds_to_tell


# --- The reference ---------------------------------------------------------------------------

FINALS = {
    "SGD": [0.90, 0.91, 0.905, 0.90, 0.908],
    "AliG": [0.95, 0.96, 0.951, 0.949, 0.953],
    "Adam": [0.97, 0.969, 0.971, 0.970, 0.972],
    "Momentum": [0.968, 0.972, 0.969, 0.971, 0.973],
}


def test_the_reference_is_alig_unless_asked(make_run, accuracy_problem):
    runs = runs_of(make_run, FINALS)
    board = leaderboard(runs, accuracy_problem)
    rows = {row.label: row for row in board.rows}
    assert {row.reference for row in board.rows} == {"AliG"}
    assert rows["AliG"].to_reference is None
    assert rows["SGD"].to_reference.difference.mean == pytest.approx(-0.0480, abs=1e-4)
    frame = board.frame.set_index("label")
    assert frame["to_reference_mean"]["SGD"] == pytest.approx(-0.0480, abs=1e-4)
    text = to_text(board.table, 160)
    assert "vs best" in text
    assert "vs AliG" in text
    # Where ALI-G is the best, or takes no part, one column says it all.
    without = [run for run in runs if run.optimizer_name not in ("Adam", "Momentum")]
    assert "vs AliG" not in to_text(leaderboard(without, accuracy_problem).table, 160)
    for name in ("momentum", "MOMENTUM", "Momentum"):
        board = leaderboard(runs, accuracy_problem, reference=name)
        assert board.rows[0].reference == "Momentum"
        assert "vs Momentum" in to_text(board.table, 160)
    with pytest.raises(UsageError, match=r"unknown reference 'momentun'; did you mean Momentum\?"):
        leaderboard(runs, accuracy_problem, reference="momentun")


def test_the_best_of_the_settings_is_the_reference(make_run, accuracy_problem):
    runs = [
        make_run("SGD", seed, final + seed / 1e4, hyperparams={"lr": lr})
        for lr, final in ((0.1, 0.8), (0.3, 0.9))
        for seed in (1, 2, 3)
    ]
    runs += runs_of(make_run, {"Adam": [0.95, 0.96, 0.955]})
    board = leaderboard(runs, accuracy_problem, reference="sgd")
    assert board.rows[0].reference == "SGD (lr=0.3)"


# --- Failures --------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.DONE])
def test_no_failure_lets_the_survivors_rank_first(make_run, accuracy_problem, outcome):
    runs = runs_of(make_run, {"Whole": [0.90, 0.91, 0.92, 0.90, 0.91], "Risky": [0.99, 0.99]})
    runs += [make_run("Risky", seed, 0.99, outcome=outcome) for seed in (3, 4, 5)]
    board = leaderboard(runs, accuracy_problem)
    whole, risky = board.rows
    assert (whole.label, whole.tied) == ("Whole", False)
    assert (risky.n_done, risky.unfinished) == (2, {outcome.value: 3})
    assert risky.to_best is None  # a mean over survivors is compared with nothing
    assert risky.median is None
    text = to_text(board.table, 160)
    assert f"3 of 5\n{outcome.value}" in board.table.cells[1][3].text
    assert f"Below, whatever its other runs: Risky (3 of 5 {outcome.value})." in text
    assert "no result" in text
    assert board.frame[f"n_{outcome.value.replace(' ', '_')}"].tolist() == [0, 3]


def test_a_median_counts_failures_as_worst(make_run, accuracy_problem, loss_problem):
    runs = runs_of(make_run, {"A": [0.90, 0.92, 0.94, 0.96]})
    runs += [make_run("A", 5, diverged_after=1)]
    (row,) = leaderboard(runs, accuracy_problem).rows
    assert row.median == 0.92
    (row,) = leaderboard(runs, loss_problem).rows
    assert row.median == pytest.approx(0.08)
    assert row.unfinished_text == "1 of 5 diverged"
    runs += [make_run("A", 6, outcome=Outcome.FAILED)]
    (row,) = leaderboard(runs, accuracy_problem).rows
    assert row.unfinished_text == "1 of 6 diverged, 1 failed"
    assert row.median == pytest.approx(0.91)


# --- Verdicts --------------------------------------------------------------------------------


def test_the_verdict_says_what_is_excluded_and_what_is_open(make_run, accuracy_problem):
    first, worse, open_, *rest = leaderboard(runs_of(make_run, FINALS), accuracy_problem).verdict
    assert first == "Momentum has the best mean; not told apart from it: Adam."
    assert worse == "Worse than Momentum: AliG by 1.3 to 2.3 points, SGD by 6.2 to 7.0 points."
    assert open_.startswith("Open against Momentum: Adam (0.29 points worse to 0.25 better; more")
    assert rest == [
        "Worse than AliG: SGD by 4.5 to 5.1 points.",
        "Better than AliG: Adam by 1.2 to 2.4 points.",  # Momentum's is said above
    ]


def test_the_verdict_of_losses(make_run, loss_problem):
    first, worse, *_ = leaderboard(runs_of(make_run, FINALS), loss_problem).verdict
    assert first == "Momentum has the best mean; not told apart from it: Adam."
    assert worse == "Worse than Momentum: AliG by 0.013 to 0.023, SGD by 0.062 to 0.070."


def test_one_seed_says_so(make_run, accuracy_problem):
    board = leaderboard([make_run("A", 1, 0.8), make_run("B", 1, 0.9)], accuracy_problem)
    assert board.verdict == ["B has the highest test accuracy; nothing is told apart."]
    assert board.warnings == [
        "One seed each: no intervals, and nothing is told apart. Add seeds, five or more."
    ]
    text = to_text(board.table)
    assert "90.00 % (n=1, no interval)" in text
    assert "vs best" not in text
    assert "Student" not in text


@pytest.mark.parametrize(("n", "warned"), [(2, True), (4, True), (5, False)])
def test_few_seeds_are_warned_of(make_run, accuracy_problem, n, warned):
    board = leaderboard(runs_of(make_run, {"A": [0.9] * n, "B": [0.8] * n}), accuracy_problem)
    assert any("Fewer than 5 seeds" in text for text in board.warnings) == warned


# --- How many seeds --------------------------------------------------------------------------


def test_seeds_to_tell_by_its_formula():
    differences = [0.5, -0.1, 0.3, 0.4, -0.2]
    mean, deviation = np.mean(differences), np.std(differences, ddof=1)
    for tests in (1, 6):
        n = int(seeds_to_tell(differences, tests))

        def needed(n, tests=tests):
            t = stats.t(n - 1)
            return (t.ppf(1 - 0.025 / (2 * tests)) + t.ppf(0.8)) * deviation / math.sqrt(n)

        assert needed(n) <= mean < needed(n - 1)


def test_so_many_seeds_do_tell():
    """With as many seeds as it asks for, four of five studies call the win."""
    ratio = 0.8
    n = int(seeds_to_tell([ratio - 2**-0.5, ratio + 2**-0.5], 3))
    generator = np.random.default_rng(3)
    wins = 0
    for _ in range(300):
        own = dict(enumerate(generator.normal(ratio, 1, n)))
        zero = dict.fromkeys(range(n), 0.0)
        scores = {"A": own, "B": zero, "C": zero, "D": zero}
        pairs = compare_pairs(scores, [("A", other) for other in "BCD"], True)
        wins += pairs[0].separated
    assert 0.72 < wins / 300 < 0.93


def test_seeds_to_tell_at_the_ends():
    assert math.isnan(seeds_to_tell([0.3]))
    assert math.isnan(seeds_to_tell([]))
    assert seeds_to_tell([0.0, 0.0, 0.0]) == math.inf
    assert seeds_to_tell([1e-9, -1.0, 1.0]) == math.inf  # more than a million
    # Without any spread the sign-flip test decides: 2 / 2^7 is below 0.025, 2 / 2^6 is not.
    assert seeds_to_tell([0.5, 0.5]) == 7
    assert seeds_to_tell([0.5, 0.5], tests=6) == 9
    assert seeds_to_tell([10.0, 10.1, 9.9]) >= 2


# --- Intervals of accuracies -----------------------------------------------------------------


def test_intervals_of_accuracies_stay_in_range():
    found = share_interval([0.9, 0.99, 0.8])  # the kind: t gives up to 1.13
    assert mean_interval([0.9, 0.99, 0.8]).high > 1
    assert 0 < found.low < found.mean < found.high < 1
    # By hand: the half width over m (1 - m), around the logit of m.
    mean = np.mean([0.9, 0.99, 0.8])
    half = 4.302652729911275 * np.std([0.9, 0.99, 0.8], ddof=1) / math.sqrt(3)
    logit = math.log(mean / (1 - mean)) + half / (mean * (1 - mean))
    assert found.high == pytest.approx(1 / (1 + math.exp(-logit)))
    assert share_interval([1.0, 1.0]).high == 1.0
    assert share_interval([0.0, 1.0]).low == pytest.approx(0.0, abs=1e-6)
    assert not share_interval([0.5]).known
    assert share_interval([]).n == 0
    with pytest.raises(UsageError, match="between 0 and 1"):
        share_interval([0.5, 1.5])


@pytest.mark.parametrize("n", [3, 5, 10])
def test_coverage_near_the_end(n):
    """Accuracies of 99.5 ± 0.4 %: the t interval covers 91 % and leaves [0, 1]."""
    generator = np.random.default_rng(n)
    k = 0.995 * 0.005 / 0.004**2 - 1
    covered = outside = plain = 0
    for _ in range(1000):
        values = generator.beta(0.995 * k, 0.005 * k, n).tolist()
        found, t = share_interval(values), mean_interval(values)
        covered += found.low <= 0.995 <= found.high
        plain += t.low <= 0.995 <= t.high
        outside += found.high > 1 or found.low < 0
    assert outside == 0
    assert covered >= 920
    assert covered > plain


def test_a_leaderboard_shows_that_interval(make_run, accuracy_problem, loss_problem):
    runs = runs_of(make_run, {"A": [0.9, 0.99, 0.8]})
    assert leaderboard(runs, accuracy_problem).rows[0].headline == share_interval([0.9, 0.99, 0.8])
    losses = [run.test_data_losses[-1] for run in runs]
    assert leaderboard(runs, loss_problem).rows[0].headline == mean_interval(losses)
