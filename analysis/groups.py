"""Which runs belong together: the seeds of one setting, and the settings that can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from alig_deepobs.analysis.frames import params_text, setting_params
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import ProblemEntry
from alig_deepobs.run import RunResult


class ComparisonKey(NamedTuple):
    """What runs must share to be compared by their final values."""

    testproblem: str
    data_label: str
    split: str
    num_epochs: int
    problem_options: str = ""
    framework: str = "pytorch"


@dataclass(frozen=True)
class Group:
    """The runs of one optimizer at one setting.

    Attributes:
        label: the optimizer's label, with the parameters that tell it apart from other settings
            of the same optimizer where there are any.
        optimizer_name: the optimizer's label alone.
        optimizer: registry name or import path, empty for files of DeepOBS.
        setting: all parameters in one line.
        runs: one per seed, by seed.
        repeated: seeds that were given more than once; the last run of each counts.
    """

    label: str
    optimizer_name: str
    optimizer: str
    setting: str
    runs: tuple[RunResult, ...]
    repeated: tuple[int, ...]


def comparable_groups(results: Iterable[RunResult]) -> dict[ComparisonKey, list[RunResult]]:
    """Sorts runs into sets that one leaderboard can hold.

    Returns:
        key -> its runs, keys in sorted order.
    """
    found: dict[ComparisonKey, list[RunResult]] = {}
    for result in results:
        found.setdefault(_comparison_key(result), []).append(result)
    return dict(sorted(found.items()))


def group_runs(results: Sequence[RunResult], entry: ProblemEntry) -> list[Group]:
    """The groups of a comparison, by label.

    Args:
        results: runs of one problem, on the same data and split, for the same number of epochs.
        entry: the problem.

    Raises:
        UsageError: there is no run, or the runs cannot be compared.
    """
    _check_comparable(results, entry)
    members: dict[tuple[str, str, str, int], list[RunResult]] = {}
    for result in results:
        # The label is no identity: somebody's own class may be called SGD too.
        key = (
            result.optimizer_name,
            result.optimizer,
            params_text(setting_params(result)),
            result.batch_size,
        )
        members.setdefault(key, []).append(result)
    params = {key: _params_and_batch_size(runs[0]) for key, runs in members.items()}
    groups = []
    for key, runs in members.items():
        namesakes = [params[other] for other in params if other[0] == key[0]]
        counts = Counter(run.random_seed for run in runs)
        by_seed = {run.random_seed: run for run in runs}
        groups.append(
            Group(
                label=key[0] + _distinction(params[key], namesakes),
                optimizer_name=key[0],
                optimizer=runs[0].optimizer,
                setting=key[2],
                runs=tuple(by_seed[seed] for seed in sorted(by_seed)),
                repeated=tuple(sorted(seed for seed, count in counts.items() if count > 1)),
            )
        )
    return sorted(groups, key=lambda group: (group.label, group.setting))


def seed_gaps(groups: Sequence[Group]) -> list[str]:
    """Which groups lack seeds that others have, one sentence each.

    Such groups are compared over the seeds in common; their means are over different seeds.

    Args:
        groups: of one comparison (`group_runs`).
    """
    every = {run.random_seed for group in groups for run in group.runs}
    sentences = []
    for group in groups:
        missing = every - {run.random_seed for run in group.runs}
        if missing:
            sentences.append(f"{group.label} has no run of {seeds_text(missing)}")
    return sentences


def seeds_text(seeds: Iterable[int]) -> str:
    """Writes seeds in short form.

    Example:
        >>> seeds_text([42, 43, 44]), seeds_text([1, 7]), seeds_text([42])
        ('seeds 42–44', 'seeds 1, 7', 'seed 42')
    """
    ordered = sorted(set(seeds))
    if len(ordered) == 1:
        return f"seed {ordered[0]}"
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"seeds {ordered[0]}–{ordered[-1]}"
    return f"seeds {', '.join(map(str, ordered))}"


def _comparison_key(result: RunResult) -> ComparisonKey:
    return ComparisonKey(
        result.testproblem,
        result.data_label,
        result.split,
        result.num_epochs,
        params_text(result.problem_options),
        result.framework,
    )


def _check_comparable(results: Sequence[RunResult], entry: ProblemEntry) -> None:
    if not results:
        raise UsageError(f"there are no runs of {entry.name} to compare")
    for result in results:
        if result.testproblem != entry.name:
            raise UsageError(f"a run of {result.testproblem} cannot be compared on {entry.name}")
    keys = list(comparable_groups(results))
    if len(keys) > 1:
        names = ("problem", "data", "split", "number of epochs", "problem's options", "framework")
        differing = [
            f"{name} ({' / '.join(str(value) or 'not recorded' for value in sorted(values))})"
            for name, values in zip(names, map(set, zip(*keys, strict=True)), strict=True)
            if len(values) > 1
        ]
        raise UsageError(
            f"these runs of {entry.name} cannot be compared; they differ in {', '.join(differing)}"
        )


def _params_and_batch_size(result: RunResult) -> dict[str, Any]:
    own = {"optimizer": result.optimizer, "batch_size": result.batch_size}
    return {**setting_params(result), **own}


def _distinction(params: dict[str, Any], namesakes: list[dict[str, Any]]) -> str:
    """The parameters in which settings of one optimizer differ, empty for the only one."""
    differing = {
        key: value
        for key, value in params.items()
        if any(key not in other or other[key] != value for other in namesakes)
    }
    return f" ({params_text(differing)})" if differing else ""
