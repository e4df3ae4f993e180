"""The examples in the docstrings run, and every public name has a docstring."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

ROOMS = ("analysis", "baselines", "runners", "testproblems")
# The modules of this package import TensorFlow, which may be missing, and which this process is
# kept free of.
NEEDS_TENSORFLOW = "alig_deepobs.testproblems.tensorflow."


def _modules():
    names = ["alig_deepobs"]
    # The rooms lie outside the package's own folder, where walk_packages does not look.
    for package in ("alig_deepobs", *(f"alig_deepobs.{room}" for room in ROOMS)):
        module = importlib.import_module(package)
        names.append(package)
        names += [m.name for m in pkgutil.walk_packages(module.__path__, f"{package}.")]
    return sorted(name for name in set(names) if not name.startswith(NEEDS_TENSORFLOW))


MODULES = _modules()


def test_every_room_is_looked_at():
    for room in ROOMS:
        assert any(name.startswith(f"alig_deepobs.{room}.") for name in MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    for public, found in vars(module).items():
        own = getattr(found, "__module__", None) == name
        if own and not public.startswith("_") and (inspect.isclass(found) or callable(found)):
            assert inspect.getdoc(found), f"{name}.{public} has no docstring"
