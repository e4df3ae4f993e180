"""A run script as DeepOBS's users have it, with a hyper-parameter of each kind."""

import sys

import alig_deepobs

alig_deepobs.register("pytorch")

import torch  # noqa: E402
from deepobs.pytorch.runners import StandardRunner  # noqa: E402

if __name__ == "__main__":
    sys.argv[1:] = sys.argv[1:] or [
        "digits_mlp",
        "--lr",
        "0.1",
        "--bs",
        "64",
        "-N",
        "1",
        "--no_logs",
    ]
    names = {
        "lr": {"type": float},
        "momentum": {"type": float, "default": 0.9},
        "nesterov": {"type": bool, "default": True},
    }
    output = StandardRunner(torch.optim.SGD, names).run()
    assert output["batch_size"] == 64
    assert output["optimizer_hyperparams"] == {"lr": 0.1, "momentum": 0.9, "nesterov": True}
