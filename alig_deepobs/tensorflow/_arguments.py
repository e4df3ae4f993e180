"""The checks of ALI-G's arguments that its three TensorFlow versions share; needs no TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from alig_deepobs.errors import no_weight_decay

NO_LOSS = (
    "AliG computes its step size from the loss, and was given none: pass the argument `loss`, the "
    "objective whose gradient was taken, {how}"
)

_CLIPPED = (
    "AliG takes no {name}: the loss belongs to the whole gradient, so the step size would be "
    "wrong; max_lr bounds the step"
)
_REFUSED = {
    "weight_decay": no_weight_decay("AliG"),
    "clipnorm": _CLIPPED,
    "clipvalue": _CLIPPED,
    "global_clipnorm": _CLIPPED,
    "loss_scale_factor": (
        "AliG takes no loss_scale_factor: give max_lr and the loss as they are, or mixed precision "
        "its own optimizer (keras.mixed_precision.LossScaleOptimizer) and the model LossMixin"
    ),
    "gradient_accumulation_steps": (
        "AliG takes no gradient_accumulation_steps: the step size would be that of the last "
        "mini-batch alone. Use a larger batch_size, or accumulate in a loop of your own and call "
        "optimizer.apply(gradients, variables, loss=mean_loss)"
    ),
}


def refuse_options(options: Mapping[str, Any]) -> None:
    """Refuses options of Keras's optimizers that make no sense for ALI-G, and unknown ones.

    None, 0 and False ask for nothing, so they are accepted.

    Raises:
        ValueError: an option is set; the message says what to use in its place.
        TypeError: there is no such option.
    """
    for name, value in options.items():
        if name not in _REFUSED:
            raise TypeError(f"AliG.__init__() got an unexpected keyword argument {name!r}")
        if value:
            raise ValueError(_REFUSED[name].format(name=name))


def refuse_attributes(optimizer: Any) -> None:
    """The same for attributes, which may have been set after construction."""
    refuse_options({name: getattr(optimizer, name, None) for name in _REFUSED})


def checked_cap(
    max_lr: Any,
    learning_rate: Any,
    momentum: float,
    eps: float,
    f_min: float,
    max_norm: float | None,
    value: Callable[[Any], Any] = lambda cap: cap,
) -> Any:
    """Checks the arguments; returns the cap, infinity for none.

    A cap that is a tensor or a schedule is left alone, unless ``value`` makes a number of it.

    Raises:
        ValueError: an argument is out of its range, or the cap was given under both of its names;
            the message says which one.
    """
    if max_lr is not None and learning_rate is not None:
        raise ValueError(
            "max_lr and learning_rate are two names of one argument: give only one of them"
        )
    cap = learning_rate if max_lr is None else max_lr
    max_lr = value(cap)
    is_plain = isinstance(max_lr, (int, float, str))
    if is_plain and not _holds(lambda: max_lr > 0, max_lr):
        raise ValueError(f"max_lr must be positive (or None for no cap), not {max_lr!r}")
    if not _holds(lambda: 0 <= momentum < 1, momentum):
        raise ValueError(f"momentum must be in [0, 1), not {momentum!r}")
    if not _holds(lambda: 0 <= eps < math.inf, eps):
        raise ValueError(f"eps must be a number >= 0, not {eps!r}")
    if not _holds(lambda: math.isfinite(f_min), f_min):
        raise ValueError(f"f_min must be a finite number, not {f_min!r}")
    if max_norm is not None and not _holds(lambda: max_norm > 0, max_norm):
        raise ValueError(f"max_norm must be positive (or None for no ball), not {max_norm!r}")
    return math.inf if cap is None else cap


def check_switch(name: str, value: Any) -> None:
    """Checks an option that is on or off; Python would take any other value for on.

    Raises:
        ValueError: it is neither; the message names it.
    """
    if value not in (True, False):
        raise ValueError(f"{name} must be True or False, not {value!r}")


def _holds(condition: Callable[[], Any], value: Any) -> bool:
    """Whether a condition holds, which only a number can meet; True and False are none."""
    try:
        return not isinstance(value, bool) and bool(condition())
    except TypeError:
        return False
