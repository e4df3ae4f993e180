"""The examples in the docstrings run, and every public name has a docstring."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from alig_deepobs.errors import UsageError

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


def _needs_tensorflow(name):
    """Whether a module imports TensorFlow, which never gets into pytest's own process."""
    origin = find_spec(name).origin
    source = Path(origin).read_text(encoding="utf-8")
    return re.search(r"^import tensorflow|^tf: Any = require\(", source, re.MULTILINE) is not None


# The others are looked at in tests/tensorflow.
MODULES = [name for name in _modules() if not _needs_tensorflow(name)]


def _import(name):
    try:
        return importlib.import_module(name)
    except UsageError as error:
        if "is not installed" not in str(error):
            raise
        pytest.skip(str(error))


def test_every_room_is_looked_at():
    for room in ROOMS:
        assert any(name.startswith(f"alig_deepobs.{room}.") for name in MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = _import(name)
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented(name):
    module = _import(name)
    assert module.__doc__, f"{name} has no docstring"
    for public, found in vars(module).items():
        own = getattr(found, "__module__", None) == name
        if own and not public.startswith("_") and (inspect.isclass(found) or callable(found)):
            assert inspect.getdoc(found), f"{name}.{public} has no docstring"
