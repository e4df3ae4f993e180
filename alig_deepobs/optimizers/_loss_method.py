"""What the optimizers have in common whose step size depends on the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from alig_deepobs.errors import no_weight_decay
from alig_deepobs.optimizers._base import Method, Params, Work, gradients
from alig_deepobs.optimizers._checks import refuse_shards
from alig_deepobs.optimizers._norm import (
    global_squared_norm,
    host_inner_product,
    host_products,
    host_squared_norm,
    inner_product,
    products,
)
from alig_deepobs.optimizers._scalars import LARGEST, Scalar, at_least, choose, quotient
from alig_deepobs.optimizers.health import Health, Monitor
from alig_deepobs.optimizers.loss import loss_value

HALF_LARGEST = torch.finfo(torch.float16).max
_ALWAYS, _SOMETIMES = 100, 10
"""The norm of the gradient is looked at in all of the first steps, then in every tenth."""


class LossMethod(Method):
    """A method whose step size depends on the value of the loss.

    On the CPU its scalars are numbers of the host, on an accelerator 0-d tensors, and the host
    reads nothing from the device.
    """

    needs_loss = "value"

    rate_is_cap: ClassVar[bool] = True
    """Whether the rate, if there is one, caps the step size."""

    capped: ClassVar[str] = "SGD"
    """What the method is where the cap always binds."""

    # Class attributes, so that copies and pickles, which leave instance attributes out, have them.
    _sizes: tuple[Scalar, Scalar] = (math.nan, math.nan)
    _squared: Scalar | None = None
    _monitor: Monitor | None = None

    def __init__(self, params: Params, defaults: dict[str, Any], foreach: bool | None) -> None:
        super().__init__(params, defaults, foreach)
        refuse_shards(self)

    def step(self, closure: Callable[[], Any] | None = None, *, loss: Any = None) -> Any:
        """Takes one step.

        Where there is no loss, and no gradient but 0 or no rate above 0, only the state is made:
        that is what tools for checkpoints ask for, and what Lightning does with a skipped batch.

        Args:
            closure: called once, with gradients enabled; what it returns is the loss, unless
                ``loss`` is given too. A number or a tensor here is the loss itself.
            loss: the value of the objective whose gradient is in ``p.grad``: a number or a
                one-element tensor.

        Returns:
            What the closure returned, else ``loss``, as it was given.

        Raises:
            TypeError: there is no loss.
            ValueError: the loss has more than one element, or a rate has become negative.
            RuntimeError: a gradient is sparse.
        """
        returned = self._called(closure, loss)
        value = returned if loss is None else loss
        if value is not None and self._quick_step(value):
            return returned
        work = self._work()
        if value is None and self._may_rest(work):
            self._make_all_state(work)
            return returned
        self._advance(loss_value(value, type(self).__name__), work)
        return returned

    def _quick_step(self, loss: Any) -> bool:
        """Takes the step, if there is a shorter way for one like this; says whether it did."""
        return False

    def _called(self, closure: Any, loss: Any) -> Any:
        """What the closure returns, else the loss, which may stand in the closure's place."""
        if closure is None:
            return loss
        if callable(closure):
            with torch.enable_grad():
                return closure()
        if loss is not None:
            name = type(self).__name__
            raise TypeError(f"{name} was given two losses: write optimizer.step(loss=loss)")
        return closure

    def _advance(self, loss: Scalar, work: list[Work]) -> None:
        """The step itself, with a loss; its size and what it was computed from are noted."""
        self._squared = None
        loss = self._scalar(loss)
        self._update_with(loss, work)
        if not torch.compiler.is_compiling():
            self._note(loss, work)

    def _update_with(self, loss: Scalar, work: list[Work]) -> None:
        raise NotImplementedError

    @property
    def _no_decay(self) -> str:
        return no_weight_decay(type(self).__name__)

    def _refuse_weight_decay(self, weight_decay: float | None) -> None:
        """Says what to use in place of a weight decay.

        Raises:
            ValueError: there is one.
        """
        if weight_decay:
            raise ValueError(self._no_decay)

    # --- A step without a loss -------------------------------------------------------------------

    def _may_rest(self, work: list[Work]) -> bool:
        """Whether a step without a loss is no mistake: nothing could move."""
        rates = [group["lr"] for group in self.param_groups if "lr" in group]
        if rates and not any(rates):
            return True
        return not work or host_squared_norm(gradients(work)) == 0

    # --- What is seen from outside ---------------------------------------------------------------

    @property
    def step_size(self) -> float:
        """The step size of the last step, nan before the first one.

        Reading it makes the host wait for the device.
        """
        self._look()
        return float(self._sizes[0])

    @property
    def step_size_unclipped(self) -> float:
        """The step size of the last step before any cap, nan before the first one."""
        self._look()
        return float(self._sizes[1])

    @property
    def last_step_sizes(self) -> tuple[Scalar, Scalar]:
        """(step size of the first group, the same before any cap), without making the host wait."""
        return self._sizes

    def health(self) -> Health:
        """What was seen since the optimizer was made; the host waits for the device."""
        return self._watch().report()

    def state_dict(self) -> dict[str, Any]:
        """The state, as of every optimizer of torch; numbers in groups are numbers of the host."""
        self._look()
        state: dict[str, Any] = super().state_dict()
        for group in state["param_groups"]:
            for name in self._known - set(self.defaults):
                if isinstance(group.get(name), Tensor):
                    group[name] = group[name].item()
        return state

    def _watch(self) -> Monitor:
        if self._monitor is None:
            self._monitor = Monitor(type(self).__name__, self.rate, self.capped)
        return self._monitor

    def _look(self) -> None:
        if self._monitor is not None:
            self._monitor.look()

    def _note(self, loss: Scalar, work: list[Work]) -> None:
        """Counts this step; on an accelerator without reading it."""
        monitor = self._monitor or self._watch()
        first = self.param_groups[0]
        if "initial_lr" in first:
            self._check_schedule(monitor)
        squared = self._squared
        if squared is None:  # the method did without; it is not needed in every step
            due = monitor.steps < _ALWAYS or monitor.steps % _SOMETIMES == 0
            grads = [p.grad for part in work for p in part.owners if p.grad is not None]
            squared = self._squared_norm(grads) if due else -1.0
        rate = first.get("lr", math.inf) if self.rate_is_cap else math.inf
        has_cap = isinstance(rate, Tensor) or 0 < rate < math.inf
        size, unclipped = self._sizes
        if type(size) is type(squared) is type(unclipped) is float:
            monitor.note(float(loss), self._lower_bound(), squared, size, unclipped, has_cap)
        else:
            monitor.keep(loss, self._lower_bound(), squared, size, unclipped, float(has_cap))

    def _lower_bound(self) -> float:
        """The lower bound of the loss that the step size relies on."""
        return 0.0

    def _check_schedule(self, monitor: Monitor) -> None:
        """Says that a scheduler does not do what it does for SGD."""
        for group in self.param_groups:
            if "initial_lr" not in group:
                continue
            rate = group.get("lr")
            if not isinstance(rate, Tensor) and rate == math.inf:
                monitor.say(
                    "schedule",
                    "a scheduler has nothing to change, because there is no cap: give "
                    f"{self.rate}, or leave the scheduler out",
                )
            if "base_momentum" in group:
                monitor.say(
                    "momentum",
                    "a scheduler cycles the momentum against the rate, which is not meant for "
                    "step sizes that depend on the loss: give it cycle_momentum=False",
                )

    # --- Arithmetic ------------------------------------------------------------------------------

    @property
    def _device(self) -> torch.device:
        params = (p for group in self.param_groups for p in group["params"])
        return next((p.device for p in params), torch.device("cpu"))

    @property
    def _on_host(self) -> bool:
        return self._device.type == "cpu"

    def _scalar(self, value: Scalar) -> Scalar:
        """A number or a tensor of whatever device, in the form that this optimizer computes with.

        A checkpoint may come from another device.
        """
        if self._on_host:
            return float(value)
        return value.to(self._device) if isinstance(value, Tensor) else value

    def _quotient(self, numerator: Scalar, denominator: Scalar) -> Scalar:
        """A step size before the cap: `quotient`, and 0 where the weights' type cannot hold it."""
        size = quotient(numerator, denominator)
        if isinstance(size, float) and not (size > HALF_LARGEST or numerator > HALF_LARGEST):
            return size
        return choose(size > self._largest_step(denominator), 0.0, size)

    def _largest_step(self, squared_norm: Scalar) -> Scalar:
        """The largest step size that the type of all weights can hold; any, if the caps are.

        No number of a step is larger than its size times the norm of the gradient.
        """
        types = {p.dtype for group in self.param_groups for p in group["params"]}
        if torch.float16 not in types:
            return LARGEST
        caps = [group.get("lr", math.inf) for group in self.param_groups]
        known = self.rate_is_cap and not any(isinstance(cap, Tensor) for cap in caps)
        length = at_least(squared_norm**0.5, 1.0)
        capped = length * (max(caps) if known else math.inf) <= HALF_LARGEST
        return choose(capped, LARGEST, HALF_LARGEST / length)

    def _add_l2(self, loss: Scalar, work: list[Work]) -> Scalar:
        """Adds each group's ``weight_decay`` to loss and gradients; returns the loss.

        The gradients in ``p.grad`` stay as they are.
        """
        for part in work:
            decay = part.group["weight_decay"]
            if decay:
                loss = loss + 0.5 * decay * self._squared_norm(part.params)
                part.grads = part.vectors.sum(part.grads, part.params, decay)
        return loss

    def _gradient_norm(self, work: list[Work]) -> Scalar:
        """The squared norm of all gradients."""
        self._squared = squared = self._squared_norm(gradients(work))
        return squared

    def _squared_norm(self, tensors: list[Tensor]) -> Scalar:
        if not tensors:
            return 0.0
        return host_squared_norm(tensors) if self._on_host else global_squared_norm(tensors)

    def _dots(self, xs: list[Tensor], ys: list[Tensor]) -> Sequence[Scalar]:
        """The inner product of each pair."""
        return host_products(xs, ys) if self._on_host else products(xs, ys).unbind()

    def _dot(self, xs: list[Tensor], ys: list[Tensor]) -> Scalar:
        if not xs:
            return 0.0
        return host_inner_product(xs, ys) if self._on_host else inner_product(xs, ys)
