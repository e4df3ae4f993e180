"""Runs in TensorFlow: what is recorded, against DeepOBS's own record; endings; bad input."""

import math
from pathlib import Path

import pytest

from alig_deepobs.cli.main import main
from alig_deepobs.errors import RunError, UsageError
from alig_deepobs.results import read_result
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import Callback, execute
from alig_deepobs.runners.checks import check
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.runners.tensorflow.reports import Reports

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def of(worker):
    answers = worker("recording_worker")

    def find(scenario):
        found = answers[scenario]
        assert "error" not in found, found["error"]
        return found

    return find


def curve(answer, part, kind):
    evaluated = [report for report in answer["reports"] if report["event"] == "evaluated"]
    return [report["parts"][part][kind] for report in evaluated]


def of_kind(answer, kind):
    return [report for report in answer["reports"] if report["event"] == kind]


class TestReports:
    @pytest.mark.parametrize("problem", ["quadratic_deep", "mnist_mlp"])
    def test_same_figures_as_in_deepobs_own_record(self, of, problem):
        answer, theirs = of("same_runs")[problem], of("as_deepobs")[problem]
        for part in ("train", "test"):
            # DeepOBS adds up in float32.
            assert curve(answer, part, "loss") == pytest.approx(theirs[f"{part}_losses"], rel=2e-6)
            assert curve(answer, part, "data_loss") == curve(answer, part, "loss")
            if problem == "mnist_mlp":
                accuracies = curve(answer, part, "accuracy")
                assert accuracies == pytest.approx(theirs[f"{part}_accuracies"], rel=1e-6)
        trained = of_kind(answer, "trained")
        logged = [loss for report in trained for loss in report["minibatch_losses"]]
        assert logged == theirs["minibatch_train_losses"]
        steps = {"quadratic_deep": 62, "mnist_mlp": 3}[problem]
        assert [report["steps"] for report in trained] == [steps] * 2
        assert all(report["seconds"] > 0 for report in trained)
        assert answer["ending"]["event"] == "done"

    def test_l2_term(self, of):
        found = of("l2")
        penalty = {}
        for name, answer in found.items():
            assert answer["ending"]["event"] == "done", answer["ending"]
            [loss], [data_loss] = (
                curve(answer, "test", "loss"), curve(answer, "test", "data_loss")
            )  # fmt: skip
            penalty[name] = loss - data_loss
            assert 2.0 < data_loss < 3.0
        assert penalty["sgd"] == pytest.approx(1.2614, rel=1e-3)
        assert penalty["sgd 0.1"] == pytest.approx(1.2614 * 0.1 / 0.002, rel=1e-3)
        # ALI-G's loss has none; the ball scales the weights, and so the logits, down.
        assert penalty["alig"] == penalty["alig by path"] == 0.0
        assert curve(found["alig"], "test", "loss") != curve(found["alig by path"], "test", "loss")

    def test_step_sizes(self, of):
        for report in of_kind(of("step_sizes"), "trained"):
            sizes = report["step_sizes"]
            assert 0 < sizes["min"] <= sizes["median"] <= sizes["max"]
            assert sizes["clipped_fraction"] == 0.0
            assert set(report["guarded_steps"]) == {"zero_norm", "below_f_min", "non_finite"}

    def test_schedule(self, of):
        losses = curve(of("schedule"), "test", "loss")
        assert losses[0] != losses[1] == losses[2]

    def test_diverged_run_ends(self, of):
        answer = of("diverged")
        assert answer["ending"]["event"] == "diverged"
        assert answer["ending"]["message"] == "train loss is not finite after 1 epoch"
        assert len(of_kind(answer, "trained")) == 1  # of 50

    def test_endings(self, of):
        found = of("endings")
        assert found["Failing"]["event"] == "failed"
        for name, message in {
            "Picky": "extra:Picky: learning_rate must be nice",
            "function": "extra:function is not an optimizer of tf.compat.v1",
            "nothing": "cannot import 'extra:nothing'",
            "undeclared": "unexpected keyword argument 'nonsense'",
            "large": "no full mini-batch: give a smaller batch_size",
        }.items():
            assert found[name]["event"] == "refused", found[name]
            assert message in found[name]["message"]

    def test_extra_problem(self, of):
        plain, options = (of("extra_problem")[name] for name in ("plain", "options"))
        assert plain["ending"]["event"] == options["ending"]["event"] == "done"
        assert of_kind(plain, "started")[0]["data_label"] == "Tiny points"
        # 8 points, or 12 as the option says, in batches of 4.
        assert [of_kind(a, "trained")[0]["steps"] for a in (plain, options)] == [2, 3]
        assert curve(plain, "test", "loss")[0] != curve(options, "test", "loss")[0]

    def test_register_puts_problems_into_deepobs(self, of):
        found = of("registered")
        assert found["losses"][1] < found["losses"][0]
        assert found["own"].startswith("deepobs.tensorflow.testproblems")
        assert not found["broken"]


