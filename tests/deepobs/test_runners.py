"""The runners of deepobs.pytorch, as this package provides them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from alig_deepobs import AliG
from alig_deepobs.errors import RunError, UsageError
from alig_deepobs.plugins import FOLDER_VARIABLE
from alig_deepobs.results import read_result
from alig_deepobs.run import Outcome
from alig_deepobs.runners import Callback
from alig_deepobs.runners.__main__ import main
from alig_deepobs.runners.deepobs import config, pytorch_config
from alig_deepobs.runners.deepobs.runners import (
    LearningRateScheduleRunner,
    PTRunner,
    StandardRunner,
)

pytestmark = pytest.mark.usefixtures("script")
LR = {"lr": {"type": float}}
QUICK = {"testproblem": "digits_logreg", "num_epochs": 1}


def test_call_wins_over_command_line_and_that_over_defaults(monkeypatch):
    words = ["script.py", "--lr", "0.5", "-N", "1", "--bs", "64", "--nonsense", "-r", "7"]
    monkeypatch.setattr(sys, "argv", words)
    names = {"lr": {"type": float}, "momentum": {"type": float, "default": 0.3}}
    output = StandardRunner(torch.optim.SGD, names).run(
        testproblem="digits_logreg", batch_size=16, no_logs=True
    )
    assert output["optimizer_hyperparams"] == {"lr": 0.5, "momentum": 0.3}
    assert (output["batch_size"], output["num_epochs"], output["random_seed"]) == (16, 1, 7)


def test_spellings_of_deepobs_1_1(monkeypatch):
    words = ["script.py", "digits_mlp", "--learning_rate", "0.5", "--l2_reg", "0.1", "-N", "0"]
    monkeypatch.setattr(sys, "argv", words)
    names = [{"name": "momentum", "type": float, "default": 0.0}]
    output = StandardRunner(torch.optim.SGD, names).run(no_logs=True)
    assert output["optimizer_hyperparams"] == {"lr": 0.5, "momentum": 0.0}
    assert output["weight_decay"] == 0.1
    output = StandardRunner(torch.optim.SGD, names).run(
        "digits_mlp", learning_rate=0.3, momentum=0.9, l2_reg=0.2, num_epochs=0, no_logs=True
    )
    assert output["optimizer_hyperparams"] == {"lr": 0.3, "momentum": 0.9}
    assert output["weight_decay"] == 0.2


def test_further_keywords_of_this_package():
    heard = []

    class Listener(Callback):
        def evaluated(self, epoch, evaluations):
            heard.append(epoch)

    output = StandardRunner(torch.optim.SGD, LR).run(
        hyperparams={"lr": 0.1}, no_logs=True, synthetic=True, split="full", device="cpu",
        training_params={"clip_norm": 1.0}, callback=Listener(), **QUICK,
    )  # fmt: skip
    assert output["synthetic"] is True
    assert output["split"] == "full"
    assert output["valid_losses"] == []
    assert output["training_params"] == {"clip_norm": 1.0}
    assert heard == [0, 1]


def test_the_problem_is_made_by_its_hook():
    class Mine(StandardRunner):
        @staticmethod
        def create_testproblem(testproblem, batch_size, weight_decay, random_seed):
            seen.append((testproblem, batch_size, weight_decay, random_seed))
            return StandardRunner.create_testproblem(
                testproblem, batch_size, weight_decay, random_seed
            )

    seen = []
    Mine(torch.optim.SGD, LR).run(hyperparams={"lr": 0.1}, no_logs=True, **QUICK)
    assert seen == [("digits_logreg", 32, 0.0, 42)]


def test_training_parameters_of_ones_own(tmp_path):
    class Mine(StandardRunner):
        """Starts with a smaller rate; its parameters mean nothing to the optimizer's class."""

        def training_flags(self):
            return {"warmup": {"type": float, "default": 0.5}}

        def training(self, tproblem, hyperparams, *arguments, warmup, **training_params):
            rate = hyperparams["base"] * warmup
            return super().training(tproblem, {"lr": rate}, *arguments, **training_params)

    output = Mine(torch.optim.SGD, {"base": {"type": float}}).run(
        hyperparams={"base": 0.2}, **QUICK
    )
    assert output["optimizer_hyperparams"] == {"base": 0.2}
    assert output["training_params"] == {"warmup": 0.5}
    plain = StandardRunner(torch.optim.SGD, LR).run(hyperparams={"lr": 0.1}, **QUICK)
    assert output["test_losses"] == plain["test_losses"]
    assert output["identity"] != plain["identity"]


