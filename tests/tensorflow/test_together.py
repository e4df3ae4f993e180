"""`register` for both frameworks in one process, and the example script."""

from pathlib import Path

import pytest

from alig_deepobs.results import read_result

CODE = """
import alig_deepobs
alig_deepobs.register()
import deepobs
from deepobs.pytorch.runners import StandardRunner as ForPyTorch
import tensorflow as tf
assert deepobs.pytorch.runners.StandardRunner is ForPyTorch
runner = deepobs.tensorflow.runners.StandardRunner(tf.compat.v1.train.GradientDescentOptimizer, [])
runner.run(testproblem="quadratic_deep", batch_size=128, num_epochs=1, learning_rate=0.01,
           no_logs=True)
assert callable(deepobs.analyzer.analyze.plot_lr_sensitivity)
"""


@pytest.mark.slow
def test_both_halves_of_deepobs(python):
    assert "TEST: loss 353.447" in python("-c", CODE)


def test_example_script(python, tmp_path):
    example = Path(__file__).parents[2] / "examples" / "deepobs_tensorflow_script.py"
    words = [
        "quadratic_deep",
        "--bs",
        128,
        "-N",
        1,
        "--lr",
        0.01,
        "--momentum",
        0.9,
        "--output_dir",
    ]
    assert "TEST: loss 353.447" in python(example, *words, tmp_path)
    [path] = tmp_path.rglob("*.json")
    assert path.parts[-4:-1] == (
        "quadratic_deep", "AliG", "num_epochs__1__batch_size__128__momentum__9.e-01__lr__1.e-02"
    )  # fmt: skip
    result = read_result(path)
    assert result.test_losses[1] < result.test_losses[0] / 2
