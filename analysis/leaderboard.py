"""The ranking of optimizers on one problem, as rows (`Standing`) and as a table (`COLUMNS`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from alig_deepobs.analysis.columns import COLUMNS, SURVIVORS
from alig_deepobs.analysis.flags import Flag, find_flags
from alig_deepobs.analysis.formats import seeds_text
from alig_deepobs.analysis.frames import loss_kind
from alig_deepobs.analysis.paired import WIN_LEVEL
from alig_deepobs.analysis.render import PARAGRAPH, to_text
from alig_deepobs.analysis.standings import Standing, rank_settings
from alig_deepobs.analysis.table import Table
from alig_deepobs.analysis.verdict import verdict
from alig_deepobs.registry import ProblemEntry
from alig_deepobs.run import RunResult
from alig_deepobs.words import counted

FEW_SEEDS = 5
"""Below so many a table warns."""


@dataclass(frozen=True, repr=False)
class Leaderboard:
    """The ranked rows and what they have in common; `print` shows the table.

    Attributes:
        entry: the problem.
        rows: best first; one at least.
    """

    entry: ProblemEntry
    rows: tuple[Standing, ...]

    def __repr__(self) -> str:
        return f"<Leaderboard, {self.heading}: {', '.join(row.label for row in self.rows)}>"

    def __str__(self) -> str:
        return to_text(self.table, PARAGRAPH)

    @property
    def runs(self) -> list[RunResult]:
        """The runs of all rows."""
        return [run for row in self.rows for run in row.group.runs]

    @property
    def metric(self) -> str:
        """The headline metric: ``test accuracy`` or ``test loss``."""
        return f"test {self.entry.metric}"

    @property
    def batch_sizes(self) -> list[int]:
        """Those that occur."""
        return sorted({run.batch_size for run in self.runs})

    @property
    def heading(self) -> str:
        """What all rows share: problem, data, epochs, batch size, seeds, device, split."""
        run, problem = self.runs[0], self.entry
        devices = sorted({str(run.environment.get("device") or "") for run in self.runs} - {""})
        parts = [
            run.data_label or "data not recorded",
            counted(run.num_epochs, "epoch"),
            f"batch size {' / '.join(map(str, self.batch_sizes))}",
            seeds_text(run.random_seed for run in self.runs),
            " / ".join(devices) or "device not recorded",
            f"{run.split} split",
            *([] if run.framework == "pytorch" else [f"in {run.framework}"]),
        ]
        return f"{problem.label} ({problem.name}): {', '.join(parts)}"

    @property
    def settings(self) -> list[str]:
        """The setting of every row and where it comes from, one sentence each."""
        return [
            f"{row.label}: {row.setting or 'no hyper-parameters'}"
            f" ({row.setting_source or 'source of the setting not given'})"
            for row in self.rows
        ]

    @cached_property
    def flags(self) -> list[Flag]:
        """What the means hide (`alig_deepobs.analysis.flags`)."""
        return find_flags(self.runs, self.entry)

    @property
    def verdict(self) -> list[str]:
        """What the runs say, what they exclude and what they leave open, one sentence each."""
        return verdict(self.rows)

    @property
    def warnings(self) -> list[str]:
        """What to do before believing the table; empty for nothing."""
        if max(row.n_seeds for row in self.rows) == 1:
            return [
                "One seed each: no intervals, and nothing is told apart. Add seeds, five or more."
            ]
        few = [row.label for row in self.rows if row.n_seeds < FEW_SEEDS]
        if not few:
            return []
        who = "" if len(few) == len(self.rows) else f" of {', '.join(few)}"
        return [
            f"Fewer than {FEW_SEEDS} seeds{who}: intervals are wide, and a failure that happens in "
            "one of five runs is missing from three every second time. Add seeds."
        ]

    @property
    def notes(self) -> list[str]:
        """What the marks mean and what a reader must know, one paragraph each."""
        rows = self.rows
        notes = [f"{row.label}: {row.note}." for row in rows if row.note]
        interval = "" if self.entry.metric == "loss" else ", taken to the logit scale"
        several = any(row.n_done > 1 for row in rows)
        brackets = (
            f" Brackets and ±: 95 % Student t interval of the mean{interval}, which assumes a "
            "roughly normal mean and is rough for few seeds."
        )
        notes.append(f"Ranked by the mean final {self.metric} over seeds.{brackets * several}")
        if any(row.tied for row in rows):
            of = "its pairs" if rows[0].label == rows[0].reference else "all pairs of rows"
            notes.append(
                "= : the seeds do not tell it from rank 1 (paired t test over common seeds, with "
                f"Holm's correction over {of}: p above {WIN_LEVEL:g})."
            )
        if any(row.n_unfinished for row in rows):
            notes.append(
                f"{SURVIVORS} : over the runs that finished. A row with a run without a result "
                "(diverged, failed, interrupted, ...) ranks below all rows without one."
            )
        if "as recorded" in map(loss_kind, self.runs):
            notes.append("Losses from files of DeepOBS include the L2 term where the run had one.")
        if any(run.environment.get("vectorized", 1) > 1 for run in self.runs):
            notes.append(
                "s / epoch: not of runs that were computed together (--executor); their share of "
                "the common time says nothing of an optimizer alone."
            )
        if self.entry.interpolates is False and not any(
            flag.kind == "non_interpolating" for flag in self.flags
        ):
            notes.append(
                "This problem does not interpolate: its smallest training loss is not 0, so the "
                "assumption behind ALI-G's step size does not hold here."
            )
        return notes

    @property
    def table(self) -> Table[Standing]:
        """The leaderboard as a table, for any renderer of `alig_deepobs.analysis.render`."""
        return Table(
            name=f"leaderboard_{self.entry.name}",
            title=self.heading,
            columns=COLUMNS,
            rows=self.rows,
            notes=[
                *self.verdict,
                *self.warnings,
                "",
                *self.settings,
                "",
                *self.notes,
                *(f"! {flag.text}." for flag in self.flags),
            ],
            strong=lambda row: row.rank == 1 or row.tied,
            common={"testproblem": self.entry.name, "metric": self.metric},
        )

    @property
    def frame(self) -> pd.DataFrame:
        """One row per optimizer, all `COLUMNS` in full precision; accuracies are fractions."""
        return self.table.frame


def leaderboard(
    results: Sequence[RunResult],
    entry: ProblemEntry,
    setting_sources: Mapping[str, str] | None = None,
    reference: str | None = None,
) -> Leaderboard:
    """Ranks optimizers by the mean of the final headline metric over their seeds.

    An optimizer with a run that diverged, failed or was interrupted ranks below all without one,
    however good its other runs are, because a mean over survivors is no result of the optimizer.
    Rows that the seeds do not tell from rank 1 by the rule of `alig_deepobs.analysis.paired` are
    marked as tied, not as beaten.

    Args:
        results: runs of one problem that can be compared (`group_runs`).
        entry: the problem.
        setting_sources: optimizer (its label or registry name) -> where its setting comes from;
            by default what the runs recorded.
        reference: optimizer (label or registry name; of several settings the best) with which
            every other is compared, beside rank 1; by default ALI-G, where it takes part.

    Raises:
        UsageError: there is no run, the runs cannot be compared, a finished run lacks the
            headline metric, or there is no such reference.
    """
    rows = rank_settings(results, entry, setting_sources or {}, reference)
    return Leaderboard(entry, tuple(rows))
