"""``alig-deepobs compare``."""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import pandas as pd
import pytest

from alig_deepobs.cli.main import main
from alig_deepobs.comparison import Comparison
from alig_deepobs.results import read_result

QUICK = ("-N", 1, "--synthetic", "--device", "cpu")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """What the command prints, and its folder."""
    folder = tmp_path_factory.mktemp("compared")
    words = ["compare", "digits_logreg", "--seeds", 3, "--output_dir", folder, *QUICK]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    assert not caught.value.code
    return printed.getvalue(), folder


def test_every_optimizer_and_seed_is_run_and_shown(compared):
    out, folder = compared
    # Nine trials with three seeds for each of four optimizers, and what goes on beyond a range.
    board = out[out.index("Chosen settings") :]
    trials = [int(line.split(" x 3 seeds")[0].split()[-1])
              for line in board.splitlines() if " x 3 seeds" in line]  # fmt: skip
    assert len(trials) == 4
    assert all(count in range(9, 26, 2) for count in trials)
    total = 3 * sum(trials) + 12
    assert f"[{total}/{total}]" in out
    assert "Protocol equal: 9 trials for every optimizer" in out
    board = out[out.index("Digits LogReg") :]
    for label in ("AliG", "SGD", "Momentum", "Adam"):
        assert label in board
    words = "settings by validation accuracy, last epoch, seeds 1000, 1001, 1002"
    assert words in " ".join(board.split())
    assert "test accuracy" not in out[: out.index(" seed 42:")]  # while it tunes
    assert board.count("%") >= 4
    assert "[" in board  # intervals, never bare means
    results = [read_result(path) for path in folder.glob("digits_logreg/**/*.json")]
    assert len(results) == 12
    assert {result.random_seed for result in results} == {42, 43, 44}
    assert all(result.split == "full" for result in results)


def test_tuning_runs_are_kept_apart(compared):
    _, folder = compared
    results = [read_result(path) for path in folder.glob("tuning/**/*.json")]
    assert len(results) >= 108
    assert {result.random_seed for result in results} == {1000, 1001, 1002}
    assert {result.tuning.get("protocol") for result in results} == {None}
    assert all(result.split == "validation" for result in results)


def test_files(compared):
    _, folder = compared
    table = pd.read_csv(folder / "leaderboard_digits_logreg.csv")
    assert set(table["label"]) == {"AliG", "SGD", "Momentum", "Adam"}
    assert (table["headline_low"] <= table["headline_mean"]).all()
    assert len(pd.read_csv(folder / "runs_digits_logreg.csv")) == 12
    assert (folder / "curves_digits_logreg.png").read_bytes().startswith(b"\x89PNG")


def test_the_chosen_setting_is_the_one_that_is_run(compared):
    _, folder = compared
    tuning = [read_result(path) for path in folder.glob("tuning/*/SGD/**/*.json")]
    runs = {run.learning_rate: [] for run in tuning}
    for run in tuning:
        runs[run.learning_rate].append((run.valid_accuracies[-1], -run.valid_data_losses[-1]))
    best = max(runs, key=lambda rate: tuple(map(fmean, zip(*runs[rate], strict=True))))
    rates = {
        json.loads(path.read_text())["learning_rate"]
        for path in folder.glob("digits_logreg/SGD/**/*.json")
    }
    assert rates == {best}
    (path, *_) = folder.glob("digits_logreg/SGD/**/*.json")
    tuned = read_result(path).tuning
    assert (tuned["protocol"], tuned["trials"]) == ("equal", len(runs))
    assert tuned["seeds"] == [1000, 1001, 1002]
    assert tuned["criterion"] == "validation accuracy, last epoch"
    assert tuned["range"] == "lr in 0.001 to 10"


