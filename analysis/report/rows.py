"""What the page shows of each row of a leaderboard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from alig_deepobs.analysis.leaderboard import Leaderboard, Row
from alig_deepobs.analysis.report.beside import BaselineRow, baseline_rows
from alig_deepobs.analysis.report.commands import reproduce_command
from alig_deepobs.analysis.report.sections import Section
from alig_deepobs.analysis.report.tables import seconds_text
from alig_deepobs.analysis.statistics import Interval
from alig_deepobs.analysis.tables import format_interval, format_spread
from alig_deepobs.analysis.targets import TimeToTarget, epochs_until, survival_curve


@dataclass(frozen=True)
class Cell:
    """Text, and the key to sort by (None: missing, always last)."""

    text: str
    sort: float | str | None = None


@dataclass(frozen=True)
class PageRow:
    """A row of the page's leaderboard.

    Attributes:
        rank: with ``=`` where it is tied; empty for a published baseline.
        label: the optimizer.
        origin: whose result it is; empty for own runs.
        verdict: what the paired test says, one phrase.
        tone: ``best``, ``tied``, ``behind``, ``failed`` or ``baseline``, for the colour.
        cells: key of the column -> cell.
        forest: interval in shares of the axis (low, mean, high), None where there is none.
        setting, source: hyper-parameters, and who chose them.
        command: repeats the runs; empty where it is not known.
        notes: what a reader must know.
        framework, outcomes: for the filters.
        look: label by which the charts know it.
    """

    rank: str
    label: str
    origin: str
    verdict: str
    tone: str
    cells: dict[str, Cell]
    forest: tuple[float, float, float] | None
    setting: str
    source: str
    command: str
    notes: tuple[str, ...]
    framework: str
    outcomes: tuple[str, ...] = ()
    look: str = ""

    @property
    def search(self) -> str:
        """What the text filter looks at."""
        words = (self.label, self.origin, self.verdict, self.setting, self.source, *self.notes)
        return " ".join((*words, self.framework, *self.outcomes)).lower()


def page_columns(section: Section) -> list[tuple[str, str]]:
    """Key and title of the columns that this problem has."""
    columns = [("headline", section.board.metric.capitalize()), ("seeds", "Seeds")]
    if section.entry.metric == "accuracy":
        columns.append(("test_loss", "Test loss"))
    columns.append(("train_loss", "Train loss"))
    if section.entry.target is not None:
        columns.append(("target", "Epochs to target"))
    columns.append(("time", "Time / epoch"))
    return columns


def page_rows(section: Section, baselines: Sequence[str]) -> list[PageRow]:
    """Own rows and, where they are wanted, the published ones, in the order of their results."""
    beside = baseline_rows(section, baselines)
    axis = _axis([*(row.headline for row in section.board.rows), *(row.headline for row in beside)])
    own = [_own(section, row, axis) for row in section.board.rows]
    theirs = [
        replace(_baseline(section, row), forest=_forest(row.headline, axis)) for row in beside
    ]
    # A published row stands where its mean would rank; own rows keep their order.
    merged: list[PageRow] = list(own)
    sign = -1.0 if section.entry.higher_is_better else 1.0
    for row in theirs:
        value = row.cells["headline"].sort
        place = next(
            (
                i
                for i, other in enumerate(merged)
                if (key := other.cells["headline"].sort) is None
                or sign * float(key) > sign * float(value or 0.0)
            ),
            len(merged),
        )
        merged.insert(place, row)
    return merged


def _own(section: Section, row: Row, axis: tuple[float, float] | None) -> PageRow:
    group = section.groups[row.label]
    percent = section.entry.metric == "accuracy"
    seconds = row.seconds_per_epoch
    verdict, tone = _verdict(section.board, row)
    outcomes = sorted({run.outcome.value for run in group.runs})
    cells = {
        "headline": Cell(format_interval(row.headline, percent), _key(row.headline.mean)),
        "seeds": Cell(_seeds_text(row), float(row.n_done)),
        "test_loss": Cell(format_spread(row.test_loss), _key(row.test_loss.mean)),
        "train_loss": Cell(format_spread(row.train_loss), _key(row.train_loss.mean)),
        "time": Cell(
            seconds_text(seconds.mean) if seconds.n else "not recorded", _key(seconds.mean)
        ),
    }
    if section.entry.target is not None:
        cells["target"] = _target([epochs_until(run, section.entry) for run in group.runs])
    flags = [flag.text for flag in section.flags if flag.label == row.label]
    return PageRow(
        rank=f"{row.rank}{'=' if row.tied else ''}",
        label=row.label,
        origin="",
        verdict=verdict,
        tone=tone,
        cells=cells,
        forest=_forest(row.headline, axis),
        setting=row.setting or "no hyper-parameters",
        source=row.setting_source or "source of the setting not recorded",
        command=reproduce_command(group),
        notes=(*([f"{row.note}."] if row.note else []), *flags),
        framework=group.runs[0].framework,
        outcomes=tuple(outcomes),
        look=row.label,
    )


def _baseline(section: Section, row: BaselineRow) -> PageRow:
    percent, n = section.entry.metric == "accuracy", len(row.group.runs)
    cells = {
        "headline": Cell(format_interval(row.headline, percent), _key(row.headline.mean)),
        "seeds": Cell(str(n), float(n)),
        **{
            f"{part}_loss": Cell(format_spread(loss), _key(loss.mean))
            for part, loss in row.losses.items()
        },
        "target": _target(row.times) if row.times else Cell("–"),
        "time": Cell(
            seconds_text(row.seconds.mean) if row.seconds.n else "not recorded",
            _key(row.seconds.mean),
        ),
    }
    word = "published" if row.kind == "deepobs" else "measured"
    return PageRow(
        rank="",
        label=row.label,
        origin=row.origin,
        verdict=word if row.comparable else f"{word}, other protocol",
        tone="baseline",
        cells=cells,
        forest=None,
        setting=row.group.setting or "no hyper-parameters",
        source=row.source,
        command=reproduce_command(row.group),
        notes=tuple(f"{caveat}." for caveat in row.caveats),
        framework=row.group.runs[0].framework,
        outcomes=("baseline",),
        look=row.curve_label,
    )


def _verdict(board: Leaderboard, row: Row) -> tuple[str, str]:
    """What may be said about a row, and how it is coloured."""
    if row.n_done == 0:
        return "no finished run", "failed"
    if row.n_diverged:
        return f"{row.n_diverged} of {row.n_seeds} diverged", "failed"
    if row.rank == 1:
        if len(board.rows) == 1:
            return "only one", "tied"
        return ("shares first place", "tied") if row.tied else ("ahead of all others", "best")
    p = row.p_adjusted
    chance = "" if math.isnan(p) else f", p = {p:.2g}" if p >= 0.001 else ", p < 0.001"
    if row.tied:
        few = row.difference.n < 2
        return ("too few seeds to tell" if few else f"tied{chance}"), "tied"
    if row.separated:
        scale, unit = (100, " points") if board.entry.metric == "accuracy" else (1, "")
        return f"{scale * row.difference.mean:+.3g}{unit}{chance}", "behind"
    return "not told apart", "tied"


def _seeds_text(row: Row) -> str:
    return str(row.n_done) if row.n_done == row.n_seeds else f"{row.n_done} of {row.n_seeds} done"


def _target(times: Sequence[TimeToTarget]) -> Cell:
    median = survival_curve(times).median
    reached = f"{sum(time.reached for time in times)} of {len(times)}"
    return Cell(f"{'–' if median is None else f'{median:g}'} ({reached})", median)


def _axis(intervals: Sequence[Interval]) -> tuple[float, float] | None:
    ends = [
        end
        for interval in intervals
        for end in (interval.low, interval.mean, interval.high)
        if math.isfinite(end)
    ]
    if len(ends) < 2 or min(ends) == max(ends):
        return None
    margin = 0.04 * (max(ends) - min(ends))
    return min(ends) - margin, max(ends) + margin


def _forest(
    interval: Interval, axis: tuple[float, float] | None
) -> tuple[float, float, float] | None:
    if axis is None or not math.isfinite(interval.mean):
        return None
    low, high = axis
    ends = (
        (interval.low, interval.mean, interval.high)
        if interval.known
        else (interval.mean, interval.mean, interval.mean)
    )
    a, b, c = ((end - low) / (high - low) for end in ends)
    return a, b, c


def _key(value: float) -> float | None:
    return value if math.isfinite(value) else None
