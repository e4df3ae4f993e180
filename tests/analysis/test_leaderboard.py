import math
from dataclasses import replace

import pytest

from alig_deepobs.analysis import comparable_groups, leaderboard, to_text
from alig_deepobs.analysis.columns import COLUMNS
from alig_deepobs.analysis.frames import runs_frame
from alig_deepobs.errors import UsageError
from alig_deepobs.run import Outcome

SEEDS = (1, 2, 3)


def value(name, row):
    (column,) = (column for column in COLUMNS if column.name == name)
    return column.value_of(row)


def runs_of(make_run, label, finals, **changes):
    return [make_run(label, seed, final, **changes) for seed, final in enumerate(finals, 1)]


def test_planted_winner_is_found(make_run, accuracy_problem):
    runs = [
        *runs_of(make_run, "SGD", [0.80, 0.81, 0.82]),
        *runs_of(make_run, "AliG", [0.95, 0.96, 0.97]),
    ]
    board = leaderboard(runs, accuracy_problem)
    first, second = board.rows
    assert (first.label, first.rank, first.tied) == ("AliG", 1, False)
    assert first.headline.mean == pytest.approx(0.96)
    assert second.separated
    assert second.difference.mean == pytest.approx(-0.15)
    assert not second.tied
    assert (first.n_reached, second.n_reached) == (3, 0)
    assert value("median_epochs", first) == 2
    assert value("median_epochs", second) is None
    assert value("seconds_per_epoch", first).mean == 2.0


def test_ties_are_no_wins(make_run, accuracy_problem):
    runs = [
        *runs_of(make_run, "A", [0.95, 0.90, 0.97]),
        *runs_of(make_run, "B", [0.94, 0.95, 0.90]),
        *runs_of(make_run, "C", [0.50, 0.51, 0.52]),
    ]
    rows = leaderboard(runs, accuracy_problem).rows
    assert [(row.label, row.tied) for row in rows] == [("A", True), ("B", True), ("C", False)]
    assert not rows[1].separated


def test_lower_loss_wins(make_run, loss_problem):
    runs = [*runs_of(make_run, "A", [0.5] * 3), *runs_of(make_run, "B", [0.7] * 3)]
    rows = leaderboard(runs, loss_problem).rows
    assert [row.label for row in rows] == ["B", "A"]
    # The data term is ranked, not the objective with its L2 term.
    assert rows[0].headline.mean == pytest.approx(0.3)


def test_final_value_ranks_not_the_best(make_run, accuracy_problem):
    peaked = [
        replace(run, test_accuracies=[0.1, 0.99, 0.5]) for run in runs_of(make_run, "P", SEEDS)
    ]
    rows = leaderboard([*peaked, *runs_of(make_run, "Q", [0.6] * 3)], accuracy_problem).rows
    assert [row.label for row in rows] == ["Q", "P"]
    assert value("best_headline", rows[1]).mean == pytest.approx(0.99)
    assert rows[1].n_reached == 3


def test_diverged_runs_sink_and_show(make_run, accuracy_problem):
    runs = [
        *runs_of(make_run, "Steady", [0.5, 0.5, 0.5]),
        *runs_of(make_run, "Risky", [0.99, 0.99]),
        make_run("Risky", 3, diverged_after=1),
        *[make_run("Lost", seed, diverged_after=0) for seed in SEEDS],
    ]
    steady, risky, lost = leaderboard(runs, accuracy_problem).rows
    assert (steady.label, risky.label, lost.label) == ("Steady", "Risky", "Lost")
    assert (risky.n_seeds, risky.n_done, risky.unfinished) == (3, 2, {"diverged": 1})
    assert risky.note.startswith("1 of 3 diverged")
    assert not risky.tied
    assert lost.headline.n == 0
    assert math.isnan(lost.headline.mean)
    assert "3 of 3 diverged" in lost.note


def test_interrupted_runs_are_named(make_run, accuracy_problem):
    runs = [make_run(seed=1), make_run(seed=2, outcome=Outcome.INTERRUPTED)]
    (row,) = leaderboard(runs, accuracy_problem).rows
    assert (row.n_done, row.unfinished, row.headline.n) == (1, {"interrupted": 1}, 1)
    assert "1 of 2 interrupted" in row.note


