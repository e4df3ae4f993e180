"""Time of the runner's training loop against a bare PyTorch loop on the same problem.

    python benchmarks/loop_overhead.py [PROBLEM] [--rounds 7]

Both train the same network on the same batches with torch's fused SGD. The bare loop indexes a
tensor of images, computes the loss, calls backward and step, and does nothing else. Rounds
alternate, and the ratio is taken round by round.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from alig_deepobs.registry import find_testproblem
from alig_deepobs.run import RunSpec
from alig_deepobs.runners import execute


def bare_epoch(problem, optimizer, order):
    """One epoch as one would write it by hand."""
    criterion = torch.nn.CrossEntropyLoss()
    net, data = problem.net, problem.data
    start = time.perf_counter()
    for index in order:
        images, labels = data.take("train", index)
        loss = criterion(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - start


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problem", nargs="?", default="digits_mlp")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--data_dir")
    parser.add_argument("--synthetic", action="store_true")
    args = parser.parse_args()

    entry = find_testproblem(args.problem)
    options = {"data_dir": args.data_dir, "synthetic": args.synthetic, "device": "cpu"}
    problem = entry.load()(entry.batch_size, seed=42, **options)
    problem.set_up()
    optimizer = torch.optim.SGD(problem.net.parameters(), lr=1e-3, fused=True)
    spec = RunSpec(args.problem, "sgd", {"lr": 1e-3}, num_epochs=4, **options)

    problem.train_init_op()
    ratios = []
    for _ in range(args.rounds):
        ours = statistics.median(execute(spec).training_seconds)
        bare = statistics.median(
            bare_epoch(problem, optimizer, problem.batch_order(epoch)) for epoch in range(4)
        )
        ratios.append(ours / bare)
        print(f"runner {ours * 1e3:8.1f} ms, bare {bare * 1e3:8.1f} ms, ratio {ratios[-1]:.3f}")
    print(f"{args.problem}: median ratio {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
