"""A new optimizer, and how it compares: one command.

    python examples/benchmark_my_optimizer.py                  # a minute on the digits
    python examples/benchmark_my_optimizer.py quadratic_deep   # other problems, and any flag

Without the entry below, in the folder of this file:

    alig-deepobs compare digits_mlp --optimizers benchmark_my_optimizer:PolyakSign,alig,sgd,adam
"""

import sys

import torch

from alig_deepobs import register_optimizer
from alig_deepobs.cli.main import main
from alig_deepobs.registry import HyperParameter, NeedsLoss, OptimizerEntry


class PolyakSign(torch.optim.Optimizer):
    """Sign descent with Polyak's step size: w = w - min(loss / |g|_1, lr) sign(g)."""

    needs_loss = "value"  # the runner calls step(loss=...)
    regularization = "none"  # its smallest loss is 0 only without the L2 term

    def __init__(self, params, lr=0.01):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None, *, loss):
        """Take one step; ``loss`` is the loss whose gradient is in ``p.grad``."""
        params = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        size = loss / torch.stack([p.grad.abs().sum() for p in params]).sum()
        size = size.clamp(max=self.param_groups[0]["lr"])
        for p in params:
            p -= size * p.grad.sign()


ENTRY = OptimizerEntry(
    name="polyak_sign",
    label="PolyakSign",
    factory="benchmark_my_optimizer:PolyakSign",
    needs_loss=NeedsLoss.VALUE,
    regularization="none",
    hyperparameters={"lr": HyperParameter(float, 0.01, "cap of the step size")},
    description="sign descent with Polyak's step size",
)

if __name__ == "__main__":
    register_optimizer(ENTRY)
    words = sys.argv[1:] or ["digits_mlp", "--seeds", "3", "--output_dir", "results/polyak_sign"]
    main(["compare", "--optimizers", "polyak_sign,alig,sgd,adam", *words])
