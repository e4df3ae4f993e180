"""Mutated inputs of every kind are read, or refused by an error that names the file."""

from __future__ import annotations

import pytest

from .harness import Target, try_all
from .targets import TARGETS

ALL, FAST = 2000, 60
SLOWER = {"report": 15, "mat": 30, "study": 30}  # a report takes a quarter of a second

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
    count = SLOWER.get(target.name, FAST)
    tried, failures = try_all(target, target.inputs(count, seed=0), tmp_path / "place")
    assert not failures, "\n".join(failures)
    assert tried >= count


@pytest.mark.slow
@each
def test_many_mutated_inputs(target: Target, tmp_path, record_property):
    tried, failures = try_all(target, target.inputs(ALL, seed=1), tmp_path / "place")
    record_property(f"inputs of {target.name}", tried)
    assert not failures, "\n".join(failures)
    assert tried >= ALL