class _Record(Callback):
    def __init__(self, interrupt_after=None):
        self.interrupt_after = interrupt_after
        self.heard = []

    def started(self, result, steps_per_epoch):
        self.heard.append(("started", steps_per_epoch))

    def evaluated(self, epoch, evaluations):
        self.heard.append(("evaluated", epoch))
        if epoch == self.interrupt_after:
            raise KeyboardInterrupt

    def finished(self, result):
        self.heard.append(("finished", result.outcome))


@pytest.mark.usefixtures("needs_tensorflow")
class TestProcess:
    """Each of these starts the real process."""

    def test_command_line(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        words = "run mnist_mlp --framework tensorflow --synthetic -N 1 --bs 64 --device cpu"
        with pytest.raises(SystemExit) as ended:
            main([*words.split(), "--optimizer", "alig[max_lr=0.01,max_norm=60]"])
        printed = capsys.readouterr()
        assert ended.value.code == 0, printed.err
        assert "seed 42 in tensorflow: test accuracy" in printed.out
        [path] = Path("results").rglob("*.json")
        assert path.parts[1:3] == ("mnist_mlp", "AliG")
        result = read_result(path)
        assert result.framework == "tensorflow"
        assert (result.outcome, result.steps, result.num_epochs) == (Outcome.DONE, 8, 1)
        assert (result.optimizer, result.optimizer_name) == ("alig", "AliG")
        assert result.optimizer_class == "alig_deepobs.tensorflow:AliG"
        assert result.hyperparams["max_lr"] == 0.01
        assert (result.regularization, result.max_norm) == ("ball", 60.0)
        assert result.effective_weight_decay == 0.0
        assert (result.data_set, result.data_label) == ("mnist", "MNIST (synthetic twin)")
        assert len(result.data_version) == 64
        assert (result.split, result.reshuffle) == ("full", False)
        for name in ("train_losses", "test_losses", "train_data_losses", "test_accuracies"):
            assert len(getattr(result, name)) == 2
        assert result.test_accuracies[1] > result.test_accuracies[0]
        assert len(result.minibatch_train_losses) == len(result.epoch_mean_losses) == 1
        assert len(result.step_sizes) == len(result.training_seconds) == 1
        assert len(result.evaluation_seconds) == 2
        assert 0 < sum(result.training_seconds) + sum(result.evaluation_seconds) < 300
        assert {"tensorflow", "tf_keras", "deepobs", "threads", "device"} <= set(result.environment)
        assert "torch" not in result.environment

    @pytest.mark.slow
    def test_time_limit_keeps_what_there_is(self):
        spec = RunSpec(
            "quadratic_deep", "momentum", num_epochs=100_000, framework="tensorflow", time_limit=5.0
        )
        result = execute(spec)
        assert (result.outcome, result.time_limit) == (Outcome.TIMEOUT, 5.0)
        assert result.outcome_reason == "the limit of 5 s was over"
        assert 1 < len(result.test_losses) < 100_000

    def test_interrupt_keeps_what_there_is(self):
        watcher = _Record(interrupt_after=1)
        spec = RunSpec("quadratic_deep", "momentum", num_epochs=1000, framework="tensorflow")
        result = execute(spec, watcher)
        assert result.outcome is Outcome.INTERRUPTED
        assert result.outcome_reason == "interrupted after 1 epoch"
        assert len(result.test_losses) == 2
        assert result.steps == 7
        assert watcher.heard == [
            ("started", 7), ("evaluated", 0), ("evaluated", 1), ("finished", Outcome.INTERRUPTED)
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("optimizer", "reason"),
        [
            pytest.param("Failing", "ZeroDivisionError: no", marks=pytest.mark.slow),
            ("Dying", "process ended with code 7"),
        ],
    )
    def test_run_that_breaks(self, optimizer, reason, monkeypatch):
        monkeypatch.syspath_prepend(str(HERE))
        spec = RunSpec(
            "two_d_beale", f"extra:{optimizer}", {"learning_rate": 1.0}, framework="tensorflow"
        )
        with pytest.raises(RunError, match=reason) as raised:
            execute(spec)
        assert raised.value.result.outcome is Outcome.FAILED
        assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("needs_tensorflow")
class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"testproblem": "digits_mlp"}, "digits_mlp does not run in TensorFlow"),
            ({"optimizer": "torch.optim:RAdam"}, "torch.optim:RAdam: give the learning rate"),
            ({"optimizer": "adma"}, "did you mean adam"),
            ({"hyperparams": {"momentum": 1.0}}, "momentum must be in"),
            ({"hyperparams": {"max_lr": -1.0}}, "max_lr must be positive"),
            ({"hyperparams": {"max_norm": -1.0}}, "max_norm must be positive"),
            ({"split": "validation"}, "no validation sets"),
            ({"training_params": {"clip_norm": 1.0}}, "runner has no clip_norm"),
            ({"reshuffle": True}, "leave reshuffle out"),
            ({"device": "warp"}, "unknown device 'warp'"),
            ({"weight_decay": -1.0}, "weight_decay must be a number"),
            ({"training_params": {"lr_sched_epochs": [1]}}, "give both or neither"),
            ({"framework": "jax"}, "unknown framework 'jax'"),
            ({"testproblem": "imagenet_vgg16", "synthetic": True}, "no synthetic twin"),
        ],
    )
    def test_is_found_before_anything_starts(self, options, message):
        given = {"testproblem": "quadratic_deep", "optimizer": "alig", "framework": "tensorflow"}
        with pytest.raises(UsageError, match=message):
            check(resolve(RunSpec(**(given | options))))

    def test_optimizer_that_is_in_pytorch_only(self):
        from alig_deepobs.registry import OptimizerEntry, find_optimizer, optimizers

        optimizers()["torch_only"] = OptimizerEntry("torch_only", "T", "torch.optim:SGD")
        try:
            with pytest.raises(UsageError, match=r"not run in TensorFlow; what does: alig, sgd, "):
                find_optimizer("torch_only", "tensorflow")
        finally:
            del optimizers()["torch_only"]

    def test_batch_that_does_not_fit(self):
        spec = RunSpec("quadratic_deep", "sgd", batch_size=1001, framework="tensorflow")
        with pytest.raises(UsageError, match="batch_size must be from 1 to 1000"):
            execute(spec)

    def test_data_missing(self, tmp_path, monkeypatch):
        from alig_deepobs.errors import DataError

        monkeypatch.setenv("ALIG_DEEPOBS_CACHE", str(tmp_path))
        for problem, missing in {
            "mnist_mlp": "alig-deepobs data fetch mnist",
            "fmnist_mlp": "alig-deepobs data fetch mnist",  # whose files DeepOBS reads there
            "imagenet_vgg16": "no files train-",
        }.items():
            with pytest.raises(DataError, match=missing):
                check(resolve(RunSpec(problem, "sgd", framework="tensorflow", offline=True)))


