"""Sorts runs into the sections of a report: one for each set of runs that can be compared."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from alig_deepobs.analysis.flags import Flag, find_flags
from alig_deepobs.analysis.frames import (
    accuracy_curve,
    final_value,
    headline_curve,
    loss_curve,
    params_text,
    setting_params,
)
from alig_deepobs.analysis.groups import ComparisonKey, Group, comparable_groups, group_runs
from alig_deepobs.analysis.leaderboard import Leaderboard, leaderboard
from alig_deepobs.analysis.tables import header_line
from alig_deepobs.registry import ProblemEntry, optimizers, testproblems
from alig_deepobs.run import RunResult

_RATE_NAMES = ("lr", "learning_rate", "max_lr")
# More variants than this of one optimizer are a search, of which the best one is shown.
_MOST_VARIANTS = 6


@dataclass(frozen=True)
class Grid:
    """The settings of one optimizer that differ in its main hyper-parameter alone.

    Attributes:
        label: the optimizer, with what tells it from its other grids.
        parameter: name of the main hyper-parameter.
        finals: its value -> final headline metric of each seed, NaN for a run that did not finish.
        validation: its value -> mean final validation metric; NaN where there is none.
        start: headline metric before training, mean over all runs.
        tuning: whether the runs only served to choose a setting (on held-out training data).
    """

    label: str
    parameter: str
    finals: dict[Any, tuple[float, ...]]
    validation: dict[Any, float]
    start: float
    tuning: bool

    def means(self) -> dict[Any, float]:
        """Value -> mean over seeds; NaN where a run did not finish."""
        return {value: math.fsum(of) / len(of) for value, of in self.finals.items()}


@dataclass(frozen=True)
class Section:
    """One set of comparable runs.

    Attributes:
        slug: short name for files and links.
        title: the problem's label, with what tells it from other sections of the problem.
        key: what the runs share.
        entry: the problem.
        board: the leaderboard of the chosen settings.
        groups: label -> the runs of each row.
        others: settings that a better value of the main hyper-parameter beat, worst last.
        flags: warnings with their evidence.
        grids: of every optimizer with three values of its main hyper-parameter or more.
    """

    slug: str
    title: str
    key: ComparisonKey
    entry: ProblemEntry
    board: Leaderboard
    groups: dict[str, Group]
    others: tuple[Group, ...]
    flags: tuple[Flag, ...]
    grids: tuple[Grid, ...]

    @property
    def heading(self) -> str:
        """What all runs of the section share, in one line."""
        return header_line(self.board)

    @property
    def runs(self) -> list[RunResult]:
        """The runs behind the leaderboard."""
        return [run for group in self.groups.values() for run in group.runs]


def make_sections(runs: Sequence[RunResult], tuning: Sequence[RunResult] = ()) -> list[Section]:
    """The sections of a report.

    Each optimizer has one row, at the value of its main hyper-parameter (learning rate, cap) with
    the most seeds, and of these the best; this is DeepOBS's rule. Variants in other
    hyper-parameters have rows of their own.

    Args:
        runs: the results; those of a finished run must have the headline metric.
        tuning: runs that only served to choose a setting; they show the sensitivity.
    """
    probes: dict[ComparisonKey, list[RunResult]] = {}
    for run in tuning:
        probes.setdefault(comparable_key(run)._replace(split=""), []).append(run)
    sections: list[Section] = []
    for key, members in comparable_groups(runs).items():
        entry = entry_for(key.testproblem, members)
        tried = probes.get(key._replace(split=""), [])
        sections.append(_section(key, entry, members, tried))
    return _with_unique_names(sections)


def comparable_key(run: RunResult) -> ComparisonKey:
    """The key of a single run."""
    return next(iter(comparable_groups([run])))


def entry_for(name: str, runs: Sequence[RunResult]) -> ProblemEntry:
    """The registry's entry of a problem, or one made up for a problem that it does not have."""
    found = testproblems().get(name)
    if found is not None:
        return found
    accuracy = all(run.test_accuracies for run in runs)
    return ProblemEntry(
        name=name,
        label=name,
        factory="",
        data_set=runs[0].data_set,
        batch_size=runs[0].batch_size,
        num_epochs=runs[0].num_epochs,
        metric="accuracy" if accuracy else "loss",
        description="not in this installation's registry",
    )


def main_parameter(run: RunResult) -> str:
    """The hyper-parameter of a run that is tuned first; empty if there is none."""
    known = optimizers().get(run.optimizer)
    if known is not None and known.main_hyperparameter in run.hyperparams:
        return known.main_hyperparameter or ""
    return next((name for name in _RATE_NAMES if name in run.hyperparams), "")


def _section(
    key: ComparisonKey, entry: ProblemEntry, runs: list[RunResult], tuning: list[RunResult]
) -> Section:
    families = _families(group_runs(runs, entry))
    chosen = [_chosen(family, entry) for family in families]
    picked = [run for group in chosen for run in group.runs]
    groups = {group.label: group for group in group_runs(picked, entry)}
    repeated = {(group.setting, group.optimizer_name): group.repeated for group in chosen}
    taken = {id(run) for run in picked}
    others = [g for family in families for g in family if id(g.runs[0]) not in taken]
    groups = {
        label: replace(group, repeated=repeated.get((group.setting, group.optimizer_name), ()))
        for label, group in groups.items()
    }
    return Section(
        slug=re.sub(r"[^a-z0-9]+", "-", f"{key.testproblem} {key.problem_options}".lower()).strip(
            "-"
        ),
        title=entry.label,
        key=key,
        entry=entry,
        board=leaderboard(picked, entry),
        groups=groups,
        others=tuple(sorted(others, key=lambda group: _quality(group, entry))),
        flags=tuple(find_flags(picked, entry)),
        grids=_grids(families, tuning, entry),
    )


