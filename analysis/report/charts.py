"""The charts of the page: each as data for the interactive chart and as a picture for everybody.

The picture is an inline SVG. It is what is printed, what is seen without JavaScript, and what
stands there until the interactive chart has been drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from alig_deepobs.analysis.budget import BudgetCurve, budget_curve
from alig_deepobs.analysis.curves import Panel, band, panels, zoom_range
from alig_deepobs.analysis.groups import Group
from alig_deepobs.analysis.plots.critical_difference import draw_critical_difference
from alig_deepobs.analysis.plots.curves import draw_panel_alone
from alig_deepobs.analysis.plots.heat_map import draw_heat_map
from alig_deepobs.analysis.plots.lines import Axis, Line, draw_lines
from alig_deepobs.analysis.plots.step_sizes import Trace, draw_step_sizes, step_size_trace
from alig_deepobs.analysis.plots.style import Style, styles
from alig_deepobs.analysis.plots.svg import inline_svg
from alig_deepobs.analysis.profiles import Profile
from alig_deepobs.analysis.report.overall import Overall
from alig_deepobs.analysis.report.sections import Grid, Section
from alig_deepobs.analysis.targets import epochs_until, survival_curve
from alig_deepobs.errors import UsageError

_MOST_POINTS = 160
_SHARES = (-0.03, 1.05)

_DASHES = {"-": "solid", "--": "dash", "-.": "dashdot"}
_SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down",
    "P": "cross", "X": "x",
}  # fmt: skip


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes:
        name: unique on the page, and the name of its file.
        title: heading.
        caption: how to read it, one or two sentences.
        figure: draws the picture, with a legend or without.
        data: for the interactive chart; None where the picture says it all.
        wide: whether it needs the whole width of the page.
    """

    name: str
    title: str
    caption: str
    figure: Callable[[bool], Figure]
    data: dict[str, Any] | None = None
    wide: bool = False

    def svg(self) -> tuple[str, int]:
        """The picture as an SVG element, and its natural width in pixels."""
        figure = self.figure(False)
        return inline_svg(figure, self.name), round(110 * figure.get_figwidth())


def section_charts(
    section: Section, looks: Mapping[str, Style], baselines: Mapping[str, Group] | None = None
) -> list[Chart]:
    """The charts of a problem.

    Args:
        section: the problem.
        looks: a style for the label of every row, grid, trace and baseline.
        baselines: published runs whose curves stand beside the own ones, by label.
    """
    groups = [*section.groups.values(), *(baselines or {}).values()]
    charts = [
        _curve_chart(section, groups, looks, panel) for panel in panels(section.runs, section.entry)
    ]
    charts += _target_charts(section, looks)
    traces = {
        label: trace
        for label, group in section.groups.items()
        if (trace := step_size_trace(group.runs)) is not None
    }
    if traces:
        charts.append(_trace_chart(section, looks, traces))
    return charts + _sensitivity_charts(section, looks)


def overall_charts(overall: Overall, looks: Mapping[str, Style]) -> list[Chart]:
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
    if overall.score_profile is not None:
        charts.append(
            _profile_chart(
                "score-profile", "Score profile", overall.score_profile, looks,
                Axis("score (0: untrained, 1: best here)"),
                Axis("share of runs above", ends=_SHARES),
                "Share of runs whose normalised score is above a threshold, problems weighted "
                "alike. Higher is better; bands: 95 % bootstrap.",
            )
        )  # fmt: skip
    if overall.time_profile is not None:
        charts.append(
            _profile_chart(
                "time-profile", "Performance profile of epochs to the target",
                overall.time_profile, looks, Axis("within this factor of the fastest", log=True),
                Axis("share of problems", ends=_SHARES),
                "Share of problems on which the median run reached the target within a factor of "
                "the fastest optimizer. A missed target is never within any factor.",
                steps=True,
            )
        )  # fmt: skip
    return charts


def chart_labels(sections: Iterable[Section]) -> list[str]:
    """Every label that a chart may draw, the rows of leaderboards first."""
    found: dict[str, None] = {}
    for section in sections:
        found |= dict.fromkeys(section.groups)
    for section in sections:
        found |= dict.fromkeys(grid.label for grid in section.grids)
        found |= dict.fromkeys(group.optimizer_name for group in section.groups.values())
    return list(found)


def baseline_looks(
    looks: Mapping[str, Style], baselines: Iterable[Mapping[str, Group]]
) -> dict[str, Style]:
    """Styles for published curves: the colour of the optimizer's own one, but dotted."""
    named = {label: group.optimizer_name for of in baselines for label, group in of.items()}
    fresh = styles([*looks, *(name for name in named.values() if name not in looks)])
    return {
        label: Style(looks.get(name, fresh[name]).color, (0, (1, 1.2)), "X")
        for label, name in named.items()
    }


