"""`dnc_copy` from the command line: its own defaults for ALI-G, and its options."""

import json

import pytest

from alig_deepobs.results import read_result

QUICK = ("-N", 0, "--device", "cpu")


def result_of(tmp_path):
    (path,) = (tmp_path / "results").rglob("*.json")
    return read_result(path)


def test_the_defaults_of_the_paper(call, tmp_path):
    assert call("run", "dnc_copy", "--optimizer", "alig[max_lr=100]", *QUICK).code == 0
    params = result_of(tmp_path).hyperparams
    assert params["max_lr"] == 100.0
    assert params["eps"] == params["momentum"] == 0.0


def test_given_values_win(call, tmp_path):
    setting = "alig[max_lr=100,momentum=0.9]"
    assert call("run", "dnc_copy", "--optimizer", setting, *QUICK).code == 0
    params = result_of(tmp_path).hyperparams
    assert (params["momentum"], params["eps"]) == (0.9, 0.0)


@pytest.mark.parametrize(
    "words", [("dnc_copy", "--hidden-dim", 8), ("dnc_copy[hidden_dim=8]",)], ids=["flag", "bracket"]
)
def test_options(call, tmp_path, words):
    assert call("run", *words, *QUICK).code == 0
    assert result_of(tmp_path).problem_options == {"hidden_dim": 8}


def test_sizes_must_be_positive(call):
    called = call("run", "dnc_copy", "--word_size", 0, *QUICK)
    assert called.code == 2
    assert "dnc_copy: word_size must be at least 1, not 0" in called.err


def test_the_listing_shows_the_defaults(call):
    listing = json.loads(call("list", "problems", "--json").out)["testproblems"]
    (entry,) = [entry for entry in listing if entry["name"] == "dnc_copy"]
    assert entry["optimizer_defaults"] == {"alig": {"momentum": 0.0, "eps": 0.0}}
    assert entry["options"]["write_heads"]["default"] == 1
    assert "dnc_copy" in call("list", "problems").out
