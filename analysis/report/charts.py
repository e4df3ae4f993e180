"""The charts of the page: those of each problem, and those of all problems together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alig_deepobs.analysis.curves import Panel, band, panels, zoom_range
from alig_deepobs.analysis.groups import Group
from alig_deepobs.analysis.plots.critical_difference import draw_critical_difference
from alig_deepobs.analysis.plots.curves import draw_panel_alone
from alig_deepobs.analysis.plots.lines import Axis, Line
from alig_deepobs.analysis.plots.step_sizes import Trace, draw_step_sizes, step_size_trace
from alig_deepobs.analysis.plots.style import Style, styles
from alig_deepobs.analysis.profiles import Profile
from alig_deepobs.analysis.report.chart import (
    SHARES,
    Chart,
    line_chart,
    look_data,
    picked,
    rounded,
    short,
    thinned,
)
from alig_deepobs.analysis.report.overall import Overall
from alig_deepobs.analysis.report.sections import Section
from alig_deepobs.analysis.report.sensitivity_charts import sensitivity_charts
from alig_deepobs.analysis.targets import epochs_until, survival_curve


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
    return charts + sensitivity_charts(section, looks)


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
                Axis("share of runs above", ends=SHARES),
                "Share of runs whose normalised score is above a threshold, problems weighted "
                "alike. Higher is better; bands: 95 % bootstrap.",
            )
        )  # fmt: skip
    if overall.time_profile is not None:
        charts.append(
            _profile_chart(
                "time-profile", "Performance profile of epochs to the target",
                overall.time_profile, looks, Axis("within this factor of the fastest", log=True),
                Axis("share of problems", ends=SHARES),
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
        at = thinned(len(drawn.mean))
        several = len(group.runs) > 1
        series.append({
            **look_data(group.label, looks),
            "x": at,
            "y": picked(drawn.mean, at),
            "lo": picked(drawn.low, at) if several else [],
            "hi": picked(drawn.high, at) if several else [],
            "tip": [f"median {short(drawn.median[i])}, n={len(group.runs)}" for i in at],
            "ends": [[epoch, rounded(value)] for epoch, value in drawn.ends],
        })  # fmt: skip
    target = section.entry.target if panel.headline else None
    goal = None if target is None else panel.scale * target
    curves = [panel.values(run) for group in groups for run in group.runs]
    axis: dict[str, Any] = {}
    if panel.scale == 1.0:
        axis["log"] = all(value > 0 for curve in curves for value in curve)
    elif zoomed := zoom_range(curves, goal):
        axis["range"] = [rounded(zoomed[0]), rounded(zoomed[1])]
    caption = "Line: mean over seeds; band: lowest to highest seed; ×: a run diverged."
    if goal is not None:
        caption += f" Dashes: DeepOBS's target, {short(goal)}{' %' if panel.scale != 1 else ''}."
    return Chart(
        f"{section.slug}-{panel.key.replace('_', '-')}",
        panel.title,
        caption,
        lambda legend: draw_panel_alone(groups, looks, panel, section.entry, legend),
        {
            "x": {"title": "epoch (0: before training)"},
            "y": axis,
            "series": series,
            "lines": [] if goal is None else [rounded(goal)],
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
        line_chart(
            f"{section.slug}-target", "Epochs to the target", lines, looks,
            Axis("epoch"), Axis("share of runs that reached it", ends=SHARES),
            "Kaplan and Meier's estimate: runs that miss the target keep the curve below 1.",
            steps=True,
        )
    ]  # fmt: skip


def _trace_chart(
    section: Section, looks: Mapping[str, Style], traces: Mapping[str, Trace]
) -> Chart:
    series = []
    for label, trace in traces.items():
        at = thinned(len(trace.mean))
        series.append({
            **look_data(label, looks),
            "x": [i + 1 for i in at],
            "y": picked(trace.mean, at),
            "lo": picked(trace.low, at),
            "hi": picked(trace.high, at),
            "tip": [
                f"median {short(trace.median[i])}, {100 * trace.clipped[i]:.0f} % at the cap"
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
    return line_chart(name, title, lines, looks, x, y, caption, steps=steps)
