"""A check on request: do the loss and the gradient that an optimizer gets belong together?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .loss import loss_value

_TOLERANCE = 0.05
_NOISE = 1e-6
"""Of the loss: by how much it changes from call to call where nothing random is in it."""
_DRAWS, _GROSS = 4, 10.0
"""Gradients of so many draws of a random loss differ in length by less than this factor."""
_PARALLEL = 0.999
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
        measured_slope: how fast it falls: the product of the gradient with that of the loss.
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
    """Compares the gradients that an optimizer gets with those of the loss that it is given.

    Call it after ``backward()``, and after whatever else happens to the gradients, with the batch
    that they were computed from: then clipped, scaled and summed gradients are found, and terms
    that are in only one of loss and gradient. If there are no gradients, those of the loss are
    taken. With dropout the gradients that are there had other random numbers, so that only errors
    of a factor of ten are found, and a remark says so.

    The loss and its gradient are computed twice, with dropout four times; weights, buffers,
    gradients and random numbers are as before.

    Args:
        model: the model, in the mode in which it is trained.
        batch: what ``loss_fn`` computes the loss from.
        loss_fn: called as ``loss_fn(model, batch)``, returns a tensor with one element: a function
            of yours, not one of outputs and targets such as ``cross_entropy``; None: the model
            called with the batch (a mapping as keyword arguments) returns the loss, or something
            with an attribute ``loss``.
        loss: what the optimizer will be given; None: the computed loss.

    Raises:
        ValueError: the model has no trainable parameter, or lazy layers without weights; a loss
            has several elements; the computed one has no gradient (detached, inference mode).
        TypeError: ``loss_fn`` cannot be called so; without one, the model cannot; ``loss`` is no
            number.

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
    if any(map(is_lazy, model.parameters())):
        raise ValueError("the model has lazy layers without weights: call it with inputs once")
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("the model has no parameter that requires a gradient")
    draws = _draws(model, parameters, _evaluation(model, batch, loss_fn))
    (here, gradient), (again, _) = draws[:2]
    given = here if loss is None else float(loss_value(loss, "check_loss_contract"))
    remarks = _Remarks([], [])
    remarks.on_loss(given, here)
    is_random = abs(again - here) > _NOISE * abs(here)
    if is_random:
        remarks.notes.append(
            "the loss changes from call to call (dropout, batch order): a step sees one draw of it"
        )
    if any(p.grad is not None for p in parameters):
        gradient = _flat(p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters)
        if is_random:
            remarks.on_norms(float(gradient.norm()), [float(own.norm()) for _, own in draws])
        else:
            remarks.on_gradient(gradient, draws[0][1])
    slope, measured = float(gradient @ gradient), float(gradient @ draws[0][1])
    if not (math.isfinite(here) and math.isfinite(slope)):
        remarks = _Remarks(["loss or gradient is not finite"], [])
    return LossContract(
        here, given, slope, measured, not remarks.broken, (*remarks.broken, *remarks.notes)
    )


def _draws(
    model: nn.Module, parameters: list[nn.Parameter], evaluate: Callable[[], Tensor]
) -> list[tuple[float, Tensor]]:
    """The loss and its gradient, twice; more often where they are not the same."""
    buffers = [(x, x.detach().clone()) for x in model.buffers()]
    devices = {p.device for p in parameters if p.device.type == "cuda"}
    found: list[tuple[float, Tensor]] = []
    alone: Any = getattr(model, "no_sync", nullcontext)  # ranks may call it at different times
    with torch.random.fork_rng(list(devices)), torch.enable_grad(), alone():
        while len(found) < 2 or (len(found) < _DRAWS and found[0][0] != found[1][0]):
            try:
                loss = evaluate()
                if not loss.requires_grad:
                    raise ValueError(
                        "the loss has no gradient: return it from loss_fn without detach() or "
                        "item(), and call check_loss_contract outside torch.inference_mode()"
                    )
                grads = torch.autograd.grad(loss, parameters, allow_unused=True)
            finally:
                with torch.no_grad():
                    for x, value in buffers:
                        x.copy_(value)
            pairs = zip(parameters, grads, strict=True)
            own = _flat(torch.zeros_like(p) if g is None else g for p, g in pairs)
            found.append((float(loss.detach()), own))
    return found


def _flat(gradients: Iterable[Tensor]) -> Tensor:
    """Gradients as one vector of double precision; complex numbers are pairs of real ones."""
    parts = [g.detach().to_dense() for g in gradients]
    parts = [torch.view_as_real(g.resolve_conj()) if g.is_complex() else g for g in parts]
    return torch.cat([g.double().flatten().to(parts[0].device) for g in parts])


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
        if not isinstance(value, Tensor) or value.numel() != 1 or value.is_complex():
            raise ValueError(f"the loss must be a real tensor with one element: {_WANTED}")
        return value

    return evaluate


@dataclass
class _Remarks:
    """What breaks the contract, and what is only worth knowing."""

    broken: list[str]
    notes: list[str]

    def on_loss(self, given: float, here: float) -> None:
        """Compares the loss that is given with that of the batch."""
        if not abs(given - here) <= _TOLERANCE * max(abs(given), abs(here)) < math.inf:
            self.broken.append(
                f"the optimizer is given the loss {given:.4g}, but this batch has {here:.4g}: give "
                "the loss of the same examples, unscaled and reduced as for backward()"
            )
        if given <= 0:
            self.notes.append(
                f"the loss is {given:.4g}: at or below the lower bound (f_min, f_star, lb; 0 by "
                "default) there is no step. Give the optimizer a lower one, if the loss has one"
            )

    def on_gradient(self, given: Tensor, own: Tensor) -> None:
        """Compares the gradient that is given with that of the loss."""
        lengths = float(given.norm()), float(own.norm())
        if float((given - own).norm()) <= _TOLERANCE * max(lengths):
            return
        if not min(lengths):
            which = ("is 0, and that of the loss is not", "is not 0, and that of the loss is")
            self.broken.append(f"the gradient {which[lengths[1] == 0]}")
            return
        cosine = float(given @ own) / (lengths[0] * lengths[1])
        self.broken.append(
            f"the gradient is {math.copysign(lengths[0] / lengths[1], cosine):.4g} times that of "
            "the loss (clipped, scaled, or summed instead of averaged)"
            if abs(cosine) > _PARALLEL
            else f"the gradient has another direction than that of the loss (cosine {cosine:.2g}): "
            "only one of them has some term, or they are of different examples or weights"
        )

    def on_norms(self, given: float, own: list[float]) -> None:
        """Compares the lengths of gradients that had different random numbers."""
        if min(own) / _GROSS <= given <= _GROSS * max(own):
            self.notes.append(
                "the gradient had other random numbers (dropout), so only errors of a factor of 10 "
                "are found: model.eval() before backward() shows smaller ones"
            )
        else:
            self.broken.append(
                f"the gradient has the norm {given:.4g}, where draws of the loss have "
                f"{min(own):.4g} to {max(own):.4g} (clipped, scaled, or summed instead of averaged)"
            )
