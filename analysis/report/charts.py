"""The charts of a report: on the page, and as files for papers and slides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from alig_deepobs.analysis.curves import Panel, panels
from alig_deepobs.analysis.groups import Group
from alig_deepobs.analysis.plots.critical_difference import draw_critical_difference
from alig_deepobs.analysis.plots.curves import draw_curves, draw_one_panel, draw_overview
from alig_deepobs.analysis.plots.heat_map import draw_heat_map
from alig_deepobs.analysis.plots.lines import Axis, Line, draw_lines
from alig_deepobs.analysis.plots.step_sizes import draw_step_sizes, step_size_trace
from alig_deepobs.analysis.plots.style import Style, save_figure, styles
from alig_deepobs.analysis.report.baselines import published_groups
from alig_deepobs.analysis.report.build import Report
from alig_deepobs.analysis.report.overall import Overall
from alig_deepobs.analysis.report.sections import Section
from alig_deepobs.analysis.report.sensitivity import Grid
from alig_deepobs.analysis.targets import epochs_until, survival_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Styles = Mapping[str, Style]

_SHARES = (-0.03, 1.05)
_PROBLEMS_A_FIGURE = 4


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes:
        name: unique on the page, and the name of its file.
        title: heading.
        caption: how to read it, one or two sentences.
        draw: makes the figure, with a legend or without.
        wide: whether it needs the whole width of the page.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[bool], Figure]
    wide: bool = False


def chart_styles(report: Report) -> dict[str, Style]:
    """A style for every label that a chart may draw, the rows of leaderboards first.

    Published curves have the colour of the optimizer's own ones, but dots for lines and crosses for
    marks, which nothing else has.
    """
    labels: dict[str, None] = {}
    for section in report.sections:
        labels |= dict.fromkeys(section.groups)
    for section in report.sections:
        labels |= dict.fromkeys(grid.label for grid in section.grids)
        labels |= dict.fromkeys(group.optimizer_name for group in section.groups.values())
    published = {
        label: group.optimizer_name
        for section in report.sections
        for label, group in published_groups(section, report.baselines).items()
    }
    found = styles([*labels, *published.values()])
    for label, name in published.items():
        found[label] = replace(found[name], line=(0, (1, 1.2)), marker="X", number=len(found))
    return found


def section_charts(
    section: Section, style: Styles, baselines: Mapping[str, Group] | None = None
) -> list[Chart]:
    """The charts of a problem.

    Args:
        section: the problem.
        style: see `chart_styles`.
        baselines: published runs whose curves stand beside the own ones, by label. Then each
            panel of learning curves is a chart; else they are one figure.
    """
    groups = list(section.groups.values())
    if baselines is None:
        charts = [_file(f"{section.slug}-curves", partial(draw_curves, groups, section.entry))]
    else:
        groups += baselines.values()
        charts = [
            _curves(section, groups, style, p) for p in panels(section.board.runs, section.entry)
        ]
    if section.entry.target is not None:
        charts.append(_target(section, style))
    found = {label: step_size_trace(group.runs) for label, group in section.groups.items()}
    traces = {label: trace for label, trace in found.items() if trace is not None}
    if traces:
        charts.append(
            Chart(
                f"{section.slug}-step-sizes",
                "Step sizes",
                "Line: mean step of an epoch; band: smallest to largest step; below: the share of "
                "steps at the cap.",
                lambda legend: draw_step_sizes(traces, style, legend=legend),
            )
        )
    return charts + (_sensitivity(section, style) if section.grids else [])


def overall_charts(overall: Overall, style: Styles) -> list[Chart]:
    """The charts of all problems together."""
    charts = []
    ranking = overall.ranking
    if ranking is not None:
        charts.append(
            Chart(
                "critical-difference",
                "Mean ranks",
                "Rank 1 is best. A bar joins optimizers whose mean ranks the problems do not tell "
                f"apart (Nemenyi, {ranking.alpha:g}).",
                lambda legend: draw_critical_difference(
                    ranking.average_ranks,
                    cliques=ranking.cliques,
                    critical_difference=ranking.critical_difference,
                ),
                wide=True,
            )
        )
    profiles = (
        (
            "score-profile", "Score profile", overall.score_profile,
            Axis("score (0: untrained, 1: best here)"), Axis("share of runs above", ends=_SHARES),
            "Share of runs whose normalised score is above a threshold, problems weighted "
            "alike. Higher is better; bands: 95 % bootstrap.",
        ),
        (
            "time-profile", "Performance profile of epochs to the target", overall.time_profile,
            Axis("within this factor of the fastest", log=True),
            Axis("share of problems", ends=_SHARES),
            "Share of problems on which the median run reached the target within a factor of "
            "the fastest optimizer. A missed target is never within any factor.",
        ),
    )  # fmt: skip
    for name, title, profile, x, y, caption in profiles:
        if profile is not None:
            lines = {
                label: Line(profile.x, of, profile.low.get(label, ()), profile.high.get(label, ()))
                for label, of in profile.y.items()
            }
            steps = name == "time-profile"
            charts.append(_lines(name, title, lines, style, x, y, caption, steps))
    return charts


def write_figures(report: Report, folder: str | Path) -> list[Path]:
    """Writes every chart of a report as PDF and as PNG.

    Learning curves of a problem are one figure. The overview has the form of DeepOBS's own, four
    problems to a figure, with the published baselines where they are wanted and comparable.

    Returns:
        The paths.

    Raises:
        ResultError: a file cannot be written.
    """
    style = chart_styles(report)
    charts = overall_charts(report.overall, style) if report.overall else []
    columns = {}
    for section in report.sections:
        published = published_groups(section, report.baselines)
        columns[section.title] = (section.entry, [*section.groups.values(), *published.values()])
        charts += section_charts(section, style)
    titles = list(columns)
    for number, first in enumerate(range(0, len(titles), _PROBLEMS_A_FIGURE), 1):
        some = {title: columns[title] for title in titles[first : first + _PROBLEMS_A_FIGURE]}
        charts.append(_file(f"overview-{number}", partial(draw_overview, some, style)))
    return [
        save_figure(figure, Path(folder) / f"{chart.name}.{kind}")
        for chart in charts
        for figure in (chart.draw(True),)
        for kind in ("pdf", "png")
    ]


def _file(name: str, draw: Callable[[], Figure]) -> Chart:
    """A figure of several panels, which the page has one by one."""
    return Chart(name, "", "", lambda legend: draw())


def _curves(section: Section, groups: Sequence[Group], style: Styles, panel: Panel) -> Chart:
    caption = "Line: mean over seeds; band: lowest to highest seed; ×: a run diverged."
    if section.entry.target is not None and panel.headline:
        goal = panel.scale * section.entry.target
        caption += f" Dashes: DeepOBS's target, {goal:.4g}{' %' if panel.scale != 1 else ''}."
    return Chart(
        f"{section.slug}-{panel.key.replace('_', '-')}",
        panel.title,
        caption,
        lambda legend: draw_one_panel(groups, style, panel, section.entry),
    )


def _target(section: Section, style: Styles) -> Chart:
    lines = {}
    for label, group in section.groups.items():
        curve = survival_curve([epochs_until(run, section.entry) for run in group.runs])
        shares = (*curve.shares, curve.shares[-1])
        lines[label] = Line([*curve.times, curve.horizon], [1 - share for share in shares])
    return _lines(
        f"{section.slug}-target", "Epochs to the target", lines, style,
        Axis("epoch"), Axis("share of runs that reached it", ends=_SHARES),
        "Kaplan and Meier's estimate: runs that miss the target keep the curve below 1.",
        steps=True,
    )  # fmt: skip


def _sensitivity(section: Section, style: Styles) -> list[Chart]:
    metric, higher = section.board.metric, section.entry.higher_is_better
    scale, unit = (100.0, " in %") if higher else (1.0, "")
    # Of two grids with one label the larger one.
    grids = {grid.label: grid for grid in sorted(section.grids, key=lambda g: len(g.finals))}
    parameter = ", ".join(sorted({grid.parameter for grid in section.grids}))
    tuning = any(grid.tuning for grid in section.grids)
    note = " From runs that only served to choose a setting, with their seeds." * tuning
    lines = {
        label: _scaled(_grid_line(grid), scale) for label, grid in grids.items() if grid.numbers()
    }
    charts = [
        _lines(
            f"{section.slug}-sensitivity", "Sensitivity to the main hyper-parameter", lines, style,
            Axis(parameter, log=True), Axis(f"final {metric}{unit}", log=not higher),
            f"Final {metric} for each value, mean over seeds; ×: a run did not finish.{note}",
            higher_is_better=higher,
        )
    ] if lines else []  # fmt: skip
    budgets = {label: found for label, grid in grids.items() if (found := grid.budget())}
    if budgets:
        on_test = any(curve.chosen_on == "test" for curve in budgets.values())
        lines = {
            label: _scaled(Line(curve.budgets, curve.expected, curve.low, curve.high), scale)
            for label, curve in budgets.items()
        }
        charts.append(
            _lines(
                f"{section.slug}-budget", "What tuning buys", lines, style,
                Axis("settings tried"), Axis(f"expected final {metric}{unit}", log=not higher),
                f"Expected {metric} of the best of so many settings drawn from the grid; band: 95 %"
                " bootstrap over the settings."
                + " Chosen on the test set, which flatters." * on_test,
            )
        )  # fmt: skip
    cells = {
        label: {value: scale * mean for value, mean in grid.means().items()}
        for label, grid in grids.items()
    }
    charts.append(
        Chart(
            f"{section.slug}-heat-map",
            "Sensitivity map",
            f"Each cell is a value of the main hyper-parameter: the darker, the better the final "
            f"{metric}; ×: a run did not finish.",
            lambda legend: draw_heat_map(
                cells, label=f"final {metric}{unit}", axis_label=parameter,
                lower_is_better=not higher,
            ),
            wide=True,
        )
    )  # fmt: skip
    return charts


def _lines(
    name: str, title: str, lines: Mapping[str, Line], style: Styles, x: Axis, y: Axis,
    caption: str, steps: bool = False, higher_is_better: bool = False,
) -> Chart:  # fmt: skip
    return Chart(
        name,
        title,
        caption,
        lambda legend: draw_lines(
            lines, x=x, y=y, steps=steps, higher_is_better=higher_is_better, style=style,
            legend=legend,
        ),
    )  # fmt: skip


def _grid_line(grid: Grid) -> Line:
    means = grid.numbers()
    seeds = [grid.finals[value] for value in means]
    several = any(len(of) > 1 for of in seeds)
    low, high = (list(map(end, seeds)) if several else [] for end in (min, max))
    return Line(list(means), list(means.values()), low, high)


def _scaled(line: Line, scale: float) -> Line:
    y, low, high = ([scale * value for value in of] for of in (line.y, line.low, line.high))
    return Line(line.x, y, low, high)
