"""Every public name of DeepOBS 1.2's beta, its private names that tools use, and its own tests."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from alig_deepobs.errors import UsageError
from alig_deepobs.runners.deepobs import (
    analyzer,
    config,
    datasets,
    pytorch_config,
    runners,
    testproblems,
)
from alig_deepobs.runners.deepobs.hooks import Hooks
from alig_deepobs.runners.deepobs.register import PROVIDED

DOCS = Path(__file__).parents[2] / "docs" / "deepobs-scripts.md"
# Parameters of the problems that DeepOBS's own PyTorch tests count.
PARAMETERS = {
    "quadratic_deep": 100, "mnist_logreg": 7_850, "mnist_mlp": 1_336_610, "fmnist_mlp": 1_336_610,
    "mnist_2c2d": 3_274_634, "fmnist_2c2d": 3_274_634, "mnist_vae": 10_151_489,
    "fmnist_vae": 10_151_489, "cifar10_3c3d": 895_210, "cifar100_3c3d": 918_340,
    "cifar100_allcnnc": 1_387_108, "svhn_wrn164": 2_748_890, "cifar100_wrn164": 2_772_020,
}  # fmt: skip


def documented():
    """(module, name) of each row of the table in the documentation."""
    rows = re.findall(r"^\| `(deepobs[\w.]*)` \| (.*) \|$", DOCS.read_text(), re.MULTILINE)
    return [(module, name) for module, names in rows for name in re.findall(r"`(\w+)`", names)]


@pytest.mark.parametrize(("module", "name"), documented())
def test_every_name_of_the_table(module, name):
    if module == "deepobs":
        assert name == "__version__"  # of the package that `register` makes
        return
    found = importlib.import_module(PROVIDED[module])
    assert getattr(found, name) is not None
    if not name.startswith("_"):
        assert name in dir(found) or name in {"rank_settings"}


def test_the_table_is_large():
    assert len(documented()) > 100
    assert len({module for module, _ in documented()}) >= 19


def test_dir_has_public_names_only():
    assert len(dir(config)) == 21
    for module in (config, pytorch_config, testproblems):
        assert not [name for name in dir(module) if name.startswith("_") or name == "annotations"]


def test_hooks_have_the_signatures_of_the_beta():
    names = list(inspect.signature(Hooks._post_process_output).parameters)
    assert names[:9] == ["self", "output", "testproblem", "batch_size", "num_epochs", "random_seed",
                         "weight_decay", "hyperparams", "training_params"]  # fmt: skip
    assert list(inspect.signature(Hooks._abort_routine).parameters)[:3] == [
        "epoch_count", "num_epochs", "train_losses",
    ]  # fmt: skip
    assert not inspect.signature(runners.PTRunner.evaluate_all).parameters.keys() - {
        "self", "epoch_count", "num_epochs", "tproblem", "train_losses", "valid_losses",
        "test_losses", "train_accuracies", "valid_accuracies", "test_accuracies",
    }  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_and_a_forward_pass(name, monkeypatch):
    monkeypatch.setattr(pytorch_config, "get_default_device", lambda: "cpu")
    torch.manual_seed(42)
    problem = getattr(testproblems, name)(8, synthetic=True)
    problem.set_up()
    assert sum(p.numel() for p in problem.net.parameters()) == PARAMETERS[name]
    for start in (problem.train_init_op, problem.train_eval_init_op, problem.valid_init_op,
                  problem.test_init_op):  # fmt: skip
        start()
        loss, accuracy = problem.get_batch_loss_and_accuracy()
        assert torch.isfinite(loss)
        assert isinstance(accuracy, float)
        assert 0.0 <= accuracy <= 1.0
    groups = problem.get_regularization_groups()
    assert sum(len(members) for members in groups.values()) == len(list(problem.net.parameters()))
    assert any(groups) == (problem._weight_decay is not None)


def test_networks_and_losses_are_called_as_in_the_beta(monkeypatch):
    monkeypatch.setattr(pytorch_config, "get_default_device", lambda: "cpu")
    problem = testproblems.mnist_vae(8, synthetic=True)
    problem.set_up()
    problem.test_init_op()
    images, _ = problem._get_next_batch()
    reconstruction, mean, std_dev = problem.net(images)
    losses = problem.loss_function(reduction="none")(reconstruction, images, mean, std_dev)
    together = problem.loss_function(reduction="none")((reconstruction, mean, std_dev), images)
    assert torch.equal(losses, together)
    problem.test_init_op()
    assert problem.get_batch_loss_and_accuracy(reduction="none")[0].shape == losses.shape
    problem = testproblems.tolstoi_char_rnn(8, synthetic=True)
    problem.set_up()
    problem.test_init_op()
    characters, _, state = problem._get_next_batch()
    assert torch.equal(problem.net(characters)[0], problem.net(characters, state)[0])


@pytest.mark.parametrize("name", ["dnc_copy", "snli_bilstm", "tolstoi_char_rnn", "digits_mlp"])
def test_length_of_loaders(name):
    options = {} if name in ("dnc_copy", "digits_mlp") else {"synthetic": True}
    problem = getattr(testproblems, name)(16, device="cpu", **options)
    problem.set_up()
    for phase in ("train", "train_eval", "valid", "test"):
        loader = getattr(problem.data, f"_{phase}_dataloader")
        if loader is not None:
            batches = list(loader)
            assert len(loader) == len(batches), phase
            assert len(batches[0][0]) == loader.batch_size


def test_loaders_are_made_anew_as_tools_do():
    problem = testproblems.digits_mlp(16, device="cpu")
    problem.set_up()
    train, valid = problem.data._make_train_and_valid_dataloader()
    assert train is not problem.data._train_dataloader
    assert (len(train.dataset), len(valid)) == (1189, 16)
    assert len(problem.data._make_test_dataloader().dataset) == 352
    assert len(problem.data._make_train_eval_dataloader()) == 74
    assert problem.data._name == "digits"


def test_both_spellings_of_a_data_set_of_ones_own():
    """The size as an argument or as an attribute; the split in order or at random."""
    examples = torch.utils.data.TensorDataset(torch.arange(100.0))

    class Mine(datasets.DataSet):
        def _make_train_and_valid_dataloader(self):
            return self._make_train_and_valid_dataloader_helper(examples, examples, False)

        def _make_test_dataloader(self):
            return self._make_dataloader(examples, drop_last=False)

    class Split(Mine):
        _train_eval_size = 20

        def _make_train_and_valid_dataloader(self):
            return self._make_train_and_valid_dataloader_helper(examples, examples)

        def _make_train_eval_split_sampler(self, train_dataset):
            return range(50), range(50, 100)

    mine = Mine(8, 20)
    assert sorted(mine._valid_dataloader.sampler) == list(range(20))
    assert (len(mine._train_eval_dataloader), len(mine._test_dataloader)) == (2, 13)
    assert list(Split(10)._valid_dataloader.sampler) == list(range(50, 100))


def test_a_stranger_called_deepobs(tmp_path):
    (tmp_path / "deepobs").mkdir()
    (tmp_path / "deepobs" / "__init__.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import alig_deepobs; "
    done = subprocess.run(
        [sys.executable, "-c", code + "alig_deepobs.register('pytorch')"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    last = done.stderr.splitlines()[-1]
    assert "UsageError: the package deepobs in" in last
    assert "is neither DeepOBS 1.1.2 nor the 1.2 beta" in last


def test_names_that_are_in_no_version():
    with pytest.raises(AttributeError, match="did you mean mnist_mlp"):
        testproblems.mnist_mpl  # noqa: B018
    with pytest.raises(AttributeError, match="get_data_dir"):
        config.get_data_dri  # noqa: B018


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("deepobs.analyzer.check_outptu", "check_output"),
        ("deepobs.tuner.tuner_utils.rerun_settings", "rerun_setting"),
        ("deepobs.pytorch.runners.StandrdRunner", "StandardRunner"),
        ("deepobs.pytorch.runers", "runners"),
        ("deepobs.tunr", "tuner"),
    ],
)
def test_nearest_name_in_every_module(path, near):
    code = f"import alig_deepobs; alig_deepobs.register('pytorch'); import deepobs; {path}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    module, _, name = path.rpartition(".")
    last = done.stderr.splitlines()[-1]
    assert f"AttributeError: unknown name in {module} '{name}'; did you mean {near}" in last


def test_modules_by_their_whole_path():
    """As attributes, and imported from their packages; what `dir` shows of each is public."""
    paths = [path for path in PROVIDED if path.count(".") > 1]
    lines = [f"from {path.rpartition('.')[0]} import {path.rpartition('.')[2]}" for path in paths]
    code = f"""
