"""How runs happen: studies over a store of results, executors, the training loop."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["Callback", "Cell", "StandardRunner", "Store", "Study", "execute"]

_HOMES = {
    "Callback": "callbacks",
    "Cell": "cells",
    "StandardRunner": "standard",
    "Store": "store",
    "Study": "study",
    "execute": "training",
}

if TYPE_CHECKING:
    from alig_deepobs.runners.callbacks import Callback
    from alig_deepobs.runners.cells import Cell
    from alig_deepobs.runners.standard import StandardRunner
    from alig_deepobs.runners.store import Store
    from alig_deepobs.runners.study import Study
    from alig_deepobs.runners.training import execute


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"alig_deepobs.runners.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'alig_deepobs.runners' has no attribute {name!r}")
