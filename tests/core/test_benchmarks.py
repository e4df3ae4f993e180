"""The page of ratios is that of the committed file, and goals are read as they are written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def checkout(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "benchmarks"]:
        del sys.modules[name]


def test_the_page_is_made_of_the_file():
    from benchmarks.page import page

    content = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))
    assert (ROOT / "docs" / "performance.md").read_text(encoding="utf-8") == page(content)


def test_new_ratios_stand_where_those_of_the_same_case_stood():
    from benchmarks.__main__ import merged
    from benchmarks.measure import Ratio

    def made(case, value):
        return Ratio("step", case, "a", "b", value, 0.0, 0.0, 0.0, 1)

    old, new = [made(case, 1.0) for case in "pqr"], [made(case, 2.0) for case in "sq"]
    assert [(each.case, each.ratio) for each in merged(old, new)] == [
        ("p", 1.0), ("q", 2.0), ("r", 1.0), ("s", 2.0)
    ]  # fmt: skip


def test_ratios_are_taken_round_by_round():
    from benchmarks.measure import ratio

    seen = {"a": [2.0, 4.0, 12.0, 8.0, 10.0], "b": [1.0, 2.0, 4.0, 4.0, 5.0]}
    found = ratio("figure", "case", "a", "b", seen, "<= 2.0")
    assert (found.ratio, found.seconds, found.rounds) == (2.0, 8.0, 5)
    assert found.is_met
    assert ratio("figure", "case", "a", "b", seen, ">= 8", factor=4.0).is_met
    assert ratio("figure", "case", "a", "b", seen, "<= 1.9").is_met is False
    assert ratio("figure", "case", "a", "b", seen).is_met is None


def test_functions_take_turns_after_a_warm_up():
    from benchmarks.measure import times

    calls, ticks = [], iter(range(100))
    functions = {name: lambda name=name: calls.append(name) for name in "ab"}
    seen = times(functions, 2, clock=lambda: next(ticks), calls=2)
    assert "".join(calls) == "ab" + "aabb" * 2
    assert seen == {"a": [0.5, 0.5], "b": [0.5, 0.5]}


@pytest.mark.parametrize("figure", ["step", "loop"])
def test_figures_can_be_measured(figure):
    import importlib

    found = importlib.import_module(f"benchmarks.{figure}").measure(2, "digits")
    assert found
    assert all(0 < each.ratio < 100 and each.rounds == 2 for each in found)
