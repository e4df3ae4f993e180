"""What scripts and checkpoints of ALI-G's authors have, told in the terms of this package.

Their groups hold the cap as ``max_lr`` (None for no cap) and have no ``lr``; scripts read and write
it. Their velocity has the opposite sign of torch's momentum buffers.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor


class Caps:
    """Keeps ``group["max_lr"]`` and ``group["lr"]`` equal, whichever of them is changed.

    ``lr`` is what a step reads and what schedulers change. torch's OneCycleLR keeps its own peak
    rate in ``max_lr``, beside a ``min_lr``; such a group is left alone.

    Args:
        groups: the optimizer's groups.
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        self.seen = [group["lr"] for group in groups]

    @staticmethod
    def enter(group: dict[str, Any], default: Any) -> None:
        """Gives a new group both keys.

        Args:
            group: it may have either key, or both of a group that was in use already.
            default: the cap if it has none.

        Raises:
            ValueError: they are two different caps.
        """
        if "min_lr" in group and "lr" in group:  # used under OneCycleLR
            return
        cap = group.get("lr", default)
        if "max_lr" in group:
            given = _as_rate(group["max_lr"])
            if "lr" in group and "initial_lr" not in group and not _same(given, _as_rate(cap)):
                raise ValueError(
                    "a parameter group has both max_lr and lr, two names of one option: "
                    "give only one of them"
                )
            cap = group.get("lr", given)
        group["lr"] = _as_rate(cap)
        group["max_lr"] = _as_cap(group["lr"])

    @staticmethod
    def settle(group: dict[str, Any]) -> None:
        """Takes the cap of a group that was loaded from ``lr``."""
        if "min_lr" not in group:
            group["max_lr"] = _as_cap(group["lr"])

    def follow(self, groups: list[dict[str, Any]]) -> None:
        """Takes over what was changed since the last call."""
        if len(groups) != len(self.seen):  # the list itself was changed
            self.seen = [group["lr"] for group in groups]
        for index, group in enumerate(groups):
            rate, cap, seen = group["lr"], group.get("max_lr"), self.seen[index]
            if rate is seen and rate is cap:
                continue
            if rate is None:  # as in the constructor, no cap
                group["lr"] = rate = math.inf
            if "min_lr" in group:
                continue
            if not _same(_as_rate(cap), seen) and "max_lr" in group:
                group["lr"] = rate = _as_rate(cap)
            elif rate is seen:
                continue
            group["max_lr"] = _as_cap(rate)
            self.seen[index] = rate


def translated(state_dict: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """A state of the authors' AliG as one of ours; any other state as it is.

    Args:
        state_dict: what is to be loaded.
        defaults: the options that the authors keep outside of the state.
    """
    groups = state_dict["param_groups"]
    if not all("max_lr" in group and "lr" not in group for group in groups):
        return state_dict
    options = {key: value for key, value in defaults.items() if key != "lr"}
    new_groups = [{**options, **group, "lr": _as_rate(group["max_lr"])} for group in groups]
    state = {
        key: {name: -value if isinstance(value, Tensor) else value for name, value in entry.items()}
        for key, entry in state_dict["state"].items()
    }
    return {**state_dict, "state": state, "param_groups": new_groups}


def _as_rate(cap: Any) -> Any:
    return math.inf if cap is None else cap


def _as_cap(rate: Any) -> Any:
    return None if not isinstance(rate, Tensor) and rate == math.inf else rate


def _same(one: Any, other: Any) -> bool:
    """Equality that reads no tensor."""
    if one is other:
        return True
    return not (isinstance(one, Tensor) or isinstance(other, Tensor)) and bool(one == other)
