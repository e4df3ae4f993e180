"""The published baselines of DeepOBS beside own results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from alig_deepobs.analysis.frames import Part, final_value, loss_curve, params_text
from alig_deepobs.analysis.groups import Group, group_runs
from alig_deepobs.analysis.report.sections import Section
from alig_deepobs.analysis.statistics import Interval, mean_interval
from alig_deepobs.analysis.table import Column, Table
from alig_deepobs.analysis.tables import format_interval
from alig_deepobs.baselines.published import (
    Published,
    about_published,
    published_problems,
    published_result,
    published_runs,
)
from alig_deepobs.registry import optimizers
from alig_deepobs.results import RunResult

_PARTS: tuple[Part, ...] = ("test", "train")
ORIGIN = "DeepOBS (TensorFlow 1, 2019, ten seeds)"


@dataclass(frozen=True)
class BaselineRow:
    """A published result on the problem of a section.

    Attributes:
        label: the optimizer.
        setting: its hyper-parameters in one line.
        headline: mean over its seeds with the t interval, in the metric of the problem.
        losses: final ``test`` and ``train`` loss likewise, as recorded.
        figures: what was published.
        comparable: whether it was trained for as many epochs with batches of the same size.
        caveats: what a reader must know before comparing.
    """

    label: str
    setting: str
    headline: Interval
    losses: dict[str, Interval]
    figures: Published
    comparable: bool
    caveats: tuple[str, ...]


def baseline_rows(section: Section) -> list[BaselineRow]:
    """The published results on a problem, best first."""
    entry = section.entry
    if entry.name not in published_problems() or section.key.problem_options:
        return []
    found = []
    runs = published_runs(entry.name)
    for optimizer in optimizers().values():
        figures = published_result(entry.name, optimizer.name)
        if figures is not None:
            own = [run for run in runs if run.optimizer == optimizer.name]
            found.append(_row(section, optimizer.label, figures, own))
    sign = -1.0 if entry.higher_is_better else 1.0
    return sorted(found, key=lambda row: sign * row.headline.mean)


def published_groups(section: Section) -> dict[str, Group]:
    """The published curves as further lines of the charts, by label.

    Only where own runs were trained for as many epochs, and where the published loss has no L2
    term that the own one lacks.
    """
    rows = baseline_rows(section)
    if not rows or not rows[0].comparable or rows[0].figures.weight_decay:
        return {}
    groups = group_runs(published_runs(section.entry.name), section.entry)
    return {
        label: replace(group, label=label)
        for group in groups
        if (label := f"{group.optimizer_name} (DeepOBS)")
    }


def baseline_table(section: Section, baselines: Sequence[str]) -> Table | None:
    """The published results as a table; None where they are not wanted or there are none."""
    rows = baseline_rows(section) if "deepobs" in baselines else []
    if not rows:
        return None
    percent = section.entry.metric == "accuracy"
    cells, records = [], []
    for row in rows:
        figures = row.figures
        reached = sum(epoch is not None for epoch in figures.epochs_to_target.values())
        cells.append([
            row.label, row.setting, format_interval(row.headline, percent),
            str(len(figures.per_seed)), f"{reached} of {len(figures.per_seed)}",
        ])  # fmt: skip
        records.append({
            "testproblem": section.entry.name, "optimizer": row.label, "setting": row.setting,
            "metric": figures.metric, "mean": row.headline.mean, "low": row.headline.low,
            "high": row.headline.high, "median": figures.median, "n_seeds": len(figures.per_seed),
            "num_epochs": figures.num_epochs, "reached_target": reached, "origin": ORIGIN,
        })  # fmt: skip
    return Table(
        name=f"published-{section.slug}",
        title=f"{section.title}: published by {ORIGIN}",
        columns=[
            Column("Optimizer"),
            Column("Setting"),
            Column(section.board.metric.capitalize()),
            Column("Seeds", True),
            Column("Reached target", True),
        ],
        rows=cells,
        frame=pd.DataFrame(records),
        notes=[
            *dict.fromkeys(caveat for row in rows for caveat in row.caveats),
            f"{about_published()['source']}; {about_published()['licence']}.",
        ],
    )


def _row(
    section: Section, label: str, figures: Published, runs: Sequence[RunResult]
) -> BaselineRow:
    caveats = ["Other framework and random numbers than yours: a landmark, not a paired comparison"]
    comparable = True
    if figures.num_epochs != section.key.num_epochs:
        comparable = False
        caveats.append(
            f"Published after {figures.num_epochs} epochs, yours {section.key.num_epochs}"
        )
    if figures.batch_size not in section.board.batch_sizes:
        comparable = False
        caveats.append(f"Published with batch size {figures.batch_size}")
    if figures.weight_decay:
        caveats.append("Published losses include the L2 term, yours do not")
    if figures.trivial_seeds:
        caveats.append(
            f"{label}: {len(figures.trivial_seeds)} of {len(figures.per_seed)} published seeds are "
            "no better than a prediction that ignores its input"
        )
    return BaselineRow(
        label=label,
        setting=params_text(figures.params),
        headline=mean_interval(list(figures.per_seed.values())),
        losses={
            part: mean_interval([final_value(run, loss_curve(run, part)) for run in runs])
            for part in _PARTS
        },
        figures=figures,
        comparable=comparable,
        caveats=tuple(caveats),
    )
