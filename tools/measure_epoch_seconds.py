"""Measures how long an epoch of each test problem takes, for the estimates of ``--dry_run``.

    OMP_NUM_THREADS=1 python tools/measure_epoch_seconds.py [PROBLEM ...] [--seconds 15]

An epoch is training with SGD and the evaluations after it, with the official sizes of the data, on
one CPU core. Problems without files are run for a whole epoch. Of the others a few mini-batches are
timed, of synthetic data, at growing batch sizes; what takes too long at the problem's own is
extrapolated. Synthetic sentences are shorter than SNLI's, so that its estimates are low. Times are
CPU times, so that other work on the machine hardly matters.

The rows of the problems that are named replace those in testproblems/epoch_seconds.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import statistics
import time
from datetime import date
from pathlib import Path

import torch

from alig_deepobs.registry import find_testproblem, testproblems
from alig_deepobs.runners.environment import environment
from alig_deepobs.testproblems.datasets import cifar, imagenet, images, svhn

PLACE = Path(__file__).parents[1] / "testproblems" / "epoch_seconds.json"
SMALLEST = 2  # batch normalization needs two examples
LONGEST_STEP = 16.0
"""Seconds that two steps of a larger batch size may take in any case."""
MOST_EXAMPLES = 256
"""The largest batch size that is tried."""

# Examples of an epoch: for training, and in each evaluation after it (on training data, on the
# validation set where the problem has one by default, on the test set).
_MNIST = (images.TRAIN_SIZE, (images.TRAIN_EVAL_SIZE, 10_000))
_CIFAR = (cifar.TRAIN_SIZE, (cifar.TRAIN_EVAL_SIZE, 10_000))
_CIFAR_PAPER = (45_000, (cifar.TRAIN_EVAL_SIZE, 5_000, 10_000))
_SVHN_PAPER = (598_388, (svhn.TRAIN_EVAL_SIZE, svhn.PAPER_VALID_SIZE, 26_032))
_IMAGENET_PAPER = (
    imagenet.TRAIN_SIZE - imagenet.PAPER_VALID_SIZE,
    (imagenet.TRAIN_EVAL_SIZE, imagenet.PAPER_VALID_SIZE, 50_000),
)
OFFICIAL_SIZES = {
    ("mnist", "full"): _MNIST,
    ("fmnist", "full"): _MNIST,
    ("cifar10", "full"): _CIFAR,
    ("cifar100", "full"): _CIFAR,
    ("svhn", "full"): (svhn.TRAIN_SIZE, (svhn.TRAIN_EVAL_SIZE, 26_032)),
    ("tolstoi", "full"): (52_258, (52_258, 13_064)),
    ("imagenet", "full"): (imagenet.TRAIN_SIZE, (imagenet.TRAIN_EVAL_SIZE, 50_000)),
    ("cifar10", "validation"): _CIFAR_PAPER,
    ("cifar100", "validation"): _CIFAR_PAPER,
    ("svhn_extra", "validation"): _SVHN_PAPER,
    ("imagenet", "validation"): _IMAGENET_PAPER,
    ("snli", "validation"): (549_367, (9_824, 9_842, 9_824)),
}


def set_up(entry, synthetic):
    """The problem; synthetic data are repeated until there are two large mini-batches."""
    problem_class = entry.load()

    class Repeated(problem_class):
        def load_data(self):
            data = super().load_data()
            if not synthetic:
                return data
            least = 2 * min(entry.batch_size, MOST_EXAMPLES)
            parts = {}
            for part, tensors in data.parts.items():
                times = math.ceil(least / len(tensors[0]))
                # Pairs of sentences keep more than the tensors; there are enough of them.
                repeats = times if type(data).__name__ == "DataSet" else 1
                parts[part] = tuple(x.repeat(repeats, *[1] * (x.ndim - 1)) for x in tensors)
            return dataclasses.replace(data, parts=parts, held_out=None)

    split = "full" if synthetic else entry.default_split
    problem = Repeated(SMALLEST, synthetic=synthetic, device="cpu", seed=42, split=split)
    problem.set_up()
    return problem


def timed_pass(problem, start, optimizer, most, seconds):
    """CPU seconds of each mini-batch of a pass, at most ``most`` of them, after one to warm up."""
    start()
    times = []
    began = time.process_time()
    while len(times) <= most and (len(times) < 2 or time.process_time() - began < seconds):
        before = time.process_time()
        try:
            evaluate = problem.get_batch_loss_and_accuracy_func(with_accuracy=optimizer is None)
        except StopIteration:
            break
        loss, _ = evaluate()
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        times.append(time.process_time() - before)
    return times


def whole_epoch(problem, optimizer, batch_size):
    """CPU seconds of an epoch of a problem without files."""
    problem.batch_size = batch_size
    passes = [(problem.train_init_op, optimizer), (problem.train_eval_init_op, None)]
    if "valid" in problem.data.parts:
        passes.append((problem.valid_init_op, None))
    passes.append((problem.test_init_op, None))
    before = time.process_time()
    for start, stepping in passes:
        timed_pass(problem, start, stepping, math.inf, math.inf)
    return time.process_time() - before


def per_batch(problem, optimizer, own, seconds):
    """Batch size -> CPU seconds of a training step and of an evaluation step."""
    found = {}
    began = time.process_time()
    for batch_size in (*[s for s in (SMALLEST, 8, 32, 128) if s < own], min(own, MOST_EXAMPLES)):
        left = seconds - (time.process_time() - began)
        # A batch four times as large, twice: is that too long?
        if found and 8 * found[max(found)][0] > max(LONGEST_STEP, left):
            break
        problem.batch_size = batch_size
        step, evaluation = (
            statistics.median(timed_pass(problem, start, stepping, 10, seconds / 8)[1:])
            for start, stepping in (
                (problem.train_init_op, optimizer),
                (problem.test_init_op, None),
            )
        )
        found[batch_size] = (step, evaluation)
    return found


def at(found, batch_size, which):
    """A time at any batch size, by the line through the two largest that were measured.

    If only one was, because the network is large, time is proportional to the examples.
    """
    if batch_size in found:
        return found[batch_size][which]
    (a, times_a), (b, times_b) = [(0, (0.0, 0.0)), *sorted(found.items())][-2:]
    slope = (times_b[which] - times_a[which]) / (b - a)
    return times_b[which] + slope * (batch_size - b)


def scaled_epoch(entry, problem, found, batch_size):
    """Seconds of an epoch with the official sizes."""
    train, evaluations = OFFICIAL_SIZES[entry.data_set, entry.default_split]
    rounded = math.floor if problem.drops_incomplete else math.ceil
    steps = rounded(train / batch_size)
    evaluated = sum(rounded(size / batch_size) for size in evaluations)
    return steps * at(found, batch_size, 0) + evaluated * at(found, batch_size, 1)


def measure(name, seconds):
    """The row of a problem."""
    entry = find_testproblem(name)
    own = entry.batch_size
    has_files = (entry.data_set, entry.default_split) in OFFICIAL_SIZES
    problem = set_up(entry, synthetic=has_files)
    optimizer = torch.optim.SGD(problem.net.parameters(), lr=1e-5)
    if has_files:
        found = per_batch(problem, optimizer, own, seconds)
        small, (whole, other) = SMALLEST, (
            scaled_epoch(entry, problem, found, size) for size in (own, SMALLEST)
        )  # fmt: skip
    else:
        small = own // 4
        whole_epoch(problem, optimizer, own)  # to warm up
        whole, other = (whole_epoch(problem, optimizer, size) for size in (own, small))
    # The part that grows with the number of mini-batches, of what the epoch takes.
    per_step = (other - whole) / (1 / small - 1 / own) / own
    return {
        "batch_size": own,
        "seconds": float(f"{whole:.3g}"),
        "step_share": round(min(1.0, max(0.0, per_step / whole)), 2),
    }


def main():
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problems", nargs="*")
    parser.add_argument("--seconds", type=float, default=15.0, help="about, for each problem")
    parser.add_argument("--output", type=Path, default=PLACE)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    host = environment(torch.device("cpu"))
    rows = json.loads(arguments.output.read_text())["problems"] if arguments.output.exists() else {}
    for name in arguments.problems or testproblems():
        began = time.perf_counter()
        rows[name] = measure(name, arguments.seconds)
        print(f"{name}: {rows[name]}, measured in {time.perf_counter() - began:.0f} s", flush=True)
        record = {
            "measured": date.today().isoformat(),
            "environment": {key: host[key] for key in ("cpu", "threads", "torch", "python")},
            "problems": {known: rows[known] for known in testproblems() if known in rows},
        }
        arguments.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
