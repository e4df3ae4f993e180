"""The test problems: data sets, networks and losses with DeepOBS's definitions and interface.

Every problem of the registry is an attribute, imported on first use:
``alig_deepobs.testproblems.mnist_mlp``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from alig_deepobs import registry

_HOMES = {
    "DataSet": "alig_deepobs.testproblems.datasets.base",
    "TestProblem": "alig_deepobs.testproblems.base",
    "from_dataset": "alig_deepobs.testproblems.own",
}

__all__ = ["DataSet", "TestProblem", "from_dataset"]

if TYPE_CHECKING:
    from alig_deepobs.testproblems.base import TestProblem
    from alig_deepobs.testproblems.datasets.base import DataSet
    from alig_deepobs.testproblems.own import from_dataset


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    # Private names are looked up by the import system and by tools; none is a problem.
    if not name.startswith("_") and name in registry.testproblems():
        return registry.find_testproblem(name).load()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, *registry.testproblems()])
