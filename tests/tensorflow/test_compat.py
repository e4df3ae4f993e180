"""`enable` makes DeepOBS 1.1.2 run on TensorFlow 2 and leaves everything else alone."""

import importlib
import os
import sys
from importlib import metadata
from types import ModuleType

import pytest

from alig_deepobs.errors import UsageError
from alig_deepobs.runners.tensorflow.compat import Arguments
from alig_deepobs.tensorflow import enable

INSTALL = 'pip install "alig-deepobs[tensorflow]"'


@pytest.fixture(scope="module")
def answers(worker):
    return worker("compat_worker")


class TestEnabled:
    @pytest.fixture
    def of(self, answers):
        def find(scenario):
            found = answers[scenario]
            assert "error" not in found, found["error"]
            return found

        return find

    def test_rest_of_the_process_is_left_alone(self, of):
        packages = of("packages")
        assert packages["lazy"]
        assert packages["same"]
        assert packages["tensorflow"].startswith("2.")
        assert packages["eager"]
        assert packages["keras"].startswith("3.")
        assert packages["environment"] == []
        assert packages["style"] == []

    def test_runner_gives_the_published_losses_in_every_run(self, of):
        first, second = of("runs")
        # 353.447 is the initial test loss of DeepOBS's published baselines.
        assert first == pytest.approx([353.447, 106.421], abs=1e-3)
        assert second[0] == pytest.approx(353.447, abs=1e-3)
        assert second[1] != first[1]

    def test_missing_options_are_an_error_without_the_command_line(self, of):
        message = of("options_missing")
        assert message.startswith("UsageError: StandardRunner.run: ")
        assert "--num_epochs, --learning_rate" in message
        assert "enable(command_line=True)" in message
        assert "\n" not in message

    def test_script_has_its_command_line(self, of):
        [losses] = of("script")
        assert losses[1] == pytest.approx(114.358, abs=1e-2)
        assert of("script_with_wrong_arguments") == "SystemExit: 2"

    def test_command_line_can_be_read_always(self, of):
        always = of("command_line_always")
        assert len(always["results"]) == 1
        assert always["off"].startswith("UsageError")

    def test_problem_in_eager_mode(self, of):
        assert of("eager").startswith("UsageError: DeepOBS builds graphs")
        assert "tf.Graph().as_default()" in of("eager")

    def test_missing_files_are_one_line(self, of):
        names = ("mnist", "fmnist", "cifar10", "cifar100", "svhn", "tolstoi", "imagenet")
        for name, message in zip(names, of("files")["missing"], strict=True):
            assert message.startswith(f"DataError: {name}: no "), message
            assert "\n" not in message
        assert (
            "no svhn/data_batch_*.bin and no svhn/test_batch.bin in " in of("files")["missing"][4]
        )
        assert "prepare_data --data_dir=nowhere --only=svhn`" in of("files")["missing"][4]

    def test_batch_larger_than_a_set(self, of):
        assert of("files")["few"].startswith("UsageError: a set of the problem has fewer examples")

    def test_stand_ins_for_contrib(self, of):
        contrib = of("contrib")
        assert contrib["l2"] == pytest.approx(0.1 / 2 * 25)
        assert contrib["none"]
        assert contrib["negative"].startswith("ValueError: scale")
        assert contrib["sequence_loss"]

    def test_analyzer_draws_and_writes_everything(self, of):
        analyzed = of("analyzer")
        assert {
            "benchmark_small.tex",
            "benchmark_small.pdf",
            "benchmark_large.tex",
            "performance_table_small.tex",
            "tuning_plot.tex",
        } <= set(analyzed["files"])
        assert r"\includegraphics{benchmark_small.pdf}" in analyzed["tex"]
        assert "106.4215" in analyzed["table"]
        assert analyzed["style"] == []


