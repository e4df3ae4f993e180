"""What is refused: bad arguments, unknown options of groups, foreign states, sharded parameters."""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Collection, Iterable, Mapping
from numbers import Real
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer

from alig_deepobs.optimizers.health import warn_user

_LABELS = frozenset({"params", "param_names", "name", "group_name"})
_OF_SCHEDULERS = frozenset(
    {"initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr"}
)
"""Keys that torch's schedulers leave in groups; ``AliG(old.param_groups)`` must accept them."""

_FLAGS = frozenset({"foreach", "fused", "capturable"})


def check_group(name: str, group: dict[str, Any], known: Collection[str], no_decay: str) -> None:
    """Refuses options that an optimizer does not have, instead of ignoring them.

    A ``weight_decay`` of 0 asks for nothing, so it is taken out of the group.

    Args:
        name: of the optimizer.
        group: a parameter group, as it was given.
        known: the options that the optimizer has, and what it keeps in groups.
        no_decay: what it says to a weight decay that it does not have; empty: nothing special.

    Raises:
        ValueError: there is an option that it does not have.
    """
    if "weight_decay" in group and "weight_decay" not in known and no_decay:
        if group["weight_decay"]:
            raise ValueError(no_decay)
        del group["weight_decay"]
    unknown = _unknown(group, known)
    if unknown:
        near = difflib.get_close_matches(unknown[0], sorted(known), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f" ({', '.join(sorted(known))})"
        raise ValueError(
            f"{name}: a parameter group has {_listed(unknown)}, which it does not know{hint}"
        )


def check_loaded(
    name: str,
    saved: Iterable[dict[str, Any]],
    known: Collection[str],
    needed: Collection[str],
    labels: Collection[str],
) -> None:
    """Refuses the state of another optimizer.

    Args:
        name: of the optimizer.
        saved: the groups of the state.
        known: as in `check_group`.
        needed: the options that its own states always have.
        labels: what else its groups hold now.

    Raises:
        ValueError: the state is not one of this optimizer.
    """
    for group in saved:
        unknown = _unknown(group, {*known, *labels})
        missing = sorted(set(needed) - set(group) - _FLAGS)
        if unknown or missing:
            found = f"has {_listed(unknown)}" if unknown else f"lacks {_listed(missing)}"
            raise ValueError(
                f"{name} cannot go on from this state, which is that of another optimizer: it "
                f"{found}. Load the weights of the model only, and let {name} start anew"
            )


def _unknown(group: dict[str, Any], known: Collection[str]) -> list[str]:
    return sorted(set(group) - set(known) - _LABELS - _OF_SCHEDULERS)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def refuse_shards(optimizer: Optimizer) -> None:
    """Refuses parameters of which each process has a part without saying so.

    Each would take the norm of its own part for the norm of the gradient. FSDP's first version
    marks its parameters. An outer optimizer such as ZeroRedundancyOptimizer does not say what it
    does, so it is looked for among the callers.

    Raises:
        RuntimeError: the parameters are those of FullyShardedDataParallel, or this optimizer is
            being made by another one, for a part of its parameters.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return
    params = [p for group in optimizer.param_groups for p in group["params"]]
    if dist.get_world_size() > 1 and any(getattr(p, "_fsdp_flattened", False) for p in params):
        raise _a_part_only(optimizer, "FullyShardedDataParallel")
    own = {id(p) for p in params}
    frame = sys._getframe(1)
    while frame is not None and frame.f_back is not None:
        outer = frame.f_locals.get("self")
        if isinstance(outer, Optimizer) and outer is not optimizer:
            all_of_it = {
                id(p) for group in getattr(outer, "param_groups", []) for p in group["params"]
            }
            if not all_of_it <= own:
                raise _a_part_only(optimizer, type(outer).__name__)
        frame = frame.f_back


def _a_part_only(optimizer: Optimizer, divider: str) -> RuntimeError:
    name = type(optimizer).__name__
    return RuntimeError(
        f"{divider} gives each process a part of the parameters, and {name} needs the norm of the "
        f"whole gradient: shard the model with FSDP2 (fully_shard) instead, or give {name} the "
        "parameters of DistributedDataParallel directly"
    )


def ignore_rate(name: str, lr: float | None) -> None:
    """Says that a learning rate has no effect: tools such as skorch give one to every optimizer."""
    if lr is not None:
        warn_user(f"{name} has no learning rate: lr={lr!r} is ignored")


def check_rate(name: str, rate: Any, argument: str) -> None:
    """Refuses a rate that would turn descent into ascent.

    A tensor of an accelerator is not read.

    Args:
        name: of the optimizer.
        rate: what ``group["lr"]`` has become.
        argument: what its argument is called.

    Raises:
        ValueError: the rate is negative, nan or no number.
    """
    if type(rate) is float and rate >= 0:  # in every step
        return
    if isinstance(rate, Tensor) and rate.device.type != "cpu":
        return
    if not is_number(rate):
        raise ValueError(f"{name}: {argument} became {rate!r}: give group['lr'] a number")
    value = float(rate)
    if not value >= 0:
        why = (
            f"if a scheduler multiplied 'no cap' (infinity) by 0, give {argument} a value"
            if math.isnan(value)
            else "such a step would climb; if a scheduler did it, let it end at 0"
        )
        raise ValueError(
            f"{name}: {argument} became {value:g}: give group['lr'] a number >= 0; {why}"
        )


_POSITIVE = frozenset(
    {
        "lr", "eta_max", "n_batches_per_epoch", "fraction", "minloss_factor", "init_factor",
        "minloss_forget_time",
    }
)  # fmt: skip
_FINITE = frozenset({"f_min", "f_star", "lb"})
_SWITCHES = frozenset(
    {
        "adjusted_momentum", "alias_losses", "bias_correction", "capturable", "divide", "foreach",
        "fused", "official", "use_fstar",
    }
)  # fmt: skip
_RANGES = {
    **dict.fromkeys(("momentum", "beta", "betas", "decay"), (0.0, 1.0)),
    **dict.fromkeys(("eps", "weight_decay", "initial_accumulator"), (0.0,)),
    **dict.fromkeys(("data_size", "epochs", "num_updates"), (1,)),
}


def checked(**options: Any) -> dict[str, Any]:
    """The options of an optimizer, each in the range that its name has in all of them.

    Raises:
        ValueError: one is not; the message names it.

    Example:
        >>> checked(lr=0.1, betas=(0.9, 0.999), official=True)
        {'lr': 0.1, 'betas': (0.9, 0.999), 'official': True}
    """
    for name, value in options.items():
        if name in _POSITIVE:
            check_positive(name, value)
        if name in _FINITE:
            check_finite(name, value)
        if name == "betas":
            if not (isinstance(value, (tuple, list)) and len(value) == 2):
                raise ValueError(f"betas must be two numbers in [0, 1), not {value!r}")
            options[name] = tuple(value)
        for each in options["betas"] if name == "betas" else (value,):
            if name in _RANGES:
                check_range(name, each, *_RANGES[name])
    return options


def is_number(value: Any) -> bool:
    """Whether it is one real number: of Python, of NumPy or in a tensor; True and False are none.

    Example:
        >>> [is_number(value) for value in (1, 0.1, torch.tensor(0.1), True, None, "0.1", 1j)]
        [True, True, True, False, False, False, False]
    """
    if isinstance(value, Tensor):
        return value.numel() == 1 and not (value.is_complex() or value.dtype is torch.bool)
    return isinstance(value, Real) and not isinstance(value, bool)


def check_switches(options: Mapping[str, Any]) -> None:
    """Refuses options that are on or off and have another value, which Python would take for on.

    Raises:
        ValueError: there is one; the message names it.
    """
    for name in sorted(_SWITCHES & options.keys()):
        value, may_be_none = options[name], name in ("foreach", "fused")
        if value not in (True, False) and not (value is None and may_be_none):
            wanted = "True, False or None" if may_be_none else "True or False"
            raise ValueError(f"{name} must be {wanted}, not {value!r}")


def check_finite(name: str, value: float) -> None:
    """Checks that it is a number, and neither infinite nor nan.

    Raises:
        ValueError: it is not; the message names the argument.
    """
    if not (is_number(value) and math.isfinite(value)):
        raise ValueError(f"{name} must be a finite number, not {value!r}")


def check_range(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Checks ``low <= value < high``.

    Raises:
        ValueError: it is not; the message names the argument.

    Example:
        >>> check_range("momentum", 1.5, 0.0, 1.0)
        Traceback (most recent call last):
        ValueError: momentum must be in [0.0, 1.0), not 1.5
    """
    if not (is_number(value) and low <= value < high):
        wanted = f"at least {low:g}" if high == math.inf else f"in [{low}, {high})"
        raise ValueError(f"{name} must be {wanted}, not {value!r}")


def check_positive(name: str, value: float, otherwise: str = "") -> None:
    """Checks ``value > 0``.

    Args:
        name: of the argument.
        value: what it has.
        otherwise: what else it may be, for the message.

    Raises:
        ValueError: it is not; the message names the argument.
    """
    if not (is_number(value) and value > 0):
        raise ValueError(f"{name} must be positive{otherwise}, not {value!r}")
