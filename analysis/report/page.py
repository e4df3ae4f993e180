"""The report as one HTML file that needs no network and no other file."""

from __future__ import annotations

import importlib.util
import math
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alig_deepobs import __version__
from alig_deepobs.analysis.plots.style import Style
from alig_deepobs.analysis.plots.svg import inline_svg, swatch_svg
from alig_deepobs.analysis.report.baselines import published_groups
from alig_deepobs.analysis.report.build import Report, listed
from alig_deepobs.analysis.report.charts import (
    Chart,
    chart_styles,
    overall_charts,
    section_charts,
)
from alig_deepobs.analysis.report.environment import common_environment, environment_table
from alig_deepobs.analysis.report.rows import page_tables
from alig_deepobs.analysis.report.sections import Section
from alig_deepobs.analysis.report.sensitivity import sensitivity_table
from alig_deepobs.analysis.report.tables import (
    seconds_text,
    skipped_table,
    summary_table,
    target_table,
)
from alig_deepobs.errors import UsageError
from alig_deepobs.files import write_text_atomically
from alig_deepobs.foreign import shown

if TYPE_CHECKING:
    from markupsafe import Markup

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
    environment.filters["broken"] = _broken
    path = Path(path)
    text = environment.get_template("page.html.j2").render(**_context(report))
    # What is no markup of ours is escaped above; what acts unseen, charts included, is shown here.
    write_text_atomically(path, shown(text, lines=True))
    return path


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
        "sections": [_section(section, report, style) for section in report.sections],
        "sensitivity": sensitivity_table({s.title: s.grids for s in report.sections}),
        "environment": environment_table(report.runs),
        "common": common_environment(report.runs),
        "skipped": skipped_table(report.skipped),
        "frameworks": sorted({run.framework for run in report.runs}),
        "outcomes": sorted({run.outcome.value for run in report.runs}),
        "css": Markup(_template("page.css")),
        "js": Markup(_template("page.js")),
    }


def _section(section: Section, report: Report, style: Mapping[str, Style]) -> dict[str, Any]:
    own, beside = page_tables(section, report.baselines)
    published = published_groups(section, report.baselines)
    return {
        "slug": section.slug,
        "title": section.title,
        "name": section.entry.name,
        "heading": section.board.heading.partition(": ")[2],
        "description": section.entry.description,
        "own": own,
        "baselines": beside,
        "count": (count := sum(len(table.rows) for table in beside)),
        "open": count <= _MOST_OPEN_BASELINES,
        "verdict": section.board.verdict,
        "warnings": section.board.warnings,
        "flags": [flag.text for flag in section.board.flags if not flag.label],
        "notes": [*section.board.notes, *section.board.table.column_notes],
        "targets": target_table(section),
        "charts": [_drawn(chart) for chart in section_charts(section, style, published)],
        "labels": [*section.groups, *published],
        "others": section.others,
    }


def _drawn(chart: Chart) -> dict[str, Any]:
    from markupsafe import Markup

    figure = chart.draw(False)
    svg = Markup(inline_svg(figure, chart.name))
    return {"chart": chart, "svg": svg, "width": round(110 * figure.get_figwidth())}


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
    for name, of in (("Time of these runs", runs), ("Time of tuning", report.tuning)):
        times = (math.fsum((*run.training_seconds, *run.evaluation_seconds)) for run in of)
        seconds = math.fsum(times)
        if seconds:
            facts.append((name, seconds_text(seconds)))
    return [
        *facts,
        ("Data", _known({run.data_label for run in runs})),
        ("Devices", _known({str(run.environment.get("device_name", "")) for run in runs})),
        ("Frameworks", _known({_framework(run.framework, run.environment) for run in runs})),
    ]


def _framework(name: str, environment: dict[str, Any]) -> str:
    package = {"pytorch": "torch", "tensorflow": "tensorflow"}.get(name, name)
    version = environment.get(package)
    return f"{package} {version}" if version else name


def _known(values: Iterable[str]) -> str:
    return listed(sorted(filter(None, values)), 4) or "not recorded"


def _broken(text: str) -> Markup:
    """A text whose numbers stay with their units; it breaks before its brackets, if it must."""
    from markupsafe import Markup, escape

    parts = re.split(r"(\[.*?\]|\(.*?\))", text.replace(" ", "\N{NO-BREAK SPACE}"))
    found = Markup()
    for number, part in enumerate(parts):
        breakable = part.replace(",\N{NO-BREAK SPACE}", ", ").replace("\N{NO-BREAK SPACE}±", " ±")
        bracket = Markup(' <span class="bracket">{}</span>').format(breakable)
        found += bracket if number % 2 else escape(breakable.strip("\N{NO-BREAK SPACE}"))
    return found


def _template(name: str) -> str:
    folder = resources.files("alig_deepobs.analysis.report").joinpath("templates")
    return folder.joinpath(name).read_text(encoding="utf-8")
