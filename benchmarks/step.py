"""Time of an optimizer's step, on the parameters of real networks."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec

import torch

from alig_deepobs import AliG, L2Ball
from alig_deepobs.registry import find_optimizer, find_testproblem
from benchmarks.measure import Ratio, ratio, times

NETWORKS = {
    "digits_mlp": "digits_mlp (12 thousand weights)",
    "cifar10_3c3d": "3c3d (0.9 million)",
    "snli_bilstm": "Bi-LSTM (47 million)",
    "mnist_2c2d": "2c2d (3.3 million)",
    "cifar100_wrn404": "WRN-40-4 (9 million)",
}
FUSED, DEFAULT = "SGD, fused", "SGD, default"
OTHER = "ALI-G of pytorch_optimizer"
RIVALS = {
    "momo": FUSED, "sps": "SGD without momentum", "dfw": FUSED, "bpgrad": FUSED, "l4mom": "Adam",
    "l4adam": "Adam", "yogi": "Adam",
}  # fmt: skip
"""Rival -> the optimizer of torch with as much state."""


def shapes(problem: str) -> list[tuple[int, ...]]:
    """The shapes of a network's parameters."""
    entry = find_testproblem(problem)
    made = entry.load()(entry.batch_size, seed=1, synthetic=True, device="cpu")
    made.set_up()
    return [tuple(p.shape) for p in made.net.parameters()]


def steps(sizes: list[tuple[int, ...]]) -> dict[str, Callable[[], object]]:
    """Name -> a function that takes one step; each optimizer has its own parameters."""

    def params() -> list[torch.nn.Parameter]:
        torch.manual_seed(0)
        tensors = [torch.nn.Parameter(torch.randn(size) * 0.1) for size in sizes]
        for p in tensors:
            p.grad = torch.randn_like(p) * 0.01
        return tensors

    loss = torch.tensor(1e-3)
    nesterov = {"lr": 1e-6, "momentum": 0.9, "nesterov": True}

    def alig(**options: object) -> Callable[[], object]:
        optimizer = AliG(params(), max_lr=1e-6, **options)
        return lambda: optimizer.step(loss=loss)

    def projected() -> Callable[[], object]:
        given = params()
        optimizer = AliG(given, max_lr=1e-6, momentum=0.9, projection_fn=L2Ball(given, 1e9))
        return lambda: optimizer.step(loss=loss)

    made = {
        FUSED: torch.optim.SGD(params(), fused=True, **nesterov).step,
        DEFAULT: torch.optim.SGD(params(), **nesterov).step,
        "SGD without momentum": torch.optim.SGD(params(), lr=1e-6, fused=True).step,
        "Adam": torch.optim.Adam(params(), lr=1e-6).step,
        "ALI-G": alig(momentum=0.9),
        "ALI-G, adjusted": alig(momentum=0.9, adjusted_momentum=True),
        "ALI-G, no momentum": alig(),
        "ALI-G with projection": projected(),
    }
    if find_spec("pytorch_optimizer"):
        from pytorch_optimizer import AliG as OtherAliG

        other = OtherAliG(params(), max_lr=1e-6, momentum=0.9)
        made[OTHER] = lambda: other.step(lambda: loss)
    for name in RIVALS:
        entry = find_optimizer(name)
        rates = {key: 1e-6 for key in ("lr", "fraction") if key in entry.hyperparameters}
        optimizer = entry.load()(params(), **rates)
        needs = entry.needs_loss == "value"
        made[name] = (
            (lambda o: lambda: o.step(loss=loss))(optimizer) if needs else optimizer.step
        )  # fmt: skip
    return made


def measure(rounds: int, case: str = "") -> list[Ratio]:
    """The ratios of the networks whose problem has ``case`` in its name."""
    found = []
    warnings.simplefilter("ignore")
    for problem, label in NETWORKS.items():
        if case not in problem:
            continue
        made = steps(shapes(problem))
        # With one thread the time of the processor, which other work of the machine leaves alone.
        clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
        first = times({FUSED: made[FUSED]}, 5, clock, calls=3)[FUSED]
        seen = times(made, rounds, clock, calls=max(2, int(0.004 / min(first))))
        large = problem != "digits_mlp"
        found += [
            ratio("step", label, "ALI-G", FUSED, seen, "<= 1.45" if large else "<= 0.8"),
            ratio("step", label, "ALI-G", DEFAULT, seen, "<= 0.8"),
            ratio("step", label, "ALI-G, adjusted", FUSED, seen),
            ratio("step", label, "ALI-G, no momentum", "SGD without momentum", seen),
            ratio("step", label, "ALI-G with projection", FUSED, seen, "<= 1.9" if large else ""),
        ]
        if OTHER in made:
            found.append(ratio("step", label, OTHER, "ALI-G", seen, ">= 2"))
        found += [ratio("rivals", label, a, b, seen, "<= 1.5") for a, b in RIVALS.items()]
    return found
