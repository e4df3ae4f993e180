"""Helpers that bring the right value of the loss to ``step``."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer


class LossMeter:
    """The mean loss over the micro-batches whose gradients were accumulated.

    Losses are summed in float32, double precision in its own. Nothing is read from the device.

    A meter that watches the gradients (`attach_loss` sees to it) forgets its losses when the
    gradients are cleared: so it does not keep those of a step that a GradScaler skipped. A loss may
    be added before or after its backward pass.

    Example:
        >>> meter = LossMeter()
        >>> for loss in (torch.tensor(1.0), torch.tensor(3.0)):
        ...     meter.add(loss)  # and (loss / 2).backward()
        >>> meter.mean()  # optimizer.step(loss=meter.mean())
        tensor(2.)
        >>> meter.reset()
    """

    def __init__(self) -> None:
        self._watched: Tensor | None = None
        self.reset()

    def watch(self, parameters: Iterable[Tensor]) -> Removable:
        """Forgets losses whenever the gradient that they belong to was taken away.

        The parameter that gets its gradient first, in the first backward pass, is watched: it is
        nearest to the loss, so nearly every backward pass reaches it. (The last one may be unused.)

        Args:
            parameters: those that are trained.

        Returns:
            A handle; its ``remove()`` ends it.
        """
        self._watched = None
        return _Attached(
            [p.register_post_accumulate_grad_hook(self._accumulated) for p in parameters]
        )

    def add(self, loss: float | Tensor, weight: float = 1.0) -> None:
        """Adds the mean loss of one micro-batch.

        Args:
            loss: a number or a one-element tensor.
            weight: weight of this micro-batch in the accumulated gradient, for example its number
                of examples.

        Raises:
            TypeError: the loss is neither a number nor a tensor.
            ValueError: the weight is not positive, or the loss has more than one element.
        """
        if not weight > 0:
            raise ValueError(f"weight must be positive, not {weight!r}")
        self._drop_if_cleared()
        value = loss_value(loss, "LossMeter.add")
        if isinstance(value, Tensor):  # a copy, because losses are divided in place, too
            value = _exact(value.clone())
        if self._unmatched:  # the gradient of this loss is there already
            self._unmatched -= 1
            self._in_gradient.append((value, weight))
        else:
            self._ahead.append((value, weight))

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added since the last reset."""
        return not (self._in_gradient or self._ahead)

    def mean(self) -> float | Tensor:
        """The weighted mean since the last reset.

        Raises:
            ValueError: nothing was added.
        """
        terms = [*self._in_gradient, *self._ahead]
        if not terms:
            raise ValueError("the mean of no loss: call add(loss) after each micro-batch")
        total = sum(weight for _, weight in terms)
        mean: float | Tensor = sum(value * weight for value, weight in terms) / total
        return mean

    def reset(self) -> None:
        """Starts anew; call it after the step."""
        self._ahead: list[tuple[float | Tensor, float]] = []  # losses without gradient so far
        self.drop()

    def drop(self) -> None:
        """Forgets the losses whose gradients were computed: those are cleared."""
        self._in_gradient: list[tuple[float | Tensor, float]] = []
        self._unmatched = 0  # gradients whose loss was not added yet
        self._gradient: Callable[[], Tensor | None] | None = None

    def _accumulated(self, parameter: Tensor) -> None:
        """Called in each backward pass, when this parameter has its gradient."""
        if self._watched is None:
            self._watched = parameter
        if self._watched is not parameter:
            return
        self._drop_if_cleared()
        if self._ahead:
            self._in_gradient += self._ahead
            self._ahead = []
        else:
            self._unmatched += 1
        self._gradient = None if parameter.grad is None else weakref.ref(parameter.grad)

    def _drop_if_cleared(self) -> None:
        if self._watched is not None and self._gradient is not None:
            gradient = self._gradient()
            if gradient is None or gradient is not self._watched.grad:
                self.drop()


def _exact(loss: Tensor) -> Tensor:
    """The loss in a data type that sums do not overflow or stall in."""
    return loss if loss.dtype is torch.float64 else loss.float()


@torch.no_grad()
def reduce_loss(loss: Tensor, group: dist.ProcessGroup | None = None) -> Tensor:
    """The mean of the loss over all ranks, which is what the averaged gradients belong to.

    Every rank must call it, at the same point. Optimizers never start a collective by themselves.

    Args:
        loss: this rank's loss, a one-element tensor.
        group: the process group that averages the gradients; None: all ranks.

    Returns:
        A detached tensor, at least float32; the loss itself where torch.distributed is not
        initialised.

    Raises:
        TypeError: the loss is a number, which no process group can sum.
    """
    if not isinstance(loss, Tensor):
        raise TypeError(
            f"reduce_loss needs the loss as a tensor, not as {type(loss).__name__}: drop .item()"
        )
    loss = loss.detach()
    if not (dist.is_available() and dist.is_initialized()):
        return loss
    total = _exact(loss).clone()
    dist.all_reduce(total, group=group)
    return total / dist.get_world_size(group)


