"""What goes wrong for one optimizer or problem must not cost the others their results."""

from __future__ import annotations

import textwrap

import pandas as pd
import pytest

from alig_deepobs.analysis import leaderboard, load_results
from alig_deepobs.registry import find_testproblem
from alig_deepobs.results import read_result

QUICK = ("-N", 1, "--synthetic", "--device", "cpu")


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of the user's with an SGD that goes uphill, and an optimizer that breaks."""
    code = """
        import torch

        class SGD(torch.optim.SGD):
            def step(self, closure=None):
                for group in self.param_groups:
                    for p in group["params"]:
                        p.grad.neg_()
                super().step(closure)

        class Breaks(torch.optim.SGD):
            def step(self, closure=None):
                raise KeyError("foo")
        """
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "my_optimizers_for_tests.py").write_text(textwrap.dedent(code))
    monkeypatch.syspath_prepend(tmp_path / "modules")
    return "my_optimizers_for_tests"


def test_two_classes_of_one_name_are_two_rows(call, tmp_path, mine):
    optimizers = f"sgd[lr=0.0001],{mine}:SGD[lr=0.0001]"
    called = call("compare", "two_d_branin", "--optimizers", optimizers, "--seeds", 2, *QUICK)
    assert called.code == 0
    table = pd.read_csv(tmp_path / "results" / "leaderboard_two_d_branin.csv")
    assert len(table) == 2
    assert table["headline_mean"].nunique() == 2
    assert f"SGD (optimizer={mine}:SGD)" in set(table["label"])


def test_an_optimizer_that_breaks(call, tmp_path, mine):
    called = call(
        "compare", "digits_logreg", "--optimizers", f"sgd[lr=0.1],{mine}:Breaks[lr=0.1]",
        "--seeds", 2, *QUICK,
    )  # fmt: skip
    assert called.code == 1
    assert "2 of 4 runs failed; the first:" in called.err
    assert "Traceback" not in called.err
    table = pd.read_csv(tmp_path / "results" / "leaderboard_digits_logreg.csv")
    assert list(table["label"]) == ["SGD", "Breaks"]
    assert list(table["n_done"]) == [2, 0]
    (path, _) = (tmp_path / "results" / "digits_logreg" / "Breaks").rglob("*.json")
    failed = read_result(path)
    assert failed.outcome.value == "failed"
    place = "modules/my_optimizers_for_tests.py, line 13"
    assert failed.outcome_reason == f"KeyError: 'foo' ({place})"
    assert place in called.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("compare", "digits_logreg", "--optimizers", "sgd[lr=1],torch.optim:SGD[lrr=1]"), "lrr"),
        (("run", "digits_logreg", "--optimizer", "sgd[lr=1]", "--optimizer", "sgd[lr=-1]"), "-1"),
    ],
)
def test_mistakes_are_found_before_the_first_run(call, tmp_path, words, message):
    called = call(*words, *QUICK)
    assert called.code == 2
    assert message in called.err
    assert called.out == ""
    assert not list(tmp_path.rglob("*.json"))


def test_missing_data_is_found_before_the_first_run(call, tmp_path):
    called = call("compare", "digits_logreg", "mnist_mlp", "-N", 1, "--data_dir", "nowhere")
    assert called.code == 1
    assert "train-images-idx3-ubyte.gz" in called.err
    assert not list(tmp_path.rglob("*.json"))


def test_a_folder_of_compare_reads_back_as_its_leaderboard(call, tmp_path):
    call("compare", "digits_logreg", "--optimizers", "adam", "--seeds", 2, "-r", 1000, *QUICK)
    folder = tmp_path / "results"
    board = leaderboard(load_results(folder).results, find_testproblem("digits_logreg"))
    assert [(row.label, row.seeds) for row in board.rows] == [("Adam", (1000, 1001))]
    tuning = [r for r in load_results(folder, with_tuning=True).results if r.purpose == "tuning"]
    # The tuning seeds are none of the reported ones.
    assert {run.random_seed for run in tuning} == {1002, 1003, 1004}


def test_a_class_by_its_path_gets_the_same_number_of_tries(call):
    called = call("compare", "digits_logreg", "--optimizers", "torch.optim:Adamax,adam",
                  "--seeds", 1, "--protocol", "equal:3", "--tuning_seeds", 1,
                  "--dry_run", *QUICK)  # fmt: skip
    assert called.code == 0
    counts = [line.split()[2] for line in called.out.splitlines()[1:3]]
    assert counts == ["4", "4"]


def test_nothing_to_tune_is_called_untuned(call, mine):
    called = call("compare", "digits_logreg", "--optimizers", "torch.optim:Adamax", "--seeds", 1,
                  "--protocol", "defaults", *QUICK)  # fmt: skip
    assert called.code == 0
    assert "defaults, not tuned" in " ".join(called.out.split())


@pytest.mark.parametrize("verb", ["report", "table"])
def test_a_file_has_one_line_whatever_its_name(call, tmp_path, verb):
    """Otherwise a stranger's file could write lines of its own."""
    call("run", "quadratic_deep", "--optimizer", "sgd[lr=0.01]", "-N", 1, "--output_dir", "results")
    (folder,) = (tmp_path / "results" / "quadratic_deep").glob("*/*")
    (folder / "random_seed__1__x\nwritten: forged.json").write_text("{")
    called = call(verb, "results")
    assert called.code == 1
    assert "x\\nwritten: forged.json" in called.err