def _curve_chart(
    section: Section, groups: Sequence[Group], looks: Mapping[str, Style], panel: Panel
) -> Chart:
    series = []
    for group in groups:
        drawn = band(group, panel)
        at = _thinned(len(drawn.mean))
        several = len(group.runs) > 1
        series.append({
            **_look(group.label, looks),
            "x": at,
            "y": _picked(drawn.mean, at),
            "lo": _picked(drawn.low, at) if several else [],
            "hi": _picked(drawn.high, at) if several else [],
            "tip": [f"median {_short(drawn.median[i])}, n={len(group.runs)}" for i in at],
            "ends": [[epoch, _rounded(value)] for epoch, value in drawn.ends],
        })  # fmt: skip
    target = section.entry.target if panel.headline else None
    goal = None if target is None else panel.scale * target
    curves = [panel.values(run) for group in groups for run in group.runs]
    axis: dict[str, Any] = {}
    if panel.scale == 1.0:
        axis["log"] = all(value > 0 for curve in curves for value in curve)
    elif zoomed := zoom_range(curves, goal):
        axis["range"] = [_rounded(zoomed[0]), _rounded(zoomed[1])]
    caption = "Line: mean over seeds; band: lowest to highest seed; ×: a run diverged."
    if goal is not None:
        caption += f" Dashes: DeepOBS's target, {_short(goal)}{' %' if panel.scale != 1 else ''}."
    return Chart(
        f"{section.slug}-{panel.key.replace('_', '-')}",
        panel.title,
        caption,
        lambda legend: draw_panel_alone(groups, looks, panel, section.entry, legend),
        {
            "x": {"title": "epoch (0: before training)"},
            "y": axis,
            "series": series,
            "lines": [] if goal is None else [_rounded(goal)],
        },
    )


def _target_charts(section: Section, looks: Mapping[str, Style]) -> list[Chart]:
    if section.entry.target is None:
        return []
    lines = {}
    for label, group in section.groups.items():
        curve = survival_curve([epochs_until(run, section.entry) for run in group.runs])
        lines[label] = Line(
            [*curve.times, curve.horizon],
            [1 - share for share in (*curve.shares, curve.shares[-1])],
        )
    return [
        _line_chart(
            f"{section.slug}-target", "Epochs to the target", lines, looks,
            Axis("epoch"), Axis("share of runs that reached it", ends=_SHARES),
            "Kaplan and Meier's estimate: runs that miss the target keep the curve below 1.",
            steps=True,
        )
    ]  # fmt: skip


def _sensitivity_charts(section: Section, looks: Mapping[str, Style]) -> list[Chart]:
    if not section.grids:
        return []
    metric, higher = section.board.metric, section.entry.higher_is_better
    scale = 100.0 if higher else 1.0
    y = Axis(f"final {metric}{' in %' if higher else ''}", log=not higher)
    names = {grid.parameter for grid in section.grids}
    parameter = next(iter(names)) if len(names) == 1 else f"{', '.join(sorted(names))}"
    grids = _by_label(section.grids)
    lines = {label: _grid_line(grid, scale) for label, grid in grids.items()}
    note = " One seed for each value, from runs that only served to choose a setting." * any(
        grid.tuning for grid in section.grids
    )
    charts = [
        _line_chart(
            f"{section.slug}-sensitivity", "Sensitivity to the main hyper-parameter",
            {label: line for label, line in lines.items() if line.x}, looks,
            Axis(parameter, log=True), y,
            f"Final {metric} for each value, mean over seeds; ×: a run did not finish.{note}",
            higher_is_better=higher,
        )
    ]  # fmt: skip
    budgets = {label: found for label, grid in grids.items() if (found := _budget(grid, higher))}
    if budgets:
        on_test = any(curve.chosen_on == "test" for curve in budgets.values())
        charts.append(
            _line_chart(
                f"{section.slug}-budget", "What tuning buys",
                {
                    label: Line(
                        list(curve.budgets), *([scale * v for v in of] for of in
                        (curve.expected, curve.low, curve.high)),
                    )
                    for label, curve in budgets.items()
                },
                looks, Axis("settings tried"), Axis(f"expected {y.label}", log=y.log),
                f"Expected {metric} of the best of so many settings drawn from the grid; band: 95 %"
                " bootstrap over the settings."
                + (" Chosen on the test set, which flatters." if on_test else ""),
            )
        )  # fmt: skip
    charts.append(
        Chart(
            f"{section.slug}-heat-map",
            "Sensitivity map",
            f"Each cell is a value of the main hyper-parameter: the darker, the better the final "
            f"{metric}; ×: a run did not finish.",
            lambda legend: draw_heat_map(
                {
                    label: {value: scale * mean for value, mean in grid.means().items()}
                    for label, grid in grids.items()
                },
                label=f"final {metric}{' in %' if higher else ''}",
                axis_label=parameter,
                lower_is_better=not higher,
            ),
            wide=True,
        )
    )
    return charts


def _by_label(grids: Sequence[Grid]) -> dict[str, Grid]:
    """Grids by label; of two with one label the larger one."""
    return {grid.label: grid for grid in sorted(grids, key=lambda grid: len(grid.finals))}


