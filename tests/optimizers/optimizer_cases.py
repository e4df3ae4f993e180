"""The table of all registered optimizers, and a small problem to try each of them on."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from alig_deepobs import registry
from alig_deepobs.optimizers._base import Method
from alig_deepobs.registry import NeedsLoss

FACTS = {"data_size": 4, "num_epochs": 10, "batches_per_epoch": 100}
INSTALLED = [name for name, entry in registry.optimizers().items() if entry.is_installed]


@dataclass(frozen=True)
class Case:
    """An optimizer with settings for the small problems here."""

    name: str
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def entry(self) -> registry.OptimizerEntry:
        return registry.find_optimizer(self.name)

    def build(self, parameters, **options) -> Any:
        """The optimizer; parameters may be groups."""
        entry = replace(self.entry, options={**self.entry.options, **options})
        arguments = {**entry.options, **entry.complete(self.params)}
        arguments.update({name: FACTS[fact] for name, fact in entry.run_arguments.items()})
        arguments.pop("max_norm", None)
        return entry.load()(parameters, **arguments)


FACTS_OF_OPTIMIZERS = tomllib.loads(
    Path(__file__).with_name("vectors.toml").read_text(encoding="utf-8")
)
"""What the tests know of each optimizer: a new one adds its lines there, and nowhere else."""

SETTINGS: dict[str, dict[str, Any]] = FACTS_OF_OPTIMIZERS["convex"]
CASES = [Case(name, SETTINGS.get(name, {})) for name in INSTALLED]
OWN = [case for case in CASES if issubclass(case.entry.load(), Method)]


def named(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


class Convex:
    """f(w) = 1/2 (4 (a1 - 1)^2 + (a2 + 2)^2 + 1/4 (b - 3)^2), which no step solves at once.

    Neither curvatures nor distances are alike, so that a mistake in sign or scale is seen.
    """

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        self.a = torch.tensor([0.5, 0.0], dtype=dtype, requires_grad=True)
        self.b = torch.tensor([1.0], dtype=dtype, requires_grad=True)
        self.idle = torch.tensor([7.0], dtype=dtype, requires_grad=True)

    @property
    def parameters(self) -> list[Tensor]:
        return [self.a, self.b]

    @property
    def weights(self) -> Tensor:
        return torch.cat([self.a, self.b, self.idle]).detach().clone()

    def loss(self) -> Tensor:
        return (
            2 * (self.a[0] - 1) ** 2 + (self.a[1] + 2) ** 2 / 2 + (self.b[0] - 3) ** 2 / 8
        )  # fmt: skip

    def step(self, optimizer: Any, case: Case) -> None:
        """One step, with what the optimizer wants to have."""

        def closure(backward: bool = True) -> Tensor:
            if not backward:
                return self.loss()
            optimizer.zero_grad()
            loss = self.loss()
            loss.backward()
            return loss

        needs = case.entry.needs_loss
        if needs is NeedsLoss.CLOSURE:
            optimizer.step(closure)
            return
        loss = closure().detach()
        if needs is NeedsLoss.VALUE:
            optimizer.step(loss=loss)
        elif needs is NeedsLoss.PER_EXAMPLE:
            optimizer.step(losses=loss.reshape(1), indices=torch.tensor([2]))
        else:
            optimizer.step()

    def steps(self, optimizer: Any, case: Case, count: int) -> Tensor:
        switch(optimizer, "train")
        for _ in range(count):
            self.step(optimizer, case)
        return self.weights


def switch(optimizer: Any, mode: str) -> None:
    getattr(optimizer, mode, lambda: None)()


BY_LOSS = [case for case in OWN if case.entry.needs_loss is not NeedsLoss.NOTHING]
BY_VALUE = [case for case in OWN if case.entry.needs_loss is NeedsLoss.VALUE]
WITH_RATE = [case for case in OWN if "lr" in case.build([torch.ones(1)]).param_groups[0]]
WITHOUT_RATE = [case for case in OWN if case not in WITH_RATE]
WITHOUT_DECAY = [
    case
    for case in BY_LOSS
    if "weight_decay" not in case.build([torch.ones(1)]).param_groups[0]
]  # fmt: skip


def arguments(case: Case, loss: Tensor | float) -> dict[str, Any]:
    """What ``step`` gets, where the gradients are in place."""
    if case.entry.needs_loss is NeedsLoss.VALUE:
        return {"loss": loss}
    if case.entry.needs_loss is NeedsLoss.PER_EXAMPLE:
        return {"losses": torch.as_tensor(loss).reshape(1), "indices": torch.tensor([0])}
    return {"closure": lambda: loss} if case.entry.needs_loss is NeedsLoss.CLOSURE else {}
