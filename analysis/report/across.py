"""One table over several problems, ready for a paper."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from alig_deepobs.analysis.columns import SURVIVORS
from alig_deepobs.analysis.formats import MISSING, format_interval, number_form
from alig_deepobs.analysis.paired import WIN_LEVEL
from alig_deepobs.analysis.report.build import Report
from alig_deepobs.analysis.report.overall import Overall, make_overall
from alig_deepobs.analysis.report.sections import Section
from alig_deepobs.analysis.standings import Standing
from alig_deepobs.analysis.statistics import NO_INTERVAL, Interval
from alig_deepobs.analysis.table import Column, Table, never
from alig_deepobs.errors import UsageError, unknown_choice
from alig_deepobs.registry import optimizers

Columns = Literal["problems", "optimizers"]
Spread = Literal["interval", "deviation", "none"]
Bold = Literal["best", "tied", "none"]


@dataclass(frozen=True)
class Style:
    """How the table is written.

    Attributes:
        columns: what stands side by side, the other one below each other; None: the fewer.
        spread: what stands beside a mean: its 95 % interval, the standard deviation over seeds, or
            nothing.
        bold: which results are set off: the best of each problem, all that the seeds do not tell
            from it, or none.
        digits: decimals of accuracies in percent, and significant digits of losses; None: what
            the interval can carry.
        names: optimizer or problem (name, label or title) -> how to call it.
    """

    columns: Columns | None = None
    spread: Spread = "interval"
    bold: Bold = "tied"
    digits: int | None = None
    names: Mapping[str, str] | None = None


@dataclass(frozen=True)
class _Entry:
    """One result: its value, what is read, and whether it is set off."""

    value: Interval | float | None
    text: str
    deviation: float | None = None
    strong: bool = False


@dataclass(frozen=True)
class _Quantity:
    """What optimizers are compared by: a problem, or an aggregate over problems."""

    name: str
    title: str
    direction: int
    entries: Mapping[str, _Entry]


def across_table(
    report: Report,
    style: Style | None = None,
    only_optimizers: Sequence[str] = (),
    only_problems: Sequence[str] = (),
    aggregates: bool = False,
) -> Table[Any]:
    """The final results of every optimizer on every problem.

    Args:
        report: the results; of several settings of an optimizer the best one counts.
        style: how it is written.
        only_optimizers: labels or registry names, in the wanted order; all by default.
        only_problems: names or titles, in the wanted order; all by default.
        aggregates: also the mean rank and the score over these problems.

    Raises:
        UsageError: there is no such optimizer or problem, a name is given for nothing, or there
            are no aggregates.
    """
    style = style or Style()
    sections = _chosen_sections(report, only_problems)
    labels = _chosen_labels(sections, only_optimizers, report)
    quantities = [_problem(section, labels, style) for section in sections]
    if aggregates:
        overall = _overall(sections)
        quantities += _aggregates(overall, labels)
    names = _names(style.names or {}, sections, labels)
    side = style.columns or ("problems" if len(sections) < len(labels) else "optimizers")
    arrange = _by_optimizer if side == "problems" else _by_problem
    columns, rows = arrange(quantities, labels, names)
    notes = _notes(sections, style, quantities)
    if aggregates:
        among = ", ".join(names.get(name, name) for name in overall.optimizers)
        notes.insert(len(notes) - len(sections), f"Mean rank and score: among {among}.")
    return Table("across", _title(sections, style), columns, rows, notes)


def paper_name(label: str) -> str:
    """An optimizer's label as papers write it.

    Example:
        >>> paper_name("AliG"), paper_name("AliG (max_lr=0.1)"), paper_name("Mine")
        ('ALI-G', 'ALI-G (max_lr=0.1)', 'Mine')
    """
    name, bracket, variant = label.partition(" (")
    titles = {entry.label: entry.title for entry in optimizers().values() if entry.title}
    return titles.get(name, name) + bracket + variant


def _chosen_sections(report: Report, only: Sequence[str]) -> list[Section]:
    if not only:
        return list(report.sections)
    found = []
    for name in only:
        of = [s for s in report.sections if name.lower() in (s.entry.name.lower(), s.title.lower())]
        if not of:
            raise unknown_choice("problem", name, {s.entry.name: 0 for s in report.sections})
        found += of
    return list({section.slug: section for section in found}.values())


def _chosen_labels(sections: Sequence[Section], only: Sequence[str], report: Report) -> list[str]:
    """Labels of optimizers, those with most runs first."""
    rows = [row for section in sections for row in section.board.rows]
    there = {row.group.optimizer_name: row.group.optimizer for row in rows}
    if not only:
        return [label for label in report.optimizers if label in there]
    found = []
    for name in only:
        of = [k for k, v in there.items() if name.lower() in (k.lower(), v.lower())]
        if not of:
            raise unknown_choice("optimizer", name, sorted(there))
        found += of
    return list(dict.fromkeys(found))


def _names(
    given: Mapping[str, str], sections: Sequence[Section], labels: Sequence[str]
) -> dict[str, str]:
    """Label or slug -> how it is called."""
    names = {label: paper_name(label) for label in labels}
    known: dict[str, Iterable[str]] = {
        section.slug: (section.slug, section.entry.name, section.title) for section in sections
    }
    known |= {label: (label, paper_name(label), _registry_name(label)) for label in labels}
    for name, wanted in given.items():
        keys = [k for k, of in known.items() if name.lower() in map(str.lower, of)]
        if not keys:
            raise unknown_choice("name", name, [*labels, *(s.entry.name for s in sections)])
        names |= dict.fromkeys(keys, wanted)
    return names


def _registry_name(label: str) -> str:
    return next((name for name, entry in optimizers().items() if entry.label == label), label)


def _problem(section: Section, labels: Sequence[str], style: Style) -> _Quantity:
    rows: dict[str, Standing] = {}
    for row in section.board.rows:
        rows.setdefault(row.group.optimizer_name, row)
    unit = "%" if section.entry.metric == "accuracy" else "loss"
    return _Quantity(
        section.slug,
        f"{section.title} ({unit})",
        1 if section.entry.higher_is_better else -1,
        {label: _entry(rows[label], style) for label in labels if label in rows},
    )


def _entry(row: Standing, style: Style) -> _Entry:
    mean = row.headline
    if mean.n == 0:
        return _Entry(mean, " / ".join(row.unfinished))
    deviation = statistics.stdev(row.finals.values()) if mean.n > 1 else None
    mark = f" {SURVIVORS}" if row.n_unfinished else ""
    best = row.rank == 1 and not row.n_unfinished
    strong = {"best": best, "tied": best or row.tied, "none": False}[style.bold]
    text = _text(mean, deviation, row.entry.metric == "accuracy", style)
    return _Entry(mean, text + mark, deviation, strong)


def _text(mean: Interval, deviation: float | None, percent: bool, style: Style) -> str:
    scale = 100 if percent else 1
    size = scale * abs(mean.mean)
    if style.digits is not None and not percent and size:
        decimals = style.digits - 1 - math.floor(math.log10(size))
        form = f".{max(0, decimals)}f" if 1e-3 <= size < 1e5 else f".{max(0, style.digits - 1)}e"
    elif percent:
        form = f".{2 if style.digits is None else style.digits}f"
    else:
        form = number_form(mean)
    text = f"{scale * mean.mean:{form}}"
    if style.spread == "interval" and mean.known:
        return f"{text} [{scale * mean.low:{form}}, {scale * mean.high:{form}}]"
    if style.spread == "deviation" and deviation is not None:
        return f"{text} ± {scale * deviation:{form}}"
    return text


def _overall(sections: Sequence[Section]) -> Overall:
    overall = make_overall(sections)
    if overall is None or overall.ranking is None:
        raise UsageError("--aggregates needs two problems with the same two optimizers at least")
    return overall


def _aggregates(overall: Overall, labels: Sequence[str]) -> list[_Quantity]:
    ranks = overall.ranking.average_ranks if overall.ranking else {}
    places = {
        label: _Entry(ranks[label], f"{ranks[label]:.2f}") for label in labels if label in ranks
    }
    found = [_Quantity("mean_rank", "Mean rank", -1, places)]
    if overall.scores:
        scores = {
            label: _Entry(score, format_interval(score))
            for label, score in overall.scores.items()
            if label in labels
        }
        found.append(_Quantity("score", "Score (IQM)", 1, scores))
    return found


_NOTHING = _Entry(NO_INTERVAL, MISSING)


def _by_optimizer(
    quantities: Sequence[_Quantity], labels: Sequence[str], names: Mapping[str, str]
) -> tuple[list[Column[Any]], list[Any]]:
    columns: list[Column[Any]] = [Column("optimizer", value=lambda label: names[label])]
    for of in quantities:
        columns += _columns(
            of.name, _renamed(of, names), lambda label, of=of: of.entries.get(label, _NOTHING),
            of.direction,
        )  # fmt: skip
    return columns, list(labels)


def _by_problem(
    quantities: Sequence[_Quantity], labels: Sequence[str], names: Mapping[str, str]
) -> tuple[list[Column[Any]], list[Any]]:
    columns: list[Column[Any]] = [Column("problem", value=lambda of: _renamed(of, names))]
    for label in labels:
        columns += _columns(
            label, names[label], lambda of, label=label: of.entries.get(label, _NOTHING), 0
        )
    return columns, list(quantities)


def _renamed(of: _Quantity, names: Mapping[str, str]) -> str:
    unit = of.title[of.title.rindex(" (") :] if " (" in of.title else ""
    return f"{names[of.name]}{unit}" if of.name in names else of.title


def _columns(name: str, heading: str, entry: Any, direction: int) -> list[Column[Any]]:
    """The column of readers, and that of the deviations, which only programs read."""
    return [
        Column(
            name, heading, value=lambda row: entry(row).value, text=lambda row, _: entry(row).text,
            right=True, direction=direction, strong=lambda row: entry(row).strong,
        ),
        Column(f"{name}_deviation", value=lambda row: entry(row).deviation, shown=never),
    ]  # fmt: skip


def _title(sections: Sequence[Section], style: Style) -> str:
    metrics = sorted({section.entry.metric for section in sections})
    what = " or ".join(f"test {metric}" for metric in metrics)
    beside = {"interval": " [95 % interval]", "deviation": " ± standard deviation", "none": ""}
    return f"Final {what}, mean over seeds{beside[style.spread]}"


def _notes(sections: Sequence[Section], style: Style, quantities: Sequence[_Quantity]) -> list[str]:
    notes = []
    if style.bold == "best":
        notes.append("Bold: the best mean of each problem.")
    elif style.bold == "tied":
        notes.append(
            "Bold: the best of each problem, and what the seeds do not tell from it (paired t test "
            f"with Holm's correction over all pairs: p above {WIN_LEVEL:g})."
        )
    if any(SURVIVORS in entry.text for of in quantities for entry in of.entries.values()):
        notes.append(f"{SURVIVORS}: over the runs that finished; others did not.")
    if any(of.name == "score" for of in quantities):
        notes.append(
            "Score: interquartile mean over problems and seeds of a scale from 0 (untrained) to 1 "
            "(best optimizer here), with its 95 % bootstrap interval."
        )
    return [*notes, *(f"{section.board.heading}." for section in sections)]
