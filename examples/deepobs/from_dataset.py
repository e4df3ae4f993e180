"""This package's own way to a problem of one's own: data, a network and a loss."""

import torch
from torch import nn

import alig_deepobs
from alig_deepobs.registry import find_testproblem
from alig_deepobs.testproblems import from_dataset

generator = torch.Generator().manual_seed(0)
points = torch.rand(600, 2, generator=generator)
inside = (points.norm(dim=1) < 0.8).long()
Quarter = from_dataset(
    "Quarter", (points[:480], inside[:480]), (points[480:], inside[480:]),
    lambda: nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2)), nn.CrossEntropyLoss,
    num_epochs=20,
)  # fmt: skip

if __name__ == "__main__":
    runner = alig_deepobs.StandardRunner(alig_deepobs.AliG, {"max_lr": {"type": float}})
    output = runner.run("__main__:Quarter", {"max_lr": 0.1}, no_logs=True)
    assert find_testproblem("__main__:Quarter").metric == "accuracy"
    assert output["num_epochs"] == 20
    assert output["test_accuracies"][-1] > 0.85
    print(f"test accuracy {output['test_accuracies'][-1]:.1%} after {output['num_epochs']} epochs")
