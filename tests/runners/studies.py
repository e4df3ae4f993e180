"""What the tests of studies look at: the results in a folder, without what clocks say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from alig_deepobs.results import read_result

CLOCKS = {"training_seconds", "evaluation_seconds", "started", "environment", "peak_memory_bytes"}


def results(folder):
    """Every result below a folder by identity and purpose; fails if one is there twice."""
    found = {}
    for path in sorted(Path(folder).rglob("random_seed__*.json")):
        result = read_result(path)
        key = (result.identity(), result.purpose)
        assert key not in found, f"{path} and {found[key][0]} are the same run"
        found[key] = (path, result)
    return {key: without_clocks(result) for key, (_, result) in found.items()}


def without_clocks(result):
    return {k: v for k, v in dataclasses.asdict(result).items() if k not in CLOCKS}
