"""docs/results.md and README's table are what the results say; the campaign's plan is one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import results_page

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
import campaign


@pytest.mark.parametrize(
    ("path", "make"),
    [(results_page.PAGE, results_page.page), (results_page.README, results_page.readme)],
)
def test_every_number_is_computed_from_the_results(path, make):
    assert path.read_text(encoding="utf-8") == make(), "python tools/results_page.py"


def test_a_piece_of_the_campaign_is_a_command_that_resumes(tmp_path):
    pieces = campaign.pieces(str(tmp_path), "data")
    assert len({piece.name for piece in pieces}) == len(pieces)
    assert {piece.device for piece in pieces} == {"cpu", "gpu"}
    for piece in pieces:
        from alig_deepobs.cli.compare import compare
        from alig_deepobs.cli.reproduce import reproduce

        verb, *words = piece.words
        {"compare": compare, "reproduce": reproduce}[verb].make_context(verb, list(words))
        assert "--offline" in words  # what is missing is open, and not downloaded on the way


def test_the_state_of_a_piece(tmp_path, monkeypatch):
    """What `--dry_run` says, read: what is there, what is left, why it cannot be run."""
    words = ("compare", "two_d_beale", "--protocol", "defaults", "--optimizers", "sgd", "-N", "1")
    piece = campaign.Piece("beale", (*words, "--output_dir", str(tmp_path)), 1.0)
    assert campaign.state_of(piece).is_open
    assert campaign.carry_out(piece, 120.0, 1)
    state = campaign.state_of(piece)
    assert (state.total, state.found, state.is_open) == (3, 3, False)
    assert str(state) == "measured, 3 runs"
    broken = campaign.Piece("beale", ("compare", "two_d_beal", "--optimizers", "sgd"), 1.0)
    assert "did you mean two_d_beale" in str(campaign.state_of(broken))
