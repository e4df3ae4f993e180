"""ALI-G+: ALI-G for problems that do not interpolate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from alig_deepobs.optimizers._base import Params, Work
from alig_deepobs.optimizers._checks import checked
from alig_deepobs.optimizers._loss_method import LossMethod
from alig_deepobs.optimizers._scalars import Scalar, at_least, at_most

_EPS = 1e-9
_UNSEEN = 1e6
_TABLES = {"optimal_values": 0.0, "deltas": 0.0, "best_losses": _UNSEEN, "losses": _UNSEEN}


class AligPlus(LossMethod):
    r"""ALI-G with an approximate optimal value ``A_z`` for every training example ``z``.

    One step, on the losses ``l`` of the examples of a mini-batch::

        gamma = clip(mean(l - A) / (|g|^2 + 1e-9), 0, lr)
        w     = w - gamma (g + weight_decay w)

    and, with momentum, ``v = momentum v - gamma g`` and ``w = w + momentum v``. The values start at
    0 and are revised ``num_updates`` times in training, in `end_epoch`, which must be called after
    every epoch: where the best loss of an example is above ``A_z``, it moves half way there;
    elsewhere it moves back by half of its last move.

    In the authors' code the losses of the best epoch and those of the latest one are one tensor
    from the first epoch on, so "best" always means "latest" (see ``alias_losses``).

    Args:
        params: parameters, or groups of them with their own ``lr``, ``momentum``, ``weight_decay``.
        lr: cap of the step size, positive.
        data_size: number of training examples.
        epochs: number of epochs that training will have.
        weight_decay: factor of the weight decay, which is no part of the losses.
        momentum: Nesterov momentum in [0, 1).
        num_updates: how often the values are revised, K; at most once per epoch.
        alias_losses: do as the authors' code.
        foreach: False: one parameter after the other; else multi-tensor operations.

    Raises:
        ValueError: an argument is out of its range; the message names it.

    Source:
        Paren, Poudel, Kumar: Faking Interpolation Until You Make It, TMLR 2022.

    Example:
        >>> w = torch.tensor([1.0, 1.0], requires_grad=True)
        >>> optimizer = AligPlus([w], lr=0.1, data_size=100, epochs=10)
        >>> losses = 1 + w.square()  # of the examples 17 and 42
        >>> losses.mean().backward()
        >>> _ = optimizer.step(losses=losses, indices=torch.tensor([17, 42]))
        >>> optimizer.end_epoch()
    """

    needs_loss = "per_example"
    regularization = "own"
    run_arguments = {"data_size": "data_size", "epochs": "num_epochs"}  # noqa: RUF012 - read only
    memory: ClassVar[dict[str, Any]] = {"epoch": 0, "aliased": False}
    shared = ("data_size", "epochs", "num_updates", "alias_losses")

    def __init__(
        self,
        params: Params,
        lr: float,
        data_size: int,
        epochs: int,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        num_updates: int = 5,
        *,
        alias_losses: bool = False,
        foreach: bool | None = None,
    ) -> None:
        defaults = checked(
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            data_size=data_size,
            epochs=epochs,
            num_updates=num_updates,
            alias_losses=alias_losses,
        )
        super().__init__(params, defaults, foreach)

    @torch.no_grad()
    def step(
        self,
        closure: Callable[[], Any] | None = None,
        *,
        loss: Any = None,
        losses: Tensor | None = None,
        indices: Tensor | None = None,
    ) -> Any:
        """Takes one step.

        Args:
            closure: called once, with gradients enabled; what it returns are the losses, unless
                ``losses`` is given too. A tensor here are the losses themselves.
            loss: not used; ``losses`` says more.
            losses: the losses of the mini-batch's examples, shape ``(batch_size,)``, whose mean the
                gradient is of.
            indices: the numbers of these examples in the training set, the same shape.

        Returns:
            What the closure returned, else ``losses``.

        Raises:
            TypeError: losses or indices are missing.
            ValueError: they have different shapes, or a rate has become negative.
            RuntimeError: a gradient is sparse.
        """
        returned = self._called(closure, losses)
        values = returned if losses is None else losses
        work = self._work()
        if values is None and loss is None and self._may_rest(work):
            self._make_all_state(work)
            return returned
        if not isinstance(values, Tensor) or indices is None:
            raise TypeError(
                "AligPlus needs the loss of each example and the numbers of the examples. Write\n"
                "    optimizer.step(losses=losses, indices=indices)  # after losses.mean()"
                ".backward()"
            )
        if values.dim() != 1 or values.shape != indices.shape:
            raise ValueError(
                f"losses and indices must be vectors of one length, not of shapes "
                f"{tuple(values.shape)} and {tuple(indices.shape)}"
            )
        table, targets = self._table("losses"), self._table("optimal_values")
        values, indices = values.detach().to(table), indices.to(table.device)
        table[indices] = values
        self._advance((values - targets[indices]).mean(), work)
        return returned

    def _make_state(self, part: Work) -> None:
        self._table("losses")
        if part.group["momentum"]:
            self._buffers(part, "momentum_buffer")

    def _update_with(self, loss: Scalar, work: list[Work]) -> None:
        unclipped = self._quotient(loss, self._gradient_norm(work) + _EPS)

        def gamma_of(group: dict[str, Any]) -> Scalar:
            return at_most(at_least(unclipped, 0.0), group["lr"])

        self._sizes = gamma_of(self.param_groups[0]), unclipped
        for part in work:
            gamma, group, vectors = gamma_of(part.group), part.group, part.vectors
            if group["weight_decay"]:
                vectors.mul_(part.params, 1 - gamma * group["weight_decay"])
            vectors.add_(part.params, part.grads, -gamma)
            if group["momentum"]:
                buffers = self._buffers(part, "momentum_buffer")
                vectors.mul_(buffers, group["momentum"])
                vectors.add_(buffers, part.grads, -gamma)
                vectors.add_(part.params, buffers, group["momentum"])

    @torch.no_grad()
    def end_epoch(self) -> None:
        """Ends an epoch, and revises the approximate optimal values where it is time."""
        first = self.param_groups[0]
        losses, best = self._table("losses"), self.best_losses
        if bool(losses.mean() < best.mean()):
            self._tables()["best_losses"] = losses.clone()
            first["aliased"] = first["alias_losses"]
        period = max(1, first["epochs"] // first["num_updates"])
        if first["epoch"] % period == period - 1:
            self._revise()
        first["epoch"] += 1

    epoch_ = end_epoch
    """The authors' name of `end_epoch`."""

    def _revise(self) -> None:
        """Moves each approximate optimal value towards the best loss, or back."""
        tables, best = self._tables(), self.best_losses
        values, deltas = tables["optimal_values"], tables["deltas"]
        reached = best <= values
        deltas = torch.where(reached, deltas, ((best - values) / 2).clamp(min=0.0))
        back = (values - deltas / 2).clamp(min=0.0)
        tables["optimal_values"] = torch.where(reached, back, (values + best) / 2)
        tables["deltas"] = deltas

    @property
    def optimal_values(self) -> Tensor:
        """The approximate optimal value of each example, shape ``(data_size,)``."""
        return self._table("optimal_values")

    @property
    def best_losses(self) -> Tensor:
        """The losses of the epoch with the smallest mean, shape ``(data_size,)``."""
        return self._table("losses" if self.param_groups[0]["aliased"] else "best_losses")

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a state that `state_dict` returned.

        Raises:
            ValueError: it is the state of another optimizer, or its groups do not match.
        """
        super().load_state_dict(state_dict)
        saved: dict[str, Any] = next(iter(state_dict["state"].values()), {})
        for name in _TABLES:
            if name in saved:  # torch has rounded it to the parameter's data type
                self._tables()[name] = saved[name].to(self._device)

    def _table(self, name: str) -> Tensor:
        table: Tensor = self._tables()[name]
        return table

    def _tables(self) -> dict[str, Any]:
        """The tables of all examples; they are in the state of the first parameter."""
        first = self.param_groups[0]
        weight = next(p for group in self.param_groups for p in group["params"])
        state: dict[str, Any] = self.state[weight]
        if "losses" not in state:
            dtype = torch.promote_types(weight.dtype, torch.float32)
            for name, value in _TABLES.items():
                state[name] = torch.full(
                    (first["data_size"],), value, dtype=dtype, device=weight.device
                )
        return state
