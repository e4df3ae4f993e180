"""``alig_deepobs.compare``: the command of the same name, from Python."""

from __future__ import annotations

import pytest
import torch

import alig_deepobs
from alig_deepobs.errors import UsageError

QUICK = {"num_epochs": 1, "synthetic": True}


def test_frame_leaderboard_and_plot(tmp_path):
    found = alig_deepobs.compare(
        "digits_logreg", ["alig", "sgd[lr=0.1],adam"], seeds=2, output_dir=tmp_path / "results",
        protocol="defaults", **QUICK,
    )  # fmt: skip
    assert len(found.frame) == 6
    assert {row.label for row in found.leaderboard.rows} == {"AliG", "SGD", "Adam"}
    assert "Test accuracy" in str(found)
    assert repr(found) == "<Comparison on digits_logreg: 6 runs>"
    assert len(repr(found.leaderboard)) < 200
    picture = found.plot(tmp_path / "curves.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_it_holds_all_runs_of_the_folder_that_compare(tmp_path):
    common = {"output_dir": tmp_path, "protocol": "defaults", "synthetic": True}
    alig_deepobs.compare("digits_logreg", "sgd", seeds=2, num_epochs=1, **common)
    alig_deepobs.compare("digits_logreg", "sgd", seeds=2, num_epochs=2, **common)
    alig_deepobs.compare("digits_mlp", "sgd", seeds=2, num_epochs=1, **common)
    found = alig_deepobs.compare("digits_logreg", "adam", seeds=2, num_epochs=1, **common)
    assert sorted(result.optimizer for result in found.results) == ["adam"] * 2 + ["sgd"] * 2
    assert {result.num_epochs for result in found.results} == {1}


def test_a_setting_that_is_given_twice_is_compared_once():
    twice = ["sgd[lr=1e-2]", "sgd[lr=0.01]"]
    found = alig_deepobs.compare("digits_logreg", twice, seeds=2, output_dir=None, **QUICK)
    assert len(found.outcomes) == 1
    assert len(found.results) == 2


def test_classes_are_given_by_their_paths():
    with pytest.raises(UsageError, match=r"torch\.optim\.sgd:SGD"):
        alig_deepobs.compare("digits_logreg", [torch.optim.SGD])
    with pytest.raises(UsageError, match="test problems are given by name"):
        alig_deepobs.compare(torch.nn.Linear)


def test_several_problems_are_asked_for_by_name():
    found = alig_deepobs.compare(
        ["digits_logreg", "two_d_beale"], "sgd", seeds=2, output_dir=None,
        protocol="defaults", **QUICK,
    )  # fmt: skip
    assert found.leaderboard_of("two_d_beale").rows[0].label == "SGD"
    with pytest.raises(UsageError, match="digits_logreg, two_d_beale"):
        _ = found.leaderboard