def test_known_settings_need_no_tuning(call, tmp_path):
    words = (
        "compare", "quadratic_deep", "--optimizers", "sgd,momentum,adam,alig[max_lr=0.01]",
        "--protocol", "known", "--seeds", 2, *QUICK,
    )  # fmt: skip
    refused = call(*words)
    assert refused.code == 2
    assert "tuned for 100 epochs, not for 1 epoch of quadratic_deep: --force_known" in refused.err
    called = call(*words, "--force_known")
    assert called.code == 0
    assert "[8/8]" in called.out
    words = " ".join(called.out.split())  # long lines are wrapped
    assert "DeepOBS baselines (36 rates" in words
    assert "tuned for 100 epochs" in words
    assert "given by hand, not tuned" in words
    (path, _) = (tmp_path / "results" / "quadratic_deep" / "Momentum").rglob("*.json")
    assert read_result(path).hyperparams["momentum"] == 0.99


def test_two_problems_with_defaults(call, tmp_path):
    called = call(
        "compare", "digits_logreg", "two_d_branin", "--optimizers", "alig,adam", "--seeds", 2,
        "--protocol", "defaults", *QUICK,
    )  # fmt: skip
    assert called.code == 0
    assert "[8/8]" in called.out
    for problem in ("digits_logreg", "two_d_branin"):
        table = pd.read_csv(tmp_path / "results" / f"leaderboard_{problem}.csv")
        assert list(table["testproblem"]) == [problem] * 2
    assert (tmp_path / "results" / "curves_two_d_branin.png").exists()


def test_one_seed_has_no_interval(call):
    called = call("compare", "digits_logreg", "--optimizers", "adam", "--seeds", 1,
                  "--protocol", "defaults", *QUICK)  # fmt: skip
    assert called.code == 0
    assert "n=1" in called.out


def test_a_study_in_a_file(call, tmp_path):
    """What was asked for is written down, and asked for again; flags win."""
    asked = ("digits_logreg", "two_d_beale", "--optimizers", "alig[max_lr=0.1],sgd", "--seeds", 2,
             "--grid", "sgd:lr=0.1|1", "--protocol", "grid", "--reshuffle", *QUICK)  # fmt: skip
    saved = call("compare", *asked, "--save_study", "study.toml", "--dry_run")
    again = call("compare", "--study", "study.toml", "--dry_run")
    assert saved.out.splitlines()[1:] == again.out.splitlines()
    fewer = call("compare", "--study", "study.toml", "--dry_run", "--seeds", 1)
    counts = [int(out.split(" runs:")[0].split()[-1]) for out in (again.out, fewer.out)]
    assert counts == [20, 16]  # 12 of them for tuning
    assert call("compare", "--study", "study.toml").code == 0
    written = [
        read_result(path) for path in (tmp_path / "results" / "digits_logreg").rglob("*.json")
    ]
    assert all(result.reshuffle and result.num_epochs == 1 for result in written)


def test_options_that_are_lists_in_a_file(call):
    asked = ("quadratic_deep", "--optimizers", "sgd", "--protocol", "defaults", "--executor",
             "slurm", "--slurm", "partition=gpu", "--slurm", "time=10", "--lr_sched_epochs", "1,2",
             "--lr_sched_factors", "0.1,0.01", *QUICK)  # fmt: skip
    saved = call("compare", *asked, "--save_study", "study.toml", "--dry_run")
    words = ("--study", "study.toml", "--trust_study", "--dry_run", "--save_study", "again.toml")
    again = call("compare", *words)
    assert (again.code, saved.out.splitlines()[1:]) == (0, again.out.splitlines()[1:]), again.err
    assert Path("again.toml").read_text() == Path("study.toml").read_text()
    Path("study.toml").write_text(
        Path("study.toml")
        .read_text()
        .replace('"1,2"', "[1, 2]")
        .replace('"0.1,0.01"', "[0.1, 0.01]")
    )
    assert call("compare", *words).out == again.out


