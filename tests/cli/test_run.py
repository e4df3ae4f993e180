"""``alig-deepobs run``."""

from __future__ import annotations

import json

import pytest

from alig_deepobs.errors import ResultError
from alig_deepobs.results import read_result
from alig_deepobs.runners import weights

QUICK = ("-N", 1, "--synthetic", "--device", "cpu")


def test_writes_a_result(call, tmp_path):
    called = call("run", "digits_mlp", *QUICK)
    assert called.code == 0
    assert "[1/1] digits_mlp alig[max_lr=0.1] seed 42: test accuracy" in called.out
    (path,) = (tmp_path / "results").rglob("*.json")
    result = read_result(path)
    assert result.optimizer == "alig"
    assert result.setting_source == "defaults"
    assert path.parts[-4:-2] == ("digits_mlp", "AliG")


def test_flags_of_deepobs_in_all_spellings(call, tmp_path):
    called = call(
        "run", "digits_mlp", "--optimizer", "sgd", "--lr", 0.1, "--bs", 16, "--wd", 0.01,
        "--num_epochs", 1, "-r", 7, "--train-log-interval", 3, "--output-dir", "out",
        "--synthetic", "--print_train_iter",
    )  # fmt: skip
    assert called.code == 0
    (path,) = (tmp_path / "out").rglob("*.json")
    record = json.loads(path.read_text())
    assert record["learning_rate"] == 0.1
    assert (record["batch_size"], record["weight_decay"], record["random_seed"]) == (16, 0.01, 7)
    assert record["train_log_interval"] == 3
    assert "epoch 0, step 0, loss" in called.out


def test_several_problems_optimizers_and_seeds(call, tmp_path):
    called = call(
        "run", "digits_mlp", "digits_logreg", "--optimizer", "alig[max_lr=0.01]", "--optimizer",
        "torch.optim:RAdam[lr=0.01]", "--seeds", 2, *QUICK,
    )  # fmt: skip
    assert called.code == 0
    results = [read_result(path) for path in (tmp_path / "results").rglob("*.json")]
    assert len(results) == 8
    assert {result.optimizer_name for result in results} == {"AliG", "RAdam"}
    assert {result.random_seed for result in results} == {42, 43}


def test_a_setting_that_is_given_twice_is_run_once(call, tmp_path):
    settings = ["sgd[lr=1e-2]", "sgd[lr=0.01]"]
    words = [word for setting in settings for word in ("--optimizer", setting)]
    called = call("run", "digits_logreg", *words, *QUICK)
    assert "1 run: 1 to be run" in called.out
    assert "[1/1] " in called.out
    assert called.out.count("The data are synthetic") == 1


def test_the_papers_checkpoint(call, tmp_path):
    called = call("run", "digits_mlp", "--split", "validation", "--keep_best", "best", *QUICK)
    assert called.code == 0
    assert " after epoch 1, the best in validation), " in called.out
    (path,) = (tmp_path / "results").rglob("*.json")
    (weights,) = (tmp_path / "best").iterdir()
    assert read_result(path).best_weights == f"best/{weights.name}"
    called = call("run", "digits_mlp", "--keep_best", "best", *QUICK)
    assert called.code == 2
    assert "keep_best needs a validation set: add --split validation" in called.err


def test_weights_that_are_missing_are_named_at_the_end(call, tmp_path, monkeypatch):
    def full(path, content):
        raise ResultError(f"cannot write {path}: No space left on device")

    write = weights.write_bytes_atomically
    monkeypatch.setattr(weights, "write_bytes_atomically", full)
    words = ["run", "digits_mlp", "--split", "validation", "--keep_best", "best", *QUICK]
    called = call(*words, "--seeds", 2)
    assert called.code == 1
    assert "2 of 2 runs failed; the first: " in called.err
    assert "seed 42: its best weights could not be written" in called.err
    assert len(list((tmp_path / "results").rglob("random_seed__*.json"))) == 2
    monkeypatch.setattr(weights, "write_bytes_atomically", write)
    assert call(*words).code == 0  # what is missing is run again
    assert len(list((tmp_path / "best").iterdir())) == 1


def test_no_logs(call, tmp_path):
    assert call("run", "digits_mlp", "--no_logs", *QUICK).code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore")