def _families(groups: Sequence[Group]) -> list[list[Group]]:
    """Settings that differ in the main hyper-parameter alone; they compete for one row."""
    found: dict[tuple[str, str, str, int], list[Group]] = {}
    for group in groups:
        run = group.runs[0]
        rest = {key: v for key, v in setting_params(run).items() if key != main_parameter(run)}
        key = (group.optimizer_name, group.optimizer, params_text(rest), run.batch_size)
        found.setdefault(key, []).append(group)
    merged: dict[tuple[str, str], list[list[Group]]] = {}
    for key, family in found.items():
        merged.setdefault(key[:2], []).append(family)
    families: list[list[Group]] = []
    for variants in merged.values():
        if len(variants) > _MOST_VARIANTS:
            families.append([group for family in variants for group in family])
        else:
            families += variants
    return families


def _chosen(family: Sequence[Group], entry: ProblemEntry) -> Group:
    most = max(len(group.runs) for group in family)
    return min(
        (group for group in family if len(group.runs) == most),
        key=lambda group: _quality(group, entry),
    )


def _quality(group: Group, entry: ProblemEntry) -> tuple[float, float, str]:
    """Smaller is better: share of runs without a result first, then the mean result."""
    finals = [final_value(run, headline_curve(run, entry)) for run in group.runs]
    good = [value for value in finals if not math.isnan(value)]
    mean = math.fsum(good) / len(good) if good else math.nan
    sign = -1.0 if entry.higher_is_better else 1.0
    return (1 - len(good) / len(finals), sign * mean if good else math.inf, group.setting)


def _grids(
    families: Sequence[Sequence[Group]], tuning: Sequence[RunResult], entry: ProblemEntry
) -> tuple[Grid, ...]:
    grids = [grid for family in families if (grid := _grid(family, entry, tuning=False))]
    have = {grid.label for grid in grids}
    if tuning:
        probes = _families(_groups_across(tuning, entry))
        found = [grid for family in probes if (grid := _grid(family, entry, tuning=True))]
        grids += [grid for grid in found if grid.label not in have]
    return tuple(sorted(grids, key=lambda grid: grid.label))


def _groups_across(runs: Sequence[RunResult], entry: ProblemEntry) -> list[Group]:
    """Groups of tuning runs, of the largest comparable set."""
    sets = comparable_groups(runs)
    return group_runs(max(sets.values(), key=len), entry) if sets else []


def _grid(family: Sequence[Group], entry: ProblemEntry, tuning: bool) -> Grid | None:
    first = family[0].runs[0]
    parameter = main_parameter(first)
    values = {group.runs[0].hyperparams.get(parameter): group for group in family}
    # Settings that differ in more than this value cannot lie on one line.
    if not parameter or len(values) < 3 or len(values) < len(family):
        return None
    starts = [curve[0] for g in family for run in g.runs if (curve := headline_curve(run, entry))]
    return Grid(
        label=first.optimizer_name if _alike(family) else family[0].label,
        parameter=parameter,
        finals={
            value: tuple(final_value(run, headline_curve(run, entry)) for run in group.runs)
            for value, group in values.items()
        },
        validation={value: _validation(group.runs, entry) for value, group in values.items()},
        start=math.fsum(starts) / len(starts) if starts else math.nan,
        tuning=tuning,
    )


def _alike(family: Sequence[Group]) -> bool:
    """Whether the labels of a family differ in the main hyper-parameter alone."""
    main = main_parameter(family[0].runs[0])
    return all(
        group.label == group.optimizer_name
        or set(re.findall(r"(\w+)=", group.label.removeprefix(group.optimizer_name))) <= {main}
        for group in family
    )


def _validation(runs: Iterable[RunResult], entry: ProblemEntry) -> float:
    curve = accuracy_curve if entry.metric == "accuracy" else loss_curve
    finals = [final_value(run, curve(run, "valid")) for run in runs]
    return math.fsum(finals) / len(finals) if finals else math.nan


def _with_unique_names(sections: Sequence[Section]) -> list[Section]:
    """Slugs and titles that tell sections apart; the title says in what they differ."""
    seen: Counter[str] = Counter()
    unique = []
    for section in sections:
        seen[section.slug] += 1
        again = seen[section.slug]
        slug = section.slug if again == 1 else f"{section.slug}-{again}"
        keys = [other.key for other in sections if other.entry.name == section.entry.name]
        words = [
            text
            for value, text, of in zip(
                section.key, _key_words(section.key), zip(*keys, strict=True), strict=True
            )
            if text and any(value != other for other in of)
        ]
        if section.key.problem_options and section.key.problem_options not in words:
            words.append(section.key.problem_options)
        title = f"{section.title} ({', '.join(words)})" if words else section.title
        unique.append(replace(section, slug=slug, title=title))
    return unique


def _key_words(key: ComparisonKey) -> tuple[str, ...]:
    """The key in words, one for each of its fields."""
    epochs = f"{key.num_epochs} epoch{'' if key.num_epochs == 1 else 's'}"
    label, split = key.data_label or "data not recorded", f"{key.split} split"
    return (key.testproblem, label, split, epochs, key.problem_options, key.framework)