import alig_deepobs
alig_deepobs.register("pytorch")
import sys, deepobs, deepobs.pytorch
for path in {list(PROVIDED)}:
    module = eval(path)
    assert module is sys.modules[path], path
    hidden = [name for name in dir(module) if name in ("annotations", "Any", "logging")]
    assert not hidden, path
{chr(10).join(lines)}
assert issubclass(deepobs.pytorch.runners.PTRunner, abstract_runner.Runner)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "hook",
    [
        "_add_training_params_to_argparse", "_add_hyperparams_to_argparse", "_filename_no_date",
        "_add_hyperparams_to_output_dir_name", "create_testproblem", "evaluate", "evaluate_all",
        "training", "_post_process_output",
    ],
)  # fmt: skip
def test_a_hook_that_raises(hook, monkeypatch, tmp_path):
    def fail(*arguments, **keywords):
        raise ZeroDivisionError("mine")

    is_static = isinstance(inspect.getattr_static(runners.StandardRunner, hook), staticmethod)
    own = {hook: staticmethod(fail) if is_static else fail}
    mine = type("Mine", (runners.StandardRunner,), own)
    monkeypatch.setattr(sys, "argv", ["script.py"])
    monkeypatch.setattr(pytorch_config, "get_default_device", lambda: "cpu")
    named = "names the folder" if "output_dir_name" in hook else hook
    with pytest.raises(UsageError, match=rf"{named}.* failed: .*mine.*test_names.py") as raised:
        mine(torch.optim.SGD, {"lr": {"type": float}}).run(
            "digits_logreg", {"lr": 0.1}, num_epochs=0, output_dir=str(tmp_path)
        )
    assert isinstance(raised.value.__cause__, ZeroDivisionError)  # its traceback is shown


