"""Ten questions of somebody who sees the page for the first time, and where the page answers each.

"Where" is a selector; the pattern is what must stand there, readable without another file. Only the
command that repeats a row may be a click away.
"""

from __future__ import annotations

import re

import pytest

from alig_deepobs.results import write_result
from alig_deepobs.run import Outcome

QUESTIONS = {
    "Which is best?": (
        "#digits-mlp .verdict", r"^Mine is ahead of all others\.$"
    ),
    "By how much?": (
        "#digits-mlp .evidence", r"Worse than Mine: .*Adam by \d\.\d to \d\.\d points"
    ),
    "How sure is that?": (
        "#digits-mlp .board", r"\[\d+\.\d\d, \d+\.\d\d\][\s\S]*worse, p (= 0\.\d+|< 0\.001)"
    ),
    "What does tuning cost?": (
        ".facts", r"Tuning runs\s+8\s[\s\S]*Time of tuning\s+\d+(\.\d+)? (s|min|h)"
    ),
    "Is mine better than Adam?": (
        "#digits-mlp .board", r"vs Adam[\s\S]*Mine[\s\S]*\+\d\.\d+\s*\[\+\d\.\d+, \+\d\.\d+\]"
    ),
    "How many seeds, and are they enough?": (
        "#digits-mlp .evidence", r"SGD \(.*about \d+ seeds would tell\)"
    ),
    "Which data?": (".facts", r"Data\s+Digits \(scikit-learn\)"),
    "On what machine?": (".facts", r"Devices\s+a CPU\s[\s\S]*Frameworks\s+torch 2\.13\.0"),
    "How do I repeat it?": (
        "#digits-mlp tbody[data-optimizer='Adam'] details", r"alig-deepobs run digits_mlp .*adam"
    ),
    "Where does it fail?": (
        "#digits-mlp", r"Below, whatever its other runs: Momentum \(2 of 6 diverged\)"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory, run_maker):
    """Mine is planted as the winner, SGD level with Adam, Momentum as one that diverges."""
    from alig_deepobs.analysis.report import build_report
    from alig_deepobs.analysis.report.page import write_page

    folder = tmp_path_factory.mktemp("questions")
    for label, mean in {"Mine": 0.95, "Adam": 0.92, "SGD": 0.919, "Momentum": 0.96}.items():
        for seed in range(42, 48):
            noise = 0.002 * ((seed * len(label)) % 5 - 2)
            changes = (
                {"outcome": Outcome.DIVERGED} if (label, seed // 44) == ("Momentum", 0) else {}
            )
            write_result(run_maker("digits_mlp", label, seed, mean + noise, **changes), folder)
    for rate in (0.01, 0.1, 0.3, 1.0):
        for label in ("Mine", "Adam"):
            run = run_maker("digits_mlp", label, 1000, 0.9, hyperparams={"lr": rate},
                            purpose="tuning", split="validation")  # fmt: skip
            write_result(run, folder)
    return write_page(build_report([folder], (), "adam"), folder / "page.html")


@pytest.fixture(scope="module")
def opened(browser, page):
    found = browser.new_page(viewport={"width": 1280, "height": 900})
    found.goto(page.as_uri())
    yield found
    found.close()


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_page_answers(question, opened):
    where, pattern = QUESTIONS[question]
    place = opened.locator(where).first
    assert place.is_visible()
    if where.endswith("details"):
        place.locator("summary").click()
    assert re.search(pattern, place.inner_text()), place.inner_text()