@pytest.mark.slow
def test_deepobs_may_be_imported_before(python):
    program = (
        "import deepobs, alig_deepobs.tensorflow as half\n"
        "module = half.enable()\n"
        "import tensorflow as tf\n"
        "with tf.Graph().as_default():\n"
        "    problem = module.tensorflow.testproblems.quadratic_deep(100)\n"
        "    problem.set_up()\n"
        "print(module is deepobs, problem.losses.shape)\n"
    )
    assert python("-c", program).endswith("True (100,)\n")


@pytest.mark.slow
def test_alias_is_for_the_script_that_asks(python, tmp_path):
    script = tmp_path / "script.py"
    (tmp_path / "other.py").write_text("import tensorflow as tf\n")
    (tmp_path / "third.py").write_text("import tensorflow as tf\n")
    script.write_text(
        "import tensorflow as tf, other, alig_deepobs\n"
        "alig_deepobs.register('tensorflow', alias=True)\n"
        "before = tf.train.MomentumOptimizer\n"
        "import tensorflow as tf, third\n"
        "from tensorflow import train\n"
        "def later():\n"
        "    import tensorflow\n"
        "    return tensorflow.train.MomentumOptimizer\n"
        "assert before is tf.train.MomentumOptimizer is train.MomentumOptimizer is later()\n"
        "assert other.tf is third.tf and not hasattr(third.tf.train, 'MomentumOptimizer')\n"
        "print(tf.layers.dense.__name__)\n"
        "try:\n"
        "    from deepobs import tensorflow as tfobs\n"
        "    tfobs.testproblems.mnist_mpl\n"
        "except AttributeError as error:\n"
        "    print(error)\n"
    )
    printed = python(script, PYTHONPATH=os.pathsep.join(sys.path)).splitlines()
    assert printed[0] == "dense"
    assert "'mnist_mpl'; did you mean mnist_mlp" in printed[1]


class TestMissing:
    """These need no TensorFlow."""

    @pytest.fixture(autouse=True)
    def stand_ins(self, monkeypatch):
        for name in ("tensorflow", "tf_keras"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))

    @pytest.mark.parametrize("name", ["tensorflow", "tf_keras"])
    def test_package(self, name, monkeypatch):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(UsageError) as raised:
            enable()
        assert str(raised.value) == f"{name} is not installed: {INSTALL}"

    def test_package_of_a_package(self, monkeypatch):
        def fail(name):
            raise ImportError("undefined symbol")

        monkeypatch.setattr(importlib, "import_module", fail)
        with pytest.raises(
            UsageError, match=r"tensorflow cannot be imported .undefined symbol.: pip"
        ):
            enable()

    def test_deepobs(self, monkeypatch):
        def fail(name):
            raise metadata.PackageNotFoundError(name)

        monkeypatch.setattr(metadata, "version", fail)
        with pytest.raises(UsageError) as raised:
            enable()
        assert str(raised.value) == f"deepobs is not installed: {INSTALL}"

    def test_another_deepobs(self, monkeypatch):
        monkeypatch.setattr(metadata, "version", lambda name: "1.2.0b0")
        with pytest.raises(UsageError, match=r"deepobs 1\.2\.0b0 .*: pip install deepobs==1\.1\.2"):
            enable()


class TestArguments:
    @pytest.fixture
    def parser(self, monkeypatch):
        monkeypatch.setattr(sys, "argv", ["script", "mnist_mlp", "--lr", "2"])
        parser = Arguments()
        parser.add_argument("--lr", type=float, default=1.0)
        return parser

    def test_command_line_is_not_read(self, parser):
        assert vars(parser.parse_args()) == {"lr": 1.0}

    def test_command_line_is_read_for_the_test_problem(self, parser):
        parser.add_argument("testproblem")
        assert vars(parser.parse_args()) == {"lr": 2.0, "testproblem": "mnist_mlp"}

    def test_given_arguments_are_read(self, parser):
        assert vars(parser.parse_args(["--lr", "3"])) == {"lr": 3.0}

    def test_error_names_the_argument(self, parser):
        parser.add_argument("--bs", required=True)
        with pytest.raises(UsageError, match=r"required: --bs"):
            parser.parse_args()
