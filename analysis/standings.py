"""Ranks the settings of a comparison, with what the seeds can and cannot tell apart."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from alig_deepobs.analysis.frames import final_headline, headline_curve
from alig_deepobs.analysis.groups import Group, group_runs
from alig_deepobs.analysis.paired import PairedComparison, compare_pairs
from alig_deepobs.analysis.statistics import (
    NO_INTERVAL,
    Interval,
    epochs_to_target,
    mean_interval,
    share_interval,
)
from alig_deepobs.errors import UsageError, unknown_choice
from alig_deepobs.registry import ProblemEntry
from alig_deepobs.run import Outcome, RunResult
from alig_deepobs.words import counted

UNFINISHED = tuple(outcome for outcome in Outcome if outcome is not Outcome.DONE)
"""How a run may end without a result; all of them count alike."""


@dataclass(frozen=True)
class Standing:
    """One optimizer at one setting, and its place.

    All intervals are 95 % Student t intervals over the finished runs (one per seed), those of
    accuracies on the logit scale (`share_interval`).

    Attributes:
        group: its runs.
        entry: the problem.
        setting_source: who chose the setting and how; empty if not given.
        epochs_to_target: of each run, None for "never"; empty without a target.
        rank: place, from 1.
        to_best: this row against rank 1, corrected over all pairs of rows (or as in
            `to_reference`, if the reference is rank 1); None for rank 1, and where one of the two
            has a run without a result.
        reference: label of the row that all are compared with; empty for none.
        to_reference: this row against the reference, corrected over the rows that are compared
            with it; None for the reference itself, and as in `to_best`.
        tied: whether the row shares the "=" mark with rank 1: all its runs finished and the seeds
            do not tell it from rank 1. Rank 1 itself is tied if any other row is.
        note: what a reader must know about the row, empty if nothing.
    """

    group: Group
    entry: ProblemEntry
    setting_source: str
    epochs_to_target: tuple[int | None, ...]
    rank: int = 0
    to_best: PairedComparison | None = None
    reference: str = ""
    to_reference: PairedComparison | None = None
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
    def unfinished(self) -> dict[str, int]:
        """How runs ended that have no result (``diverged``, ``failed``, ...) -> how many."""
        counts = Counter(run.outcome for run in self.group.runs)
        return {outcome.value: counts[outcome] for outcome in UNFINISHED if counts[outcome]}

    @property
    def n_unfinished(self) -> int:
        """Runs without a result."""
        return sum(self.unfinished.values())

    @property
    def n_done(self) -> int:
        """Runs that finished."""
        return self.n_seeds - self.n_unfinished

    @property
    def unfinished_text(self) -> str:
        """The runs without a result in words, ``2 of 5 diverged, 1 failed``; empty for none."""
        words = [f"{n} {name}" for name, n in self.unfinished.items()]
        return ", ".join(words).replace(" ", f" of {self.n_seeds} ", 1)

    @property
    def difference(self) -> Interval:
        """Headline minus that of rank 1, paired; `NO_INTERVAL` where there is no comparison."""
        return NO_INTERVAL if self.to_best is None else self.to_best.difference

    @property
    def p_adjusted(self) -> float:
        """Of `to_best`; NaN where there is none."""
        return math.nan if self.to_best is None else self.to_best.p_adjusted

    @property
    def separated(self) -> bool:
        """Whether the seeds tell the row from rank 1."""
        return self.to_best is not None and self.to_best.separated

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
        return self._of_metric(list(self.finals.values()))

    @property
    def median(self) -> float | None:
        """Median of the headline over all runs, one without a result worse than every other.

        None where the median run has no result.
        """
        worst = [-self.direction * math.inf] * self.n_unfinished
        median = statistics.median([*self.finals.values(), *worst])
        return median if math.isfinite(median) else None

    def mean(self, of: Callable[[RunResult], float | None], metric: bool = False) -> Interval:
        """Mean of a quantity over the finished runs in which it was recorded.

        Args:
            of: run -> quantity.
            metric: whether it is a value of the headline metric.
        """
        found = [of(run) for run in self.group.runs if run.outcome is Outcome.DONE]
        values = [value for value in found if value is not None and value == value]
        return self._of_metric(values) if metric else mean_interval(values)

    def _of_metric(self, values: Sequence[float]) -> Interval:
        interval = share_interval if self.entry.metric == "accuracy" else mean_interval
        return interval(values)


def rank_settings(
    results: Sequence[RunResult],
    entry: ProblemEntry,
    setting_sources: Mapping[str, str],
    reference: str | None = None,
) -> list[Standing]:
    """The rows of a leaderboard, best first; see `alig_deepobs.analysis.leaderboard`."""
    rows = [_standing(group, entry, setting_sources) for group in group_runs(results, entry)]
    rows.sort(key=_order)
    asked = _reference(rows, reference)
    # A mean over survivors is no result, so only rows without a failure are compared.
    whole = {row.label: row.finals for row in rows if not row.n_unfinished}
    labels = list(whole)
    pairs = [(second, first) for i, first in enumerate(labels) for second in labels[i + 1 :]]
    # Corrected for all pairs that could have come first.
    found = compare_pairs(whole, pairs, entry.higher_is_better)
    with_best = {pair.first: pair for pair in found if pair.second == rows[0].label}
    pairs = [(label, asked) for label in labels if label != asked and asked in whole]
    with_reference = {
        pair.first: pair for pair in compare_pairs(whole, pairs, entry.higher_is_better)
    }
    if asked == rows[0].label:  # chosen before the results were known: there are fewer tests
        with_best = with_reference
    ranked = []
    for rank, row in enumerate(rows, 1):
        to_best = with_best.get(row.label)
        ranked.append(
            replace(
                row,
                rank=rank,
                to_best=to_best,
                reference=asked,
                to_reference=with_reference.get(row.label),
                tied=to_best is not None and not to_best.separated,
                note="; ".join(filter(None, (row.note, _common_seeds(row, rows[0])))),
            )
        )
    if any(row.tied for row in ranked):
        ranked[0] = replace(ranked[0], tied=True)
    return ranked


def _standing(group: Group, entry: ProblemEntry, sources: Mapping[str, str]) -> Standing:
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
    )
    for seed, value in row.finals.items():
        if math.isnan(value):
            raise UsageError(f"the run of {row.label} with seed {seed} has no {row.metric}")
    return replace(row, note=row.unfinished_text)


def _order(row: Standing) -> tuple[bool, float, float, str, str]:
    mean = row.headline.mean
    value = math.inf if math.isnan(mean) else -row.direction * mean
    return (row.n_done == 0, row.n_unfinished / row.n_seeds, value, row.label, row.setting)


def _reference(rows: Sequence[Standing], name: str | None) -> str:
    """Label of the best row of that name; of ALI-G's, where none is asked for.

    Empty where ALI-G takes no part, or is rank 1, with which all are compared anyway.
    """
    if name is None:
        found = next((row.label for row in rows if row.group.optimizer_name == "AliG"), "")
        return "" if found == rows[0].label else found
    for row in rows:
        names = (row.label, row.group.optimizer_name, row.group.optimizer)
        if name.lower() in map(str.lower, filter(None, names)):
            return row.label
    raise unknown_choice("reference", name, [row.label for row in rows])


def _common_seeds(row: Standing, best: Standing) -> str:
    if not (row.n_done and best.n_done) or row.seeds == best.seeds:
        return ""
    common = row.finals.keys() & best.finals.keys()
    return f"{counted(len(common), 'seed')} in common with rank 1"