def test_divergence_is_a_result_not_an_error(call):
    called = call("run", "digits_mlp", "--optimizer", "sgd[lr=1e30]", *QUICK)
    assert called.code == 0
    assert "diverged (train loss is not finite after 1 epoch)" in called.out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["lst"], 2, "unknown command 'lst'; did you mean list?"),
        (["run"], 2, "Missing argument"),
        (["run", "mnist_mpl"], 2, "unknown test problem 'mnist_mpl'; did you mean mnist_mlp"),
        (["run", "digits_mlp", "--optimizer", "agil"], 2, "unknown optimizer 'agil'; did you mean"),
        (["run", "digits_mlp", "--optimizer", "a.b.C"], 2, "a colon before its name, a.b:C"),
        (["run", "digits_mlp", "--optimizer", "alig,sgd"], 2, "--optimizer alig --optimizer sgd"),
        (["run", "digits_mlp", "--optimizer", "builtins:object"], 2, "no torch.optim.Optimizer"),
        (["run", "digits_mlp", "--optimizer", "torch.optim:SGD[lr=a]"], 2, "lr='a' is text"),
        (["run", "digits_mlp", "--optimizer", "sgd[lr"], 2, "malformed setting 'sgd[lr'"),
        (["run", "digits_mlp", "--optimizer", "sgd[lr=a]"], 2, "sgd: lr must be a number"),
        (["run", "digits_mlp", "--optimizer", "sgd[mu=1]"], 2, "sgd has no hyper-parameter 'mu'"),
        (["run", "digits_mlp", "--optimizer", "alig[max_lr=0]"], 2, "max_lr must be positive"),
        (["run", "digits_mlp", "--optimizer", "alig[max_norm=-1]"], 2, "max_norm must be positive"),
        (["run", "digits_mlp", "--optimizer", "no.module:X"], 2, "cannot import"),
        (["run", "digits_mlp", "--optimizer", "sgd[lr=1]", "--lr", "2"], 2, "already gives lr"),
        (["run", "digits_mlp", "--seeds", "0"], 2, "--seeds"),
        (["run", "digits_mlp", "--batch_size", "0"], 2, "batch_size"),
        (["run", "digits_mlp", "--batch_size", "5000"], 2, "batch_size must be from 1 to"),
        (["run", "digits_mlp", "--device", "warp"], 2, "unknown device 'warp'"),
        (["run", "two_d_beale", "--split", "validation"], 2, "valid"),
        (["run", "mnist_mlp", "--offline"], 1, "alig-deepobs data fetch mnist"),
        (["run", "mnist_mlp", "--data_dir", "nowhere"], 1, "train-images-idx3-ubyte.gz"),
        (["compare", "digits_mlp", "--seeds", "0"], 2, "--seeds"),
        (["compare", "digits_mlp", "--optimizers", ","], 2, "names no optimizer"),
        (["compare", "digits_mlp", "--optimizers", "alig,sdg"], 2, "did you mean sgd"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(call, tmp_path, words, code, message):
    called = call(*words)
    assert called.code == code
    assert message in called.err
    assert "Traceback" not in called.err
    errors = [line for line in called.err.splitlines() if line.startswith("Error")]
    assert len(errors) == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_output_folder_that_cannot_be_written(call, tmp_path):
    (tmp_path / "file").write_text("")
    called = call("run", "digits_mlp", "--output_dir", "file/results", *QUICK)
    assert called.code == 1
    assert f"Error: output folder {tmp_path}/file/results is not writable" in called.err
    assert "--output_dir" in called.err


def test_debug_shows_where_a_run_broke(call, tmp_path, monkeypatch, capsys):
    from alig_deepobs.cli.main import main
    from alig_deepobs.errors import RunError

    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "breaking.py").write_text(
        "import torch\n"
        "class Breaking(torch.optim.SGD):\n"
        "    def step(self, closure=None):\n"
        "        return 1 / 0  # here\n"
    )
    words = (
        "run",
        "digits_logreg",
        "--optimizer",
        "breaking:Breaking[lr=0.1]",
        "-N",
        "1",
        "--force",
    )
    called = call(*words)
    assert "breaking.py, line 4" in called.err
    assert "return 1 / 0  # here" not in called.err
    with pytest.raises(RunError):
        main([*words, "--debug"])
    assert "return 1 / 0  # here" in capsys.readouterr().err


def test_debug_shows_the_traceback(monkeypatch, tmp_path):
    from alig_deepobs.cli.main import main
    from alig_deepobs.errors import UsageError

    monkeypatch.chdir(tmp_path)
    for words in (["--debug", "run", "x"], ["run", "x", "--debug"]):
        with pytest.raises(UsageError):
            main(words)


