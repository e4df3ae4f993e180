"""A check on request: do the loss and the gradient that an optimizer gets belong together?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_TOLERANCE, _NOISE = 0.05, 1e-4
_DECREASE = 1e-3
_WANTED = (
    "give check_loss_contract a loss_fn that takes the model and the batch and returns the loss, "
    "for example lambda model, batch: cross_entropy(model(batch[0]), batch[1])"
)


@dataclass(frozen=True)
class LossContract:
    """What `check_loss_contract` found.

    Attributes:
        loss: the loss that was computed from the batch.
        given: the loss that the optimizer would get.
        slope: the squared norm of the gradient: how fast the loss should fall along ``-g``.
        measured_slope: how fast it falls.
        holds: whether loss and gradient belong together.
        remarks: what is wrong, one sentence each.
    """

    loss: float
    given: float
    slope: float
    measured_slope: float
    holds: bool
    remarks: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.holds


def check_loss_contract(
    model: nn.Module,
    batch: Any,
    loss_fn: Callable[[nn.Module, Any], Tensor] | None = None,
    *,
    loss: float | Tensor | None = None,
) -> LossContract:
    """Compares the slope of the loss along ``-g`` with what the gradient says, ``|g|^2``.

    Call it after ``backward()``, and after whatever else happens to the gradients, with the batch
    that they were computed from: then clipped, scaled and summed gradients are found, and terms
    that are in only one of loss and gradient. If there are no gradients, they are computed. The
    loss is evaluated four times; weights, buffers, gradients and random numbers are as before.

    Args:
        model: the model, in the mode in which it is trained.
        batch: what ``loss_fn`` computes the loss from.
        loss_fn: called as ``loss_fn(model, batch)``, returns a tensor with one element: a function
            of yours, not one of outputs and targets such as ``cross_entropy``; None: the model
            called with the batch (a mapping as keyword arguments) returns the loss, or something
            with an attribute ``loss``.
        loss: what the optimizer will be given; None: the computed loss.

    Raises:
        ValueError: the model has no trainable parameter, or the loss has several elements.
        TypeError: ``loss_fn`` cannot be called so; without one, the model cannot.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> batch = torch.randn(8, 2), torch.randn(8, 1)
        >>> def mse(model, batch):
        ...     return (model(batch[0]) - batch[1]).square().mean()
        >>> bool(check_loss_contract(model, batch, mse))
        True
        >>> mse(model, batch).backward()
        >>> _ = nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
        >>> bool(check_loss_contract(model, batch, mse))
        False
    """
    evaluate = _evaluation(model, batch, loss_fn)
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("the model has no parameter that requires a gradient")
    before = [(x, x.detach().clone()) for x in (*parameters, *model.buffers())]
    devices = {p.device for p in parameters if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(devices)):
        noise = torch.get_rng_state()

        def loss_at(step: float) -> float:
            """The loss after a step along ``-g``, with the same random numbers each time."""
            torch.set_rng_state(noise)
            with torch.no_grad():
                for p, (_, origin), g in zip(parameters, before, gradient, strict=False):
                    p.copy_(origin).sub_(g, alpha=step)
                return float(evaluate())

        try:
            gradient = _gradient(parameters, evaluate)
            here, again = loss_at(0.0), float(evaluate().detach())
            slope = sum(float(g.double().square().sum()) for g in gradient)
            step = _DECREASE * max(abs(here), 1e-6) / slope if slope > 0 else 0.0
            measured = (loss_at(-step) - loss_at(step)) / (2 * step) if step else 0.0
        finally:
            with torch.no_grad():
                for x, value in before:
                    x.copy_(value)
    given = here if loss is None else float(loss)
    remarks = _remarks(here, again, given, slope, measured)
    return LossContract(here, given, slope, measured, not remarks[0], (*remarks[0], *remarks[1]))


def _evaluation(
    model: nn.Module, batch: Any, loss_fn: Callable[[nn.Module, Any], Tensor] | None
) -> Callable[[], Tensor]:
    def evaluate() -> Tensor:
        try:
            if loss_fn is not None:
                value: Any = loss_fn(model, batch)
            else:
                value = model(**batch) if isinstance(batch, Mapping) else model(batch)
                value = getattr(value, "loss", value)
        except (TypeError, AttributeError) as error:  # as from cross_entropy(model, batch)
            called = "model(batch)" if loss_fn is None else "loss_fn(model, batch)"
            raise TypeError(f"{called} failed ({error}): {_WANTED}") from error
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise ValueError(f"the loss must be a tensor with one element: {_WANTED}")
        return value

    return evaluate


def _gradient(parameters: list[nn.Parameter], evaluate: Callable[[], Tensor]) -> list[Tensor]:
    """The gradients that are there, else those of the loss; zeros where a parameter has none."""
    grads: list[Tensor | None] = [None if p.grad is None else p.grad.clone() for p in parameters]
    if all(g is None for g in grads):
        with torch.enable_grad():
            grads = list(torch.autograd.grad(evaluate(), parameters, allow_unused=True))
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, grads, strict=True)]


def _remarks(
    here: float, again: float, given: float, slope: float, measured: float
) -> tuple[list[str], list[str]]:
    """What breaks the contract, and what is only worth knowing."""
    broken, notes = [], []
    if not (math.isfinite(here) and math.isfinite(slope)):
        return ["loss or gradient is not finite"], []
    if abs(given - here) > _TOLERANCE * max(abs(given), abs(here)):
        broken.append(
            f"the optimizer is given the loss {given:.4g}, but this batch has {here:.4g}: give the "
            "loss of the same examples, unscaled and reduced as for backward()"
        )
    if given <= 0:
        notes.append(
            f"the loss is {given:.4g}: at or below the lower bound (f_min, f_star, lb; 0 by "
            "default) there is no step. Give the optimizer a lower one, if the loss has one"
        )
    if abs(again - here) > _NOISE * abs(here):
        notes.append(
            "the loss changes from call to call (dropout, batch order): a step sees one draw of it"
        )
    if slope > 0 and abs(measured - slope) > _TOLERANCE * max(slope, abs(measured)):
        broken.append(
            f"along the gradient the loss falls by {measured:.4g} per unit, where |g|^2 = "
            f"{slope:.4g} says: the gradient is {slope / measured:.4g} times that of the loss "
            "(clipped, scaled, summed instead of averaged, or with a term that the loss lacks)"
            if measured
            else "the loss does not change along the gradient: it is the gradient of something else"
        )
    return broken, notes
