"""Baselines beside own results: what DeepOBS published, and what this project measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from alig_deepobs.analysis.flags import collapsed
from alig_deepobs.analysis.formats import MISSING, format_interval
from alig_deepobs.analysis.groups import Group, differences
from alig_deepobs.analysis.leaderboard import leaderboard
from alig_deepobs.analysis.report.sections import Section
from alig_deepobs.analysis.standings import Standing
from alig_deepobs.analysis.table import Column, Table, never
from alig_deepobs.baselines import (
    about_published,
    measured_results,
    published_problems,
    published_runs,
)
from alig_deepobs.run import RunResult
from alig_deepobs.words import counted

PUBLISHED = "DeepOBS (TensorFlow 1, 2019, ten seeds)"


@dataclass(frozen=True)
class Baseline:
    """A baseline on the problem of a section.

    Attributes:
        kind: ``deepobs`` or ``measured``.
        origin: whose result it is, for a reader.
        row: its figures and runs; it has no rank among own rows.
        comparable: whether it was trained on the same data for as many epochs with batches of
            the same size.
        caveats: what a reader must know before comparing.
    """

    kind: str
    origin: str
    row: Standing
    comparable: bool
    caveats: tuple[str, ...]


def find_baselines(section: Section, wanted: Sequence[str]) -> list[Baseline]:
    """The baselines on a problem, best first.

    Args:
        section: the problem.
        wanted: of ``deepobs`` and ``measured``.
    """
    name = section.entry.name
    runs: dict[str, list[RunResult]] = {}
    if name in published_problems() and not section.shared["problem_options"]:
        runs["deepobs"] = published_runs(name)
    runs["measured"] = [run for run in measured_results(name) if _same_problem(section, run)]
    found = [
        _baseline(section, row, kind)
        for kind, of in runs.items()
        if kind in wanted and of
        # What is beside them differs from row to row, so they are not compared.
        for row in (_alone(row) for row in leaderboard(of, section.entry).rows)
    ]
    sign = -1.0 if section.entry.higher_is_better else 1.0
    means = [baseline.row.headline.mean for baseline in found]
    order = sorted(range(len(found)), key=lambda i: (math.isnan(means[i]), sign * means[i]))
    return [found[i] for i in order]


def published_groups(section: Section, wanted: Sequence[str]) -> dict[str, Group]:
    """Published curves as further lines of the charts, by label.

    Only where own runs were trained for as many epochs, and where the published loss has no L2
    term that the own one lacks. What this project measured has rows but no lines, which would hide
    the own ones.
    """
    if "deepobs" not in wanted:
        return {}
    found = [
        replace(baseline.row.group, label=f"{baseline.row.label} (DeepOBS)")
        for baseline in find_baselines(section, ["deepobs"])
        if baseline.comparable and not baseline.row.group.runs[0].effective_weight_decay
    ]
    return {group.label: group for group in found}


def baseline_table(section: Section, wanted: Sequence[str]) -> Table[Baseline] | None:
    """The baselines as a table; None where they are not wanted or there are none."""
    found = find_baselines(section, wanted)
    if not found:
        return None
    notes = list(dict.fromkeys(caveat for baseline in found for caveat in baseline.caveats))
    if any(baseline.kind == "deepobs" for baseline in found):
        about = about_published()
        notes.append(f"DeepOBS: {about['source']}; {about['licence']}")
    percent = section.entry.metric == "accuracy"
    columns: list[Column[Baseline]] = [
        Column("optimizer", value=lambda baseline: baseline.row.label),
        Column("origin"),
        Column("setting", value=lambda baseline: baseline.row.setting),
        Column(
            section.board.metric.replace(" ", "_"),
            value=lambda baseline: baseline.row.headline,
            text=lambda baseline, mean: format_interval(mean, percent),
        ),
        Column("seeds", value=lambda baseline: baseline.row.n_seeds, right=True),
        Column(
            "reached_target",
            value=lambda baseline: baseline.row.n_reached,
            text=lambda baseline, n: MISSING if n is None else f"{n} of {baseline.row.n_seeds}",
            right=True,
        ),
        Column("num_epochs", value=lambda b: b.row.group.runs[0].num_epochs, shown=never),
        Column("comparable", shown=never),
    ]
    return Table(
        f"baselines-{section.slug}",
        f"{section.title}: baselines",
        columns,
        found,
        notes=[f"{note}." for note in notes],
        common={"testproblem": section.entry.name},
    )


def _alone(row: Standing) -> Standing:
    return replace(row, to_best=None, reference="", to_reference=None, tied=False)


def _same_problem(section: Section, run: RunResult) -> bool:
    """Whether a measured run could stand in the section's table, as far as both say."""
    return all(
        name in ("data_version", "numbers_version") and not all(values)
        for name, values in differences([section.board.runs[0], run]).items()
    )


def _baseline(section: Section, row: Standing, kind: str) -> Baseline:
    group = row.group
    if kind == "measured":
        caveat = "Measured on another machine perhaps: times compare only roughly"
        return Baseline(kind, _measured_origin(group), row, True, (caveat,))
    run, epochs = group.runs[0], section.shared["num_epochs"]
    comparable = True
    caveats = [
        "Published by DeepOBS with another framework and other random numbers than yours: a "
        "landmark, not a paired comparison"
    ]
    if run.num_epochs != epochs:
        comparable = False
        caveats.append(f"Published after {counted(run.num_epochs, 'epoch')}, yours {epochs}")
    if run.batch_size not in section.board.batch_sizes:
        comparable = False
        caveats.append(f"Published with batch size {run.batch_size}")
    if run.effective_weight_decay:
        caveats.append("Published losses include the L2 term, yours do not")
    failed = sum(bool(collapsed(of, section.entry)) for of in row.group.runs)
    if failed:
        caveats.append(
            f"{row.label}: {failed} of {row.n_seeds} published seeds are no better than a "
            f"prediction that ignores its input ({row.setting})"
        )
    return Baseline(kind, PUBLISHED, row, comparable, tuple(caveats))


def _measured_origin(group: Group) -> str:
    run = group.runs[0]
    version = run.environment.get("torch") or run.environment.get("tensorflow") or ""
    words = [run.framework, str(version), counted(len(group.runs), "seed")]
    return f"measured by alig-deepobs ({', '.join(word for word in words if word)})"