def test_what_toml_writes_in_its_own_way(call):
    asked = ("digits_logreg", "--time_limit", "inf", "--output_dir", "a\x7fb", "--slurm",
             "account=007", "--executor", "slurm", "--save_study", "study.toml", "--dry_run",
             *QUICK)  # fmt: skip
    saved = call("compare", *asked)
    again = call("compare", "--study", "study.toml", "--trust_study", "--dry_run")
    assert (again.code, again.out.splitlines()) == (0, saved.out.splitlines()[1:]), again.err
    assert "account=007" in Path("study.toml").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimiser = 'sgd'", "unknown key 'optimiser'; did you mean optimizers"),
        ("seeds = [1, 2]", "seeds: '1,2' is not a valid integer"),
        ("seeds = true", "seeds: 'True' is not a valid integer"),
        ("grid = [{a = 1}]", "grid must be a number or text, or a list of them"),
        ("seeds = ", "is no TOML file"),
        ("seeds = 0", "seeds"),
        ("protocol = 'equl'", "did you mean equal"),
        (f"protocol = 'equal:{'9' * 5000}'", "write one from 2 to"),
        ("seeds = 1000000000", "not in the range"),
        ('output_dir = "a\\u0000b"', "it has the character NUL"),
        ('data_dir = "a\\U00000000b"', "it has the character NUL"),
        (f"random_seed = {1 << 64}", "random_seed has more than 64 bits"),
        (f"train_log_interval = {1 << 64}", "train_log_interval has more than 64 bits"),
    ],
)
def test_a_study_file_with_a_mistake(call, tmp_path, text, message):
    (tmp_path / "study.toml").write_text(f"testproblems = ['digits_logreg']\n{text}\n")
    called = call("compare", "--study", "study.toml", "--dry_run")
    assert called.code == 2
    assert message in called.err
    assert call("compare", "--study", "nowhere.toml").code == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("testproblems = ['digits_logreg']\noptimizers = ['{}:Mine']", "would import '{}:Mine'"),
        ("testproblems = ['digits_logreg']\noptimizers = 'sgd,{}:Mine[lr=1]'", "would import '{}"),
        ("testproblems = ['{}:Mine']", "would import '{}:Mine'"),
        ("testproblems = ['{}.Mine']", "would import '{}.Mine'"),
        ("testproblems = ['digits_logreg']\nslurm = ['setup={}']", "sets slurm"),
    ],
)
def test_a_study_file_runs_no_code_unasked(call, tmp_path, text, message):
    name = f"stranger_{secrets.token_hex(4)}"
    trap = f"open({str(tmp_path / 'ran')!r}, 'w'); import torch; Mine = torch.optim.SGD"
    (tmp_path / f"{name}.py").write_text(trap)
    (tmp_path / "study.toml").write_text(text.format(name))
    called = call("compare", "--study", "study.toml", "--dry_run")
    assert called.code == 2
    assert message.format(name) in called.err
    assert "--trust_study" in called.err
    assert not (tmp_path / "ran").exists()
    assert call("compare", "digits_logreg", "--optimizers", "sgd", "--study", "study.toml",
                "--dry_run").code == (2 if "slurm" in text else 0)  # fmt: skip
    call("compare", "--study", "study.toml", "--trust_study", "--dry_run")
    assert (tmp_path / "ran").exists() == ("slurm" not in text)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("emit = 'kept.txt'", "sets emit"),
        ("output_dir = '/somewhere/else'", "sets output_dir to '/somewhere/else'"),
        ("output_dir = '../else'", "sets output_dir to '../else'"),
        ("output_dir = '~/else'", "sets output_dir"),
        ("executor = 'slurm'", "sets executor 'slurm'"),
        ("log = ['csv', 'wandb']", "sets log to 'wandb'"),
        ("log = 'mlflow'", "sets log to 'mlflow'"),
    ],
)
def test_a_study_file_writes_and_sends_nothing_elsewhere_unasked(call, tmp_path, line, message):
    (tmp_path / "kept.txt").write_text("mine")
    text = f"testproblems = ['quadratic_deep']\noptimizers = 'sgd'\nprotocol = 'defaults'\n{line}\n"
    (tmp_path / "study.toml").write_text(text)
    called = call("compare", "--study", "study.toml")
    assert called.code == 2
    assert message in called.err
    assert {path.name for path in tmp_path.iterdir()} == {"kept.txt", "study.toml"}
    assert (tmp_path / "kept.txt").read_text() == "mine"


