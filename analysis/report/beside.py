"""Baselines beside own results: what DeepOBS published, and what this project measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from alig_deepobs.analysis.frames import (
    Part,
    final_value,
    headline_curve,
    loss_curve,
    params_text,
    training_seconds_per_epoch,
)
from alig_deepobs.analysis.groups import Group, group_runs
from alig_deepobs.analysis.report.sections import Section, comparable_key
from alig_deepobs.analysis.statistics import Interval, mean_interval
from alig_deepobs.analysis.table import Column, Table
from alig_deepobs.analysis.tables import format_interval
from alig_deepobs.analysis.targets import TimeToTarget, epochs_until
from alig_deepobs.baselines import (
    about_published,
    measured_results,
    published_problems,
    published_result,
    published_runs,
)
from alig_deepobs.run import RunResult

_PARTS: tuple[Part, ...] = ("test", "train")
PUBLISHED = "DeepOBS (TensorFlow 1, 2019, ten seeds)"
_SHORT = {"deepobs": "DeepOBS", "measured": "measured"}


@dataclass(frozen=True)
class BaselineRow:
    """A baseline on the problem of a section.

    Attributes:
        label: the optimizer.
        kind: ``deepobs`` or ``measured``.
        origin: whose result it is, for a reader.
        group: its runs.
        headline: mean over its seeds with the t interval, in the metric of the problem.
        losses: final ``test`` and ``train`` loss likewise.
        times: epochs to the target of every seed; empty without a target.
        seconds: training time of an epoch; nothing for what was published.
        source: who chose the setting.
        comparable: whether it was trained on the same data for as many epochs with batches of
            the same size.
        caveats: what a reader must know before comparing.
    """

    label: str
    kind: str
    origin: str
    group: Group
    headline: Interval
    losses: dict[Part, Interval]
    times: tuple[TimeToTarget, ...]
    seconds: Interval
    source: str
    comparable: bool
    caveats: tuple[str, ...]

    @property
    def curve_label(self) -> str:
        """Its name in a legend."""
        return f"{self.label} ({_SHORT[self.kind]})"


def baseline_rows(section: Section, wanted: Sequence[str]) -> list[BaselineRow]:
    """The baselines on a problem, best first.

    Args:
        section: the problem.
        wanted: of ``deepobs`` and ``measured``.
    """
    found: list[BaselineRow] = []
    name = section.entry.name
    if "deepobs" in wanted and name in published_problems() and not section.key.problem_options:
        for group in group_runs(published_runs(name), section.entry):
            found.append(_row(section, group, "deepobs"))
    if "measured" in wanted:
        own = [run for run in measured_results(name) if _same_problem(section, run)]
        if own:
            found += [_row(section, g, "measured") for g in group_runs(own, section.entry)]
    sign = -1.0 if section.entry.higher_is_better else 1.0
    return sorted(found, key=lambda row: (math.isnan(row.headline.mean), sign * row.headline.mean))


def baseline_groups(section: Section, wanted: Sequence[str]) -> dict[str, Group]:
    """Published curves as further lines of the charts, by label.

    Only where own runs were trained for as many epochs, and where the published loss has no L2
    term that the own one lacks. What this project measured has rows but no lines, which would hide
    the own ones.
    """
    rows = [row for row in baseline_rows(section, wanted) if row.kind == "deepobs"]
    return {
        row.curve_label: replace(row.group, label=row.curve_label)
        for row in rows
        if row.comparable and not row.group.runs[0].effective_weight_decay
    }


def baseline_table(section: Section, wanted: Sequence[str]) -> Table | None:
    """The baselines as a table; None where they are not wanted or there are none."""
    rows = baseline_rows(section, wanted)
    if not rows:
        return None
    percent = section.entry.metric == "accuracy"
    cells, records = [], []
    for row in rows:
        run, n = row.group.runs[0], len(row.group.runs)
        reached = sum(time.reached for time in row.times)
        cells.append([
            row.label, row.origin, row.group.setting, format_interval(row.headline, percent),
            str(n), f"{reached} of {n}" if row.times else "–",
        ])  # fmt: skip
        records.append({
            "testproblem": section.entry.name, "optimizer": row.label, "origin": row.origin,
            "setting": row.group.setting, "metric": section.board.metric,
            "mean": row.headline.mean, "low": row.headline.low, "high": row.headline.high,
            "n_seeds": n, "num_epochs": run.num_epochs, "comparable": row.comparable,
            "reached_target": reached if row.times else None,
        })  # fmt: skip
    notes = list(dict.fromkeys(caveat for row in rows for caveat in row.caveats))
    if any(row.kind == "deepobs" for row in rows):
        about = about_published()
        notes.append(f"DeepOBS: {about['source']}; {about['licence']}")
    titles = ("Optimizer", "Origin", "Setting", section.board.metric.capitalize(), "Seeds",
              "Reached target")  # fmt: skip
    return Table(
        name=f"baselines-{section.slug}",
        title=f"{section.title}: baselines",
        columns=[Column(title, title in ("Seeds", "Reached target")) for title in titles],
        rows=cells,
        frame=pd.DataFrame(records),
        notes=[f"{note}." for note in notes],
    )


def _same_problem(section: Section, run: RunResult) -> bool:
    """Whether a measured run is of the same data, split, options and length."""
    return comparable_key(run) == section.key


def _row(section: Section, group: Group, kind: str) -> BaselineRow:
    entry, runs = section.entry, group.runs
    finals = [final_value(run, headline_curve(run, entry)) for run in runs]
    caveats, comparable = _caveats(section, group, kind)
    return BaselineRow(
        label=group.label,
        kind=kind,
        origin=PUBLISHED if kind == "deepobs" else _measured_origin(group),
        group=group,
        headline=mean_interval([value for value in finals if not math.isnan(value)]),
        losses={part: _interval([final_value(r, loss_curve(r, part)) for r in runs])
                for part in _PARTS},
        times=_times(section, group, kind) if entry.target is not None else (),
        seconds=_interval([training_seconds_per_epoch(run) for run in runs]),
        source=runs[0].setting_source or "source of the setting not recorded",
        comparable=comparable,
        caveats=tuple(caveats),
    )  # fmt: skip


def _interval(values: Sequence[float]) -> Interval:
    return mean_interval([value for value in values if not math.isnan(value)])


def _times(section: Section, group: Group, kind: str) -> tuple[TimeToTarget, ...]:
    figures = published_result(section.entry.name, group.optimizer) if kind == "deepobs" else None
    if figures is None:
        return tuple(epochs_until(run, section.entry) for run in group.runs)
    # As published; the curves that came along are rounded.
    return tuple(
        TimeToTarget(float(figures.num_epochs if epoch is None else epoch), epoch is not None)
        for epoch in figures.epochs_to_target.values()
    )


def _measured_origin(group: Group) -> str:
    run, seeds = group.runs[0], len(group.runs)
    version = run.environment.get("torch") or run.environment.get("tensorflow") or ""
    words = [run.framework, str(version), f"{seeds} seed{'' if seeds == 1 else 's'}"]
    return f"measured by alig-deepobs ({', '.join(word for word in words if word)})"


def _caveats(section: Section, group: Group, kind: str) -> tuple[list[str], bool]:
    run, comparable = group.runs[0], True
    if kind == "measured":
        return ["Measured on another machine perhaps: times compare only roughly"], True
    caveats = [
        "Published by DeepOBS with another framework and other random numbers than yours: a "
        "landmark, not a paired comparison"
    ]
    if run.num_epochs != section.key.num_epochs:
        comparable = False
        caveats.append(f"Published after {run.num_epochs} epochs, yours {section.key.num_epochs}")
    if run.batch_size not in section.board.batch_sizes:
        comparable = False
        caveats.append(f"Published with batch size {run.batch_size}")
    if run.effective_weight_decay:
        caveats.append("Published losses include the L2 term, yours do not")
    figures = published_result(section.entry.name, group.optimizer)
    if figures is not None and figures.trivial_seeds:
        caveats.append(
            f"{group.label}: {len(figures.trivial_seeds)} of {len(figures.per_seed)} published "
            f"seeds are no better than a prediction that ignores its input "
            f"({params_text(figures.params)})"
        )
    return caveats, comparable
