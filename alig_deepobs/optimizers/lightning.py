"""A callback for Lightning, whose automatic optimization does not hand over the whole loss."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from alig_deepobs.errors import UsageError
from alig_deepobs.optimizers.loss import Removable


def _callback_class() -> Any:
    """The base class of the Lightning package that is in use, under either of its names."""
    names = ("lightning.pytorch", "pytorch_lightning")
    for name in sorted(names, key=lambda name: name not in sys.modules):
        try:
            return importlib.import_module(name).Callback
        except ModuleNotFoundError:
            continue
    raise UsageError("Lightning is not installed: pip install lightning")


class AccumulatedLoss(_callback_class()):  # type: ignore[misc]
    """Hands the loss that the accumulated gradient is of to optimizers that need its value.

    With ``accumulate_grad_batches`` Lightning passes on the loss of the last micro-batch, divided
    by their number; with 16-bit mixed precision, none. This callback adds up what backward is
    called with, over micro-batches, and averages over processes. Without either it changes nothing.

    Raises:
        UsageError: at the start of training, if the Trainer clips gradients.

    Example:
        >>> from alig_deepobs.optimizers.lightning import AccumulatedLoss  # doctest: +SKIP
        >>> Trainer(accumulate_grad_batches=4, callbacks=[AccumulatedLoss()])  # doctest: +SKIP
    """

    def __init__(self) -> None:
        super().__init__()
        self._sum: Tensor | None = None
        self._handles: list[Removable] = []
        self._trainer: Any = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Attaches the loss to the optimizers."""
        if not pl_module.automatic_optimization:
            return
        self._trainer = trainer
        for optimizer in trainer.optimizers:
            if getattr(optimizer, "needs_loss", None) != "value":
                continue
            if trainer.gradient_clip_val:
                name = type(optimizer).__name__
                raise UsageError(
                    f"gradient_clip_val={trainer.gradient_clip_val} would give {name} a wrong step "
                    "size, because the loss belongs to the whole gradient: leave it out, or use "
                    "AliG(..., clip_norm=...)"
                )
            self._handles.append(optimizer.register_step_pre_hook(self._with_loss))

    def on_before_zero_grad(self, trainer: Any, pl_module: Any, optimizer: Optimizer) -> None:
        """Forgets the losses with their gradients."""
        self._sum = None

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Tensor) -> None:
        """Adds the loss of a micro-batch, which is divided by their number already."""
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        value = loss.detach().float() if scaler is None else loss.detach() / scaler.get_scale()
        self._sum = value if self._sum is None else self._sum + value

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Detaches from the optimizers."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _with_loss(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        closure: Callable[[], Any] | None = kwargs.get(
            "closure", args[1] if len(args) > 1 else None
        )
        if closure is None:  # mixed precision: the closure was called before the scaler
            return args[:1], {**kwargs, "loss": self._total()}

        def closure_with_total() -> Any:
            closure()  # the backward pass of the last micro-batch
            return self._total()

        return args[:1], {**kwargs, "closure": closure_with_total}

    def _total(self) -> Tensor | None:
        """The loss since the gradients were cleared, averaged over processes."""
        if self._sum is None or self._trainer.world_size == 1:
            return self._sum
        mean: Tensor = self._trainer.strategy.reduce(self._sum, reduce_op="mean")
        return mean