@pytest.mark.parametrize("name", ["tensorflow", "tf_keras", "deepobs"])
def test_package_missing(name, monkeypatch):
    from importlib import metadata, util

    def find_spec(wanted, find=util.find_spec):
        return None if wanted == name else object()

    def version(wanted):
        if wanted == name:
            raise metadata.PackageNotFoundError
        return "1.1.2"

    run = resolve(RunSpec("quadratic_deep", "sgd", framework="tensorflow"))
    monkeypatch.setattr(util, "find_spec", find_spec)
    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(UsageError) as raised:
        check(run)
    assert str(raised.value) == f'{name} is not installed: pip install "alig-deepobs[tensorflow]"'


def test_hyper_parameters_have_their_names_in_tensorflow():
    from alig_deepobs.runners.tensorflow.request import (
        learning_rate,
        translated_hyperparams,
    )

    def translated(optimizer, **given):
        run = resolve(RunSpec("quadratic_deep", optimizer, given, framework="tensorflow"))
        return learning_rate(run), translated_hyperparams(run)

    betas = {"beta1": 0.5, "beta2": 0.99, "epsilon": 1e-8}
    assert translated("adam", lr=0.1, betas=(0.5, 0.99)) == (0.1, betas)
    assert translated("momentum", lr=1) == (1.0, {"momentum": 0.9, "use_nesterov": False})
    rate, others = translated("alig", max_lr=None)
    assert rate == math.inf
    assert others == {
        "momentum": 0.9, "eps": 1e-5, "adjusted_momentum": False, "f_min": 0.0, "max_norm": None
    }  # fmt: skip
    path = "extra:Failing"
    assert translated(path, learning_rate=0.5, other="x") == (0.5, {"other": "x"})


def test_reports_that_are_not_finite():
    run = resolve(RunSpec("quadratic_deep", "sgd", framework="tensorflow", train_log_interval=3))
    result = run.result()
    reports = Reports(result, Callback(), 7, 0.0)
    trained = {
        "event": "trained", "epoch": 1, "steps": 7, "seconds": 1.0, "mean_loss": math.nan,
        "minibatch_losses": [3.0, math.inf, 1.0], "step_sizes": None, "guarded_steps": {},
    }  # fmt: skip
    part = {"loss": math.nan, "data_loss": math.nan, "accuracy": None}
    reports.take(trained)
    evaluated = {"event": "evaluated", "epoch": 1, "seconds": 2.0}
    reports.take(evaluated | {"parts": {"train": part, "test": part}})
    reports.take({"event": "diverged", "message": "train loss", "peak_memory": None})
    assert reports.ended
    assert (result.outcome, result.outcome_reason) == (Outcome.DIVERGED, "train loss")
    assert result.minibatch_train_losses == [3.0]
    assert result.test_losses == result.epoch_mean_losses == []
    assert result.steps == 7


def test_default_split_is_deepobs_own():
    """snli_bilstm has a validation set, which DeepOBS's runner does not know."""
    for framework, split in (("pytorch", "validation"), ("tensorflow", "full")):
        spec = RunSpec("snli_bilstm", "alig", framework=framework)
        assert resolve(spec, check_data=False).split == split
