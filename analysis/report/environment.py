"""What differed between runs besides the optimizer: versions, hardware, threads, data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from alig_deepobs.analysis.table import Column, Table
from alig_deepobs.run import RunResult

# When a run started is no difference that matters.
_LEFT_OUT = ("started",)
_NAMES = {
    "alig_deepobs": "alig-deepobs",
    "cpu": "CPU",
    "cpu_count": "CPU cores",
    "device_name": "device",
    "device": "device type",
    "framework": "framework",
    "data_version": "data (digest)",
    "reshuffle": "new batch order in every epoch",
    "schema_version": "schema of the file",
}
# Problems have their own; only within one of them is a difference worth a word.
_OF_PROBLEM = ("data_version", "reshuffle")
_MOST_VALUES = 12


def environment_table(runs: Sequence[RunResult]) -> Table | None:
    """Every property in which runs differ, with the runs and optimizers that have each value.

    Properties that all runs share are left out; `common_environment` has them. The data's digest
    is compared within a problem. None where nothing differs.
    """
    rows, confounded = [], []
    for key, members in _by_property(runs).items():
        name = _NAMES.get(key, key)
        for value, having in list(members.items())[:_MOST_VALUES]:
            optimizers = sorted({run.optimizer_name for run in having})
            problems = sorted({run.testproblem for run in having})
            rows.append([name, value, str(len(having)), _few(optimizers), _few(problems)])
        if len(members) > _MOST_VALUES:
            rows.append([name, f"and {len(members) - _MOST_VALUES} more values", "", "", ""])
        confounded += [f"{name} on {problem}" for problem in _mixed_up(members)]
    if not rows:
        return None
    titles = ("property", "value", "runs", "optimizers", "problems")
    notes = []
    if confounded:
        notes.append(
            "Not the same for all optimizers of a problem, so it may explain a difference between "
            f"them: {_few(list(dict.fromkeys(confounded)), 8)}."
        )
    return Table(
        name="environment",
        title="What differed between the runs",
        columns=[Column(title, right=title == "runs") for title in titles],
        rows=rows,
        frame=pd.DataFrame(rows, columns=list(titles)),
        notes=notes,
    )


def common_environment(runs: Sequence[RunResult]) -> dict[str, str]:
    """What all runs share: property -> value."""
    seen: dict[str, set[str]] = {}
    for run in runs:
        for key, value in _properties(run).items():
            seen.setdefault(key, set()).add(value)
    return {
        _NAMES.get(key, key): next(iter(values))
        for key, values in seen.items()
        if len(values) == 1 and key not in _OF_PROBLEM and next(iter(values))
    }


def _by_property(runs: Sequence[RunResult]) -> dict[str, dict[str, list[RunResult]]]:
    found: dict[str, dict[str, list[RunResult]]] = {}
    data: dict[tuple[str, str], dict[str, list[RunResult]]] = {}
    for run in runs:
        for key, value in _properties(run).items():
            if key in _OF_PROBLEM:
                of = data.setdefault((key, run.testproblem), {})
                of.setdefault(value[:12] or "not recorded", []).append(run)
            else:
                found.setdefault(key, {}).setdefault(value or "not recorded", []).append(run)
    differing = {key: members for key, members in found.items() if len(members) > 1}
    for (key, problem), members in data.items():
        if len(members) > 1:
            differing[f"{_NAMES[key]}: {problem}"] = members
    return differing


def _properties(run: RunResult) -> dict[str, str]:
    recorded: Mapping[str, Any] = {
        **{key: value for key, value in run.environment.items() if key not in _LEFT_OUT},
        "framework": run.framework,
        "data_version": run.data_version,
        "reshuffle": run.reshuffle if run.schema_version else "",
        "schema_version": run.schema_version or "DeepOBS",
    }
    return {str(key): "" if value is None else str(value) for key, value in recorded.items()}


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


def _few(names: Iterable[str], most: int = 5) -> str:
    listed = list(names)
    more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {more} more" if more > 0 else "")
