"""The ranking of optimizers on one problem, with what the seeds can and cannot tell apart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import pandas as pd

from alig_deepobs.analysis.frames import (
    device_text,
    final_value,
    headline_curve,
    loss_curve,
    loss_kind,
    training_seconds_per_epoch,
)
from alig_deepobs.analysis.groups import Group, group_runs
from alig_deepobs.analysis.paired import Comparison, compare_all
from alig_deepobs.analysis.statistics import (
    Interval,
    epochs_to_target,
    mean_interval,
    median_epoch,
    paired_difference,
)
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import ProblemEntry
from alig_deepobs.run import Outcome, RunResult


@dataclass(frozen=True)
class Row:
    """One optimizer at one setting.

    All intervals are 95 % Student t intervals over the finished runs (one per seed).

    Attributes:
        rank: place, from 1.
        label: the optimizer, with its setting where it has several rows.
        setting: all hyper-parameters in one line.
        setting_source: who chose the setting and how; empty if not given.
        seeds: of all runs.
        n_done, n_diverged: runs that finished, runs that diverged.
        headline: headline metric after the last epoch (accuracy as a fraction, or data loss).
        best_headline: the same at its best epoch; for information, never used for ranking.
        at_best_valid: the same after the epoch with the best validation result, as the ALI-G paper
            reports it; not used for ranking, and empty without a validation set.
        test_loss, train_loss: data term of the loss after the last epoch.
        n_reached: runs that met the problem's target at some epoch; None without a target.
        median_epochs: median epoch at which they did, where "never" is later than all; None if
            the median run never did.
        seconds_per_epoch: training time, without evaluation.
        difference: headline minus that of rank 1, paired over the seeds that both finished. Its
            interval is of this pair alone.
        p_adjusted: that there is no such difference, by the paired t test with Holm's correction
            over all pairs of rows; NaN for rank 1 and where two common seeds are missing.
        separated: whether `p_adjusted` is at most `WIN_LEVEL`, the rule for calling a win.
        tied: whether the row shares the "=" mark with rank 1: no run diverged and the seeds do
            not tell it from rank 1. Rank 1 itself is tied if any other row is.
        note: what a reader must know about the row, empty if nothing.
    """

    rank: int
    label: str
    setting: str
    setting_source: str
    seeds: tuple[int, ...]
    n_done: int
    n_diverged: int
    headline: Interval
    best_headline: Interval
    at_best_valid: Interval
    test_loss: Interval
    train_loss: Interval
    n_reached: int | None
    median_epochs: float | None
    seconds_per_epoch: Interval
    difference: Interval
    p_adjusted: float
    separated: bool
    tied: bool
    note: str

    @property
    def n_seeds(self) -> int:
        """Number of runs, one per seed."""
        return len(self.seeds)


@dataclass(frozen=True)
class Leaderboard:
    """The ranked rows and what they have in common.

    Attributes:
        entry: the problem.
        rows: best first.
        data_label: what the data really was, empty if it was not recorded.
        split: ``full`` or ``validation``.
        num_epochs: of all runs.
        batch_sizes, seeds, devices: those that occur.
        loss_kinds: ``data term``, or ``as recorded`` for files of DeepOBS.
        framework: ``pytorch`` or ``tensorflow``.
    """

    entry: ProblemEntry
    rows: tuple[Row, ...]
    data_label: str
    split: str
    num_epochs: int
    batch_sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    devices: tuple[str, ...]
    loss_kinds: tuple[str, ...]
    framework: str = "pytorch"

    def to_frame(self) -> pd.DataFrame:
        """One row per optimizer; an interval is spread over ``_mean``, ``_low``, ``_high``, ``_n``.

        Accuracies are fractions, times seconds; the metric is in column ``metric``.
        """
        records = []
        for row in self.rows:
            record: dict[str, object] = {"testproblem": self.entry.name, "metric": self.metric}
            for key, value in asdict(row).items():
                if isinstance(value, dict):
                    record.update({f"{key}_{end}": number for end, number in value.items()})
                elif key == "seeds":
                    record["n_seeds"] = row.n_seeds
                    record["seeds"] = " ".join(map(str, row.seeds))
                else:
                    record[key] = value
            records.append(record)
        return pd.DataFrame(records)

    @property
    def metric(self) -> str:
        """The headline metric: ``test accuracy`` or ``test loss``."""
        return f"test {self.entry.metric}"


@dataclass(frozen=True)
class _Candidate:
    row: Row
    headlines: Mapping[int, float]


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
        results: runs of one problem, on the same data and split, for the same number of epochs.
            Where a seed of a setting was run twice, the run given last counts.
        entry: the problem.
        setting_sources: optimizer (its label or registry name) -> where its setting comes from;
            by default what the runs recorded.

    Raises:
        UsageError: there is no run, the runs cannot be compared, or a finished run lacks the
            headline metric.
    """
    groups = group_runs(results, entry)
    sources = setting_sources or {}
    candidates = [_candidate(group, entry, sources) for group in groups]
    candidates.sort(key=lambda candidate: _order(candidate.row, entry))
    comparisons = _with_best(candidates, entry)
    rows = [
        _against_best(candidate, candidates[0], rank, comparisons.get(rank))
        for rank, candidate in enumerate(candidates, 1)
    ]
    if any(row.tied for row in rows):
        rows[0] = replace(rows[0], tied=True)
    runs = [run for group in groups for run in group.runs]
    return Leaderboard(
        entry=entry,
        rows=tuple(rows),
        data_label=runs[0].data_label,
        split=runs[0].split,
        num_epochs=runs[0].num_epochs,
        batch_sizes=tuple(sorted({run.batch_size for run in runs})),
        seeds=tuple(sorted({run.random_seed for run in runs})),
        devices=tuple(sorted({device_text(run) for run in runs} - {""})),
        framework=runs[0].framework,
        loss_kinds=tuple(sorted({loss_kind(run) for run in runs})),
    )


