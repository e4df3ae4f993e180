"""Which runs belong together: the seeds of one setting, and the settings that can be compared.

What decides are `Run.identity`, `Run.setting` and `Run.comparison`, nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from alig_deepobs.analysis.formats import params_text, seeds_text
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import ProblemEntry
from alig_deepobs.results import newest
from alig_deepobs.run import Run, RunResult, facets


@dataclass(frozen=True)
class Group:
    """The runs of one optimizer at one setting.

    Attributes:
        label: the optimizer's label, with what tells it apart from other settings of the same
            optimizer where there are any.
        runs: one per seed, by seed.
    """

    label: str
    runs: tuple[RunResult, ...]

    @property
    def optimizer_name(self) -> str:
        """The optimizer's label alone."""
        return self.runs[0].optimizer_name

    @property
    def optimizer(self) -> str:
        """Registry name or import path, empty for files of DeepOBS."""
        return self.runs[0].optimizer

    @property
    def setting(self) -> str:
        """What was set by hand, in one line."""
        return params_text(self.runs[0].setting_params())


def comparable_groups(results: Iterable[RunResult]) -> list[list[RunResult]]:
    """Sorts runs into sets that one leaderboard can hold, in the order of what the sets share."""
    found: dict[str, list[RunResult]] = {}
    for result in results:
        found.setdefault(json.dumps(result.comparison(), sort_keys=True), []).append(result)
    return sorted(found.values(), key=lambda runs: _order(runs[0]))


def group_runs(results: Sequence[RunResult], entry: ProblemEntry) -> list[Group]:
    """The groups of a comparison, by label.

    Args:
        results: runs of one problem that can be compared (`Run.comparison`). Of several results of
            one run that counts which `alig_deepobs.results.newest` says.
        entry: the problem.

    Raises:
        UsageError: there is no run, or the runs cannot be compared.
    """
    _check_comparable(results, entry)
    settings: dict[str, dict[int, RunResult]] = {}
    for result in results:
        by_seed = settings.setdefault(result.setting(), {})
        other = by_seed.get(result.random_seed)
        by_seed[result.random_seed] = result if other is None else newest(other, result)
    members = [tuple(by_seed[seed] for seed in sorted(by_seed)) for by_seed in settings.values()]
    labels = _labels([runs[0] for runs in members])
    groups = [Group(label, runs) for label, runs in zip(labels, members, strict=True)]
    return sorted(groups, key=lambda group: (group.label, group.setting))


def differences(runs: Iterable[Run]) -> dict[str, list[Any]]:
    """The fields that keep runs from being compared: name -> the values that occur."""
    shared = [run.comparison() for run in runs]
    values = {name: [of[name] for of in shared] for name in (shared[0] if shared else ())}
    distinct = {
        name: [value for i, value in enumerate(of) if value not in of[:i]]
        for name, of in values.items()
    }
    return {name: of for name, of in distinct.items() if len(of) > 1}


def seed_gaps(groups: Sequence[Group]) -> list[str]:
    """Which groups lack seeds that others have, one sentence each.

    Such groups are compared over the seeds in common; their means are over different seeds.

    Args:
        groups: of one comparison (`group_runs`).
    """
    every = {run.random_seed for group in groups for run in group.runs}
    missing = {group.label: every - {run.random_seed for run in group.runs} for group in groups}
    return [f"{label} has no run of {seeds_text(of)}" for label, of in missing.items() if of]


def _order(run: Run) -> tuple[Any, ...]:
    return tuple(json.dumps(v) if isinstance(v, dict) else v for v in run.comparison().values())


def _check_comparable(results: Sequence[RunResult], entry: ProblemEntry) -> None:
    if not results:
        raise UsageError(f"there are no runs of {entry.name} to compare")
    for result in results:
        if result.testproblem != entry.name:
            raise UsageError(f"a run of {result.testproblem} cannot be compared on {entry.name}")
    # One run of each kind is enough, and there are few kinds.
    found = differences(runs[0] for runs in comparable_groups(results))
    if found:
        texts = (
            f"{facets(Run)[name].label} ({' / '.join(map(_value_text, values))})"
            for name, values in found.items()
        )
        raise UsageError(
            f"these runs of {entry.name} cannot be compared; they differ in {', '.join(texts)}"
        )


def _value_text(value: Any) -> str:
    if isinstance(value, dict):
        return params_text(value) or "none"
    return "not recorded" if value in ("", None) else str(value)


def _labels(runs: Sequence[Run]) -> list[str]:
    """The optimizers' labels, with the parameters in which settings of one of them differ."""
    params = [_identity_params(run) for run in runs]
    labels = []
    for run, own in zip(runs, params, strict=True):
        namesakes = [
            other
            for of, other in zip(runs, params, strict=True)
            if of.optimizer_name == run.optimizer_name
        ]
        telling = {
            name: value
            for name, value in own.items()
            if any(name not in other or other[name] != value for other in namesakes)
        }
        labels.append(f"{run.optimizer_name} ({params_text(telling)})" if telling else
                      run.optimizer_name)  # fmt: skip
    return labels


def _identity_params(run: Run) -> dict[str, Any]:
    """What was set by hand, and every other field of the setting."""
    params = run.setting_params()
    for name, facet in facets(Run).items():
        value = getattr(run, name)
        if facet.identity and name != "random_seed" and not isinstance(value, dict):
            # AdamW has a weight decay of its own beside the problem's.
            params[name if name not in params else f"problem's {facet.label}"] = value
    return params
