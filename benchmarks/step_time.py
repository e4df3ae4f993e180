"""Time of one optimizer step: AliG against torch's SGD, side by side in one process.

    python benchmarks/step_time.py [--device cuda] [--rounds 15]

Prints, for each set of parameter shapes, the median time of a step and its ratio to torch's fused
SGD with Nesterov momentum, the fastest step that torch has for the same amount of state. The
optimizers take turns within each round, and ratios are taken round by round, so a machine whose
speed drifts drifts for all.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from alig_deepobs import AliG

# The shapes of real networks, so that kernels see a realistic mix of large and small tensors.
SHAPES = {
    "digits_mlp (12 k)": [(100, 64), (100,), (50, 100), (50,), (10, 50), (10,)],
    "mnist_2c2d (3.3 M)": [
        (32, 1, 5, 5), (32,), (64, 32, 5, 5), (64,), (1024, 3136), (1024,), (10, 1024), (10,),
    ],
    "WRN-like (8.9 M, 120 tensors)": (
        [(160, 160, 3, 3)] * 12 + [(320, 320, 3, 3)] * 6 + [(160,)] * 60 + [(320,)] * 42
    ),
}  # fmt: skip


def optimizers(shapes, device):
    """Name -> a function that takes one step; each optimizer has its own parameters."""

    def params():
        torch.manual_seed(0)
        tensors = [torch.nn.Parameter(torch.randn(s, device=device) * 0.1) for s in shapes]
        for p in tensors:
            p.grad = torch.randn_like(p) * 0.01
        return tensors

    def sgd(**options):
        return torch.optim.SGD(params(), lr=1e-6, momentum=0.9, nesterov=True, **options).step

    loss = torch.tensor(1e-3, device=device)

    def alig(**options):
        optimizer = AliG(params(), max_lr=1e-6, **options)
        return lambda: optimizer.step(loss=loss)

    return {
        "torch SGD Nesterov, fused": sgd(fused=True),
        "torch SGD Nesterov, default": sgd(),
        "AliG, momentum 0": alig(),
        "AliG, momentum 0.9": alig(momentum=0.9),
        "AliG, momentum 0.9, adjusted": alig(momentum=0.9, adjusted_momentum=True),
        "AliG, momentum 0.9, foreach": alig(momentum=0.9, foreach=True),
    }


def seconds(step, device, calls):
    """Mean time of a step over a burst of calls."""
    start = time.perf_counter()
    for _ in range(calls):
        step()
    if device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / calls


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    print(f"torch {torch.__version__}, {args.device}, {torch.get_num_threads()} threads")
    for name, shapes in SHAPES.items():
        steps = optimizers(shapes, args.device)
        for step in steps.values():
            seconds(step, args.device, 5)
        calls = max(5, int(0.02 / seconds(steps["torch SGD Nesterov, fused"], args.device, 5)))
        times = {label: [] for label in steps}
        for _ in range(args.rounds):
            for label, step in steps.items():
                times[label].append(seconds(step, args.device, calls))
        print(f"\n{name}: {args.rounds} rounds of {calls} steps")
        base = times["torch SGD Nesterov, fused"]
        for label, values in times.items():
            ratios = sorted(value / b for value, b in zip(values, base, strict=True))
            print(
                f"  {label:32s} {statistics.median(values) * 1e6:9.1f} us   ratio "
                f"{statistics.median(ratios):.2f}  [{ratios[0]:.2f}, {ratios[-1]:.2f}]"
            )


if __name__ == "__main__":
    main()