def test_parameters_that_no_file_can_hold(tmp_path):
    """A runner of one's own gets the objects themselves; the record has a text, or a name."""
    seen = []

    class Mine(StandardRunner):
        def training(self, tproblem, hyperparams, *arguments, schedule, bins, every, **more):
            assert (bins, schedule(3)) == ({"x": [1, 2]}, 0.125)
            assert every != every
            # Tools write files of their own beside the run's.
            log = Path(self._run_directory) / f"{self._file_name}__log.json"
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text("{}")
            seen.append(log)
            output = super().training(tproblem, {"lr": 0.2}, *arguments)
            return {**output, "norms": torch.ones(2)}

        def _add_training_params_to_output_dir_name(self, training_params, run_folder_name):
            assert callable(training_params["schedule"])
            return run_folder_name + "__mine"

    runner = Mine(torch.optim.SGD, LR)
    given = {
        "hyperparams": {"lr": 0.2}, "schedule": lambda epoch: 0.5**epoch,
        "bins": {"x": [1, 2]}, "every": float("nan"),
    }  # fmt: skip
    for _ in range(2):
        output = runner.run(skip_if_exists=True, **given, **QUICK)
    path = Path(runner._run_directory) / f"{runner._file_name}.json"
    written = json.loads(path.read_text())
    assert written["norms"] == [1.0, 1.0]
    assert written["training_params"]["bins"] == "{'x': [1, 2]}"
    assert written["training_params"]["every"] == "nan"
    assert "test_runners.test_parameters" in written["training_params"]["schedule"]
    assert torch.equal(output["norms"], torch.ones(2))
    # Two functions may have one name, so the second run was made; it took the first one's place.
    assert len(seen) == 2
    assert all(log.exists() for log in seen)
    assert set(path.parent.glob("*.json")) == {path, *seen}


@pytest.mark.parametrize("value", [float("nan"), (0.9, float("inf")), len, b"1"])
def test_hyperparameters_that_no_file_can_hold_are_refused(value, tmp_path):
    with pytest.raises(UsageError, match="lr"):
        StandardRunner(torch.optim.SGD, LR).run(hyperparams={"lr": value}, **QUICK)
    assert not list(tmp_path.rglob("*.json"))


def test_run_exists_is_called_as_run():
    runner = StandardRunner(torch.optim.SGD, LR)
    assert runner.run_exists("digits_logreg", {"lr": 0.2}, 64, 1, 3) == (False, [])
    runner.run("digits_logreg", {"lr": 0.2}, 64, 1, 3)
    path = Path(runner._run_directory) / f"{runner._file_name}.json"
    exists, files = runner.run_exists("digits_logreg", {"lr": 0.2}, 64, 1, 3)
    assert exists
    assert files == [str(path)]


def test_what_makes_optimizers_need_not_be_a_class():
    def halved(params, lr):
        return torch.optim.SGD(params, lr=lr / 2)

    output = StandardRunner(halved, LR).run(hyperparams={"lr": 0.2}, **QUICK)
    plain = StandardRunner(torch.optim.SGD, LR).run(hyperparams={"lr": 0.1}, **QUICK)
    assert output["optimizer_name"] == "halved"
    assert output["test_losses"] == plain["test_losses"]
    with pytest.raises(UsageError, match="is not a class"):
        StandardRunner("sgd", LR)


