"""A run script as DeepOBS 1.2's users write it, after one line that makes it work today.

    python examples/deepobs_script.py quadratic_deep --lr 0.01 --num_epochs 3
    python examples/deepobs_script.py mnist_mlp --lr 0.1 --momentum 0.9 --bs 64 -N 5 --data_dir DIR

It runs with and without the DeepOBS 1.2 beta; where the beta is installed, its own runner is used.
"""

import alig_deepobs

alig_deepobs.register("pytorch")

from deepobs.pytorch.runners import StandardRunner  # noqa: E402 - register() comes first
from torch.optim import SGD  # noqa: E402

hyperparams = {
    "lr": {"type": float},
    "momentum": {"type": float, "default": 0.0},
    "nesterov": {"type": bool, "default": False},
}

if __name__ == "__main__":
    runner = StandardRunner(SGD, hyperparams)
    runner.run()
