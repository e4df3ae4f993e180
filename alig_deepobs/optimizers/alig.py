"""ALI-G: adaptive learning-rates for interpolation with gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from alig_deepobs.optimizers._norm import global_squared_norm, host_squared_norm, local
from alig_deepobs.optimizers._step_size import GUARDS, DeviceStep, HostStep, device_step, host_step
from alig_deepobs.optimizers._updates import (
    Bucket,
    Update,
    fused_supports,
    update_foreach,
    update_fused,
    update_loop,
)
from alig_deepobs.optimizers.loss import loss_value


class AliG(Optimizer):
    r"""ALI-G, a Polyak step size with a cap.

    One step, with ``g`` the gradient over all parameters of all groups::

        gamma = min((loss - f_min) / (|g|^2 + eps), max_lr)
        w     = projection(w - gamma * g)

    With momentum ``mu``, ``w = projection(w - gamma g + mu v)`` with ``v = mu v - gamma g``
    (standard form), or ``w = projection(w + gamma (mu v - g))`` with ``v = mu v - g`` (adjusted
    form, which is ``torch.optim.SGD(nesterov=True)`` with ``lr = gamma``).

    The loss must be the objective whose gradient was taken: the mean over the same examples, not
    scaled for mixed precision, without a regularizer that the gradient lacks. Regularize by a
    projection instead of an L2 term, which would lift the minimum above 0.

    The step size is 0, instead of a wrong or an infinite one, where ``loss <= f_min``, where
    ``|g|^2 + eps`` is 0, and where loss or gradient is not finite; in the last case weights and
    momentum stay as they are. `guarded_steps` counts these steps.

    Args:
        params: parameters, or groups of them. A group may have its own ``max_lr`` (or ``lr``),
            ``momentum`` and ``adjusted_momentum``; the step size before the cap is one for all.
        max_lr: cap of the step size, positive; None: no cap. It is kept in ``group["lr"]``
            (infinity for no cap), so torch's schedulers work on it.
        momentum: Nesterov momentum in [0, 1).
        projection_fn: called without arguments at construction and once after each step; it
            projects the parameters in place (see `L2Ball`).
        eps: added to the squared gradient norm, at least 0.
        adjusted_momentum: use the adjusted form.
        lr: another name of ``max_lr``.
        f_min: lower bound of the mini-batch loss.
        foreach: use multi-tensor operations; False: one parameter after the other.
        fused: use torch's fused SGD kernels. With neither given, the fastest way that supports the
            parameters is taken. On an accelerator (and with ``capturable``), the fused kernels with
            standard momentum leave the scaled gradient in ``p.grad``, as torch's do under a
            GradScaler.
        capturable: never read from the device, so that a CUDA graph can capture the step; the
            loss must then be a tensor on the parameters' device.

    Raises:
        ValueError: an argument is out of its range; the message names it.

    Source:
        Berrada, Zisserman, Kumar: Training Neural Networks for and by Interpolation, ICML 2020,
        algorithm 1; momentum as in the authors' code.

    Example:
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = AliG(model.parameters(), max_lr=0.1, momentum=0.9)
        >>> loss = model(torch.ones(4, 2)).square().mean()
        >>> optimizer.zero_grad()
        >>> loss.backward()
        >>> _ = optimizer.step(loss=loss)
        >>> 0.0 < optimizer.step_size <= 0.1
        True
    """

    needs_loss = "value"
    regularization = "ball"

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]],
        max_lr: float | None = None,
        momentum: float = 0.0,
        projection_fn: Callable[[], object] | None = None,
        eps: float = 1e-5,
        adjusted_momentum: bool = False,
        *,
        lr: float | None = None,
        f_min: float = 0.0,
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
    ) -> None:
        if max_lr is not None and lr is not None:
            raise ValueError("max_lr and lr are two names of one argument: give only one of them")
        if not (eps >= 0 and math.isfinite(eps)):
            raise ValueError(f"eps must be a number >= 0, not {eps!r}")
        if not math.isfinite(f_min):
            raise ValueError(f"f_min must be a finite number, not {f_min!r}")
        if projection_fn is not None and not callable(projection_fn):
            raise ValueError("projection_fn must be callable, without arguments")
        if foreach and fused:
            raise RuntimeError("foreach and fused cannot both be True")
        defaults = {
            "lr": max_lr if lr is None else lr,
            "momentum": momentum,
            "eps": eps,
            "f_min": f_min,
            "adjusted_momentum": adjusted_momentum,
            "foreach": foreach,
            "fused": fused,
            "capturable": capturable,
        }
        super().__init__(params, defaults)
        self.projection_fn = projection_fn
        self._unclipped: float | Tensor = math.nan
        self._clipped: list[float | Tensor] = [math.nan]
        self._ready_counts()
        if projection_fn is not None:
            with torch.no_grad():
                projection_fn()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group; its cap may be called ``max_lr`` or ``lr``.

        Raises:
            ValueError: an option of the group is out of its range.
        """
        if "max_lr" in param_group:
            if "lr" in param_group:
                raise ValueError("a parameter group has both max_lr and lr: give only one of them")
            param_group["lr"] = param_group.pop("max_lr")
        cap = param_group.get("lr", self.defaults["lr"])
        param_group["lr"] = math.inf if cap is None else cap
        if not param_group["lr"] > 0:
            raise ValueError(f"max_lr must be positive (or None for no cap), not {cap!r}")
        momentum = param_group.get("momentum", self.defaults["momentum"])
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), not {momentum!r}")
        for name in ("eps", "f_min", "capturable"):
            # There is one step size before the cap, so these are the same for all groups.
            if param_group.get(name, self.defaults[name]) != self.defaults[name]:
                raise ValueError(f"{name} is one for all groups: give it to AliG itself")
        super().add_param_group(param_group)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle of the optimizer holds; torch's own leaves attributes out."""
        own = {
            name: self.__dict__[name] for name in ("projection_fn", "_unclipped", "_clipped")
        }  # fmt: skip
        return {**super().__getstate__(), **own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restores a pickled optimizer; options that it did not have yet get their default."""
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("f_min", 0.0)
            group.setdefault("adjusted_momentum", False)
            for name in ("foreach", "fused"):
                group.setdefault(name, None)
            group.setdefault("capturable", False)
        self._ready_counts()

    @property
    def step_size(self) -> float:
        """The step size of the last step (mean over groups), nan before the first one.

        Reading it makes the host wait for the device.
        """
        return sum(float(gamma) for gamma in self._clipped) / len(self._clipped)

    @property
    def step_size_unclipped(self) -> float:
        """The step size of the last step before the cap, nan before the first one."""
        return float(self._unclipped)

    @property
    def last_step_sizes(self) -> tuple[float | Tensor, float | Tensor]:
        """(first group's step size, step size before the cap), without making the host wait."""
        return self._clipped[0], self._unclipped

    @property
    def guarded_steps(self) -> dict[str, int]:
        """How many steps had step size 0, and why.

        ``zero_norm``: the denominator was 0; ``below_f_min``: the loss was not above ``f_min``;
        ``non_finite``: loss or gradient was not finite.
        """
        return dict(zip(GUARDS, self.param_groups[0]["guard_counts"].tolist(), strict=True))

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
            RuntimeError: a gradient is sparse, or the chosen path does not support a parameter.
        """
        returned = loss
        if closure is not None:
            with torch.enable_grad():
                returned = closure()
        value = loss_value(returned if loss is None else loss, "AliG")

        grads: list[Tensor] = []
        work = [
            (group, [(self._path(group, bucket), bucket) for bucket in self._buckets(group, grads)])
            for group in self.param_groups
        ]
        caps = [_checked_cap(group["lr"]) for group in self.param_groups]
        # Everything that can be refused has been; from here on weights change.
        step = self._step_size(value, grads)
        self._unclipped = step.unclipped
        self._clipped = [step.clipped(cap) for cap in caps]
        for (_, updates), gamma in zip(work, self._clipped, strict=True):
            if step.skip is True:
                continue
            skip = step.skip
            for update, bucket in updates:
                if isinstance(gamma, Tensor) and isinstance(skip, Tensor):
                    device = bucket.params[0].device
                    update(bucket, gamma.to(device), skip.to(device))
                else:
                    update(bucket, gamma, False)
        if self.projection_fn is not None:
            self.projection_fn()
        return returned

    def _buckets(self, group: dict[str, Any], grads: list[Tensor]) -> list[Bucket]:
        """The group's parameters that have a gradient, by device and data type.

        Appends the gradients themselves to ``grads``: of a sharded tensor each rank updates its
        own part (the update is elementwise), but the norm is that of the whole.
        """
        buckets: list[Bucket] = []
        momentum, adjusted = group["momentum"], group["adjusted_momentum"]
        for p in group["params"]:
            g = p.grad
            if g is None:
                continue
            if g.layout is not torch.strided:
                raise RuntimeError("AliG does not support sparse gradients: use dense embeddings")
            grads.append(g)
            for bucket in buckets:
                if bucket.params[0].dtype is p.dtype and bucket.params[0].device == p.device:
                    break
            else:
                bucket = Bucket([], [], [], momentum, adjusted)
                buckets.append(bucket)
            bucket.params.append(local(p))
            bucket.grads.append(local(g))
            if momentum:
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(p)
                bucket.buffers.append(local(state["momentum_buffer"]))
        return buckets

    def _step_size(self, loss: float | Tensor, grads: list[Tensor]) -> HostStep | DeviceStep:
        """The step size before the cap; counts the guard that fired."""
        group = self.param_groups[0]
        device = grads[0].device if grads else self._device()
        if group["capturable"] and not (isinstance(loss, Tensor) and loss.device == device):
            raise ValueError(f"with capturable=True the loss must be a tensor on {device}")
        counts: Tensor = group["guard_counts"]
        on_host = device.type == "cpu" and not group["capturable"]
        if on_host and not torch.compiler.is_compiling():
            squared_norm = host_squared_norm(grads) if grads else 0.0
            step = host_step(float(loss), squared_norm, group["eps"], group["f_min"])
            if step.guard is not None:
                counts[step.guard] += 1
            return step
        squared = global_squared_norm(grads) if grads else torch.zeros((), device=device)
        if isinstance(loss, Tensor):
            loss = loss.to(device, non_blocking=True)
        else:  # filled on the device, not copied from the host
            loss = torch.full((), loss, device=device, dtype=squared.dtype)
        on_device = device_step(loss, squared, group["eps"], group["f_min"])
        counts.add_(on_device.guards.to(counts.device))
        return on_device

    def _path(self, group: dict[str, Any], bucket: Bucket) -> Update:
        foreach, fused = group["foreach"], group["fused"]
        if foreach:
            return update_foreach
        if foreach is False and not fused:
            return update_loop
        if fused is False or torch.compiler.is_compiling():  # the compiler fuses by itself
            return update_foreach
        supported = all(map(fused_supports, bucket.params, bucket.grads))
        if self.param_groups[0]["capturable"] or bucket.params[0].device.type != "cpu":
            # The device's kernels take the step size in float32, too coarse for float64.
            supported = supported and bucket.params[0].dtype != torch.float64
        if supported:
            return update_fused
        if fused:
            raise RuntimeError(
                "fused=True needs dense floating-point parameters and gradients of one memory "
                "layout on cpu or cuda (and, on cuda or with capturable=True, not float64): "
                "leave fused out"
            )
        return update_foreach

    def _ready_counts(self) -> None:
        """Makes the counters of the guards; they live in the group so that state_dict has them."""
        group = self.param_groups[0]
        counts = group.get("guard_counts", torch.zeros(len(GUARDS), dtype=torch.int64))
        # A checkpoint may have been loaded to another device.
        group["guard_counts"] = counts.to(self._device())

    def _device(self) -> torch.device:
        """Where the first parameter lives; a group may be empty."""
        params = (p for group in self.param_groups for p in group["params"])
        return next((p.device for p in params), torch.device("cpu"))


def _checked_cap(cap: float | Tensor) -> float | Tensor:
    if isinstance(cap, float) and math.isnan(cap):
        raise ValueError("max_lr became nan: a scheduler multiplied 'no cap' (infinity) by 0")
    return cap
