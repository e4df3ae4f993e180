"""Share of decoding and augmenting images in a training epoch of cifar10_3c3d.

    python benchmarks/augmentation.py [--data_dir DIR] [--steps 100] [--rounds 5]

Each round trains the same number of steps twice, in turns: on mini-batches that are taken from the
data set and augmented as in every run, and on mini-batches that were prepared beforehand. The share
is what the first lacks in speed: ``1 - prepared / augmented``, round by round, so a machine whose
speed drifts drifts for both. The cost of the preparation alone is measured, too, and so is the
time to read the files. Without --data_dir the images are noise, as many as the steps need.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from alig_deepobs.testproblems import cifar10_3c3d
from alig_deepobs.testproblems.datasets.twins import TWIN_SIZES

BATCH_SIZE = 128


def train(problem, optimizer, batches):
    """Takes a step per mini-batch; returns the seconds."""
    start = time.perf_counter()
    for batch in batches:
        loss = problem.losses_of(problem.forward(batch), batch).mean()
        loss = loss + problem.get_regularization_loss()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if problem.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def prepare(problem, epoch, steps):
    """The first mini-batches of an epoch, all of them ready; returns them and the seconds."""
    start = time.perf_counter()
    ready = [batch for _, batch in zip(range(steps), problem.batches("train", epoch), strict=False)]
    if problem.device.type == "cuda":
        torch.cuda.synchronize()
    return ready, time.perf_counter() - start


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", help="folder with CIFAR-10; by default its synthetic twin")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    class Enlarged(cifar10_3c3d):
        twin_sizes = (args.steps * BATCH_SIZE, TWIN_SIZES[1])

    start = time.perf_counter()
    problem = Enlarged(
        BATCH_SIZE,
        synthetic=args.data_dir is None,
        data_dir=args.data_dir,
        offline=True,
        device=args.device,
        seed=42,
    )
    problem.set_up()
    seconds = time.perf_counter() - start
    steps = min(args.steps, len(problem.batch_order(0)))
    print(f"torch {torch.__version__}, {args.device}, {torch.get_num_threads()} threads")
    print(f"{problem.data.label}: {problem.data.size('train')} images, set up in {seconds:.2f} s")
    optimizer = torch.optim.SGD(problem.net.parameters(), lr=1e-3, fused=True)
    problem.net.train()
    train(problem, optimizer, prepare(problem, 0, 5)[0])
    shares, direct = [], []
    for epoch in range(args.rounds):
        ready, preparing = prepare(problem, epoch, steps)
        prepared = train(problem, optimizer, ready)
        order = problem.batches("train", epoch)
        augmented = train(
            problem, optimizer, (batch for _, batch in zip(ready, order, strict=False))
        )
        shares.append(1.0 - prepared / augmented)
        direct.append(preparing / (preparing + prepared))
        print(
            f"round {epoch}: {1e3 * augmented / steps:.1f} ms a step, {1e3 * prepared / steps:.1f} "
            f"on prepared mini-batches, preparing {1e3 * preparing / steps:.2f}"
        )
    for label, values in (("side by side", shares), ("preparation alone", direct)):
        low, high = min(values), max(values)
        print(f"share, {label}: {statistics.median(values):.1%}  [{low:.1%}, {high:.1%}]")


if __name__ == "__main__":
    main()
