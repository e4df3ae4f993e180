"""ALI-G: adaptive learning-rates for interpolation with gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from alig_deepobs.optimizers._base import Params, Work, gradients
from alig_deepobs.optimizers._checks import check_finite, check_positive, check_range, is_number
from alig_deepobs.optimizers._host_plan import SCALE, HostPlan, settle
from alig_deepobs.optimizers._loss_method import HALF_LARGEST, LossMethod
from alig_deepobs.optimizers._norm import (
    by_type,
    global_squared_norm,
    host_squared_norm,
    locals_of,
)
from alig_deepobs.optimizers._official import Caps, translated
from alig_deepobs.optimizers._scalars import Scalar
from alig_deepobs.optimizers._step_size import (
    GUARDS,
    DeviceStep,
    HostStep,
    clip_factor,
    device_step,
    host_step,
)
from alig_deepobs.optimizers._updates import (
    TINY,
    Bucket,
    Update,
    fused_supports,
    update_foreach,
    update_fused,
    update_loop,
    update_saturated,
)

RECOMMENDED: dict[str, float] = {"max_lr": 0.1, "momentum": 0.9}
"""What `AliG.recommended` adds, and what ``alig`` is on the command line."""


class AliG(LossMethod):
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

    ``AliG(parameters)`` alone has neither cap nor momentum; `recommended` has both.

    The step size is 0, instead of a wrong or an infinite one, where ``loss <= f_min``, where
    ``|g|^2 + eps`` is 0 or too small to divide by, and where loss or gradient is not finite; in the
    last case weights and momentum stay as they are. `guarded_steps` counts these steps.

    Args:
        params: parameters, or groups of them. A group may have its own ``max_lr`` (or ``lr``),
            ``momentum`` and ``adjusted_momentum``; the step size before the cap is one for all.
        max_lr: cap of the step size, positive; None: no cap. It is kept in ``group["lr"]``
            (infinity for no cap), so torch's schedulers work on it. ``group["max_lr"]`` may be
            written, as with the authors' code, and is the same (None for no cap) from the next
            step on; until then a scheduler's new cap is in ``lr`` alone.
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
        clip_norm: clip the update to that of a gradient of at most this norm, positive; None: do
            not. The step size is still that of the whole gradient, to which the loss belongs; so
            this is the way to clip gradients with ALI-G.
        weight_decay: must be 0; the error says what to use instead.

    Raises:
        ValueError: an argument is out of its range; the message names it.

    Source:
        Berrada, Zisserman, Kumar: Training Neural Networks for and by Interpolation, ICML 2020,
        algorithm 1; momentum as in the authors' code (the paper prints ``w + mu v``, without the
        gradient of this step).

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

    regularization = "ball"
    rate = "max_lr"
    memory: ClassVar[dict[str, Any]] = {"guard_counts": (0,) * len(GUARDS)}
    shared = ("eps", "f_min", "capturable", "clip_norm")

    # Class attributes, as in the base class.
    projection_fn: Callable[[], object] | None = None
    _clipped: tuple[Scalar, ...] = (math.nan,)
    _device_counts: Tensor | None = None
    _caps: Caps = Caps([])
    _plan: HostPlan | None = None

    def __init__(
        self,
        params: Params,
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
        clip_norm: float | None = None,
        weight_decay: float = 0.0,
    ) -> None:
        self._refuse_weight_decay(weight_decay)
        if max_lr is not None and lr is not None:
            raise ValueError("max_lr and lr are two names of one argument: give only one of them")
        if not (is_number(eps) and 0 <= eps < math.inf):
            raise ValueError(f"eps must be a number >= 0, not {eps!r}")
        check_finite("f_min", f_min)
        if projection_fn is not None and not callable(projection_fn):
            raise ValueError("projection_fn must be callable, without arguments")
        if clip_norm is not None:
            check_positive("clip_norm", clip_norm, " (or None for no clipping)")
        if foreach and fused:
            raise RuntimeError("foreach and fused cannot both be True")
        defaults = {
            "lr": max_lr if lr is None else lr,
            "momentum": momentum,
            "eps": eps,
            "f_min": f_min,
            "adjusted_momentum": adjusted_momentum,
            "fused": fused,
            "capturable": capturable,
            "clip_norm": clip_norm,
        }
        super().__init__(params, defaults, foreach)
        self.projection_fn = projection_fn
        if projection_fn is not None:
            with torch.no_grad():
                projection_fn()

    @classmethod
    def recommended(cls, params: Params, **options: Any) -> Self:
        """ALI-G with ``max_lr=0.1`` and ``momentum=0.9``: the settings to start with.

        They are those of ``alig`` on the command line.

        Args:
            params: parameters, or groups of them.
            **options: other arguments, or other values of these two.

        Example:
            >>> optimizer = AliG.recommended([torch.nn.Parameter(torch.ones(2))])
            >>> optimizer.defaults["lr"], optimizer.defaults["momentum"]
            (0.1, 0.9)
        """
        start = RECOMMENDED if "lr" not in options else {"momentum": RECOMMENDED["momentum"]}
        return cls(params, **{**start, **options})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group; its cap may be called ``max_lr`` or ``lr``.

        Raises:
            ValueError: an option of the group is out of its range, or unknown.
        """
        self._caps.follow(self.param_groups)
        Caps.enter(param_group, self.defaults["lr"])
        check_positive("max_lr", param_group["lr"], " (or None for no cap)")
        check_range("momentum", param_group.get("momentum", self.defaults["momentum"]), 0, 1)
        param_group.setdefault(SCALE, 1.0)
        super().add_param_group(param_group)
        self._caps = Caps(self.param_groups)
        self._plan = None

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle of the optimizer holds; torch's own leaves attributes out."""
        self._fold_counts()
        own = {name: self.__dict__[name] for name in _COPIED if name in self.__dict__}
        return {**super().__getstate__(), **own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restores a pickled optimizer; options that it did not have yet get their default."""
        super().__setstate__(state)
        for group in self.param_groups:
            Caps.settle(group)
            group.setdefault(SCALE, 1.0)
        self._plan = None
        self._caps = Caps(self.param_groups)
        if self._device_counts is not None:
            self._device_counts.zero_()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a state that `state_dict` returned, or that of the authors' AliG.

        Raises:
            ValueError: it is the state of another optimizer, or its groups do not match.
        """
        super().load_state_dict(translated(state_dict, self.defaults))

    def state_dict(self) -> dict[str, Any]:
        """The state, as of every optimizer of torch."""
        self._caps.follow(self.param_groups)
        self._fold_counts()
        return super().state_dict()

    @property
    def step_size(self) -> float:
        """The step size of the last step (mean over groups), nan before the first one.

        Reading it makes the host wait for the device. It may be set, as the scripts of the authors
        do; that has no effect on the next step.
        """
        self._look()
        return sum(float(gamma) for gamma in self._clipped) / len(self._clipped)

    @step_size.setter
    def step_size(self, value: Scalar) -> None:
        self._clipped = (value,)

    @property
    def step_size_unclipped(self) -> float:
        """The step size of the last step before the cap, nan before the first one."""
        return super().step_size_unclipped

    @step_size_unclipped.setter
    def step_size_unclipped(self, value: Scalar | None) -> None:
        self._sizes = (self._sizes[0], math.nan if value is None else value)

    @property
    def guarded_steps(self) -> dict[str, int]:
        """How many steps had step size 0, and why.

        ``zero_norm``: the denominator was 0, or so small that float32 (or, without a cap, the
        weights' type) cannot hold the quotient, or a step of that size; ``below_f_min``: the loss
        was not above ``f_min``; ``non_finite``: loss or gradient was not finite.
        """
        self._look()
        self._fold_counts()
        return dict(zip(GUARDS, self.param_groups[0]["guard_counts"], strict=True))

    def _lower_bound(self) -> float:
        return float(self.param_groups[0]["f_min"])

    @property
    def _known(self) -> set[str]:
        return {*super()._known, SCALE}

    def _quick_step(self, loss: Any) -> bool:
        if torch.compiler.is_compiling():
            return False
        if loss.dim() if isinstance(loss, Tensor) else not isinstance(loss, float):
            return False  # its form is to be checked
        groups, plan = self.param_groups, self._plan
        self._caps.follow(groups)
        grads = plan.gradients(groups, self.state) if plan else []
        if not grads:
            if not self.memory.keys() <= groups[0].keys():
                return False  # what is wrong here is said by the other step
            self._plan = plan = HostPlan.make(groups, self.state)
            grads = plan.gradients(groups, self.state) if plan else []
        if plan is None or not grads:
            return False
        rates = [group["lr"] for group in groups]
        for rate in rates:
            if not isinstance(rate, float) or not rate >= 0.0:
                return False
        try:
            value, first = float(loss), groups[0]
        except RuntimeError:
            return False  # a complex number, which the other step refuses
        self._squared = squared = plan.squared_norm(grads)
        step = host_step(value, squared, first["eps"], first["f_min"])
        if step.guard is not None:
            self._count_guard(step.guard)
        self._clipped = clipped = tuple([min(step.unclipped, rate) for rate in rates])
        self._sizes = clipped[0], step.unclipped
        if not step.skip:
            for made, part, gamma in zip(plan.groups, grads, clipped, strict=True):
                if part:
                    made.update(part, gamma)
        if self.projection_fn is not None:
            self.projection_fn()
        monitor = self._monitor or self._watch()  # as `_note` does, in half the time
        if "initial_lr" in first:
            self._check_schedule(monitor)
        has_cap = 0 < rates[0] < math.inf
        monitor.note(value, first["f_min"], squared, clipped[0], step.unclipped, has_cap)
        return True

    def _count_guard(self, guard: int) -> None:
        """Counts a guard that fired."""
        group = self.param_groups[0]
        counts = list(group["guard_counts"])
        counts[guard] += 1
        group["guard_counts"] = tuple(counts)

    def _update_with(self, loss: Scalar, work: list[Work]) -> None:
        plan = [
            (part.group, self._path(part.group, bucket), bucket)
            for part in work
            for bucket in self._buckets(part)
        ]  # everything that can be refused has been; from here on weights change
        step = self._step_size(loss, gradients(work))
        gammas = {id(group): step.clipped(group["lr"]) for group in self.param_groups}
        self._clipped = tuple(gammas.values())
        self._sizes = self._clipped[0], step.unclipped
        for group, update, bucket in plan:
            if step.skip is True:
                break
            gamma, skip = gammas[id(group)], step.skip
            self._clip(bucket)
            if isinstance(gamma, Tensor) and isinstance(skip, Tensor):
                device = bucket.params[0].device
                update(bucket, gamma.to(device), skip.to(device))
            elif bucket.may_overflow or (bucket.adjusted and bucket.buffers and gamma < TINY):
                update_saturated(
                    bucket.params, bucket.grads, bucket.buffers, float(gamma), bucket.momentum
                )
            else:
                update(bucket, gamma, False)
        if self.projection_fn is not None:
            self.projection_fn()

    def _work(self) -> list[Work]:
        self._caps.follow(self.param_groups)
        return super()._work()

    @property
    def _on_host(self) -> bool:
        return super()._on_host and not self.param_groups[0]["capturable"]

    def _scalar(self, value: Scalar) -> Scalar:
        return value  # `_step_size` takes it to where it is needed

    def _make_state(self, part: Work) -> None:
        self._buckets(part)

    def _clip(self, bucket: Bucket) -> None:
        """Clips the gradients that the update is made of; ``p.grad`` stays as it is."""
        clip_norm = self.param_groups[0]["clip_norm"]
        if clip_norm is None or self._squared is None:
            return
        factor = clip_factor(self._squared, clip_norm)
        if isinstance(factor, Tensor):
            factor = factor.to(bucket.grads[0].device)
        if isinstance(factor, Tensor) or factor < 1:
            bucket.grads = list(torch._foreach_mul(bucket.grads, factor))

    def _buckets(self, work: Work) -> list[Bucket]:
        """The parameters by device and data type; of a sharded one each rank updates its own part.

        The update is elementwise. The norm is that of the whole.
        """
        momentum, adjusted = work.group["momentum"], work.group["adjusted_momentum"]
        settle(work.group, self.state)
        buffers: list[Tensor] = []
        if momentum:
            for owner, p in zip(work.owners, work.params, strict=True):
                state = self.state[owner]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(p)
                buffer = state["momentum_buffer"]
                if buffer.shape != p.shape:
                    raise RuntimeError(
                        f"the momentum of a parameter has the shape {tuple(buffer.shape)}, and "
                        f"the parameter {tuple(p.shape)}: its data was exchanged. Delete its state "
                        "(del optimizer.state[parameter]), or make a new optimizer"
                    )
                buffers.append(buffer)
            buffers = locals_of(buffers)
        params, grads = locals_of(work.params), locals_of(work.grads)
        groups = by_type(params)
        if len(groups) == 1:
            return [Bucket(params, grads, buffers, momentum, adjusted)]
        of = {id(p): (g, i) for i, (p, g) in enumerate(zip(params, grads, strict=True))}
        return [
            Bucket(
                group,
                [of[id(p)][0] for p in group],
                [buffers[of[id(p)][1]] for p in group] if momentum else [],
                momentum,
                adjusted,
            )
            for group in groups
        ]

    def _step_size(self, loss: Scalar, grads: list[Tensor]) -> HostStep | DeviceStep:
        """The step size before the cap; counts the guard that fired."""
        group = self.param_groups[0]
        device = grads[0].device if grads else self._device
        if group["capturable"] and not (isinstance(loss, Tensor) and loss.device == device):
            raise ValueError(f"with capturable=True the loss must be a tensor on {device}")
        on_host = device.type == "cpu" and not group["capturable"]
        if on_host and not torch.compiler.is_compiling():
            self._squared = squared_norm = host_squared_norm(grads) if grads else 0.0
            step = host_step(float(loss), squared_norm, group["eps"], group["f_min"])
            is_long = max(step.unclipped, float(loss)) > HALF_LARGEST
            if is_long and step.unclipped > self._largest_step(squared_norm):
                step = HostStep(0.0, False, 0)
            if step.guard is not None:
                self._count_guard(step.guard)
            return step
        self._squared = squared = (
            global_squared_norm(grads) if grads else torch.zeros((), device=device)
        )
        if isinstance(loss, Tensor):
            loss = loss.to(device, non_blocking=True)
        else:  # filled on the device, not copied from the host
            loss = torch.full((), loss, device=device, dtype=squared.dtype)
        largest = self._largest_step(squared)
        on_device = device_step(loss, squared, group["eps"], group["f_min"], largest)
        if self._device_counts is None:
            self._device_counts = torch.zeros(len(GUARDS), dtype=torch.int64, device=device)
        self._device_counts.add_(on_device.guards.to(self._device_counts.device))
        return on_device

    def _fold_counts(self) -> None:
        """Adds what the device has counted to the group, where it is part of the state."""
        if self._device_counts is not None:
            group = self.param_groups[0]
            new = self._device_counts.tolist()
            group["guard_counts"] = tuple(map(sum, zip(group["guard_counts"], new, strict=True)))
            self._device_counts.zero_()

    def _path(self, group: dict[str, Any], bucket: Bucket) -> Update:
        foreach, fused = group["foreach"], group["fused"]
        if foreach:
            return update_foreach
        if foreach is False and not fused:
            return update_loop
        if fused is False or torch.compiler.is_compiling():  # the compiler fuses by itself
            return update_foreach
        supported = fused_supports(bucket)
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


_COPIED = ("projection_fn", "_sizes", "_clipped")
