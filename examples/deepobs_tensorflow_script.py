"""A run script for DeepOBS 1.1.2 (TensorFlow), with ALI-G.

    python deepobs_tensorflow_script.py quadratic_deep --bs 128 -N 100 --lr 0.01 --momentum 0.9

``--lr`` is the cap of the step size.
"""

import alig_deepobs

alig_deepobs.register("tensorflow")

from deepobs.tensorflow.runners import StandardRunner  # noqa: E402 - register() comes first

from alig_deepobs.tensorflow import AliG  # noqa: E402

runner = StandardRunner(AliG, [{"name": "momentum", "type": float, "default": 0.0}])
runner.run()
