"""The rows of a leaderboard on the page, and what may be said about them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from alig_deepobs.analysis.columns import COLUMNS
from alig_deepobs.analysis.leaderboard import Leaderboard
from alig_deepobs.analysis.report.baselines import Baseline, find_baselines
from alig_deepobs.analysis.report.sections import Section
from alig_deepobs.analysis.standings import Standing
from alig_deepobs.analysis.statistics import Interval
from alig_deepobs.analysis.table import Cell, Heading, Table

_GROUPS = {"deepobs": "Published by DeepOBS", "measured": "Measured by alig-deepobs"}


@dataclass(frozen=True)
class PageRow:
    """A row of a leaderboard, with what only the page shows of it.

    Attributes:
        row: of the leaderboard.
        cells: of the table, the rank first, the label second and the headline third.
        verdict: what the paired test says (of a baseline: whose it is), one phrase.
        tone: ``best``, ``tied``, ``behind``, ``failed`` or ``baseline``, for the colour.
        interval: of the headline in percent of an axis (low, mean, high), None where there is none.
        notes: what a reader must know, one sentence each.
        outcomes: for the filters.
        line: label of its lines in the charts, if there are any.
    """

    row: Standing
    cells: Sequence[Cell]
    verdict: str
    tone: str
    interval: tuple[float, float, float] | None
    notes: Sequence[str]
    outcomes: Sequence[str]
    line: str

    @property
    def search(self) -> str:
        """What the text filter looks at."""
        words = (self.row.label, self.verdict, self.row.setting, self.row.setting_source,
                 self.row.group.runs[0].framework, *self.notes, *self.outcomes)  # fmt: skip
        return " ".join(words).lower()

    @property
    def command(self) -> str:
        """Repeats the runs, one line for each unbroken stretch of seeds; empty if not known."""
        runs = self.row.group.runs
        starts = [
            i
            for i in range(len(runs))
            if i == 0 or runs[i].random_seed != runs[i - 1].random_seed + 1
        ]
        stretches = zip(starts, [*starts[1:], len(runs)], strict=True)
        return "\n".join(runs[a].repeat_command(b - a) for a, b in stretches).strip()


class PageTable(NamedTuple):
    """What stands above the columns, the rows, and a title."""

    headings: list[Heading]
    rows: list[PageRow]
    title: str


def page_tables(section: Section, wanted: Sequence[str]) -> tuple[PageTable, list[PageTable]]:
    """The leaderboard of own runs, and those of the baselines that are wanted, best first.

    Baselines are grouped by who measured them. All intervals are on one axis.
    """
    board, baselines = section.board, find_baselines(section, wanted)
    rows = tuple(baseline.row for baseline in baselines)
    axis = _axis([row.headline for row in (*board.rows, *rows)])
    own = PageTable(board.table.headings, [], f"Leaderboard of {section.title}")
    for row, cells in zip(board.rows, board.table.cells, strict=True):
        texts = (*(flag.text for flag in board.flags if flag.label == row.label), row.note)
        notes = [f"{text[:1].upper()}{text[1:]}." for text in texts if text]
        outcomes = sorted({run.outcome.value for run in row.group.runs})
        interval = _on_axis(row.headline, axis)
        verdict = _verdict(board, row)
        own.rows.append(PageRow(row, cells, *verdict, interval, notes, outcomes, row.label))
    groups = {kind: [of for of in baselines if of.kind == kind] for kind in _GROUPS}
    return own, [_baselines(kind, of, axis) for kind, of in groups.items() if of]


def _baselines(
    kind: str, baselines: Sequence[Baseline], axis: tuple[float, float] | None
) -> PageTable:
    table = Table("baselines", "", COLUMNS, [baseline.row for baseline in baselines])
    rows = [
        PageRow(
            baseline.row,
            [Cell("", None), *cells[1:]],
            baseline.origin + ("" if baseline.comparable else ": other protocol"),
            "baseline",
            _on_axis(baseline.row.headline, axis),
            [f"{caveat}." for caveat in baseline.caveats],
            ["baseline"],
            f"{baseline.row.label} (DeepOBS)" if kind == "deepobs" else "",
        )
        for baseline, cells in zip(baselines, table.cells, strict=True)
    ]
    return PageTable(table.headings, rows, _GROUPS[kind])


def _verdict(board: Leaderboard, row: Standing) -> tuple[str, str]:
    """What may be said about a row, and how it is coloured."""
    if row.n_done == 0:
        return "no finished run", "failed"
    if row.n_unfinished:
        return row.unfinished_text, "failed"
    if row.rank == 1:
        if len(board.rows) == 1:
            return "only one", "tied"
        return ("shares first place", "tied") if row.tied else ("ahead of all others", "best")
    pair = row.to_best
    if pair is None or not pair.difference.known:
        return "too few seeds to tell", "tied"
    p = pair.p_adjusted
    chance = f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"
    return (f"worse, {chance}", "behind") if pair.separated else (f"tied, {chance}", "tied")


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


def _on_axis(
    interval: Interval, axis: tuple[float, float] | None
) -> tuple[float, float, float] | None:
    """Low end, mean and high end of an interval in percent of an axis."""
    if axis is None or not math.isfinite(interval.mean):
        return None
    mean = interval.mean
    ends = (interval.low, mean, interval.high) if interval.known else (mean, mean, mean)
    low, mean, high = (round(100 * (end - axis[0]) / (axis[1] - axis[0]), 1) for end in ends)
    return low, mean, high
