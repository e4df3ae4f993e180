"""Sorts runs into the sections of a report: one for each set of runs that can be compared."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from alig_deepobs.analysis.formats import params_text
from alig_deepobs.analysis.frames import final_headline
from alig_deepobs.analysis.groups import Group, comparable_groups, differences, group_runs
from alig_deepobs.analysis.leaderboard import Leaderboard, leaderboard
from alig_deepobs.analysis.report.sensitivity import Grid, find_grids, main_parameter
from alig_deepobs.errors import unknown_choice
from alig_deepobs.registry import ProblemEntry, testproblems
from alig_deepobs.run import Run, RunResult, facets
from alig_deepobs.words import counted

# More variants than this of one optimizer are a search, of which the best one is shown.
_MOST_VARIANTS = 6


@dataclass(frozen=True)
class Section:
    """One set of comparable runs.

    Attributes:
        slug: short name for files and links.
        title: the problem's label, with what tells it from other sections of the problem.
        shared: what the runs share: field -> value (`Run.comparison`).
        entry: the problem.
        board: the leaderboard of the chosen settings.
        others: settings that a better value of the main hyper-parameter beat, worst last.
        grids: of every optimizer with three values of its main hyper-parameter or more.
    """

    slug: str
    title: str
    shared: dict[str, Any]
    entry: ProblemEntry
    board: Leaderboard
    others: tuple[Group, ...]
    grids: tuple[Grid, ...]

    @property
    def groups(self) -> dict[str, Group]:
        """Label -> the runs of each row."""
        return {row.label: row.group for row in self.board.rows}


def make_sections(
    runs: Sequence[RunResult], tuning: Sequence[RunResult] = (), reference: str | None = None
) -> list[Section]:
    """The sections of a report.

    Each optimizer has one row, at the value of its main hyper-parameter (learning rate, cap) with
    the most seeds, and of these the best; this is DeepOBS's rule. Variants in other
    hyper-parameters have rows of their own.

    Args:
        runs: the results; those of a finished run must have the headline metric.
        tuning: runs that only served to choose a setting; they show the sensitivity.
        reference: optimizer with which every other is compared, where it has runs.

    Raises:
        UsageError: the reference has no run at all.
    """
    names = {name for run in runs for name in (run.optimizer, run.optimizer_name) if name}
    if reference is not None and not _is_one_of(reference, names):
        raise unknown_choice("reference", reference, sorted(names))
    # They hold out a part of the training data, which the results need not do.
    held_out = {"split": "", "data_version": ""}
    probes = [(run, run.comparison() | held_out) for run in tuning]
    sections: list[Section] = []
    for members in comparable_groups(runs):
        shared = members[0].comparison()
        tried = [run for run, of in probes if of == shared | held_out]
        entry = entry_for(members[0].testproblem, members)
        here = {name for run in members for name in (run.optimizer, run.optimizer_name)}
        of = reference if reference is not None and _is_one_of(reference, here) else None
        sections.append(_section(shared, entry, members, tried, of))
    return _with_unique_names(sections)


def _is_one_of(name: str, names: Iterable[str]) -> bool:
    return name.lower() in map(str.lower, names)


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


def _section(
    shared: dict[str, Any],
    entry: ProblemEntry,
    runs: list[RunResult],
    tuning: list[RunResult],
    reference: str | None,
) -> Section:
    families = _families(group_runs(runs, entry))
    chosen = [_chosen(family, entry) for family in families]
    picked = [run for group in chosen for run in group.runs]
    others = [
        group
        for family, best in zip(families, chosen, strict=True)
        for group in family
        if group is not best
    ]
    # Of the tuning runs the largest comparable set.
    sets = comparable_groups(tuning)
    tried = _families(group_runs(max(sets, key=len), entry)) if sets else []
    words = (entry.name, params_text(shared["problem_options"]))
    return Section(
        slug=re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")[:80],
        title=entry.label,
        shared=shared,
        entry=entry,
        board=leaderboard(picked, entry, reference=reference),
        others=tuple(sorted(others, key=lambda group: _quality(group, entry))),
        grids=find_grids(families, tried, entry),
    )


def _families(groups: Sequence[Group]) -> list[list[Group]]:
    """Settings that differ in the main hyper-parameter alone; they compete for one row."""
    merged: dict[tuple[str, str], dict[str, list[Group]]] = {}
    for group in groups:
        run = group.runs[0]
        rest = {key: v for key, v in run.hyperparams.items() if key != main_parameter(run)}
        variants = merged.setdefault((group.optimizer_name, group.optimizer), {})
        variants.setdefault(replace(run, hyperparams=rest).setting(), []).append(group)
    families: list[list[Group]] = []
    for variants in merged.values():
        if len(variants) > _MOST_VARIANTS:
            families.append([group for family in variants.values() for group in family])
        else:
            families += variants.values()
    return families


def _chosen(family: Sequence[Group], entry: ProblemEntry) -> Group:
    most = max(len(group.runs) for group in family)
    return min(
        (group for group in family if len(group.runs) == most),
        key=lambda group: _quality(group, entry),
    )


def _quality(group: Group, entry: ProblemEntry) -> tuple[float, float, str]:
    """Smaller is better: share of runs without a result first, then the mean result."""
    finals = [final_headline(run, entry) for run in group.runs]
    good = [value for value in finals if not math.isnan(value)]
    mean = math.fsum(good) / len(good) if good else math.nan
    sign = -1.0 if entry.higher_is_better else 1.0
    return (1 - len(good) / len(finals), sign * mean if good else math.inf, group.setting)


def _with_unique_names(sections: Sequence[Section]) -> list[Section]:
    """Slugs and titles that tell sections apart; the title says in what they differ."""
    seen: Counter[str] = Counter()
    unique = []
    for section in sections:
        seen[section.slug] += 1
        again = seen[section.slug]
        slug = section.slug if again == 1 else f"{section.slug}-{again}"
        telling = differences(
            other.board.runs[0] for other in sections if other.entry.name == section.entry.name
        )
        words = [
            _shared_text(name, value)
            for name, value in section.shared.items()
            if name == "problem_options" or name in telling
        ]
        words = [text for text in words if text]
        title = f"{section.title} ({', '.join(words)})" if words else section.title
        unique.append(replace(section, slug=slug, title=title))
    return unique


def _shared_text(name: str, value: Any) -> str:
    """A value that runs share, in words."""
    match name:
        case "problem_options":
            return params_text(value)
        case "num_epochs":
            return counted(value, "epoch")
        case "split":
            return f"{value} split"
        case "data_label":
            return value or "data not recorded"
        case "framework" | "precision":
            return str(value)
    if isinstance(value, bool):
        return f"{'' if value else 'no '}{facets(Run)[name].label}"
    return f"{facets(Run)[name].label} {str(value)[:12] or 'not recorded'}"
