"""A run script of TensorFlow 1, without a changed line.

python -m alig_deepobs.tensorflow momentum.py quadratic_deep --bs 128 --lr 0.01 -N 1
"""

import tensorflow as tf
from deepobs import tensorflow as tfobs

optimizer_class = tf.train.MomentumOptimizer
hyperparams = [
    {"name": "momentum", "type": float, "default": 0.9},
    {"name": "use_nesterov", "type": bool, "default": False},
]
runner = tfobs.runners.StandardRunner(optimizer_class, hyperparams)
runner.run(train_log_interval=10)
