"""Mutated inputs of every kind are read, or refused by an error that names the file."""

from __future__ import annotations

import pytest

from .harness import Target, try_all
from .targets import TARGETS

ALL, FAST = 2000, 60

each = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


@each
def test_good_inputs_are_read(target: Target, tmp_path):
    for content in target.good:
        path = tmp_path / f"input{target.suffix}"
        path.write_bytes(content)
        if target.name != "tolstoi":  # the whole book is not here
            target.read(path)


@each
def test_a_few_mutated_inputs(target: Target, tmp_path):
    tried, failures = try_all(target, target.inputs(FAST, seed=0), tmp_path / "place")
    assert not failures, "\n".join(failures)
    assert tried >= FAST


@pytest.mark.slow
@each
def test_many_mutated_inputs(target: Target, tmp_path, record_property):
    tried, failures = try_all(target, target.inputs(ALL, seed=1), tmp_path / "place")
    record_property(f"inputs of {target.name}", tried)
    assert not failures, "\n".join(failures)
    assert tried >= ALL