def test_one_seed_separates_nothing(make_run, accuracy_problem):
    rows = leaderboard([make_run("A", final=0.1), make_run("B", final=0.9)], accuracy_problem).rows
    assert [row.label for row in rows] == ["B", "A"]
    assert all(row.tied for row in rows)
    assert not rows[0].headline.known


def test_settings_of_one_optimizer_get_rows_of_their_own(make_run, accuracy_problem):
    runs = [make_run(hyperparams={"lr": rate, "momentum": 0.9}) for rate in (0.1, 0.01)]
    labels = {row.label for row in leaderboard(runs, accuracy_problem).rows}
    assert labels == {"SGD (lr=0.1)", "SGD (lr=0.01)"}


def test_tuples_and_lists_are_one_setting(make_run, accuracy_problem):
    runs = [
        make_run(seed=1, hyperparams={"betas": (0.9, 0.99)}),
        make_run(seed=2, hyperparams={"betas": [0.9, 0.99]}),
    ]
    assert len(leaderboard(runs, accuracy_problem).rows) == 1


def test_the_latest_of_two_results_of_a_run_counts(make_run, accuracy_problem):
    late = make_run(final=0.8, started="2026-01-01T12:00:00.5+00:00")
    early = make_run(final=0.2, started="2026-01-01T12:00:00.4+00:00")
    unfinished = make_run(final=0.3, outcome=Outcome.INTERRUPTED, started="2027-01-01T00:00:00")
    (row,) = leaderboard([late, early, unfinished], accuracy_problem).rows
    assert (row.headline.mean, row.n_seeds, row.note) == (0.8, 1, "")


def test_different_seeds_are_named(make_run, accuracy_problem):
    runs = [*[make_run("A", s) for s in (1, 2)], *[make_run("B", s, 0.8) for s in (2, 3)]]
    assert "1 seed in common" in leaderboard(runs, accuracy_problem).rows[1].note


def test_sources_by_label_or_name(make_run, accuracy_problem):
    runs = [make_run("AliG"), make_run("SGD"), make_run("Adam")]
    board = leaderboard(runs, accuracy_problem, {"AliG": "ours", "sgd": "theirs"})
    assert {row.label: row.setting_source for row in board.rows} == {
        "AliG": "ours", "SGD": "theirs", "Adam": ""
    }  # fmt: skip


def test_order_of_input_does_not_matter(make_run, accuracy_problem):
    runs = [*runs_of(make_run, "A", [0.9] * 3), *runs_of(make_run, "B", [0.9] * 3)]
    forward = leaderboard(runs, accuracy_problem)
    assert str(forward) == str(leaderboard(runs[::-1], accuracy_problem))
    assert [row.label for row in forward.rows] == ["A", "B"]


def test_frame(make_run, accuracy_problem):
    frame = leaderboard(runs_of(make_run, "A", [0.8, 0.9]), accuracy_problem).frame
    assert frame["headline_mean"][0] == pytest.approx(0.85)
    assert frame["headline_n"][0] == 2
    assert frame["seeds"][0] == "1 2"
    assert frame["metric"][0] == "test accuracy"


def test_nothing_to_compare(accuracy_problem):
    with pytest.raises(UsageError, match="no runs of toy"):
        leaderboard([], accuracy_problem)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"testproblem": "other"}, "run of other"),
        ({"data_label": "Toy data (synthetic twin)"}, "data .*synthetic twin"),
        ({"epochs": 5}, "number of epochs .2 / 5"),
        ({"split": "validation"}, "split"),
    ],
)
def test_what_cannot_be_compared_is_refused(make_run, accuracy_problem, changes, words):
    with pytest.raises(UsageError, match=words):
        leaderboard([make_run(), make_run("B", **changes)], accuracy_problem)


def test_missing_metric_is_refused(make_run, accuracy_problem):
    with pytest.raises(UsageError, match="no test accuracy"):
        leaderboard([make_run(test_accuracies=[])], accuracy_problem)


def test_comparable_groups(make_run):
    runs = [make_run(), make_run("B"), make_run(epochs=5)]
    assert [len(members) for members in comparable_groups(runs)] == [2, 1]


