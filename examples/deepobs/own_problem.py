"""A problem of one's own: a module of its name in the working folder, with a class of its name."""

import sys
from pathlib import Path

import alig_deepobs

alig_deepobs.register("pytorch")

sys.path.insert(0, str(Path(__file__).parent / "own"))

import torch  # noqa: E402
from deepobs import config  # noqa: E402
from deepobs.pytorch.runners import StandardRunner  # noqa: E402

config.DEFAULT_TEST_PROBLEMS_SETTINGS["my_problem"] = {"batch_size": 20, "num_epochs": 3}

if __name__ == "__main__":
    runner = StandardRunner(torch.optim.SGD, {"lr": {"type": float, "default": 0.5}})
    output = runner.run("my_problem")
    assert (output["batch_size"], output["num_epochs"]) == (20, 3)
    assert len(output["valid_losses"]) == 4
    assert output["test_losses"][-1] < output["test_losses"][0]
    assert output["test_accuracies"][-1] > 0.6
