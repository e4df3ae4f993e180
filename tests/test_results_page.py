"""docs/results.md and README's table are what the results say; the campaign's plan is one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import results_page
from click.testing import CliRunner

from alig_deepobs.baselines import measured_grid, measured_results

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
import campaign


@pytest.mark.parametrize(
    ("path", "make"),
    [
        (results_page.PAGE, results_page.page),
        (results_page.WINNING, lambda: results_page.winning_page.page(results_page._boards())),
        (results_page.README, results_page.readme),
    ],
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


def test_a_campaign_goes_on_from_what_is_committed(tmp_path):
    (piece,) = (each for each in campaign.pieces(str(tmp_path), None) if each.name == "mnist_mlp")
    campaign.take_committed(piece)
    files = len(list(tmp_path.rglob("*.json")))
    assert files == len(measured_results("mnist_mlp")) + len(measured_grid("mnist_mlp"))
    campaign.take_committed(piece)  # what is there stays as it is
    assert len(list(tmp_path.rglob("*.json"))) == files


def test_a_piece_that_is_not_in_the_plan_is_an_error_with_the_nearest(tmp_path):
    words = ["--only", "fmnist2c2d", "--output_dir", str(tmp_path)]
    result = CliRunner().invoke(campaign.main, words)
    assert result.exit_code == 2
    assert "unknown piece 'fmnist2c2d'; did you mean fmnist_2c2d" in result.output


def test_the_folder_of_an_experiment_is_that_of_its_budget(tmp_path):
    names = {piece.name: piece for piece in campaign.pieces(str(tmp_path), None)}
    assert names["figure 3"].folder == str(tmp_path / "fig3" / "fig3" / "full")
    assert names["figure 3"].problem == "dnc_copy"
    short = names["table 3, wide residual network and DenseNet on CIFAR-10"]
    assert short.folder == str(tmp_path / "table3" / "table3" / "short")


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
    words = ("compare", "mnist_mlp", "--protocol", "defaults", "--optimizers", "sgd", "--offline")
    absent = campaign.Piece("mlp", (*words, "--data_dir", str(tmp_path)), 1.0)
    assert str(campaign.state_of(absent)).startswith("open: MNIST: ")
    assert "missing in" in str(campaign.state_of(absent))
