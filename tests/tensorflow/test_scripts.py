"""`alig-deepobs deepobs`: DeepOBS 1.1.2's scripts on this package's own commands."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from alig_deepobs.baselines.committed import write_published
from alig_deepobs.cli.main import cli
from alig_deepobs.errors import UsageError
from alig_deepobs.testproblems.datasets.deepobs_files import missing_for_deepobs, write_for_deepobs
from alig_deepobs.testproblems.datasets.images import fmnist, mnist
from alig_deepobs.testproblems.datasets.svhn import svhn

SCRIPT = """
import tensorflow as tf
from deepobs import tensorflow as tfobs

momentum = {"name": "momentum", "type": float}
tfobs.runners.StandardRunner(tf.train.MomentumOptimizer, [momentum]).run()
"""


def run(*words):
    return CliRunner().invoke(cli, ["deepobs", *map(str, words)], standalone_mode=False)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Official formats, with the content of the synthetic twins."""
    folder = tmp_path / "cache"
    folder.mkdir()
    for load in (mnist, fmnist, svhn):
        write_for_deepobs(load(synthetic=True), folder)
    monkeypatch.setenv("ALIG_DEEPOBS_CACHE", str(folder))


def test_prepare_data_writes_what_deepobs_reads(cache, tmp_path):
    target = tmp_path / "data"
    done = run("prepare_data", f"-d={target}", "-o=svhn", "--only=mnist", "--offline")
    assert done.return_value == 0, done.output
    assert "SVHN (unverified files) written to" in done.output
    assert not missing_for_deepobs("svhn", target)
    assert not missing_for_deepobs("mnist", target)
    assert missing_for_deepobs("fmnist", target)
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    assert "svhn: is in" in run("prepare_data", "-d", target, "-o", "svhn").output
    assert before == {path: path.stat().st_mtime_ns for path in target.rglob("*")}


def test_prepare_data_goes_on_after_one_that_is_missing(cache, tmp_path):
    target = tmp_path / "data"
    skipped = [f"--skip={name}" for name in ("tolstoi", "cifar100", "svhn")]
    done = run("prepare_data", f"--data_dir={target}", *skipped, "--offline")
    assert done.return_value == 1
    assert "Error: CIFAR-10: cifar-10-binary.tar.gz missing" in done.output
    assert not missing_for_deepobs("fmnist", target)


def test_prepare_data_of_unknown_and_of_imagenet(tmp_path):
    wrong = run("prepare_data", "--only=mnits")
    assert isinstance(wrong.exception, UsageError)
    assert "did you mean mnist" in str(wrong.exception)
    done = run("prepare_data", f"-d={tmp_path}", "--only=imagenet")
    assert "bring your own copy as TFRecords" in done.output


def test_get_baselines_once(tmp_path):
    done = run("get_baselines", f"--data_dir={tmp_path / 'baselines'}")
    assert "1,080 runs written" in done.output
    assert write_published(tmp_path / "baselines") == 0


@pytest.mark.slow
def test_analyzer_reads_the_baselines(python, tmp_path):
    """The runs of the grids, of which the ends were kept, have their final values at the end."""
    write_published(tmp_path / "baselines_deepobs")
    code = (
        "import os, sys; os.chdir(sys.argv[1]); from alig_deepobs.tensorflow import enable; "
        "analyze = enable().analyzer.analyze_utils.OptimizerAnalyzer; "
        "path = 'baselines_deepobs/quadratic_deep'; "
        "of = analyze(path, 'SGD', 'test_losses', 'quadratic_deep', 0.0).settings; "
        "print([float(of[name].aggregate.final_value) for name in of if 'lr__1.e-05' in name])"
    )
    printed = python("-c", code, tmp_path, PYTHONPATH=os.pathsep.join(sys.path))
    assert "[236.0931" in printed, printed[-400:]


@pytest.mark.slow
def test_estimate_runtime(python, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    code = (
        "import os, sys; os.chdir(sys.argv[1]); from alig_deepobs.cli.main import main; "
        "main('deepobs estimate_runtime script.py --test_problem quadratic_deep --bs 100 -N 1 "
        "--num_runs 1 --saveto out --optimizer_args --momentum=0.9'.split())"
    )
    printed = python("-c", code, tmp_path, PYTHONPATH=os.pathsep.join(sys.path))
    assert "** Mean run time SGD: " in printed
    assert "** Mean overhead: " in (tmp_path / "out" / "runtime_script.txt").read_text()


def test_a_project_of_tensorflow_1(python, tmp_path):
    """A test file as DeepOBS's own, and an optimizer and a problem in modules beside it."""
    (tmp_path / "mine.py").write_text(
        "import tensorflow as tf\n\n\nclass Mine(tf.train.MomentumOptimizer):\n    pass\n"
    )
    (tmp_path / "test_mine.py").write_text(
        "import unittest\n"
        "import tensorflow as tf\n"
        "from deepobs.tensorflow import testproblems\n"
        "from mine import Mine\n\n\n"
        "class Test(unittest.TestCase):\n"
        "    def parameters(self):\n"
        "        tf.reset_default_graph()\n"
        "        problem = testproblems.quadratic_deep(100)\n"
        "        problem.set_up()\n"
        "        Mine(0.1, 0.9).minimize(tf.reduce_mean(problem.losses))\n"
        "        with tf.Session() as session:\n"
        "            session.run(tf.global_variables_initializer())\n"
        "            session.run(problem.train_init_op)\n"
        "            self.assertEqual(session.run(problem.losses).shape, (100,))\n"
        "        return [v.shape.as_list() for v in tf.trainable_variables()]\n\n"
        "    def test_parameters(self):\n"
        "        for _ in range(2):\n"
        "            self.assertEqual(self.parameters(), [[1, 100]])\n\n\n"
        "unittest.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "alig_deepobs.tensorflow", "test_mine.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert "Ran 1 test" in done.stderr, done.stderr[-2000:]
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_script_for_the_tensorflow_half_of_1_2(python, tmp_path):
    (tmp_path / "script.py").write_text(
        "import tensorflow as tf\n"
        "from deepobs import tensorflow as tfobs\n"
        "names = {'learning_rate': {'type': float}, 'momentum': {'type': float, 'default': 0.5}}\n"
        "runner = tfobs.runners.StandardRunner(tf.train.MomentumOptimizer, names)\n"
        "runner.run(hyperparams={'learning_rate': 0.02}, batch_size=100)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "alig_deepobs.tensorflow", "script.py", "quadratic_deep", "-N", "0"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    (path,) = tmp_path.glob("results/quadratic_deep/MomentumOptimizer/*")
    assert path.name == "num_epochs__0__batch_size__100__momentum__5.e-01__lr__2.e-02"
