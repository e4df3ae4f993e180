"""What the PyTorch optimizers of this package have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd import profiler
from torch.optim import Optimizer
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from alig_deepobs.optimizers._checks import (
    check_group,
    check_loaded,
    check_rate,
    check_switches,
    ignore_rate,
)
from alig_deepobs.optimizers._vectors import Foreach, Loop

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


@dataclass
class Work:
    """What one step has to do in one group: the parameters that have a gradient.

    Attributes:
        group: the group's options.
        owners: the parameters themselves, which the state belongs to.
        params, grads: the same and their gradients, in the parameters' data type; complex numbers
            as pairs of real ones.
        vectors: how lists of tensors are computed with.
    """

    group: dict[str, Any]
    owners: list[Tensor]
    params: list[Tensor]
    grads: list[Tensor]
    vectors: type[Loop]


def _hooked(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step without gradients of its own, with torch's hooks and its entry in profiles.

    torch wraps the step of every optimizer unless it is marked as wrapped. What the wrapper does
    without a profiler and without hooks takes a third of a step on a small network, and entering
    `torch.no_grad` a tenth.
    """
    wrapped = Optimizer.profile_hook_step(torch.no_grad()(step))

    @functools.wraps(step)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        if (
            torch.compiler.is_compiling()
            or profiler._is_profiler_enabled
            or self._optimizer_step_pre_hooks
            or self._optimizer_step_post_hooks
            or _global_optimizer_pre_hooks
            or _global_optimizer_post_hooks
        ):
            return wrapped(self, *args, **kwargs)
        enabled = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)
        try:
            return step(self, *args, **kwargs)
        finally:
            torch._C._set_grad_enabled(enabled)

    wrapper.hooked = True  # type: ignore[attr-defined]
    return wrapper


