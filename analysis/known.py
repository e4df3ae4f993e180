"""What is known of a test problem: published, measured and imported results in one table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alig_deepobs.analysis.flags import collapsed
from alig_deepobs.analysis.formats import MISSING, format_interval, format_metric, format_value
from alig_deepobs.analysis.frames import final_headline
from alig_deepobs.analysis.groups import comparable_groups
from alig_deepobs.analysis.loading import load_results
from alig_deepobs.analysis.report.sections import entry_for
from alig_deepobs.analysis.standings import Standing, rank_settings
from alig_deepobs.analysis.statistics import median_epoch
from alig_deepobs.analysis.table import Column, Table, never
from alig_deepobs.baselines import (
    about_published,
    measured_problems,
    measured_results,
    published_grid,
    published_problems,
    published_runs,
    stored_imports,
)
from alig_deepobs.errors import unknown_name
from alig_deepobs.registry import optimizers, testproblems
from alig_deepobs.run import RunResult

_PUBLISHED = {"sgd": "SGD", "momentum": "Momentum", "adam": "Adam"}


@dataclass(frozen=True)
class Known:
    """One optimizer at one setting.

    Attributes:
        source: ``published``, ``measured`` or the name of an import.
        standing: its figures.
    """

    source: str
    standing: Standing

    @property
    def run(self) -> RunResult:
        """One of its runs."""
        return self.standing.group.runs[0]

    @property
    def note(self) -> str:
        """What a reader must know; empty if nothing."""
        runs, entry = self.standing.group.runs, self.standing.entry
        failed = sum(bool(collapsed(run, entry)) for run in runs)
        words = f"{failed} of {len(runs)} no better than a constant prediction" if failed else ""
        return "; ".join(filter(None, (self.standing.note, words)))


def known_problems() -> list[str]:
    """Every problem with a published, measured or imported result."""
    imported = {
        path.name for of in stored_imports() for path in of.folder.iterdir() if path.is_dir()
    }
    names = [*published_problems(), *measured_problems(), *sorted(imported - {"tuning"})]
    return list(dict.fromkeys(names))


def known_table(problem: str) -> Table[Known]:
    """The baselines of a problem: published first, then measured, then imports; best first.

    Raises:
        UsageError: there is no such problem.
    """
    names = {*testproblems(), *known_problems()}
    if problem not in names:
        raise unknown_name("test problem", problem, names)
    runs = _runs(problem)
    every = [run for of in runs.values() for run in of]
    entry = entry_for(problem, every) if every else testproblems()[problem]
    rows = [
        Known(source, standing)
        for source, of in runs.items()
        for members in comparable_groups(of)
        for standing in rank_settings(members, entry, {})
    ]
    return Table(
        name=f"baselines_{problem}",
        title=f"{entry.label} ({problem})" + ("" if rows else ": no baselines"),
        columns=_COLUMNS,
        rows=rows,
    )


def grid_table(problem: str) -> Table[Mapping[str, Any]] | None:
    """The published grids of a problem, one row per learning rate; None where there are none."""
    if problem not in published_problems():
        return None
    entry = testproblems()[problem]
    finals: dict[float, dict[str, Any]] = {}
    for optimizer in _PUBLISHED:
        for run in published_grid(problem, optimizer):
            row = finals.setdefault(run.learning_rate or 0.0, {"learning_rate": run.learning_rate})
            row[optimizer] = final_headline(run, entry)

    def text(row: Mapping[str, Any], value: float) -> str:
        return format_metric(value, entry.metric) if value == value else "diverged"

    columns: list[Column[Mapping[str, Any]]] = [
        Column(name, label, text=text, right=True) for name, label in _PUBLISHED.items()
    ]
    rate = "learning_rate"
    columns.insert(0, Column(rate, text=lambda row, value: f"{value:.3g}", right=True))
    return Table(
        name=f"grid_{problem}",
        title=f"{entry.label} ({problem}): published learning rates, test {entry.metric}, seed 42",
        columns=columns,
        rows=[finals[at] for at in sorted(finals)],
    )


def notes(tables: Sequence[Table[Known]]) -> list[str]:
    """What a reader must know about the tables, once for all."""
    found = [
        "Mean after the last epoch over the runs that finished, with its 95 % Student t interval. "
        "To target: median epoch at which the problem's target was first met."
    ]
    sources = {row.source for table in tables for row in table.rows}
    if "published" in sources:
        about = about_published()
        found.append(f"Published: {about['source']} ({about['licence']}); {about['framework']}; "
                     f"{about['selection']}.")  # fmt: skip
    if "measured" in sources:
        found.append("Measured: by this project, on PyTorch; --json has the rest.")
    return found


def _runs(problem: str) -> dict[str, list[RunResult]]:
    runs = {"published": published_runs(problem), "measured": measured_results(problem)}
    for of in stored_imports():
        folder = of.folder / problem
        if folder.is_dir():
            runs[of.name] = load_results(folder, light=True).results
    return runs


def _setting_text(known: Known, _: str) -> str:
    """The parameters without those that only repeat a default."""
    entry = optimizers().get(known.run.optimizer)
    params = known.run.setting_params()
    declared = {} if entry is None else entry.hyperparameters
    always = () if entry is None else (entry.main_hyperparameter, "momentum")
    telling = {
        name: value
        for name, value in params.items()
        if name in always or name not in declared or value != declared[name].default
    }
    return ", ".join(
        f"{name}={f'{value:.3g}' if isinstance(value, float) else format_value(value)}"
        for name, value in telling.items()
    )


def _median(known: Known) -> float | None:
    finals = known.standing.finals
    return statistics.median(finals.values()) if finals else None


def _target_text(known: Known, median: float | None) -> str:
    standing = known.standing
    if standing.n_reached is None:
        return MISSING
    shown = "never" if median is None else f"{median:g}"
    return f"{shown} ({standing.n_reached} of {standing.n_seeds})"


_COLUMNS: tuple[Column[Known], ...] = (
    Column("source"),
    Column("optimizer", value=lambda known: known.run.optimizer_name),
    Column("setting", value=lambda known: known.standing.setting, text=_setting_text),
    Column("seeds", value=lambda known: known.standing.n_seeds, right=True),
    Column("epochs", value=lambda known: known.run.num_epochs, right=True, keep=2),
    Column(
        "headline",
        lambda known: known.standing.metric.capitalize(),
        value=lambda known: known.standing.headline,
        text=lambda known, mean: format_interval(mean, known.standing.entry.metric == "accuracy"),
        direction=lambda known: known.standing.direction,
    ),
    Column(
        "median",
        value=_median,
        text=lambda known, value: (
            MISSING if value is None else format_metric(value, known.standing.entry.metric)
        ),
        right=True,
        keep=1,
    ),
    Column(
        "to_target",
        value=lambda known: median_epoch(known.standing.epochs_to_target),
        text=_target_text,
        right=True,
        keep=3,
    ),
    Column("note", shown=lambda known: bool(known.note)),
    Column("n_reached", value=lambda known: known.standing.n_reached, shown=never),
    Column("setting_source", value=lambda known: known.standing.setting_source, shown=never),
    Column("data_label", value=lambda known: known.run.data_label, shown=never),
    Column("framework", value=lambda known: known.run.framework, shown=never),
    Column("batch_size", value=lambda known: known.run.batch_size, shown=never),
    Column("weight_decay", value=lambda known: known.run.weight_decay, shown=never),
    Column(
        "device",
        value=lambda known: known.run.environment.get("device_name") or "",
        shown=never,
    ),
)