def test_interrupt_writes_what_there_is(call, tmp_path, monkeypatch):
    from alig_deepobs.cli import progress

    def interrupted(self, epoch, evaluations):
        if epoch == 2:
            raise KeyboardInterrupt

    words = ("run", "digits_mlp", "-N", 3, "--synthetic", "--checkpoint_interval", 0)
    with monkeypatch.context() as patch:
        patch.setattr(progress._Line, "evaluated", interrupted)
        called = call(*words)
    assert called.code == 130
    assert "Interrupted." in called.err
    (path,) = (tmp_path / "results").rglob("*.json")
    assert read_result(path).outcome.value == "interrupted"

    assert "digits_mlp alig[max_lr=0.1] seed 42: goes on after" in call(*words).out


def test_commands_that_would_leave_nothing_are_not_written(call, tmp_path):
    called = call("run", "digits_mlp", "--no_logs", "--emit", "commands.txt", *QUICK)
    assert (called.code, list(tmp_path.iterdir())) == (2, [])
    assert "leave --no_logs out" in called.err


def test_progress_in_a_terminal(tmp_path):
    import io

    from rich.console import Console

    from alig_deepobs.cli.progress import Display
    from alig_deepobs.run import RunSpec
    from alig_deepobs.runners import Cell, Study

    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120)
    spec = RunSpec("digits_mlp", "alig", num_epochs=2, synthetic=True)
    with Display(console).shown() as display:
        Study([Cell((spec,), (42,))], None).carry_out(progress=display)
    shown = stream.getvalue()
    assert "1/1 digits_mlp alig" in shown
    assert "[1/1] digits_mlp alig[max_lr=0.1] seed 42" in shown


def test_reshuffle(call, tmp_path):
    for words in ((), ("--reshuffle",), ("--no-reshuffle",)):
        assert call("run", "digits_mlp", "quadratic_deep", *words, *QUICK).code == 0
    results = [read_result(path) for path in (tmp_path / "results").rglob("*.json")]
    drawn = sorted((result.testproblem, result.reshuffle) for result in results)
    # The flag that is the problem's default anyway asks for the run that is there.
    assert drawn == [("digits_mlp", False), ("digits_mlp", True),
                     ("quadratic_deep", False), ("quadratic_deep", True)]  # fmt: skip


def test_schedules_and_clipping(call, tmp_path):
    words = (
        "--lr_sched_epochs",
        "1,3",
        "--lr-sched-factors",
        "0.5 0.1",
        "--clip_norm",
        5,
        "--lr-decay-per-epoch",
        0.99,
        "--lr_plateau_factor",
        0.2,
        "--split",
        "validation",
    )
    called = call("run", "digits_mlp", "--optimizer", "momentum", "--lr", 0.1, *words, *QUICK)
    assert called.code == 0
    (path,) = (tmp_path / "results").rglob("*.json")
    record = json.loads(path.read_text())
    assert record["training_params"] == {
        "lr_sched_epochs": [1, 3],
        "lr_sched_factors": [0.5, 0.1],
        "lr_decay_per_epoch": 0.99,
        "lr_plateau_factor": 0.2,
        "clip_norm": 5.0,
    }
    assert record["lr_sched_epochs"] == [1, 3]  # where DeepOBS 1.1 looks


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["alig", "--clip_norm", "1"], "alig: clip_norm cannot be used with an optimizer whose"),
        (
            ["l4adam", "--lr_sched_epochs", "1", "--lr_sched_factors", "0.1"],
            "l4adam: L4Adam has no learning rate",
        ),
        (["sgd", "--lr_sched_epochs", "1"], "sgd: lr_sched_epochs and lr_sched_factors go togeth"),
        (["sgd", "--lr_sched_epochs", "one"], "'one' is not a list of numbers such as 60,120"),
        (["sgd", "--lr_plateau_factor", "0.2"], "run it with split 'validation'"),
        (["alig_inf", "--lr", "1"], "alig_inf has no learning rate, but momentum, eps"),
    ],
)
def test_options_that_make_no_sense_are_refused(call, tmp_path, words, message):
    called = call("run", "digits_mlp", "--optimizer", *words, *QUICK)
    assert called.code == 2
    assert message in called.err
    assert not list(tmp_path.rglob("*.json"))


def test_the_rate_is_set_under_its_own_name(call, tmp_path):
    for name in ("alig", "l4mom", "prodigy"):
        if call("run", "digits_mlp", "--optimizer", name, "--lr", 0.25, *QUICK).code:
            pytest.importorskip("prodigyopt")
    found = [read_result(path).hyperparams for path in tmp_path.rglob("*.json")]
    assert {0.25} == {p.get("max_lr", p.get("fraction", p.get("lr"))) for p in found}
