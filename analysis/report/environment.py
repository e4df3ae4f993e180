"""What differed between runs besides the optimizer: versions, hardware, threads, data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alig_deepobs.analysis.report.build import listed
from alig_deepobs.analysis.table import Column, Table
from alig_deepobs.run import RunResult

_NAMES = {
    "alig_deepobs": "alig-deepobs",
    "cpu": "CPU",
    "cpu_capability": "CPU instructions",
    "cpu_count": "CPU cores",
    "device_name": "device",
    "device": "device type",
    "math_library": "math library",
    "schema_version": "schema of the file",
}
_NOT_RECORDED = "not recorded"
_MOST_VALUES = 12


def environment_table(runs: Sequence[RunResult]) -> Table[dict[str, Any]] | None:
    """Every property in which runs differ, with the runs and optimizers that have each value.

    Properties that all runs share are left out; `common_environment` has them. None where nothing
    differs.
    """
    rows, confounded = [], []
    for name, members in _by_property(runs).items():
        if len(members) == 1:
            continue
        for value, having in list(members.items())[:_MOST_VALUES]:
            optimizers = sorted({run.optimizer_name for run in having})
            problems = sorted({run.testproblem for run in having})
            rows.append([name, value, len(having), listed(optimizers), listed(problems)])
        if len(members) > _MOST_VALUES:
            rows.append([name, f"and {len(members) - _MOST_VALUES} more values", "", "", ""])
        confounded += [f"{name} on {problem}" for problem in _mixed_up(members)]
    if not rows:
        return None
    notes = []
    if confounded:
        notes.append(
            "Not the same for all optimizers of a problem, so it may explain a difference between "
            f"them: {listed(list(dict.fromkeys(confounded)), 8)}."
        )
    names = ("property", "value", "runs", "optimizers", "problems")
    columns: list[Column[dict[str, Any]]] = [Column(name, right=name == "runs") for name in names]
    records = [dict(zip(names, row, strict=True)) for row in rows]
    return Table("environment", "What differed between the runs", columns, records, notes)


def common_environment(runs: Sequence[RunResult]) -> dict[str, str]:
    """What all runs share: property -> value."""
    found = {name: list(members) for name, members in _by_property(runs).items()}
    return {
        name: values[0]
        for name, values in found.items()
        if len(values) == 1 and values[0] != _NOT_RECORDED
    }


def _by_property(runs: Sequence[RunResult]) -> dict[str, dict[str, list[RunResult]]]:
    """Property -> its value -> the runs that have it."""
    found: dict[str, dict[str, list[RunResult]]] = {}
    for run in runs:
        recorded = {
            **run.environment,
            "framework": run.framework,
            "schema_version": run.schema_version or "DeepOBS",
        }
        recorded.pop("started", None)  # no difference that matters
        for key, value in recorded.items():
            text = _NOT_RECORDED if value in (None, "") else str(value)
            found.setdefault(_NAMES.get(key, key), {}).setdefault(text, []).append(run)
    return found


def _mixed_up(members: Mapping[str, Sequence[RunResult]]) -> list[str]:
    """Problems on which two optimizers have no value of a property in common."""
    having: dict[str, dict[str, set[str]]] = {}
    for value, runs in members.items():
        for run in runs:
            of = having.setdefault(run.testproblem, {})
            of.setdefault(run.optimizer_name, set()).add(value)
    return [
        problem
        for problem, of in having.items()
        if any(not (a & b) for a in of.values() for b in of.values())
    ]
