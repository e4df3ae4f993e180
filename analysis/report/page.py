"""The report as one HTML file that needs no network and no other file."""

from __future__ import annotations

import importlib.util
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alig_deepobs import __version__
from alig_deepobs.analysis.groups import Group
from alig_deepobs.analysis.leaderboard import Leaderboard, Row
from alig_deepobs.analysis.plots.style import Style
from alig_deepobs.analysis.plots.svg import inline_svg, swatch_svg
from alig_deepobs.analysis.report.baselines import find_baselines, published_groups
from alig_deepobs.analysis.report.build import Report
from alig_deepobs.analysis.report.charts import (
    Chart,
    chart_styles,
    overall_charts,
    section_charts,
)
from alig_deepobs.analysis.report.environment import common_environment, environment_table
from alig_deepobs.analysis.report.sections import Section
from alig_deepobs.analysis.report.sensitivity import sensitivity_table
from alig_deepobs.analysis.report.tables import (
    leaderboard_table,
    skipped_table,
    summary_table,
    target_table,
    without_flagged,
)
from alig_deepobs.analysis.statistics import Interval
from alig_deepobs.analysis.tables import footnotes, leaderboard_cells
from alig_deepobs.errors import UsageError
from alig_deepobs.files import write_text_atomically

if TYPE_CHECKING:
    from markupsafe import Markup

_MOST_OTHERS = 60
_MOST_OPEN_BASELINES = 4


def check_extra() -> None:
    """Refuses early where the page's library is missing.

    Raises:
        UsageError: it is; the message has the command that installs it.
    """
    if importlib.util.find_spec("jinja2") is None:
        raise UsageError("the page needs jinja2: pip install 'alig-deepobs[report]'")


def write_page(report: Report, path: str | Path) -> Path:
    """Writes the page, in one step.

    Returns:
        The path.

    Raises:
        UsageError: the extra ``report`` is not installed.
        ResultError: the file cannot be written.
    """
    check_extra()
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    path = Path(path)
    text = environment.get_template("page.html.j2").render(**_context(report))
    write_text_atomically(path, text)
    return path


@dataclass(frozen=True)
class PageRow:
    """A row of a leaderboard, with what only the page shows of it.

    Attributes:
        label: the optimizer.
        cells: of the table, the rank first and the label second.
        verdict: what the paired test says (of a baseline: whose it is), one phrase.
        tone: ``best``, ``tied``, ``behind``, ``failed`` or ``baseline``, for the colour.
        interval: in shares of the axis (low, mean, high), None where there is none.
        setting, source: hyper-parameters, and who chose them.
        command: repeats the runs; empty where it is not known.
        notes: what a reader must know.
        framework, outcomes: for the filters.
        swatch: how the charts show it, empty where they do not.
    """

    label: str
    cells: list[str]
    verdict: str
    tone: str
    interval: tuple[float, float, float] | None
    setting: str
    source: str
    command: str
    notes: tuple[str, ...]
    framework: str
    outcomes: tuple[str, ...]
    swatch: Markup | str

    @property
    def search(self) -> str:
        """What the text filter looks at."""
        words = (self.label, self.verdict, self.setting, self.source, *self.notes)
        return " ".join((*words, self.framework, *self.outcomes)).lower()


def page_rows(
    section: Section, wanted: Sequence[str], swatches: Mapping[str, Markup]
) -> tuple[list[PageRow], list[PageRow]]:
    """The rows of own runs, and those of the baselines that are wanted, best first.

    All intervals are on one axis.
    """
    board, baselines = section.board, find_baselines(section, wanted)
    axis = _axis([row.headline for row in board.rows] + [b.row.headline for b in baselines])
    own = []
    for row, cells in zip(board.rows, leaderboard_table(section).rows, strict=True):
        verdict, tone = _verdict(board, row)
        texts = (*(flag.text for flag in section.flags if flag.label == row.label), row.note)
        notes = tuple(f"{text[:1].upper()}{text[1:]}." for text in texts if text)
        outcomes = tuple(sorted({run.outcome.value for run in section.groups[row.label].runs}))
        own.append(
            _row(
                row,
                cells,
                section.groups[row.label],
                verdict,
                tone,
                axis,
                notes,
                outcomes,
                swatches,
            )
        )
    beside = []
    theirs = replace(board, rows=tuple(baseline.row for baseline in baselines))
    for baseline, cells in zip(baselines, leaderboard_cells(theirs)[2], strict=True):
        verdict = baseline.origin + ("" if baseline.comparable else ": other protocol")
        notes = tuple(f"{caveat}." for caveat in baseline.caveats)
        beside.append(
            _row(baseline.row, ["", *cells[1:]], baseline.group, verdict, "baseline", axis, notes,
                 ("baseline",), swatches)
        )  # fmt: skip
    return own, beside


def repeat_commands(group: Group) -> str:
    """The commands that repeat a setting, one for each unbroken stretch of seeds."""
    runs = group.runs
    starts = [
        i for i in range(len(runs)) if i == 0 or runs[i].random_seed != runs[i - 1].random_seed + 1
    ]
    stretches = zip(starts, [*starts[1:], len(runs)], strict=True)
    return "\n".join(runs[a].repeat_command(b - a) for a, b in stretches).strip()