class Method(Optimizer):
    """A method: collects the gradients, and asks a subclass for the update.

    Every number that a later step depends on is kept in a group or in a parameter's state, so a
    resumed run equals an uninterrupted one. Numbers that belong to no group are in the first.
    Parameters without a gradient are left out; sparse gradients, options that the method does not
    have, negative rates and the state of another optimizer are refused.
    """

    needs_loss = "nothing"

    rate: ClassVar[str] = "lr"
    """Name of the argument that is kept in ``group["lr"]``."""

    memory: ClassVar[dict[str, Any]] = {}
    """What the first group holds beside the options, with the values before the first step."""

    shared: ClassVar[tuple[str, ...]] = ()
    """Options that are one for all groups, because all have one step size in common."""

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        if "step" in vars(cls):
            cls.step = _hooked(cls.step)  # type: ignore[method-assign]

    def __init__(self, params: Params, defaults: dict[str, Any], foreach: bool | None) -> None:
        super().__init__(params, {**defaults, "foreach": foreach})
        for name, value in self.memory.items():
            self.param_groups[0].setdefault(name, value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restores a pickled optimizer; options that it did not have yet get their default."""
        super().__setstate__(state)
        # torch adds an option of its own here; it would be that of another optimizer.
        self.defaults.pop("differentiable", None)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
        for name, value in self.memory.items():
            self.param_groups[0].setdefault(name, value)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group.

        Raises:
            ValueError: it has an option that the method does not have, or that is one for all
                groups, or a bad rate or switch.
        """
        name = type(self).__name__
        if "lr" in param_group and "lr" not in self.defaults:
            ignore_rate(name, param_group.pop("lr"))
        check_group(name, param_group, self._known, self._no_decay)
        for option in self.shared:
            value = self.defaults[option]
            if param_group.get(option, value) != value:
                raise ValueError(f"{option} is one for all groups: give it to {name} itself")
        if "lr" in param_group:
            check_rate(name, param_group["lr"], self.rate)
        check_switches({**self.defaults, **param_group})
        super().add_param_group(param_group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a state that `state_dict` returned.

        Raises:
            ValueError: it is the state of another optimizer, or its groups do not match.
        """
        labels = {key for group in self.param_groups for key in group}
        saved = state_dict["param_groups"]
        check_loaded(type(self).__name__, saved, self._known, self.defaults, labels)
        super().load_state_dict(state_dict)

    @property
    def _no_decay(self) -> str:
        """What the method says to a ``weight_decay`` that it does not have."""
        return ""

    @property
    def _known(self) -> set[str]:
        return {*self.defaults, *self.memory}

    @_hooked
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Takes one step.

        Args:
            closure: called once, with gradients enabled.

        Returns:
            What the closure returned.

        Raises:
            RuntimeError: a gradient is sparse.
            ValueError: a rate has become negative.
        """
        returned = None
        if closure is not None:
            with torch.enable_grad():
                returned = closure()
        work = self._work()
        if self._is_probe(work):
            self._make_all_state(work)
        else:
            self._update(work)
        return returned

    def _update(self, work: list[Work]) -> None:
        raise NotImplementedError

    def _is_probe(self, work: list[Work]) -> bool:
        """Whether this step is torch's way to see the state: rates and gradients are all 0."""
        rates = [group.get("lr", 1.0) for group in self.param_groups]
        if any((isinstance(r, Tensor) and r.device.type != "cpu") or r for r in rates):
            return False  # a rate on an accelerator is not read
        return not any(bool(g.any()) for g in gradients(work))

    def _make_all_state(self, work: list[Work]) -> None:
        for group in self.param_groups:
            owners = [p for p in group["params"] if p.requires_grad]
            if owners and not work:
                zeros = [torch.zeros_like(p) for p in owners]
                self._make_state(self._work_of(group, owners, zeros))
        for part in work:
            self._make_state(part)

    def _make_state(self, part: Work) -> None:
        """Makes the state of parameters where there is none, without changing any."""

    def _work(self) -> list[Work]:
        """The parameters that have a gradient, for each group that has some."""
        work = []
        name = type(self).__name__
        if not self.param_groups or not self.memory.keys() <= self.param_groups[0].keys():
            raise ValueError(
                f"{name} keeps numbers in the first of its param_groups, which was removed: change "
                "the group in place, or make a new optimizer"
            )
        for group in self.param_groups:
            if "lr" in group:
                check_rate(name, group["lr"], self.rate)
            owners, grads = [], []
            for p in group["params"]:
                g = p.grad
                if g is not None:
                    owners.append(p)
                    grads.append(g)
            if owners:
                work.append(self._work_of(group, owners, grads))
        return work

    def _work_of(self, group: dict[str, Any], owners: list[Tensor], grads: list[Tensor]) -> Work:
        params, is_plain = owners, True
        for p, g in zip(owners, grads, strict=True):
            if g.layout is not torch.strided:
                name = type(self).__name__
                raise RuntimeError(f"{name} does not support sparse gradients: use dense ones")
            dtype = p.dtype
            if g.dtype is not dtype or dtype.is_complex:
                is_plain = False
        if not is_plain:
            # Parameters may ask for gradients of another type.
            grads = [g.to(p.dtype) for p, g in zip(owners, grads, strict=True)]
            params, grads = _real(owners), _real(grads)
        # Multi-tensor operations do not take sharded and ordinary tensors together.
        is_loop = group["foreach"] is False or len(set(map(type, grads))) > 1
        vectors = Loop if is_loop else Foreach
        return Work(group, owners, params, grads, vectors)

    def _buffers(
        self, work: Work, name: str, start: Callable[[Tensor], Tensor] = torch.zeros_like
    ) -> list[Tensor]:
        """A tensor of the state of each parameter, made where there is none yet."""
        buffers = []
        for owner, p in zip(work.owners, work.params, strict=True):
            state = self.state[owner]
            if name not in state:
                state[name] = start(p)
            buffers.append(state[name])
        return buffers

    def _count(self, work: Work) -> list[int]:
        """The number of steps of each parameter, this one included."""
        counts: list[int] = []
        for p in work.owners:
            state = self.state[p]
            state["step"] = state.get("step", 0) + 1
            counts.append(state["step"])
        return counts


def gradients(work: list[Work]) -> list[Tensor]:
    """The gradients of all groups."""
    return [grad for part in work for grad in part.grads]


def _real(tensors: list[Tensor]) -> list[Tensor]:
    """Complex tensors as pairs of real numbers."""
    return [torch.view_as_real(t) if t.is_complex() else t for t in tensors]
