"""How long a plan will take, from the measured time of a few steps.

The time of a run is that of forward and backward passes, which the network and the batch decide,
and that of the optimizer, which the number of parameters decides. Each is measured once for a
network or a method, not for each of the plan's runs, and kept in a file beside the results.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from alig_deepobs.files import write_text_atomically
from alig_deepobs.registry import NeedsLoss, find_optimizer, find_testproblem
from alig_deepobs.reproduce.plan import Plan, Row
from alig_deepobs.run import RunSpec
from alig_deepobs.runners.environment import environment
from alig_deepobs.runners.objective import build_optimizer
from alig_deepobs.runners.training import own_random_state
from alig_deepobs.testproblems import TestProblem
from alig_deepobs.testproblems.checks import find_device

CPU_BATCH = 16
"""Examples of a measured step on a CPU, where the time grows with their number; a GPU gets all."""

SECONDS = 0.5
"""How long each measurement is repeated; three times at least."""


@dataclass(frozen=True)
class Speed:
    """The measured speed of a network.

    Attributes:
        train: seconds of a forward and a backward pass, per example.
        evaluate: seconds of a forward pass, per example.
        batch_size: examples of a measured step.
        twin_examples: examples of an epoch of the synthetic twin.
        twin_evaluated: examples that are evaluated after each of its epochs.
        optimizers: name of an optimizer -> seconds of its step.
    """

    train: float
    evaluate: float
    batch_size: int
    twin_examples: int
    twin_evaluated: int
    optimizers: dict[str, float]


class Speeds:
    """Measures speeds, and remembers them in a file.

    Args:
        path: the file; its content is believed if it is of this machine.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, Speed] = {}
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            self.known = {key: Speed(**value) for key, value in stored.items()}
        except (OSError, ValueError, TypeError):
            pass  # there is none yet, or it is of another version

    def seconds(self, row: Row) -> float:
        """Estimated time of all runs of a row, one after the other."""
        return sum(self._run(row, spec) for spec in (*row.tuning, *row.reported()))

    def _run(self, row: Row, spec: RunSpec) -> float:
        speed = self._of(spec)
        batch_size, epochs = spec.batch_size or 1, spec.num_epochs or 0
        examples = speed.twin_examples if spec.synthetic else row.part.examples
        evaluated = speed.twin_evaluated if spec.synthetic else row.part.evaluated
        training = examples * speed.train + examples / batch_size * speed.optimizers[spec.optimizer]
        return epochs * training + (epochs + 1) * evaluated * speed.evaluate

    def _of(self, spec: RunSpec) -> Speed:
        """The speed of a run's network, with its optimizer among those that were measured."""
        device = find_device(spec.device)
        batch_size = spec.batch_size or 1
        if device.type == "cpu":
            batch_size = min(batch_size, CPU_BATCH)
        machine = environment(device)
        key = json.dumps(
            [spec.testproblem, spec.problem_options, batch_size, str(device),
             torch.get_num_threads(), machine.get("torch"), machine.get("device_name")]
        )  # fmt: skip
        speed = self.known.get(key)
        if speed is not None and spec.optimizer in speed.optimizers:
            return speed
        with own_random_state(0, device):
            problem = _problem(spec, batch_size, device)
            if speed is None:
                speed = _measure(problem, batch_size)
            speed.optimizers[spec.optimizer] = _optimizer_step(problem, spec)
        self.known[key] = speed
        stored = {key: asdict(value) for key, value in self.known.items()}
        write_text_atomically(self.path, json.dumps(stored, indent=1))
        return speed


def plan_seconds(plan: Plan, speeds: Speeds) -> list[float]:
    """Estimated seconds of each row of a plan."""
    return [speeds.seconds(row) for row in plan.rows]


def _problem(spec: RunSpec, batch_size: int, device: torch.device) -> TestProblem:
    """The problem on its synthetic twin, so that no file is needed to plan."""
    problem: TestProblem = find_testproblem(spec.testproblem).load()(
        batch_size,
        spec.weight_decay,
        synthetic=True,
        device=device,
        seed=0,
        split=spec.split,
        **spec.problem_options,
    )
    problem.set_up()
    return problem


def _measure(problem: TestProblem, batch_size: int) -> Speed:
    problem.train_init_op()
    draw = problem.get_batch_loss_and_accuracy_func(with_accuracy=False)

    def train() -> None:
        problem.net.zero_grad()
        draw()[0].backward()

    training = _time(train, problem.device) / batch_size
    problem.test_init_op()
    draw = problem.get_batch_loss_and_accuracy_func()
    # An evaluation may take other mini-batches than training does.
    shown = next(iter(problem.batches("test")))[0].shape[0]
    evaluation = _time(draw, problem.device) / shown
    data = problem.data
    evaluated = sum(data.size(part) for part in data.parts if part != "train")
    evaluated += min(data.size("train"), data.train_eval_size or data.size("train"))
    return Speed(
        train=training,
        evaluate=evaluation,
        batch_size=batch_size,
        twin_examples=getattr(problem, "steps_per_epoch", 0) * batch_size or data.size("train"),
        twin_evaluated=evaluated,
        optimizers={},
    )


def _optimizer_step(problem: TestProblem, spec: RunSpec) -> float:
    """Seconds of the optimizer's own work, on the network's parameters with a fixed gradient."""
    entry = find_optimizer(spec.optimizer)
    parameters = [p for p in problem.net.parameters() if p.requires_grad]
    optimizer, _ = build_optimizer(entry.load(), entry, parameters, spec.hyperparams)
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 1e-3)
    loss = torch.ones((), device=problem.device)
    arguments: dict[str, Any] = {}
    if entry.needs_loss in (NeedsLoss.VALUE, NeedsLoss.PER_EXAMPLE):
        arguments["loss"] = loss
    if entry.needs_loss is NeedsLoss.PER_EXAMPLE:
        arguments["losses"] = loss.repeat(problem.batch_size)
    if entry.needs_loss is NeedsLoss.CLOSURE:
        return _time(lambda: optimizer.step(lambda: loss), problem.device)
    return _time(lambda: optimizer.step(**arguments), problem.device)


def _time(action: Callable[[], Any], device: str | torch.device) -> float:
    """Median seconds of an action, after one run to warm up.

    The median, so that another program's burst of work does not count.
    """
    action()
    seconds: list[float] = []
    while len(seconds) < 3 or (sum(seconds) < SECONDS and len(seconds) < 200):
        start = _clock(device)
        action()
        seconds.append(_clock(device) - start)
    return statistics.median(seconds)


def _clock(device: str | torch.device) -> float:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
