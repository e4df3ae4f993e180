"""The loss contract: which loss an optimizer is given, and which loss its gradient is of.

One training loop serves every optimizer. What its ``step`` wants is declared (`NeedsLoss`), and the
value that it gets is always the objective whose gradient was taken. An optimizer with
``regularization = "ball"`` relies on a minimal loss of 0, so its objective has no L2 term; a
projection on the ball ``|w| <= max_norm`` takes its place. One with ``"own"`` gets the factor of
the term as ``weight_decay`` and regularizes by itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from alig_deepobs.entries import NeedsLoss, OptimizerEntry
from alig_deepobs.errors import UsageError
from alig_deepobs.optimizers.projection import L2Ball
from alig_deepobs.plugins import calling
from alig_deepobs.runners.noise import generator_states, restore_generators
from alig_deepobs.runners.ranks import Ranks
from alig_deepobs.testproblems.base import LossAndAccuracy, TestProblem

UNKNOWN_RUN: Mapping[str, int] = {"data_size": 1, "num_epochs": 1, "batches_per_epoch": 1}
"""Facts to build an optimizer with that will not be used, to check its arguments."""


@dataclass(frozen=True)
class Objective:
    """What a run minimizes.

    Attributes:
        regularization: ``l2`` (L2 term in loss and gradient), ``ball`` (constraint),
            ``weight_decay`` (by the optimizer itself) or ``none``.
        weight_decay: largest factor of the L2 term or of the optimizer's weight decay, 0.0 if
            there is none.
        max_norm: radius of the ball, None if there is none.
    """

    regularization: str
    weight_decay: float
    max_norm: float | None

    @property
    def has_l2(self) -> bool:
        """Whether the L2 term is part of loss and gradient."""
        return self.regularization == "l2"


def build_optimizer(
    optimizer_class: Any,
    entry: OptimizerEntry,
    parameters: list[nn.Parameter],
    hyperparams: dict[str, Any],
    regularization_groups: Mapping[float, list[nn.Parameter]] | None = None,
    facts: Mapping[str, int] = UNKNOWN_RUN,
) -> tuple[Any, Objective]:
    """Builds the optimizer, and says what it minimizes.

    ``max_norm`` among the hyper-parameters becomes a projection, given to the optimizer as
    ``projection_fn``. An optimizer with ``regularization = "own"`` gets one parameter group for
    each L2 factor of the problem, with the factor as its ``weight_decay``, unless the
    hyper-parameters have a ``weight_decay``, which is then that of all parameters.

    Args:
        optimizer_class: called as ``optimizer_class(parameters, **arguments)``.
        entry: what is known of it.
        parameters: what it changes.
        hyperparams: its hyper-parameters.
        regularization_groups: L2 factor of the problem -> the parameters that it applies to.
        facts: what is known of the run, for the arguments that the entry wants.

    Raises:
        UsageError: the optimizer refuses its hyper-parameters.
    """
    arguments = {**entry.options, **hyperparams}
    arguments.update({name: facts[fact] for name, fact in entry.run_arguments.items()})
    factors = dict(regularization_groups or {})
    max_norm = arguments.pop("max_norm", None)
    given: Any = parameters
    if entry.regularization == "own" and arguments.get("weight_decay") is None:
        arguments.pop("weight_decay", None)
        given = _groups(parameters, factors)
    try:
        if max_norm is not None:
            arguments["projection_fn"] = L2Ball(parameters, max_norm)
        with calling("its constructor", (TypeError, ValueError)):
            optimizer = optimizer_class(given, **arguments)
    except (TypeError, ValueError) as error:
        if not hasattr(optimizer_class, "step") and optimizer_class.__new__ is object.__new__:
            raise _no_optimizer(entry.name) from error
        texts = [f"{k}={v!r}" for k, v in hyperparams.items() if isinstance(v, str)]
        hint = f" ({', '.join(texts)} is text)" if texts and isinstance(error, TypeError) else ""
        raise UsageError(f"{entry.name}: {error}{hint}") from error
    _check_step(optimizer, entry)
    factor = max(factors, default=0.0)
    if entry.regularization == "own":
        factor = arguments.get("weight_decay", factor)
        return optimizer, Objective("weight_decay" if factor else "none", factor, max_norm)
    if entry.regularization in ("ball", "none"):
        return optimizer, Objective("none" if max_norm is None else "ball", 0.0, max_norm)
    return optimizer, Objective("l2" if factor else "none", factor, max_norm)


def _no_optimizer(name: str) -> UsageError:
    return UsageError(f"{name} is no torch.optim.Optimizer: it has no step()")


_NEEDS_OF_ARGUMENTS = {
    "closure": NeedsLoss.CLOSURE,
    "losses": NeedsLoss.PER_EXAMPLE,
    "indices": NeedsLoss.PER_EXAMPLE,
    "loss": NeedsLoss.VALUE,
}


def _check_step(optimizer: Any, entry: OptimizerEntry) -> None:
    """Refuses a ``step`` that cannot be called as its declaration says, before the first one."""
    if not callable(getattr(optimizer, "step", None)):
        raise _no_optimizer(entry.name)
    try:
        signature = inspect.signature(optimizer.step)
    except (TypeError, ValueError):  # some functions cannot be looked at
        return
    names = {
        NeedsLoss.VALUE: ("loss",),
        NeedsLoss.PER_EXAMPLE: ("loss", "losses"),
    }.get(entry.needs_loss, ())
    if "indices" in signature.parameters and entry.needs_loss is NeedsLoss.PER_EXAMPLE:
        names += ("indices",)
    closure = [None] if entry.needs_loss is NeedsLoss.CLOSURE else []
    try:
        signature.bind(*closure, **dict.fromkeys(names))
    except TypeError as error:
        required = [n for n, p in signature.parameters.items() if p.default is p.empty]
        needs = next((v for k, v in _NEEDS_OF_ARGUMENTS.items() if k in required), "nothing")
        raise UsageError(
            f'{entry.name}: step() does not fit needs_loss = "{entry.needs_loss}" ({error}): '
            f'write needs_loss = "{needs}" into the class, or change step()'
        ) from error


def _groups(
    parameters: list[nn.Parameter], factors: Mapping[float, list[nn.Parameter]]
) -> list[dict[str, Any]]:
    """One parameter group for each L2 factor; frozen parameters are in none."""
    trained = set(map(id, parameters))
    groups = [
        {"params": [p for p in members if id(p) in trained], "weight_decay": factor}
        for factor, members in factors.items()
    ]
    return [group for group in groups if group["params"]] or [
        {"params": parameters, "weight_decay": 0.0}
    ]


Batch = Callable[[], LossAndAccuracy]
"""A drawn mini-batch: evaluates the network on it; may be called again."""


def batch_options(problem: Any, objective: Objective, needs: NeedsLoss) -> dict[str, Any]:
    """How the mini-batches of a training epoch are to be drawn (`mini_batches`)."""
    options: dict[str, Any] = {
        "reduction": "none" if needs is NeedsLoss.PER_EXAMPLE else "mean",
        "add_regularization_if_available": objective.has_l2,
    }
    # Problems written for DeepOBS compute the accuracy in any case.
    if "with_accuracy" in inspect.signature(problem.get_batch_loss_and_accuracy_func).parameters:
        options["with_accuracy"] = False
    return options


def make_step(
    problem: TestProblem,
    optimizer: Any,
    needs: NeedsLoss,
    clip_norm: float | None = None,
    ranks: Ranks | None = None,
) -> Callable[[Batch], Tensor]:
    """A function that takes one step on a drawn mini-batch and returns its objective.

    The returned loss is a detached tensor of shape ``()`` on the device; the host reads nothing.

    Args:
        problem: draws the mini-batches.
        optimizer: takes the steps.
        needs: what ``step`` wants.
        clip_norm: gradients with a larger norm (of all parameters together) are scaled down to
            this one.
        ranks: the processes that share the mini-batches; None: there is one.
    """
    if needs is NeedsLoss.CLOSURE:
        return _step_with_closure(optimizer, torch.device(problem.device), ranks)
    arguments = _arguments_of_step(problem, optimizer, needs)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]

    def step(batch: Batch) -> Tensor:
        losses = batch()[0]
        loss = losses.mean() if needs is NeedsLoss.PER_EXAMPLE else losses
        optimizer.zero_grad()
        loss.backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, clip_norm)
        value, losses = loss.detach(), losses.detach()
        if ranks is not None:
            value, losses = ranks.value_of(losses, needs)
        optimizer.step(**arguments(value, losses))
        return value

    return step


def _arguments_of_step(
    problem: TestProblem, optimizer: Any, needs: NeedsLoss
) -> Callable[[Tensor, Tensor], dict[str, Any]]:
    """(mean loss, losses as drawn), both detached -> arguments of ``step``."""
    if needs is NeedsLoss.NOTHING:
        return lambda loss, losses: {}
    if needs is NeedsLoss.VALUE:
        return lambda loss, losses: {"loss": loss}
    if "indices" not in inspect.signature(optimizer.step).parameters:
        return lambda loss, losses: {"loss": loss, "losses": losses}
    return lambda loss, losses: {
        "loss": loss, "losses": losses, "indices": problem.batch_indices,
    }  # fmt: skip


def _step_with_closure(
    optimizer: Any, device: torch.device, ranks: Ranks | None
) -> Callable[[Batch], Tensor]:
    def value_of(loss: Tensor) -> Tensor:
        return loss if ranks is None else ranks.value_of(loss, NeedsLoss.CLOSURE)[0]

    def step(batch: Batch) -> Tensor:
        # Within one step the objective is one function: every evaluation has the same mini-batch
        # and draws the same dropout masks.
        noise = generator_states(device)
        first: list[Tensor] = []

        def closure(backward: bool = True) -> Tensor:
            if first:
                restore_generators(noise, device)
            if not backward:
                with torch.no_grad():
                    return value_of(batch()[0].detach())
            optimizer.zero_grad()
            loss = batch()[0]
            loss.backward()
            value = value_of(loss)
            first.append(value.detach())
            return value

        optimizer.step(closure)
        if not first:
            raise RuntimeError("the optimizer never called the closure it asked for")
        # The first evaluation is the one before the step, which is what others report too.
        return first[0]

    return step