def test_an_own_optimizer_is_tuned_over_both_hyperparameters(call, tmp_path, monkeypatch):
    """One command, no entry, as many trials as everybody."""
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "class Damped(torch.optim.SGD):\n"
        "    def __init__(self, params, lr, damping):\n"
        "        super().__init__(params, lr=lr, momentum=0.9, dampening=damping)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    asked = ("compare", "digits_logreg", "--optimizers", "mine:Damped,sgd", "--seeds", 2, *QUICK)
    called = call(*asked, "--grid", "mine:Damped:lr=1e-3..1,damping=0..0.9")
    assert called.code == 0
    tuning = [
        read_result(path) for path in (tmp_path / "results/tuning").glob("*/Damped/**/*.json")
    ]
    assert len(tuning) == 27
    assert len({run.hyperparams["lr"] for run in tuning}) == 9
    assert len({run.hyperparams["damping"] for run in tuning}) == 9
    refused = call(*asked)
    assert refused.code == 2
    for words in ("mine:Damped[lr=...]", "--grid 'mine:Damped:lr=1e-4..1'", "a default in its"):
        assert words in refused.err


def test_a_reference_is_compared_with_each_other_one(call, tmp_path):
    optimizers = "sgd[lr=1e-5],adam[lr=0.1],momentum[lr=1e-6]"
    options = ("compare", "two_d_beale", "--optimizers", optimizers, "--seeds", 2, "-N", 2)
    called = call(*options, "--reference", "sgd")
    assert called.code == 0, called.err
    assert "vs SGD" in called.out
    table = pd.read_csv(tmp_path / "results" / "leaderboard_two_d_beale.csv").set_index("label")
    assert set(table["reference"]) == {"SGD"}
    assert pd.isna(table["to_reference_mean"]["SGD"])
    difference = table["headline_mean"]["Adam"] - table["headline_mean"]["SGD"]
    assert table["to_reference_mean"]["Adam"] == pytest.approx(difference)
    report = call("report", "results", "--reference", "momentum", "--baselines", "none")
    assert report.code == 0
    assert "vs Momentum" in report.out
    # An optimizer that an earlier call has left in the folder will do.
    later = call("compare", "two_d_beale", "--optimizers", "sgd[lr=1e-6]", "--seeds", 2, "-N", 2,
                 "--reference", "Adam")  # fmt: skip
    assert later.code == 0
    assert "vs Adam" in later.out


def test_an_unknown_reference_is_refused_before_the_first_run(call, tmp_path):
    called = call("compare", "two_d_beale", "--optimizers", "sgd,adam", "--reference", "adan")
    assert called.code == 2
    assert "unknown reference 'adan'; did you mean adam" in called.err
    assert not list((tmp_path / "results").rglob("*.json"))
    assert call("compare", "two_d_beale", "--optimizers", "sgd[lr=1e-5]", "-N", 1).code == 0
    called = call("report", "results", "--reference", "adan")
    assert called.code == 2
    assert "unknown reference 'adan'" in called.err


def test_a_broken_plot_ends_nothing(call, tmp_path, monkeypatch):
    def breaks(*args):
        raise RuntimeError("no fonts")

    monkeypatch.setattr(Comparison, "plot", breaks)
    done = call(
        "compare", "two_d_branin", "two_d_beale", "--optimizers", "sgd[lr=0.001]", "-N", "1",
        "--seeds", "1", "--output_dir", tmp_path,
    )  # fmt: skip
    assert done.code == 0
    assert done.out.count("Results are in") == 2
    assert done.err.count("is not drawn: RuntimeError: no fonts") == 2
    assert len(list(tmp_path.glob("leaderboard_*.csv"))) == 2


def test_a_closed_pipe_leaves_tables_and_picture(tmp_path):
    words = "-m alig_deepobs compare quadratic_deep --optimizers sgd --protocol defaults -N 1"
    words = [sys.executable, *words.split(), "--seeds", "2", "--output_dir", "results"]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    said = process.stderr.read().decode()
    assert process.wait() == 1
    assert "bug" not in said
    names = {path.name for path in (tmp_path / "results").iterdir() if path.is_file()}
    assert names == {"leaderboard_quadratic_deep.csv", "runs_quadratic_deep.csv",
                     "curves_quadratic_deep.png"}  # fmt: skip