def test_frameworks_are_not_mixed(accuracy_problem, make_run):
    """One seed means other weights in the other framework, so nothing is paired."""
    runs = [make_run(seed=seed) for seed in (1, 2)]
    runs += [make_run(seed=seed, framework="tensorflow") for seed in (1, 2)]
    assert [of[0].framework for of in comparable_groups(runs)] == ["pytorch", "tensorflow"]
    assert leaderboard(runs[2:], accuracy_problem).heading.endswith("in tensorflow")
    with pytest.raises(UsageError, match=r"differ in framework \(pytorch / tensorflow\)"):
        leaderboard(runs, accuracy_problem)


def test_at_the_best_validation(accuracy_problem, make_run):
    def selected(seed, accuracy):
        return make_run(
            seed=seed,
            best_valid_epoch=1,
            best_valid_test_accuracy=accuracy,
            best_valid_test_loss=0.5,
            epoch_mean_losses=[0.4, 0.25],
        )

    runs = [selected(1, 0.7), selected(2, 0.8), make_run("B", seed=1), make_run("B", seed=2)]
    board = leaderboard(runs, accuracy_problem)
    found = {row.label: value("at_best_valid", row) for row in board.rows}
    assert (found["SGD"].mean, found["SGD"].n) == (pytest.approx(0.75), 2)
    assert found["B"].n == 0
    text = to_text(board.table)
    assert "75.00 %" in text
    assert "At best valid.: test accuracy after the epoch with the best validation result" in text
    without = to_text(leaderboard(runs[2:], accuracy_problem).table)
    assert "At best valid." not in without
    frame = runs_frame(runs)
    assert frame["best_valid_test_accuracy"].tolist()[:2] == [0.7, 0.8]
    assert frame["final_epoch_mean_loss"].tolist()[0] == 0.25
    assert frame["best_valid_epoch"].isna().tolist() == [False, False, True, True]


def test_the_heading_says_what_all_rows_share(make_run, accuracy_problem):
    one = leaderboard(runs_of(make_run, "A", [0.9, 0.8], epochs=1), accuracy_problem).heading
    assert one == "Toy (toy): Toy data, 1 epoch, batch size 32, seeds 1, 2, cpu, full split"
    runs = [
        make_run("A", batch_size=64, environment={"device": "cuda"}, framework="tensorflow"),
        make_run("A", seed=2, batch_size=32, framework="tensorflow", environment={}),
    ]
    assert leaderboard(runs, accuracy_problem).heading == (
        "Toy (toy): Toy data, 2 epochs, batch size 32 / 64, seeds 1, 2, cuda, full split, "
        "in tensorflow"
    )
    bare = make_run("A", data_label="", environment={})
    assert "data not recorded" in leaderboard([bare], accuracy_problem).heading
    assert "device not recorded" in leaderboard([bare], accuracy_problem).heading


def test_few_seeds_are_a_warning(make_run, accuracy_problem):
    def warnings(*finals):
        return leaderboard(runs_of(make_run, "A", finals), accuracy_problem).warnings

    assert "One seed each" in warnings(0.9)[0]
    assert "Fewer than 5 seeds" in warnings(0.9, 0.8)[0]
    assert "Fewer than 5 seeds" in warnings(0.9, 0.8, 0.85, 0.87)[0]
    assert warnings(0.9, 0.8, 0.85, 0.87, 0.88) == []
    mixed = [*runs_of(make_run, "A", [0.9] * 5), make_run("B", 1, 0.8)]
    assert "Fewer than 5 seeds" in leaderboard(mixed, accuracy_problem).warnings[0]


def test_the_first_and_what_is_tied_with_it_are_set_off(make_run, accuracy_problem):
    runs = [
        *runs_of(make_run, "A", [0.95, 0.90, 0.97]),
        *runs_of(make_run, "B", [0.94, 0.95, 0.90]),
        *runs_of(make_run, "C", [0.50, 0.51, 0.52]),
    ]
    table = leaderboard(runs, accuracy_problem).table
    assert [table.strong(row) for row in table.rows] == [True, True, False]
    alone = leaderboard(runs_of(make_run, "A", [0.9, 0.8]), accuracy_problem).table
    assert alone.strong(alone.rows[0])
    assert table.notes.count("") == 2  # a blank line before the settings, and one after
    assert not any("XX" in note for note in table.notes)
