"""Ranks the settings of a comparison, with what the seeds can and cannot tell apart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from alig_deepobs.analysis.frames import final_headline, headline_curve
from alig_deepobs.analysis.groups import Group, group_runs
from alig_deepobs.analysis.paired import PairedComparison, compare_all
from alig_deepobs.analysis.statistics import (
    NO_INTERVAL,
    Interval,
    epochs_to_target,
    mean_interval,
    paired_difference,
)
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import ProblemEntry
from alig_deepobs.run import Outcome, RunResult


@dataclass(frozen=True)
class Standing:
    """One optimizer at one setting, and its place.

    All intervals are 95 % Student t intervals over the finished runs (one per seed).

    Attributes:
        group: its runs.
        entry: the problem.
        setting_source: who chose the setting and how; empty if not given.
        epochs_to_target: of each run, None for "never"; empty without a target.
        rank: place, from 1.
        difference: headline minus that of rank 1, paired over the seeds that both finished. Its
            interval is of this pair alone.
        p_adjusted: that there is no such difference, by the paired t test with Holm's correction
            over all pairs of rows; NaN for rank 1 and where two common seeds are missing.
        separated: whether `p_adjusted` is at most `WIN_LEVEL`, the rule for calling a win.
        tied: whether the row shares the "=" mark with rank 1: no run diverged and the seeds do
            not tell it from rank 1. Rank 1 itself is tied if any other row is.
        note: what a reader must know about the row, empty if nothing.
    """

    group: Group
    entry: ProblemEntry
    setting_source: str
    epochs_to_target: tuple[int | None, ...]
    rank: int = 0
    difference: Interval = NO_INTERVAL
    p_adjusted: float = math.nan
    separated: bool = False
    tied: bool = False
    note: str = ""

    @property
    def label(self) -> str:
        """The optimizer, with its setting where it has several rows."""
        return self.group.label

    @property
    def setting(self) -> str:
        """What was set by hand, in one line."""
        return self.group.setting

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of all runs."""
        return tuple(run.random_seed for run in self.group.runs)

    @property
    def n_seeds(self) -> int:
        """Number of runs, one per seed."""
        return len(self.group.runs)

    @property
    def n_done(self) -> int:
        """Runs that finished."""
        return sum(run.outcome is Outcome.DONE for run in self.group.runs)

    @property
    def n_diverged(self) -> int:
        """Runs that diverged."""
        return sum(run.outcome is Outcome.DIVERGED for run in self.group.runs)

    @property
    def n_reached(self) -> int | None:
        """Runs that met the problem's target at some epoch; None without a target."""
        if self.entry.target is None:
            return None
        return sum(epoch is not None for epoch in self.epochs_to_target)

    @property
    def metric(self) -> str:
        """The headline metric: ``test accuracy`` or ``test loss``."""
        return f"test {self.entry.metric}"

    @property
    def direction(self) -> int:
        """1 if the higher values of the headline metric are better, else -1."""
        return 1 if self.entry.higher_is_better else -1

    @property
    def finals(self) -> dict[int, float]:
        """Seed -> headline metric after the last epoch, of the finished runs."""
        return {
            run.random_seed: final_headline(run, self.entry)
            for run in self.group.runs
            if run.outcome is Outcome.DONE
        }

    @property
    def headline(self) -> Interval:
        """Headline metric after the last epoch (accuracy as a fraction, or data loss)."""
        return mean_interval(list(self.finals.values()))

    def mean(self, of: Callable[[RunResult], float | None]) -> Interval:
        """Mean of a quantity over the finished runs in which it was recorded."""
        values = [of(run) for run in self.group.runs if run.outcome is Outcome.DONE]
        return mean_interval([value for value in values if value is not None and value == value])


def rank_settings(
    results: Sequence[RunResult], entry: ProblemEntry, setting_sources: Mapping[str, str]
) -> list[Standing]:
    """The rows of a leaderboard, best first; see `alig_deepobs.analysis.leaderboard`."""
    rows = [_standing(group, entry, setting_sources) for group in group_runs(results, entry)]
    rows.sort(key=_order)
    # Corrected for all pairs that could have come first.
    pairs = compare_all({str(i): row.finals for i, row in enumerate(rows)}, entry.higher_is_better)
    with_best = {int(pair.second): pair for pair in pairs if pair.first == "0"}
    ranked = [_ranked(row, rows[0], i + 1, with_best.get(i)) for i, row in enumerate(rows)]
    if any(row.tied for row in ranked):
        ranked[0] = replace(ranked[0], tied=True)
    return ranked


def _standing(group: Group, entry: ProblemEntry, sources: Mapping[str, str]) -> Standing:
    counts = Counter(run.outcome for run in group.runs)
    notes = (
        f"{counts[outcome]} of {len(group.runs)} {outcome.value}"
        for outcome in Outcome
        if outcome is not Outcome.DONE and counts[outcome]
    )
    target, higher = entry.target, entry.higher_is_better
    row = Standing(
        group=group,
        entry=entry,
        setting_source=sources.get(group.optimizer_name)
        or sources.get(group.optimizer)
        or group.runs[-1].setting_source,
        epochs_to_target=()
        if target is None
        else tuple(epochs_to_target(headline_curve(r, entry), target, higher) for r in group.runs),
        note="; ".join(notes),
    )
    for seed, value in row.finals.items():
        if math.isnan(value):
            raise UsageError(f"the run of {row.label} with seed {seed} has no {row.metric}")
    return row


def _order(row: Standing) -> tuple[bool, float, float, str, str]:
    mean = row.headline.mean
    value = math.inf if math.isnan(mean) else -row.direction * mean
    return (row.n_done == 0, row.n_diverged / row.n_seeds, value, row.label, row.setting)


def _ranked(
    row: Standing, best: Standing, rank: int, comparison: PairedComparison | None
) -> Standing:
    if comparison is None:
        return replace(row, rank=rank)
    difference = paired_difference(row.finals, best.finals)
    separated = comparison.winner is not None
    note = row.note
    if row.n_done and best.n_done and row.seeds != best.seeds:
        shared = f"{difference.n} seed{'' if difference.n == 1 else 's'} in common with rank 1"
        note = f"{note}; {shared}" if note else shared
    whole = row.n_done > 0 and row.n_diverged == 0 and best.n_diverged == 0
    return replace(
        row,
        rank=rank,
        difference=difference,
        p_adjusted=comparison.p_adjusted,
        separated=separated,
        tied=whole and not separated,
        note=note,
    )