def _grid_line(grid: Grid, scale: float) -> Line:
    means = grid.means()
    values = sorted(
        value for value in means if isinstance(value, (int, float)) and 0 < value < math.inf
    )
    several = any(len(grid.finals[value]) > 1 for value in values)
    return Line(
        x=[float(value) for value in values],
        y=[scale * means[value] for value in values],
        low=[scale * min(grid.finals[value]) for value in values] if several else (),
        high=[scale * max(grid.finals[value]) for value in values] if several else (),
    )


def _budget(grid: Grid, higher_is_better: bool) -> BudgetCurve | None:
    values = list(grid.finals)
    validation = [grid.validation[value] for value in values]
    means = grid.means()
    known = [v for v, mean in zip(validation, means.values(), strict=True) if not math.isnan(mean)]
    chosen_by = validation if known and not any(map(math.isnan, known)) else None
    if math.isnan(grid.start):
        return None
    try:
        return budget_curve(
            [means[value] for value in values], higher_is_better, grid.start, chosen_by
        )
    except UsageError:
        return None


def _trace_chart(
    section: Section, looks: Mapping[str, Style], traces: Mapping[str, Trace]
) -> Chart:
    series = []
    for label, trace in traces.items():
        at = _thinned(len(trace.mean))
        series.append({
            **_look(label, looks),
            "x": [i + 1 for i in at],
            "y": _picked(trace.mean, at),
            "lo": _picked(trace.low, at),
            "hi": _picked(trace.high, at),
            "tip": [
                f"median {_short(trace.median[i])}, {100 * trace.clipped[i]:.0f} % at the cap"
                for i in at
            ],
            "ends": [],
        })  # fmt: skip
    positive = all(value > 0 for trace in traces.values() for value in trace.low)
    return Chart(
        f"{section.slug}-step-sizes",
        "Step sizes",
        "Line: mean step of an epoch; band: smallest to largest step; with the share of steps at "
        "the cap.",
        lambda legend: draw_step_sizes(traces, looks, legend=legend),
        {
            "x": {"title": "epoch"},
            "y": {"title": "step size", "log": positive},
            "series": series,
            "lines": [],
        },
    )


def _profile_chart(
    name: str, title: str, profile: Profile, looks: Mapping[str, Style], x: Axis, y: Axis,
    caption: str, steps: bool = False,
) -> Chart:  # fmt: skip
    lines = {
        label: Line(profile.x, values, profile.low.get(label, ()), profile.high.get(label, ()))
        for label, values in profile.y.items()
    }
    return _line_chart(name, title, lines, looks, x, y, caption, steps=steps)


def _line_chart(
    name: str, title: str, lines: Mapping[str, Line], looks: Mapping[str, Style], x: Axis, y: Axis,
    caption: str, steps: bool = False, higher_is_better: bool = False,
) -> Chart:  # fmt: skip
    values = [v for line in lines.values() for v in (*line.y, *line.low) if math.isfinite(v)]
    series = []
    for label, line in lines.items():
        good = [i for i, value in enumerate(line.y) if math.isfinite(value)]
        series.append({
            **_look(label, looks),
            "x": _picked(line.x, good),
            "y": _picked(line.y, good),
            "lo": _picked(line.low, good) if line.low else [],
            "hi": _picked(line.high, good) if line.high else [],
            "tip": [],
            "ends": [],
            "failed": [_rounded(line.x[i]) for i in range(len(line.y)) if i not in set(good)],
        })  # fmt: skip
    return Chart(
        name,
        title,
        caption,
        lambda legend: draw_lines(
            lines, looks, x=x, y=y, steps=steps, higher_is_better=higher_is_better, legend=legend
        ),
        {
            "x": {"title": x.label, "log": x.log},
            "y": {
                "title": y.label,
                "log": y.log and bool(values) and min(values) > 0,
                "range": list(y.ends or ()),
            },
            "series": series,
            "lines": [],
            "steps": steps,
            "failedAt": 0 if higher_is_better else 1,
        },
    )


def _look(label: str, looks: Mapping[str, Style]) -> dict[str, str]:
    look = looks[label]
    dash = _DASHES.get(look.line, "dot") if isinstance(look.line, str) else (
        "dot" if len(look.line[1] or ()) == 2 else "longdashdot"
    )  # fmt: skip
    return {"name": label, "color": look.color, "dash": dash, "symbol": _SYMBOLS[look.marker]}


def _thinned(length: int) -> list[int]:
    """Indices of a curve, thinned evenly where there are more than a screen shows."""
    if length <= _MOST_POINTS:
        return list(range(length))
    step = (length - 1) / (_MOST_POINTS - 1)
    return sorted({round(i * step) for i in range(_MOST_POINTS)})


def _picked(values: Sequence[float], at: Sequence[int]) -> list[float]:
    return [_rounded(values[i]) for i in at]


def _rounded(value: float) -> float:
    """Five digits: more than a screen shows, and much less text."""
    return float(f"{value:.5g}")


def _short(value: float) -> str:
    return f"{value:.4g}"
