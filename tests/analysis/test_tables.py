import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from alig_deepobs.analysis import (
    Interval,
    format_interval,
    leaderboard,
    to_markdown,
    to_rich,
    to_text,
)


@pytest.fixture
def board(make_run, accuracy_problem):
    runs = [
        *[make_run("AliG", seed, 0.9731 + seed / 1000) for seed in (1, 2, 3)],
        *[make_run("Adam", seed, 0.9730 + seed**2 / 1000) for seed in (1, 2, 3)],
        *[make_run("SGD", seed, 0.6) for seed in (1, 2, 3)],
        *[make_run("Momentum", seed, 0.98) for seed in (1, 2)],
        make_run("Momentum", 3, diverged_after=1),
    ]
    return leaderboard(runs, accuracy_problem, {"SGD": "a note on where [x] it comes from"})


def test_plain_text(board):
    text = to_text(board.table, width=180)
    lines = text.splitlines()
    assert all(len(line) <= 180 for line in lines)
    assert lines[0] == ("Toy (toy): Toy data, 2 epochs, batch size 32, seeds 1–3, cpu, full split")
    assert "\x1b" not in text
    assert "Train loss" in lines[2]
    assert "SGD: lr=0.1 (a note on where [x] it comes from)" in text
    assert "source of the setting not given" in text


def test_no_bare_mean(board, make_run, accuracy_problem):
    single = leaderboard([make_run()], accuracy_problem)
    # A median is none.
    table = replace(board.table, columns=[c for c in board.table.columns if c.name != "median"])
    for text in (to_text(table), to_markdown(table), to_text(single.table)):
        for match in re.finditer(r"\d % ?(.?)", text):
            after = text[match.start() + 3 :].lstrip()
            assert after.startswith(
                (
                    "[",
                    "(n=1, no interval)",
                    "(all ",
                    "Student",
                    "interval",
                    "(a run",
                    "t interval",
                )
            ), after[:40]
    assert "90.00 % (n=1, no interval)" in to_text(single.table)


def test_marks(board):
    text = to_text(board.table)
    assert re.search(r"^ ?1= +(AliG|Adam)", text, re.MULTILINE)
    assert re.search(r"^ ?2= +(AliG|Adam)", text, re.MULTILINE)
    assert re.search(r"^ ?3 +SGD", text, re.MULTILINE)
    assert re.search(r"^ ?4 +Momentum .*[])] †.*1 of 3", text, re.MULTILINE)
    assert "p above 0.025" in text
    assert "† : over the runs that finished" in text


def test_narrow_terminal_keeps_the_result_and_says_what_went(board):
    text = to_text(board.table, width=80)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "60.00 % (all 3 alike)" in text
    assert re.search(r"Left out for lack of width: .*Train loss", text)


def test_rich_on_a_terminal(board):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(to_rich(board.table, 80))
    assert "AliG" in console.export_text()


def test_markdown_has_all_columns(board):
    text = to_markdown(board.table)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 4
    assert len({line.count("|") for line in table}) == 1
    assert "Train loss" in table[0]
    assert "1 of 3 diverged" in text


def test_interpolation_warning(board, make_run, loss_problem):
    assert "does not interpolate" in to_text(leaderboard([make_run()], loss_problem).table)
    assert "does not interpolate" not in to_text(board.table)


def test_target_footnote(board):
    assert "test accuracy 90.00 %" in to_text(board.table, width=180)


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(87.3974, 87.2765, 87.5183, 10), "87.40 [87.28, 87.52]"),
        (Interval(1.2e-6, 0.9e-6, 1.5e-6, 3), "1.2e-06 [9.0e-07, 1.5e-06]"),
        (Interval(0.0, 0.0, 0.0, 3), "0.000 (all 3 alike)"),
        (Interval(353.447, 353.447, 353.447, 2), "353.4 (all 2 alike)"),
        (Interval(169680.8, 169000.0, 170361.6, 2), "1.7e+05 [1.7e+05, 1.7e+05]"),
        (Interval(-0.5, -1.5, 0.5, 3), "-0.5 [-1.5, 0.5]"),
    ],
)
def test_numbers(interval, text):
    assert format_interval(interval) == text
