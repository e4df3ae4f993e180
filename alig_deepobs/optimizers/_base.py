"""What the optimizers of this package that are not ALI-G have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from alig_deepobs.optimizers._norm import (
    global_squared_norm,
    host_inner_product,
    host_squared_norm,
    inner_product,
)
from alig_deepobs.optimizers._scalars import Scalar
from alig_deepobs.optimizers._vectors import Foreach, Loop
from alig_deepobs.optimizers.loss import loss_value

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


@dataclass
class Work:
    """What one step has to do in one group: the parameters that have a gradient.

    Attributes:
        group: the group's options.
        params, grads: tensors of any shape.
        vectors: how lists of tensors are computed with.
    """

    group: dict[str, Any]
    params: list[Tensor]
    grads: list[Tensor]
    vectors: type[Loop]


class Method(Optimizer):
    """A method: collects the gradients, and asks a subclass for the update.

    Every number that a later step depends on is kept in a group or in a parameter's state, so a
    resumed run equals an uninterrupted one. Numbers that belong to no group are in the first.
    Parameters without a gradient are left out; sparse gradients are refused.
    """

    def __init__(self, params: Params, defaults: dict[str, Any], foreach: bool | None) -> None:
        super().__init__(params, {**defaults, "foreach": foreach})

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restores a pickled optimizer; options that it did not have yet get their default."""
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Takes one step.

        Args:
            closure: called once, with gradients enabled.

        Returns:
            What the closure returned.

        Raises:
            RuntimeError: a gradient is sparse.
        """
        returned = None
        if closure is not None:
            with torch.enable_grad():
                returned = closure()
        self._update(self._work())
        return returned

    def _update(self, work: list[Work]) -> None:
        raise NotImplementedError

    def _work(self) -> list[Work]:
        """The parameters that have a gradient, for each group that has some."""
        work = []
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            grads = [p.grad for p in params]
            if any(g.layout is not torch.strided for g in grads):
                name = type(self).__name__
                raise RuntimeError(f"{name} does not support sparse gradients: use dense ones")
            vectors = Loop if group["foreach"] is False else Foreach
            if params:
                work.append(Work(group, params, grads, vectors))
        return work

    def _buffers(
        self, work: Work, name: str, start: Callable[[Tensor], Tensor] = torch.zeros_like
    ) -> list[Tensor]:
        """A tensor of the state of each parameter, made where there is none yet."""
        buffers = []
        for p in work.params:
            state = self.state[p]
            if name not in state:
                state[name] = start(p)
            buffers.append(state[name])
        return buffers

    def _count(self, work: Work) -> list[int]:
        """The number of steps of each parameter, this one included."""
        counts: list[int] = []
        for p in work.params:
            state = self.state[p]
            state["step"] = state.get("step", 0) + 1
            counts.append(state["step"])
        return counts


class LossMethod(Method):
    """A method whose step size depends on the value of the loss.

    On the CPU its scalars are numbers of the host, on an accelerator 0-d tensors, and the host
    reads nothing from the device.
    """

    needs_loss = "value"

    # Class attributes, so that copies and pickles, which leave instance attributes out, have them.
    _sizes: tuple[Scalar, Scalar] = (math.nan, math.nan)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None, *, loss: Any = None) -> Any:
        """Takes one step.

        Args:
            closure: called once, with gradients enabled; what it returns is the loss, unless
                ``loss`` is given too.
            loss: the value of the objective whose gradient is in ``p.grad``: a number or a
                one-element tensor.

        Returns:
            What the closure returned, else ``loss``, as it was given.

        Raises:
            TypeError: there is no loss.
            ValueError: the loss has more than one element.
            RuntimeError: a gradient is sparse.
        """
        returned = loss
        if closure is not None:
            with torch.enable_grad():
                returned = closure()
        value = loss_value(returned if loss is None else loss, type(self).__name__)
        self._update_with(self._scalar(value), self._work())
        return returned

    def _update_with(self, loss: Scalar, work: list[Work]) -> None:
        raise NotImplementedError

    @property
    def step_size(self) -> float:
        """The step size of the last step, nan before the first one.

        Reading it makes the host wait for the device.
        """
        return float(self._sizes[0])

    @property
    def step_size_unclipped(self) -> float:
        """The step size of the last step before any cap, nan before the first one."""
        return float(self._sizes[1])

    @property
    def last_step_sizes(self) -> tuple[Scalar, Scalar]:
        """(step size of the first group, the same before any cap), without making the host wait."""
        return self._sizes

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

    def _squared_norm(self, tensors: list[Tensor]) -> Scalar:
        if not tensors:
            return 0.0
        return host_squared_norm(tensors) if self._on_host else global_squared_norm(tensors)

    def _dot(self, xs: list[Tensor], ys: list[Tensor]) -> Scalar:
        if not xs:
            return 0.0
        return host_inner_product(xs, ys) if self._on_host else inner_product(xs, ys)


def check_range(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Checks ``low <= value < high``.

    Raises:
        ValueError: it is not; the message names the argument.

    Example:
        >>> check_range("momentum", 1.5, 0.0, 1.0)
        Traceback (most recent call last):
        ValueError: momentum must be in [0.0, 1.0), not 1.5
    """
    if not low <= value < high:
        wanted = f"at least {low:g}" if high == math.inf else f"in [{low}, {high})"
        raise ValueError(f"{name} must be {wanted}, not {value!r}")


def check_positive(name: str, value: float) -> None:
    """Checks ``value > 0``.

    Raises:
        ValueError: it is not; the message names the argument.
    """
    if not value > 0:
        raise ValueError(f"{name} must be positive, not {value!r}")


def gradients(work: list[Work]) -> list[Tensor]:
    """The gradients of all groups."""
    return [grad for part in work for grad in part.grads]