def _candidate(group: Group, entry: ProblemEntry, sources: Mapping[str, str]) -> _Candidate:
    done = [run for run in group.runs if run.outcome is Outcome.DONE]
    curves = [headline_curve(run, entry) for run in group.runs]
    best = max if entry.higher_is_better else min
    headlines = {}
    for run in done:
        headlines[run.random_seed] = final_value(run, headline_curve(run, entry))
        if math.isnan(headlines[run.random_seed]):
            raise UsageError(
                f"the run of {group.label} with seed {run.random_seed} has no test {entry.metric}"
            )
    times = [training_seconds_per_epoch(run) for run in done]
    epochs = (
        [epochs_to_target(curve, entry.target, entry.higher_is_better) for curve in curves]
        if entry.target is not None
        else []
    )
    row = Row(
        rank=0,
        label=group.label,
        setting=group.setting,
        setting_source=sources.get(group.optimizer_name)
        or sources.get(group.optimizer)
        or group.runs[-1].setting_source,
        seeds=tuple(run.random_seed for run in group.runs),
        n_done=len(done),
        n_diverged=sum(run.outcome is Outcome.DIVERGED for run in group.runs),
        headline=mean_interval(list(headlines.values())),
        best_headline=mean_interval([best(headline_curve(run, entry)) for run in done]),
        at_best_valid=_recorded([_at_best_valid(run, entry) for run in done]),
        test_loss=_recorded([final_value(run, loss_curve(run, "test")) for run in done]),
        train_loss=_recorded([final_value(run, loss_curve(run, "train")) for run in done]),
        n_reached=sum(epoch is not None for epoch in epochs) if entry.target is not None else None,
        median_epochs=median_epoch(epochs),
        seconds_per_epoch=_recorded(times),
        difference=mean_interval([]),
        p_adjusted=math.nan,
        separated=False,
        tied=False,
        note=_note(group),
    )
    return _Candidate(row, headlines)


def _at_best_valid(run: RunResult, entry: ProblemEntry) -> float:
    value: float | None = getattr(run, f"best_valid_test_{entry.metric}")
    return math.nan if value is None else value


def _recorded(values: Sequence[float]) -> Interval:
    """The interval of the values that were recorded (old files lack some)."""
    return mean_interval([value for value in values if not math.isnan(value)])


def _note(group: Group) -> str:
    total = len(group.runs)
    counts = Counter(run.outcome for run in group.runs)
    notes = [
        f"{counts[outcome]} of {total} {outcome.value}"
        for outcome in (Outcome.DIVERGED, Outcome.INTERRUPTED, Outcome.FAILED)
        if counts[outcome]
    ]
    if group.repeated:
        repeated = ", ".join(map(str, group.repeated))
        notes.append(f"more than one run of seed {repeated}: the last one counts")
    return "; ".join(notes)


def _order(row: Row, entry: ProblemEntry) -> tuple[bool, float, float, str, str]:
    mean = row.headline.mean
    value = math.inf if math.isnan(mean) else -mean if entry.higher_is_better else mean
    return (row.n_done == 0, row.n_diverged / row.n_seeds, value, row.label, row.setting)


def _with_best(candidates: list[_Candidate], entry: ProblemEntry) -> dict[int, Comparison]:
    """Rank -> its comparison with rank 1, corrected for all pairs that could have come first."""
    headlines = {str(rank): found.headlines for rank, found in enumerate(candidates, 1)}
    found = compare_all(headlines, entry.higher_is_better)
    return {int(pair.second): pair for pair in found if pair.first == "1"}


def _against_best(
    candidate: _Candidate, best: _Candidate, rank: int, comparison: Comparison | None
) -> Row:
    row = replace(candidate.row, rank=rank)
    if comparison is None:
        return row
    difference = paired_difference(candidate.headlines, best.headlines)
    separated = comparison.winner is not None
    note = row.note
    if row.n_done and best.row.n_done and row.seeds != best.row.seeds:
        shared = f"{difference.n} seed{'' if difference.n == 1 else 's'} in common with rank 1"
        note = f"{note}; {shared}" if note else shared
    whole = row.n_done > 0 and row.n_diverged == 0 and best.row.n_diverged == 0
    return replace(
        row,
        difference=difference,
        p_adjusted=comparison.p_adjusted,
        separated=separated,
        tied=whole and not separated,
        note=note,
    )
