"""Time of the runner's training epoch against a bare PyTorch loop on the same problem.

Both train the same network on the same batches with torch's fused SGD. The bare loop indexes a
tensor of images, computes the loss, calls backward and step, and does nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

import torch

from alig_deepobs.run import RunSpec
from alig_deepobs.runners import Callback
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.runners.training import _Training, set_up
from benchmarks.measure import Ratio, ratio, times

GOALS = {"digits_mlp": "<= 1.15", "mnist_mlp": "<= 1.05", "mnist_2c2d": "<= 1.05"}


def epochs(name: str) -> dict[str, Callable[[], object]]:
    """A training epoch of both loops; MNIST is its small twin."""
    run = resolve(RunSpec(name, "sgd", {"lr": 1e-3}, synthetic=name != "digits_mlp", device="cpu"))
    problem = set_up(run)
    training, number = _Training(run, problem, torch.optim.SGD, Callback()), count(1)
    optimizer, criterion = training.optimizer, torch.nn.CrossEntropyLoss()
    epoch = count()

    def bare() -> None:
        for index in problem.batch_order(next(epoch)):
            images, labels = problem.data.take("train", index)
            loss = criterion(problem.net(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return {"the runner's loop": lambda: training._train(next(number)), "a bare loop": bare}


def measure(rounds: int, case: str = "") -> list[Ratio]:
    """The ratios of the problems whose name has ``case`` in it."""
    torch.set_num_threads(1)
    found = []
    for name, goal in GOALS.items():
        if case in name:
            seen = times(epochs(name), rounds, clock=time.process_time)
            found.append(ratio("loop", name, "the runner's loop", "a bare loop", seen, goal))
    return found