def test_a_run_that_breaks_is_on_record(tmp_path):
    class Breaks(torch.optim.SGD):
        def step(self, closure=None):
            raise ValueError("no such step")

    with pytest.raises(RunError, match="no such step"):
        StandardRunner(Breaks, LR).run(hyperparams={"lr": 0.1}, **QUICK)
    (path,) = (tmp_path / "results").rglob("*.json")
    result = read_result(path)
    assert (result.outcome, len(result.test_losses)) == (Outcome.FAILED, 1)


def test_missing_hyperparameter_ends_as_argparse_does(capsys):
    with pytest.raises(SystemExit):
        StandardRunner(torch.optim.SGD, LR).run(**QUICK)
    assert "--lr" in capsys.readouterr().err


def test_a_misspelt_problem_ends_as_argparse_does(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script.py", "digits_logregg", "--lr", "0.1"])
    with pytest.raises(SystemExit) as ended:
        StandardRunner(torch.optim.SGD, LR).run()
    assert ended.value.code == 2
    assert "Error: unknown test problem 'digits_logregg'; did you mean" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [(["alg", "digits_logreg"], "did you mean alig"), ([], "usage: "),
     (["sgd", "digits_logregg"], "did you mean digits_logreg")],
)  # fmt: skip
def test_wrong_words_for_a_run_script(capsys, monkeypatch, words, message):
    monkeypatch.setattr(sys, "argv", ["runners", *words])
    monkeypatch.setenv(FOLDER_VARIABLE, "")  # which main() sets
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_writes_and_returns_the_same(tmp_path):
    output = StandardRunner(torch.optim.SGD, LR).run(hyperparams={"lr": 0.1}, **QUICK)
    (path,) = (tmp_path / "results" / "digits_logreg" / "SGD").rglob("*.json")
    assert json.loads(path.read_text()) == json.loads(json.dumps(output))
    assert len(output["valid_losses"]) == 2


def test_undeclared_hyperparameters_are_dropped_as_in_deepobs():
    output = StandardRunner(torch.optim.SGD, LR).run(
        hyperparams={"lr": 0.1, "momentum": 0.9}, no_logs=True, **QUICK
    )
    assert output["optimizer_hyperparams"] == {"lr": 0.1}


def test_alig_gets_the_loss():
    output = StandardRunner(AliG, {"max_lr": {"type": float}}).run(
        hyperparams={"max_lr": 0.1}, no_logs=True, **QUICK
    )
    assert output["step_sizes"]


def test_schedule():
    runner = LearningRateScheduleRunner(torch.optim.SGD, LR)
    output = runner.run(
        hyperparams={"lr": 0.1}, lr_sched_epochs=[1], lr_sched_factors=[0.1], no_logs=True,
        testproblem="digits_logreg", num_epochs=2,
    )  # fmt: skip
    assert output["training_params"] == {"lr_sched_epochs": [1], "lr_sched_factors": [0.1]}
    plain = StandardRunner(torch.optim.SGD, LR).run(
        hyperparams={"lr": 0.1}, no_logs=True, testproblem="digits_logreg", num_epochs=2
    )
    assert output["test_losses"][1] == plain["test_losses"][1]
    assert output["test_losses"][2] != plain["test_losses"][2]


def test_a_runner_with_its_own_training():
    """What DeepOBS's users do: override `training` and return the lists."""

    class Mine(PTRunner):
        def training(self, tproblem, hyperparams, num_epochs, print_train_iter,
                     train_log_interval, tb_log, tb_log_dir, **training_params):  # fmt: skip
            optimizer = self._optimizer_class(tproblem.net.parameters(), **hyperparams)
            lists = [[] for _ in range(6)]
            for epoch in range(num_epochs + 1):
                self.evaluate_all(epoch, num_epochs, tproblem, *lists)
                if epoch == num_epochs:
                    break
                tproblem.train_init_op()
                while True:
                    try:
                        optimizer.zero_grad()
                        loss, _ = tproblem.get_batch_loss_and_accuracy()
                        loss.backward()
                        optimizer.step()
                    except StopIteration:
                        break
            names = ("train_losses", "valid_losses", "test_losses",
                     "train_accuracies", "valid_accuracies", "test_accuracies")  # fmt: skip
            return dict(zip(names, lists, strict=True))

    mine = Mine(torch.optim.SGD, LR).run(hyperparams={"lr": 0.1}, no_logs=True, **QUICK)
    standard = StandardRunner(torch.optim.SGD, LR).run(
        hyperparams={"lr": 0.1}, no_logs=True, **QUICK
    )
    for name in ("train_losses", "valid_losses", "test_losses", "test_accuracies"):
        assert mine[name] == pytest.approx(standard[name], rel=1e-5)


