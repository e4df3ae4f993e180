"""`register()` where there is no deepobs.pytorch, where the beta is, and twice.

Each case runs in a process of its own, because it is about what is importable.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "deepobs_script.py"


def python(code, *paths, check=True):
    """Runs code with folders in front of the path; returns the finished process."""
    preamble = f"import sys; sys.path[:0] = {[str(path) for path in paths]!r}\n"
    return subprocess.run(
        [sys.executable, "-c", preamble + textwrap.dedent(code)],
        capture_output=True, text=True, check=check,
    )  # fmt: skip


def test_provides_what_the_beta_has():
    done = python(
        """
        import sys
        import alig_deepobs
        alig_deepobs.register("pytorch")
        alig_deepobs.register("pytorch")  # twice does no harm
        import deepobs
        from deepobs import config
        import deepobs.pytorch as pt
        from deepobs.pytorch.runners import StandardRunner, LearningRateScheduleRunner, PTRunner
        from deepobs.pytorch.testproblems import quadratic_deep, mnist_mlp
        from deepobs.pytorch.testproblems.testproblem import TestProblem
        from deepobs.pytorch.datasets import DataSet, mnist, quadratic
        from deepobs.tuner import GridSearch, RandomSearch
        from deepobs.tuner.tuner_utils import rerun_setting, log_uniform
        from deepobs.pytorch import config as pt_config
        assert issubclass(pt.testproblems.quadratic_deep, TestProblem)
        assert config.get_testproblem_default_setting("mnist_vae") == {
            "batch_size": 64, "num_epochs": 50}
        assert config.get_small_test_set()[0] == "quadratic_deep"
        assert config.DATA_SET_NAMING["mnist"] == "MNIST"
        assert config.TP_NAMING["vae"] == "VAE"
        pt_config.set_default_device("cpu")
        data = quadratic(batch_size=100)
        assert len(list(data._train_dataloader)) == 10
        assert len(list(data._valid_dataloader)) == 10
        assert "tensorflow" not in sys.modules
        """
    )
    assert done.stderr == ""


def test_split_of_the_released_version():
    python(
        """
        import alig_deepobs
        alig_deepobs.register("pytorch", split="full")
        from deepobs.pytorch.runners import StandardRunner
        import torch
        out = StandardRunner(torch.optim.SGD, {"lr": {"type": float}}).run(
            testproblem="quadratic_deep", hyperparams={"lr": 0.01}, num_epochs=1, no_logs=True)
        assert out["valid_losses"] == [], out["valid_losses"]
        assert abs(out["test_losses"][0] - 353.447) < 1e-3
        """
    )


@pytest.fixture
def beta(tmp_path):
    """A package with the shape of the 1.2 beta (which is not published), made for this test."""
    files = {
        "deepobs/__init__.py": "",
        "deepobs/config.py": """
            DEFAULT_TEST_PROBLEMS_SETTINGS = {"mnist_mlp": {"batch_size": 128, "num_epochs": 100}}
            DATA_SET_NAMING = {"mnist": "MNIST (beta)"}
            TP_NAMING = {"mlp": "MLP (beta)"}
            def get_data_dir(): return "data_deepobs"
            """,
        "deepobs/pytorch/__init__.py": "from . import testproblems, runners",
        "deepobs/pytorch/testproblems/__init__.py": "class mnist_mlp: pass",
        "deepobs/pytorch/runners/__init__.py": """
            import json
            import torch
            from deepobs.pytorch import testproblems
            class StandardRunner:
                def __init__(self, optimizer_class, names):
                    self.optimizer_class, self.names = optimizer_class, names
                def run(self, testproblem="digits_mlp", hyperparams=None, num_epochs=1):
                    torch.manual_seed(42)
                    problem = getattr(testproblems, testproblem)(32)
                    problem.set_up()
                    opt = self.optimizer_class(problem.net.parameters(), lr=0.1)
                    losses, accuracies = [], []
                    for start in (problem.train_eval_init_op, problem.valid_init_op,
                                  problem.test_init_op, problem.train_init_op):
                        start()
                        while True:
                            try:
                                loss, accuracy = problem.get_batch_loss_and_accuracy()
                            except StopIteration:
                                break
                            if problem.phase == "train":
                                opt.zero_grad(); loss.backward(); opt.step()
                            losses.append(float(loss))
                            accuracies.append(accuracy)
                    json.dumps(accuracies)  # as the beta does with what problems return
                    print("beta's runner", losses[0], losses[-1])
                    return losses
            """,
    }
    for name, text in files.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return tmp_path / "site"


def test_adds_to_an_installed_beta(beta):
    python(
        """
        import alig_deepobs
        alig_deepobs.register("pytorch")
        import deepobs.config
        from deepobs.pytorch import testproblems
        assert testproblems.mnist_mlp.__module__ == "deepobs.pytorch.testproblems"  # theirs stays
        assert testproblems.digits_mlp.__name__ == "digits_mlp"
        assert not hasattr(testproblems, "two_d_beale")  # no validation set
        assert deepobs.config.DEFAULT_TEST_PROBLEMS_SETTINGS["digits_mlp"] == {
            "batch_size": 32, "num_epochs": 30}
        assert deepobs.config.DATA_SET_NAMING["mnist"] == "MNIST (beta)"
        assert deepobs.config.DATA_SET_NAMING["digits"] == "Digits"
        from deepobs.pytorch.runners import StandardRunner
        import torch
        losses = StandardRunner(torch.optim.SGD, {}).run()
        assert losses[-1] < losses[0]
        """,
        beta,
    )


def test_example_script_without_the_beta(tmp_path):
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), "quadratic_deep", "--lr", "0.01", "-N", "1",
         "--no-nesterov"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "After 1 epoch: train loss" in done.stdout
    (path,) = (tmp_path / "results").rglob("*.json")
    record = json.loads(path.read_text())
    assert record["optimizer_hyperparams"] == {"lr": 0.01, "momentum": 0.0, "nesterov": False}
    assert len(record["valid_losses"]) == 2


def test_example_script_with_the_beta(beta):
    code = (
        "import runpy, sys; sys.argv = ['x']\n"
        f"runpy.run_path({str(EXAMPLE)!r}, run_name='__main__')"
    )
    assert "beta's runner" in python(code, beta).stdout


def test_without_tensorflow():
    done = python(
        """
        import sys
        sys.modules["tensorflow"] = None
        import alig_deepobs
        alig_deepobs.register()
        from deepobs.pytorch.testproblems import quadratic_deep
        assert "deepobs.tensorflow" not in sys.modules
        alig_deepobs.register("tensorflow")
        """,
        check=False,
    )
    last = done.stderr.splitlines()[-1]
    install = 'pip install "alig-deepobs[tensorflow]"'
    assert last.endswith(f"UsageError: tensorflow is not installed: {install}")


def test_unknown_framework():
    done = python("import alig_deepobs; alig_deepobs.register('jax')", check=False)
    assert "framework must be 'pytorch' or 'tensorflow', not 'jax'" in done.stderr


def test_alias_without_tensorflow():
    done = python("import alig_deepobs; alig_deepobs.register('pytorch', alias=True)", check=False)
    assert done.stderr.splitlines()[-1].endswith(
        'alias=True goes with register("tensorflow", alias=True)'
    )
