"""`register` for both frameworks in one process."""

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


def test_both_halves_of_deepobs(python):
    assert "TEST: loss 353.447" in python("-c", CODE)
