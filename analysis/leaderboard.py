"""The ranking of optimizers on one problem, as rows (`Standing`) and as a table (`COLUMNS`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from alig_deepobs.analysis.columns import COLUMNS, SURVIVORS
from alig_deepobs.analysis.formats import seeds_text
from alig_deepobs.analysis.frames import loss_kind
from alig_deepobs.analysis.paired import WIN_LEVEL
from alig_deepobs.analysis.standings import Standing, rank_settings
from alig_deepobs.analysis.table import Table
from alig_deepobs.registry import ProblemEntry
from alig_deepobs.run import RunResult


@dataclass(frozen=True)
class Leaderboard:
    """The ranked rows and what they have in common.

    Attributes:
        entry: the problem.
        rows: best first; one at least.
    """

    entry: ProblemEntry
    rows: tuple[Standing, ...]

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
            f"{run.num_epochs} epoch{'' if run.num_epochs == 1 else 's'}",
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

    @property
    def notes(self) -> list[str]:
        """What the marks mean and what a reader must know, one paragraph each."""
        rows = self.rows
        notes = [f"{row.label}: {row.note}." for row in rows if row.note]
        notes.append(
            f"Ranked by the mean final {self.metric} over seeds. Brackets and ±: 95 % Student t "
            "interval of the mean, which assumes a roughly normal mean and is rough for few seeds."
        )
        if any(row.tied for row in rows):
            notes.append(
                "= : the seeds do not tell it from rank 1 (paired t test over common seeds, with "
                f"Holm's correction over all pairs of rows: p above {WIN_LEVEL:g})."
            )
        if any(row.n_diverged for row in rows):
            notes.append(
                f"{SURVIVORS} : over the runs that did not diverge. A row with a diverged run "
                "ranks below all rows without one."
            )
        if "as recorded" in map(loss_kind, self.runs):
            notes.append("Losses from files of DeepOBS include the L2 term where the run had one.")
        if any("vectorized" in run.environment for run in self.runs):
            notes.append(
                "s / epoch: some runs were trained together (--executor); theirs is a share of the "
                "common time, which says nothing of the optimizer's speed alone."
            )
        if self.entry.interpolates is False:
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
            notes=[*self.settings, "", *self.notes],
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
) -> Leaderboard:
    """Ranks optimizers by the mean of the final headline metric over their seeds.

    An optimizer with a diverged run ranks below all without one, however good its other runs are,
    because a mean over survivors is no result of the optimizer. Rows that the seeds do not tell
    from rank 1 by the rule of `alig_deepobs.analysis.paired` are marked as tied, not as beaten.

    Args:
        results: runs of one problem that can be compared (`group_runs`).
        entry: the problem.
        setting_sources: optimizer (its label or registry name) -> where its setting comes from;
            by default what the runs recorded.

    Raises:
        UsageError: there is no run, the runs cannot be compared, or a finished run lacks the
            headline metric.
    """
    return Leaderboard(entry, tuple(rank_settings(results, entry, setting_sources or {})))