def test_an_evaluation_of_ones_own_is_what_counts(monkeypatch):
    class Mine(runners.StandardRunner):
        @staticmethod
        def evaluate(tproblem, phase):
            loss, accuracy = runners.StandardRunner.evaluate(tproblem, phase)
            return 2 * loss, accuracy

    monkeypatch.setattr(sys, "argv", ["script.py"])
    monkeypatch.setattr(pytorch_config, "get_default_device", lambda: "cpu")
    outputs = [
        kind(torch.optim.SGD, {"lr": {"type": float}}).run(
            "digits_logreg", {"lr": 0.1}, num_epochs=1, no_logs=True
        )
        for kind in (runners.StandardRunner, Mine)
    ]
    for name in ("test_losses", "valid_losses"):
        assert outputs[1][name] == pytest.approx([2 * loss for loss in outputs[0][name]])
    assert outputs[1]["test_accuracies"] == outputs[0]["test_accuracies"]


def test_a_problem_that_builds_on_a_built_in_one(monkeypatch):
    """It is found by its name, and its runs are those of the other where nothing is changed."""

    class plain_digits(testproblems.digits_mlp):
        def set_up(self):
            super().set_up()
            self.loss_function = torch.nn.CrossEntropyLoss

    monkeypatch.setattr(sys, "argv", ["script.py"])
    monkeypatch.setattr(pytorch_config, "get_default_device", lambda: "cpu")
    monkeypatch.setattr(testproblems, "plain_digits", plain_digits, raising=False)
    losses = [
        runners.StandardRunner(torch.optim.SGD, {"lr": {"type": float}}).run(
            name, {"lr": 0.1}, batch_size=32, num_epochs=1, random_seed=43, no_logs=True
        )["test_losses"]
        for name in ("plain_digits", "digits_mlp")
    ]
    assert losses[0] == pytest.approx(losses[1])


def test_runtime_is_measured_after_a_first_run(capsys):
    epochs = []

    class Fake:
        def __init__(self, optimizer_class, names):
            pass

        def run(self, testproblem, num_epochs, **arguments):
            epochs.append(num_epochs)

    found = analyzer.estimate_runtime("pytorch", Fake, torch.optim.Adam, {}, {}, n_runs=2)
    assert epochs == [0, 0, 5, 5, 5, 5]
    assert len(found["sgd"]) == 2
