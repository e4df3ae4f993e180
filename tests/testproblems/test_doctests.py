"""The examples in the docstrings."""

import doctest
import importlib

import pytest

MODULES = ["base", "datasets.base", "models.logreg", "models.same"]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(f"alig_deepobs.testproblems.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
