"""Helpers that bring the right value of the loss to ``step``."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle


class LossMeter:
    """The mean loss over the micro-batches whose gradients were accumulated.

    Nothing is read from the device.

    Example:
        >>> meter = LossMeter()
        >>> for loss in (torch.tensor(1.0), torch.tensor(3.0)):
        ...     meter.add(loss)  # and (loss / 2).backward()
        >>> meter.mean()  # optimizer.step(loss=meter.mean())
        tensor(2.)
        >>> meter.reset()
    """

    def __init__(self) -> None:
        self._sum: float | Tensor = 0.0
        self._weight = 0.0

    def add(self, loss: float | Tensor, weight: float = 1.0) -> None:
        """Adds the mean loss of one micro-batch.

        Args:
            loss: a number or a one-element tensor.
            weight: weight of this micro-batch in the accumulated gradient, for example its number
                of examples.

        Raises:
            ValueError: the weight is not positive.
        """
        if not weight > 0:
            raise ValueError(f"weight must be positive, not {weight!r}")
        value = loss.detach() if isinstance(loss, Tensor) else loss
        self._sum = value * weight if self._weight == 0 else self._sum + value * weight
        self._weight += weight

    def mean(self) -> float | Tensor:
        """The weighted mean since the last reset.

        Raises:
            ValueError: nothing was added.
        """
        if self._weight == 0:
            raise ValueError("the mean of no loss: call add(loss) after each micro-batch")
        return self._sum / self._weight

    def reset(self) -> None:
        """Forgets everything; call it after the step."""
        self._sum = 0.0
        self._weight = 0.0


@torch.no_grad()
def reduce_loss(loss: Tensor, group: dist.ProcessGroup | None = None) -> Tensor:
    """The mean of the loss over all ranks, which is what the averaged gradients belong to.

    Every rank must call it, at the same point. Optimizers never start a collective by themselves.

    Args:
        loss: this rank's loss, a one-element tensor.
        group: the process group that averages the gradients; None: all ranks.

    Returns:
        A detached tensor; the loss itself where torch.distributed is not initialised.
    """
    loss = loss.detach()
    if not (dist.is_available() and dist.is_initialized()):
        return loss
    total = loss.clone()
    dist.all_reduce(total, group=group)
    return total / dist.get_world_size(group)


class HasMean(Protocol):
    """Something with a mean, such as a `LossMeter`."""

    def mean(self) -> float | Tensor:
        """The current mean loss."""


def attach_loss(
    optimizer: Optimizer, source: Callable[[], Any] | HasMean
) -> RemovableHandle:  # fmt: skip
    """Adds ``loss=`` to every call of ``step`` that has neither a loss nor a closure.

    For training loops that cannot be edited, such as those that call a bare ``optimizer.step()``.
    It works through a step pre-hook, so it also reaches the optimizer through wrappers.

    Args:
        optimizer: an optimizer whose ``step`` takes ``loss=``.
        source: a function that returns the current loss, or an object with ``mean()``. A
            `LossMeter` is reset after each step.

    Returns:
        A handle; its ``remove()`` detaches the source.

    Example:
        >>> from alig_deepobs import AliG
        >>> w = torch.nn.Parameter(torch.tensor([2.0]))
        >>> optimizer, meter = AliG([w]), LossMeter()
        >>> handle = attach_loss(optimizer, meter)
        >>> loss = w.square().sum()
        >>> loss.backward()
        >>> meter.add(loss)
        >>> optimizer.step()  # gets loss=meter.mean()
        tensor(4.)
        >>> handle.remove()
    """
    read: Callable[[], Any] = source if callable(source) else source.mean

    def hook(
        optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        # torch passes the optimizer itself as the first positional argument of step.
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if closure is not None or kwargs.get("loss") is not None:
            return None
        loss = read()
        if isinstance(source, LossMeter):
            source.reset()  # the next step starts from nothing, and nobody else could say when
        return args, {**kwargs, "loss": loss}

    return optimizer.register_step_pre_hook(hook)


def loss_value(loss: Any, optimizer_name: str) -> float | Tensor:
    """The loss that was given to ``step``: a number, or a detached 0-d tensor.

    Args:
        loss: what was given.
        optimizer_name: for the messages.

    Raises:
        TypeError: it is None, or neither a number nor a tensor.
        ValueError: it has more than one element.
    """
    if loss is None:
        raise TypeError(
            f"{optimizer_name} computes its step size from the loss, and was given none. Write\n"
            "    optimizer.step(loss=loss)          # after loss.backward()\n"
            "or  optimizer.step(lambda: loss)       # a closure that returns the loss"
        )
    if isinstance(loss, Tensor):
        if loss.numel() != 1:
            raise ValueError(
                f"the loss must be one number, not a tensor of shape {tuple(loss.shape)}: "
                "reduce it as it was for backward(), for example loss.mean()"
            )
        value: Tensor = loss.detach()
        return value if value.dim() == 0 else value.reshape(())
    if isinstance(loss, Real):
        return float(loss)
    raise TypeError(f"the loss must be a number or a tensor, not {type(loss).__name__}")
