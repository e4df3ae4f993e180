"""The report as one HTML file that needs no network and no other file."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import json
import time
from collections import Counter
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from alig_deepobs import __version__
from alig_deepobs.analysis.plots.style import styles
from alig_deepobs.analysis.report.beside import baseline_groups
from alig_deepobs.analysis.report.chart import Chart
from alig_deepobs.analysis.report.charts import (
    baseline_looks,
    chart_labels,
    overall_charts,
    section_charts,
)
from alig_deepobs.analysis.report.environments import common_environment, environment_table
from alig_deepobs.analysis.report.gather import Report
from alig_deepobs.analysis.report.rows import page_columns, page_rows
from alig_deepobs.analysis.report.sections import Section
from alig_deepobs.analysis.report.swatches import forest, swatch
from alig_deepobs.analysis.report.tables import (
    sensitivity_table,
    skipped_table,
    summary_table,
    target_table,
    without_flagged,
)
from alig_deepobs.analysis.tables import footnotes
from alig_deepobs.errors import UsageError
from alig_deepobs.files import write_text_atomically

_MOST_OTHERS = 60


def check_extra() -> None:
    """Refuses early where the page's libraries are missing.

    Raises:
        UsageError: they are; the message has the command that installs them.
    """
    missing = [name for name in ("plotly", "jinja2") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the page needs {' and '.join(missing)}: pip install 'alig-deepobs[report]'"
        )


def write_page(report: Report, path: str | Path) -> Path:
    """Writes the page, in one step.

    Returns:
        The path.

    Raises:
        UsageError: the extra ``report`` is not installed.
        ResultError: the file cannot be written.
    """
    path = Path(path)
    write_text_atomically(path, render_page(report))
    return path


def render_page(report: Report) -> str:
    """The page as text.

    Raises:
        UsageError: the extra ``report`` is not installed.
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
    environment.globals.update(swatch=swatch, forest=forest)
    page = environment.get_template("page.html.j2")
    return page.render(**_context(report))


def script_json(value: Any) -> str:
    r"""JSON that may stand inside a script element: no text in it can end the element.

    Example:
        >>> print(script_json({"name": "</script><b>"}))
        {"name":"\u003c/script\u003e\u003cb\u003e"}
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    # Valid JSON has these characters in strings only, where an escape means the same.
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _context(report: Report) -> dict[str, Any]:
    from markupsafe import Markup

    baselines = {s.slug: baseline_groups(s, report.baselines) for s in report.sections}
    looks = styles(chart_labels(report.sections))
    looks |= baseline_looks(looks, baselines.values())
    several = report.overall is not None and len(report.overall.sections) > 1
    together = overall_charts(report.overall, looks) if several and report.overall else []
    per_section = {s.slug: section_charts(s, looks, baselines[s.slug]) for s in report.sections}
    charts = [*together, *(chart for found in per_section.values() for chart in found)]
    environment = environment_table(report.runs)
    drawn = {chart.name: chart.svg() for chart in charts}
    return {
        "version": __version__,
        "created": time.strftime("%Y-%m-%d %H:%M"),
        "report": report,
        "facts": _facts(report),
        "looks": looks,
        "summary": summary_table(report.overall) if several and report.overall else None,
        "overall_charts": together,
        "sections": [
            _section(section, report, per_section, list(baselines[section.slug]))
            for section in report.sections
        ],
        "sensitivity": sensitivity_table(report.sections),
        "environment": environment if environment.rows else None,
        "common": common_environment(report.runs),
        "skipped": skipped_table(report) if report.skipped else None,
        "frameworks": sorted({run.framework for run in report.runs}),
        "outcomes": sorted({run.outcome.value for run in report.runs}),
        "pictures": {name: (Markup(svg), width) for name, (svg, width) in drawn.items()},
        "css": Markup(_template("page.css")),
        "js": Markup(_template("page.js")),
        "plotly": Markup(_plotly() if charts else ""),
        "data": Markup(
            script_json({chart.name: chart.data for chart in charts if chart.data is not None})
        ),
    }


def _section(
    section: Section,
    report: Report,
    charts: dict[str, list[Chart]],
    baselines: list[str],
) -> dict[str, Any]:
    rows = page_rows(section, report.baselines)
    return {
        "slug": section.slug,
        "title": section.title,
        "name": section.entry.name,
        "heading": section.heading.partition(": ")[2],
        "description": section.entry.description,
        "columns": page_columns(section),
        "rows": rows,
        "winner": _winner(section),
        "published": any(row.tone == "baseline" for row in rows),
        "flags": [flag.text for flag in section.flags if not flag.label],
        "notes": without_flagged(section, footnotes(section.board)),
        "targets": target_table(section),
        "charts": charts[section.slug],
        "labels": [*(row.label for row in section.board.rows), *baselines],
        "others": [
            (group.label, group.setting, len(group.runs)) for group in section.others[:_MOST_OTHERS]
        ],
        "more_others": max(0, len(section.others) - _MOST_OTHERS),
    }


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


def _facts(report: Report) -> list[tuple[str, str]]:
    runs = report.runs
    outcomes = Counter(run.outcome.value for run in runs)
    seeds = {run.random_seed for run in runs}
    facts = [
        ("Runs", f"{len(runs):,}"),
        ("Problems", str(len({section.entry.name for section in report.sections}))),
        ("Optimizers", str(len(report.optimizers))),
        ("Seeds", str(len(seeds))),
    ]
    if set(outcomes) - {"done"}:
        unfinished = ", ".join(f"{n} {name}" for name, n in outcomes.items() if name != "done")
        facts.append(("Not finished", unfinished))
    if report.tuning:
        facts.append(("Tuning runs", f"{len(report.tuning):,}"))
    facts += [
        ("Data", _listed({run.data_label for run in runs})),
        ("Devices", _listed({str(run.environment.get("device_name", "")) for run in runs})),
        ("Frameworks", _listed({_framework(run.framework, run.environment) for run in runs})),
    ]
    return facts


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


def _plotly() -> str:
    """Plotly's library, compressed, for a script element that is read with the first chart.

    Text in base 64 cannot end the element, and a page of 2 MB less opens sooner.
    """
    raw = resources.files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    return base64.b64encode(gzip.compress(raw, 9, mtime=0)).decode("ascii")
