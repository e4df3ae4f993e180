"""Modules of which DeepOBS's classes are attributes under the names of their modules."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from alig_deepobs.errors import unknown_choice


class _KeepsClasses(ModuleType):
    """A package whose class ``name`` stays when its module ``name`` is imported.

    The import system makes every module an attribute of its package; in DeepOBS
    ``testproblems.mnist_mlp`` is a class, and ``testproblems/mnist_mlp.py`` its module.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and isinstance(vars(self).get(name), type)):
            super().__setattr__(name, value)


def keep_classes(module: str) -> None:
    """Makes a module one of this kind.

    Args:
        module: its name.
    """
    sys.modules[module].__class__ = _KeepsClasses
    # Without a path, nothing below it could be imported.
    sys.modules[module].__path__ = []


def tell_neighbours(name: str) -> None:
    """Lets a module of DeepOBS's name say, of a name that it lacks, which ones are near.

    What `dir` shows of it is public, too.

    Args:
        name: of the module in DeepOBS. A module that answers by itself is left alone.
    """
    module = sys.modules[name]

    def missing(attribute: str) -> Any:
        if attribute.startswith("_"):
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        public = [known for known in dir(module) if not known.startswith("_")]
        known = getattr(module, "__all__", public)
        raise AttributeError(str(unknown_choice(f"name in {name}", attribute, known)))

    vars(module).setdefault("__getattr__", missing)
    if hasattr(module, "__all__"):
        vars(module).setdefault("__dir__", lambda: sorted(module.__all__))
