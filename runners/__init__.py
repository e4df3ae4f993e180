"""How a run happens: specifications, the training loop, DeepOBS's runner, tuning."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["Evaluation", "RunSpec", "StandardRunner", "Watcher", "execute", "tune"]

_HOMES = {
    "Evaluation": "watch",
    "RunSpec": "spec",
    "StandardRunner": "standard",
    "Watcher": "watch",
    "execute": "training",
    "tune": "tuning",
}

if TYPE_CHECKING:
    from alig_deepobs.runners.spec import RunSpec
    from alig_deepobs.runners.standard import StandardRunner
    from alig_deepobs.runners.training import execute
    from alig_deepobs.runners.tuning import tune
    from alig_deepobs.runners.watch import Evaluation, Watcher


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"alig_deepobs.runners.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'alig_deepobs.runners' has no attribute {name!r}")
