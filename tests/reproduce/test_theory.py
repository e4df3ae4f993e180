"""Figures 1 and 2 and the theorems: they hold, and they notice a wrong optimizer."""

from __future__ import annotations

import json
import math
from functools import partial

import pytest

from alig_deepobs import AliG
from alig_deepobs.errors import UsageError
from alig_deepobs.optimizers.polyak import Polyak
from alig_deepobs.reproduce.theory import figure2 as second
from alig_deepobs.reproduce.theory import theorems as module
from alig_deepobs.reproduce.theory.claims import Claim, violated
from alig_deepobs.reproduce.theory.demonstrate import demonstrate
from alig_deepobs.reproduce.theory.figure1 import figure1
from alig_deepobs.reproduce.theory.figure2 import cycling_share, figure2, valley
from alig_deepobs.reproduce.theory.pictures import draw_figure2
from alig_deepobs.reproduce.theory.theorems import theorems

# Functions and caps are made to show what steps do at their limits.
pytestmark = pytest.mark.filterwarnings("ignore::alig_deepobs.HealthWarning")


class TooLong(AliG):
    """Takes three times the step."""

    def step(self, closure=None, *, loss=None):
        return super().step(closure, loss=3 * loss)


class TooShort(AliG):
    """Takes half of the step."""

    def step(self, closure=None, *, loss=None):
        return super().step(closure, loss=loss / 2)


@pytest.mark.parametrize(
    ("observed", "relation", "bound", "holds"),
    [
        (1.0, "<=", 1.0, True),
        (1.0 + 1e-6, "<=", 1.0, False),
        (-2.0, "<=", 1.0, True),
        (0.9, ">=", 1.0, False),
        (1.1, ">=", 1.0, True),
        (1.0 + 1e-12, "=", 1.0, True),
        (1.1, "=", 1.0, False),
        (math.inf, ">=", 1.0, False),
        (math.nan, "<=", 1.0, False),
    ],
)
def test_checks(observed, relation, bound, holds):
    claim = Claim("T", "x", observed, relation, bound)
    assert claim.holds is holds
    assert str(claim).startswith("ok" if holds else "VIOLATED")
    assert violated([claim]) == ([] if holds else [claim])


@pytest.mark.parametrize("polyak", [Polyak, partial(AliG, max_lr=None, eps=0.0)])
def test_figure_1(polyak):
    claims, walks = figure1(polyak)
    assert len(claims) == 6
    assert not violated(claims)
    assert walks[0] == [7.0, 5.0, 4.0, 3.5, 3.25]


@pytest.mark.parametrize("wrong", [TooLong, TooShort])
def test_figure_1_notices_wrong_steps(wrong):
    claims, _ = figure1(partial(wrong, max_lr=None, eps=0.0))
    assert violated(claims)


def test_figure_2(tmp_path):
    claims, shown = figure2(Polyak, AliG)
    assert not violated(claims)
    path = draw_figure2(shown, tmp_path / "fig2.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert shown.polyak[:4] == pytest.approx([2.0, -2.0, 2.0, -2.0], rel=1e-12)
    assert abs(shown.capped[-1]) < 1e-4
    for cap, share in shown.shares.items():
        # Those that cycle from the first step on never converge; others may jump into the cycle.
        assert share >= cycling_share(cap) - 0.02


def test_figure_2_notices_an_optimizer_without_the_cap(monkeypatch):
    monkeypatch.setattr(second, "CAPS_BELOW", (5.0,))
    monkeypatch.setattr(second, "STARTS", (2.0,))
    monkeypatch.setattr(second, "CAPS_AROUND", (9.9, 80.0))

    def uncapped(params, max_lr=None, eps=0.0):
        return AliG(params, max_lr=None, eps=eps)

    bad = " ".join(claim.statement for claim in violated(figure2(Polyak, uncapped)[0]))
    assert "steps that do not decrease |w|" in bad
    assert "largest last |w|" in bad
    assert "highest cap tried with which every start converges" in bad


def test_the_valley_is_continuous_and_even():
    for w in (0.5, 1.0, 4.0):
        below, above = valley(w - 1e-9), valley(w + 1e-9)
        assert below == pytest.approx(above, abs=1e-7)
        value, slope = valley(w)
        assert valley(-w) == (value, -slope)


def test_theorems(monkeypatch):
    monkeypatch.setattr(module, "STEPS", 300)
    claims = theorems(AliG)
    assert {claim.name for claim in claims} == {
        "F1", "F2", "F3", "F4", "F5", "F6", "Proposition 1", "Theorem 1", "Theorem 2",
    }  # fmt: skip
    assert not violated(claims), "\n".join(map(str, violated(claims)))


def test_theorems_notice_steps_that_are_too_long(monkeypatch):
    monkeypatch.setattr(module, "STEPS", 300)
    bad = {claim.name for claim in violated(theorems(TooLong))}
    # Theorem 2 stays: its caps are so small that they bind either way.
    assert {"F1", "F2", "F3", "F4", "Proposition 1"} <= bad


def test_theorems_notice_steps_that_are_too_short(monkeypatch):
    monkeypatch.setattr(module, "STEPS", 300)
    assert {claim.name for claim in violated(theorems(TooShort))} >= {"F1", "Proposition 1"}


def test_files(tmp_path):
    claims, written = demonstrate("fig1", tmp_path)
    assert [path.name for path in written] == ["fig1.png", "fig1.json"]
    assert written[0].read_bytes().startswith(b"\x89PNG")
    stored = json.loads(written[1].read_text())
    assert [entry["holds"] for entry in stored] == [claim.holds for claim in claims]


def test_unknown_demonstration(tmp_path):
    with pytest.raises(UsageError, match="unknown demonstration"):
        demonstrate("fig3", tmp_path)
