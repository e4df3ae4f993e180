"""``deepobs.pytorch.testproblems``: every problem as DeepOBS's scripts know it.

A user may put a class of their own here, ``deepobs.pytorch.testproblems.mine = Mine``, and run it
by that name.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

from alig_deepobs import registry
from alig_deepobs.errors import UsageError, unknown_name
from alig_deepobs.plugins import searched
from alig_deepobs.runners.deepobs.packages import keep_classes
from alig_deepobs.runners.deepobs.testproblem import (
    TestProblem,
    UnregularizedTestproblem,
    WeightRegularizedTestproblem,
    adapt,
)

OWN = "own"
"""The data set of problems that were written for DeepOBS: whatever it is."""

__all__ = ["TestProblem", "UnregularizedTestproblem", "WeightRegularizedTestproblem"]


def find_class(name: str) -> Any:
    """The class of a problem: a module of its name, an attribute of this module, or a built-in.

    Raises:
        UsageError: there is none.
    """
    own = own_class(name)
    if own is not None:
        return own
    return getattr(sys.modules[__name__], name) if name in registry.testproblems() else _none(name)


def own_class(name: str) -> Any:
    """A class of the user's for a name, as DeepOBS looks for it; None if there is none.

    Raises:
        UsageError: the user's module cannot be imported.
    """
    found = vars(sys.modules[__name__]).get(name)
    if isinstance(found, type) and "entry" not in vars(found):  # what `adapt` makes has one
        return found
    registered = registry.testproblems().get(name)
    if not name.isidentifier() or (registered is not None and registered.data_set != OWN):
        return None
    try:
        with searched(name):
            if name not in sys.modules and importlib.util.find_spec(name) is not None:
                # What it imports is there in DeepOBS's run scripts, too.
                importlib.import_module("alig_deepobs.runners.deepobs.register").register("pytorch")
            module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            return None
        raise UsageError(f"importing the test problem {name!r} failed: {error}") from error
    return getattr(module, name, None)


def _none(name: str) -> Any:
    raise unknown_name("test problem", name, registry.testproblems())


def __getattr__(name: str) -> Any:
    # Private names are looked up by the import system and by tools; none is a problem.
    if not name.startswith("_"):
        if name in registry.testproblems():
            found = adapt(registry.find_testproblem(name))
            setattr(sys.modules[__name__], name, found)
            return found
        raise AttributeError(
            str(unknown_name("test problem in deepobs", name, registry.testproblems()))
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    types = {name: value for name, value in globals().items() if isinstance(value, type)}
    classes = {name for name, value in types.items() if issubclass(value, TestProblem)}
    return sorted({*classes, *registry.testproblems()})


keep_classes(__name__)
