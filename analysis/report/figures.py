"""The figures of a report as files, for papers and slides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from alig_deepobs.analysis.groups import Group
from alig_deepobs.analysis.plots.curves import draw_curves
from alig_deepobs.analysis.plots.overview import draw_overview
from alig_deepobs.analysis.plots.style import save_figure, styles
from alig_deepobs.analysis.report.beside import baseline_groups
from alig_deepobs.analysis.report.charts import (
    baseline_looks,
    chart_labels,
    overall_charts,
    section_charts,
)
from alig_deepobs.analysis.report.gather import Report
from alig_deepobs.analysis.report.sections import Section
from alig_deepobs.registry import ProblemEntry

_PROBLEMS_A_FIGURE = 4


def write_figures(report: Report, folder: str | Path) -> list[Path]:
    """Writes every figure of a report as PDF and as PNG.

    Learning curves of a problem are one figure. The overview has the form of DeepOBS's own, four
    problems to a figure, with the published baselines where they are wanted and comparable.

    Returns:
        The paths.

    Raises:
        ResultError: a file cannot be written.
    """
    folder = Path(folder)
    looks = styles(chart_labels(report.sections))
    published = [baseline_groups(section, report.baselines) for section in report.sections]
    looks |= baseline_looks(looks, published)
    written: list[Path] = []
    for section in report.sections:
        curves = draw_curves(list(section.groups.values()), section.entry)
        written += _save(curves, folder, f"{section.slug}-curves")
        for chart in section_charts(section, looks):
            if not chart.name.endswith(("-loss", "-accuracy")):
                written += _save(chart.figure(True), folder, chart.name)
    for number, part in enumerate(_parts(report.sections), 1):
        columns = {section.title: _column(section, report) for section in part}
        written += _save(draw_overview(columns, looks=looks), folder, f"overview-{number}")
    if report.overall is not None:
        for chart in overall_charts(report.overall, looks):
            written += _save(chart.figure(True), folder, chart.name)
    return written


def _parts(sections: Sequence[Section]) -> list[Sequence[Section]]:
    starts = range(0, len(sections), _PROBLEMS_A_FIGURE)
    return [sections[start : start + _PROBLEMS_A_FIGURE] for start in starts]


def _column(section: Section, report: Report) -> tuple[ProblemEntry, list[Group]]:
    baselines = baseline_groups(section, report.baselines)
    return section.entry, [*section.groups.values(), *baselines.values()]


def _save(figure: Figure, folder: Path, name: str) -> list[Path]:
    return [save_figure(figure, folder / f"{name}.{kind}") for kind in ("pdf", "png")]