def _row(
    row: Row, cells: Sequence[str], group: Group, verdict: str, tone: str,
    axis: tuple[float, float] | None, notes: tuple[str, ...], outcomes: tuple[str, ...],
    swatches: Mapping[str, Markup],
) -> PageRow:  # fmt: skip
    return PageRow(
        label=row.label,
        cells=list(cells),
        verdict=verdict,
        tone=tone,
        interval=_on_axis(row.headline, axis),
        setting=row.setting or "no hyper-parameters",
        source=row.setting_source or "source of the setting not recorded",
        command=repeat_commands(group),
        notes=notes,
        framework=group.runs[0].framework,
        outcomes=outcomes,
        swatch=swatches.get(f"{row.label} (DeepOBS)" if tone == "baseline" else row.label, ""),
    )


def _context(report: Report) -> dict[str, Any]:
    from markupsafe import Markup

    style = chart_styles(report)
    swatches = {label: Markup(swatch_svg(found)) for label, found in style.items()}
    several = report.several_problems
    return {
        "version": __version__,
        "created": time.strftime("%Y-%m-%d %H:%M"),
        "report": report,
        "facts": _facts(report),
        "swatches": swatches,
        "style": style,
        "summary": summary_table(several) if several else None,
        "overall_charts": [_drawn(c) for c in overall_charts(several, style)] if several else [],
        "sections": [_section(section, report, style, swatches) for section in report.sections],
        "sensitivity": sensitivity_table({s.title: s.grids for s in report.sections}),
        "environment": environment_table(report.runs),
        "common": common_environment(report.runs),
        "skipped": skipped_table(report.skipped),
        "frameworks": sorted({run.framework for run in report.runs}),
        "outcomes": sorted({run.outcome.value for run in report.runs}),
        "css": Markup(_template("page.css")),
        "js": Markup(_template("page.js")),
    }


def _section(
    section: Section,
    report: Report,
    style: Mapping[str, Style],
    swatches: Mapping[str, Markup],
) -> dict[str, Any]:
    own, beside = page_rows(section, report.baselines, swatches)
    published = published_groups(section, report.baselines)
    return {
        "slug": section.slug,
        "title": section.title,
        "name": section.entry.name,
        "heading": section.heading.partition(": ")[2],
        "description": section.entry.description,
        "columns": leaderboard_table(section).columns,
        "rows": own,
        "baselines": beside,
        "open": len(beside) <= _MOST_OPEN_BASELINES,
        "winner": _winner(section),
        "flags": [flag.text for flag in section.flags if not flag.label],
        "notes": without_flagged(section, footnotes(section.board)),
        "targets": target_table(section),
        "charts": [_drawn(chart) for chart in section_charts(section, style, published)],
        "labels": [*section.groups, *published],
        "others": section.others[:_MOST_OTHERS],
        "more_others": max(0, len(section.others) - _MOST_OTHERS),
    }


def _drawn(chart: Chart) -> dict[str, Any]:
    from markupsafe import Markup

    figure = chart.draw(False)
    svg = Markup(inline_svg(figure, chart.name))
    return {"chart": chart, "svg": svg, "width": round(110 * figure.get_figwidth())}


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


def _winner(section: Section) -> str:
    """Who is first, in one sentence that claims no more than the tests do."""
    rows = section.board.rows
    first = rows[0]
    if first.n_done == 0:
        return "No run finished."
    if len(rows) == 1:
        return f"Only {first.label} was run."
    if first.n_diverged:
        return f"Every optimizer has a run that diverged; {first.label} has the fewest."
    tied = [row.label for row in rows if row.tied and row is not first]
    if tied:
        return f"{first.label} has the best mean; not told apart from it: {', '.join(tied)}."
    if all(row.separated or row.n_diverged or not row.n_done for row in rows[1:]):
        return f"{first.label} is ahead of all others."
    return f"{first.label} has the best mean."


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


def _facts(report: Report) -> list[tuple[str, str]]:
    runs = report.runs
    outcomes = Counter(run.outcome.value for run in runs)
    facts = [
        ("Runs", f"{len(runs):,}"),
        ("Problems", str(len({section.entry.name for section in report.sections}))),
        ("Optimizers", str(len(report.optimizers))),
        ("Seeds", str(len({run.random_seed for run in runs}))),
    ]
    if set(outcomes) - {"done"}:
        unfinished = ", ".join(f"{n} {name}" for name, n in outcomes.items() if name != "done")
        facts.append(("Not finished", unfinished))
    if report.tuning:
        facts.append(("Tuning runs", f"{len(report.tuning):,}"))
    return [
        *facts,
        ("Data", _listed({run.data_label for run in runs})),
        ("Devices", _listed({str(run.environment.get("device_name", "")) for run in runs})),
        ("Frameworks", _listed({_framework(run.framework, run.environment) for run in runs})),
    ]


def _framework(name: str, environment: dict[str, Any]) -> str:
    package = {"pytorch": "torch", "tensorflow": "tensorflow"}.get(name, name)
    version = environment.get(package)
    return f"{package} {version}" if version else name


def _listed(values: Iterable[str], most: int = 4) -> str:
    known = sorted(value for value in values if value)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more or "not recorded"


def _template(name: str) -> str:
    folder = resources.files("alig_deepobs.analysis.report").joinpath("templates")
    return folder.joinpath(name).read_text(encoding="utf-8")