def test_skip_if_exists(tmp_path):
    runner = StandardRunner(torch.optim.SGD, LR)
    first = runner.run(hyperparams={"lr": 0.1}, **QUICK)
    again = runner.run(hyperparams={"lr": 0.1}, skip_if_exists=True, **QUICK)
    assert again == json.loads(json.dumps(first))
    assert len(list((tmp_path / "results").rglob("*.json"))) == 1
    runner.run(hyperparams={"lr": 0.2}, skip_if_exists=True, **QUICK)
    assert len(list((tmp_path / "results").rglob("*.json"))) == 2


def test_evaluate_wants_a_phase():
    problem = StandardRunner.create_testproblem("digits_logreg", 32, None, 42)
    loss, accuracy = StandardRunner.evaluate(problem, "TEST")
    assert loss == pytest.approx(2.302585)
    assert 0 <= accuracy <= 1
    with pytest.raises(UsageError, match="TRAIN, VALID or TEST"):
        StandardRunner.evaluate(problem, "ALL")


def test_module_wide_settings():
    assert config.get_small_test_set() is config.SMALL_TEST_SET  # may be edited, as in DeepOBS
    before = pytorch_config.get_split()
    with pytest.raises(ValueError, match="split must be 'validation' or 'full', not 'half'"):
        pytorch_config.set_split("half")
    assert pytorch_config.get_split() == before == "validation"
    with pytest.raises(ValueError, match="framework must be"):
        config.set_framework("jax")
    try:
        pytorch_config.set_num_workers("2")
        config.set_data_dir("somewhere")
        assert pytorch_config.get_num_workers() == 2
        assert config.get_data_dir() == "somewhere"
    finally:
        pytorch_config.set_num_workers(0)
        config.set_data_dir("data_deepobs")


@pytest.mark.parametrize("own", [False, True])
def test_settings_reach_the_problem(own, monkeypatch):
    monkeypatch.setattr(pytorch_config, "get_split", lambda: "full")
    output = StandardRunner(torch.optim.SGD, LR).run(
        hyperparams={"lr": 0.1}, no_logs=True, **QUICK, **({"split": "validation"} if own else {})
    )
    assert output["split"] == ("validation" if own else "full")
    assert len(output["valid_losses"]) == (2 if own else 0)


@pytest.mark.slow
def test_tb_log_writes_where_deepobs_does(tmp_path):
    """In the folder of the setting, or in the one that is asked for."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    runner = StandardRunner(torch.optim.SGD, LR)
    output = runner.run(**QUICK, hyperparams={"lr": 0.1}, tb_log=True)
    (path,) = tmp_path.rglob("random_seed*.json")
    assert list(path.parent.glob("events.out.tfevents*"))
    runner.run(**QUICK, hyperparams={"lr": 0.1}, tb_log=True, tb_log_dir=str(tmp_path / "tb"))
    events = EventAccumulator(str(tmp_path / "tb")).Reload()
    losses = [event.value for event in events.Scalars("mini_batch/loss")]
    assert losses == pytest.approx(output["minibatch_train_losses"])
    assert [event.step for event in events.Scalars("test/loss")] == [0, 1]


def test_tb_log_without_tensorboard_ends_before_the_first_step(monkeypatch, tmp_path):
    from alig_deepobs.runners import loggers

    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    runner = StandardRunner(torch.optim.SGD, LR)
    with pytest.raises(UsageError, match=r"needs the package tensorboard: pip install '.*\[log\]'"):
        runner.run(**QUICK, hyperparams={"lr": 0.1}, tb_log=True)
    assert not list(tmp_path.rglob("*.json"))