class HasMean(Protocol):
    """Something with a mean, such as a `LossMeter`."""

    def mean(self) -> float | Tensor:
        """The current mean loss."""


def attach_loss(
    optimizer: Optimizer, source: Callable[[], Any] | HasMean
) -> Removable:  # fmt: skip
    """Adds ``loss=`` to every call of ``step`` that has neither a loss nor a closure.

    For training loops that cannot be edited, such as those that call a bare ``optimizer.step()``.
    It works through a step pre-hook, so it also reaches the optimizer through wrappers.

    Args:
        optimizer: an optimizer whose ``step`` takes ``loss=``.
        source: a function that returns the current loss, or an object with ``mean()``. A
            `LossMeter` is reset after each step, and when the gradients are cleared.

    Returns:
        A handle; its ``remove()`` detaches the source.

    Raises:
        TypeError: the source is neither, but a loss itself, for example.

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
    # A tensor has a mean, too: it would be the loss of every step to come.
    is_value = hasattr(source, "__array__")
    if is_value or not (callable(source) or callable(getattr(source, "mean", None))):
        raise TypeError(
            "attach_loss needs a LossMeter or a function that returns the current loss, not "
            f"{type(source).__name__}: write attach_loss(optimizer, lambda: loss), for example"
        )
    read: Callable[[], Any] = source if callable(source) else source.mean

    def hook(
        optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        # torch passes the optimizer itself as the first positional argument of step.
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if closure is not None or kwargs.get("loss") is not None:
            return None
        if isinstance(source, LossMeter) and source.is_empty:
            return None  # there may be nothing to do; if there is, the optimizer asks for the loss
        loss = read()
        if isinstance(source, LossMeter):
            source.reset()  # the next step starts from nothing, and nobody else could say when
        return args, {**kwargs, "loss": loss}

    attached = _Attached([optimizer.register_step_pre_hook(hook)])
    if isinstance(source, LossMeter):
        trained = [p for g in optimizer.param_groups for p in g["params"] if p.requires_grad]
        attached.handles.append(source.watch(trained))
        attached.handles.append(_DropWithGradients(optimizer, source))
    return attached


class Removable(Protocol):
    """Something that can be detached again."""

    def remove(self) -> None:
        """Detaches it."""


class _Attached:
    """Several handles as one."""

    def __init__(self, handles: list[Removable]) -> None:
        self.handles = handles

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


class _DropWithGradients:
    """Drops losses in every ``optimizer.zero_grad()``, also in one that keeps the tensors."""

    def __init__(self, optimizer: Optimizer, meter: LossMeter) -> None:
        self.optimizer = optimizer
        zero_grad = optimizer.zero_grad

        def zero_grad_and_drop(*args: Any, **kwargs: Any) -> None:
            zero_grad(*args, **kwargs)
            meter.drop()

        optimizer.zero_grad = zero_grad_and_drop  # type: ignore[method-assign]

    def remove(self) -> None:
        vars(self.optimizer).pop("zero_grad", None)


def loss_value(loss: Any, name: str) -> float | Tensor:
    """The loss that was given to ``step``: a number, or a detached 0-d tensor.

    Args:
        loss: what was given.
        name: of the optimizer, for the messages.

    Raises:
        TypeError: it is None, complex, or neither a number nor a tensor.
        ValueError: it has more than one element.
    """
    if not isinstance(loss, Tensor):
        if isinstance(loss, Real):
            return float(loss)
        if hasattr(loss, "__array__"):  # as NumPy's arrays have
            loss = torch.as_tensor(loss)
    if isinstance(loss, Tensor):
        if loss.is_complex():
            raise TypeError(
                f"{name}: the loss must be a real number, not a complex tensor: give the value "
                "that backward() was called on, for example loss.real"
            )
        if loss.numel() != 1:
            raise ValueError(
                f"{name}: the loss must be one number, not a tensor of shape {tuple(loss.shape)}: "
                "reduce it as it was for backward(), for example loss.mean()"
            )
        value: Tensor = loss.detach()
        return value if value.dim() == 0 else value.reshape(())
    if loss is None:
        raise TypeError(
            f"{name} needs the value of the loss, and was given none. Write\n"
            "    optimizer.step(loss=loss)          # after loss.backward()\n"
            "or  optimizer.step(lambda: loss)       # a closure that returns the loss\n"
            "or  attach_loss(optimizer, meter)      # and, in a loop that is not yours, meter.add()"
        )
    raise TypeError(
        f"{name}: the loss must be a number or a tensor with one element, not "
        f"{type(loss).__name__}: give the value that backward() was called on, for example "
        "optimizer.step(loss=loss)"
    )
