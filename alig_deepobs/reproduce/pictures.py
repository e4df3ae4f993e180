"""The pictures of an experiment: one for each of its parts."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from statistics import fmean

import pandas as pd

from alig_deepobs.analysis.plots import Axis, Line, draw_heat_map, draw_lines, own_look, styles

# isort: split
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from alig_deepobs.analysis.plots.style import BLUE, GREY, Style, add_legend, new_figure, tidy
from alig_deepobs.reproduce.declare import Kind
from alig_deepobs.reproduce.findings import QUANTITIES, TOP_5_PROBLEM, Finding
from alig_deepobs.reproduce.plan import Plan
from alig_deepobs.run import Outcome, RunResult

SMOOTHED_OVER = 5
"""Epochs of the moving average that is drawn, as in the paper."""


def pictures(plan: Plan, findings: Sequence[Finding]) -> Iterator[tuple[str, Figure]]:
    """The name and the figure of each part that was run."""
    experiment = plan.experiment
    several = len(experiment.parts) > 1
    for part in experiment.parts:
        shown = [finding for finding in findings if finding.planned.part is part]
        runs = [run for finding in shown for run in finding.runs]
        if not runs:
            continue
        name = f"{experiment.name}_{part.problem}" if several else experiment.name
        title = f"{part.label} ({runs[0].data_label})"
        if experiment.kind is Kind.TABLE:
            yield name, _points(shown, title)
        elif experiment.kind is Kind.CURVES:
            yield name, _objectives(shown, title)
            if part.problem == TOP_5_PROBLEM:
                yield f"{name}_accuracy", _accuracies(shown, title)
        else:
            yield name, _heat_map(shown, f"{title}, {100 * runs[0].num_epochs:,} iterations")


@own_look()
def _points(findings: Sequence[Finding], title: str) -> Figure:
    """Published and measured accuracies as points, with the interval of the measured one."""
    figure = new_figure(6.0, 1.6 + 0.34 * len(findings))
    axes = figure.subplots()
    tidy(axes, title, QUANTITIES[Kind.TABLE])
    for height, finding in enumerate(findings):
        if finding.published is not None:
            axes.plot([finding.published], [height], "D", color=GREY, fillstyle="none")
        measured = finding.measured
        if measured.known:
            axes.plot([measured.low, measured.high], [height, height], color=BLUE)
        if measured.n:
            axes.plot([measured.mean], [height], "o", color=BLUE)
    axes.set_yticks(range(len(findings)), [finding.label for finding in findings])
    axes.set_ylim(len(findings) - 0.5, -0.5)
    published = Line2D([], [], marker="D", linestyle="", color=GREY, fillstyle="none")
    measured_here = Line2D([], [], marker="o", linestyle="", color=BLUE)
    published.set_label("published")
    measured_here.set_label("measured here")
    add_legend(figure, [published, measured_here])
    return figure


def _objectives(findings: Sequence[Finding], title: str) -> Figure:
    """The running mean of each epoch's mini-batch losses, smoothed."""
    lines = {}
    for finding in findings:
        curve = _mean([run.epoch_mean_losses for run in finding.runs])
        smooth = pd.Series(curve, dtype=float).rolling(SMOOTHED_OVER, min_periods=1).mean()
        lines[finding.label] = _line(finding.runs, list(smooth), first=1)
    return draw_lines(
        lines,
        x=Axis("epoch"),
        y=Axis(f"training objective (mean of up to {SMOOTHED_OVER} epochs)", log=True),
        title=title,
        style=_styles(findings),
    )


def _accuracies(findings: Sequence[Finding], title: str) -> Figure:
    """Training accuracy over epochs."""
    lines = {
        finding.label: _line(
            finding.runs, [100 * v for v in _mean([run.train_accuracies for run in finding.runs])]
        )
        for finding in findings
    }
    return draw_lines(
        lines,
        x=Axis("epoch"),
        y=Axis("top-5 training accuracy in %"),
        title=title,
        higher_is_better=True,
        style=_styles(findings),
    )


def _heat_map(findings: Sequence[Finding], title: str) -> Figure:
    """The final objective of each method and value, as in Figure 3."""
    cells: dict[str, dict[Hashable, float]] = {
        finding.label: {
            None if math.isinf(value) else value: result
            for value, result in finding.objectives.items()
        }
        for finding in findings
        if finding.runs
    }
    return draw_heat_map(cells, axis_label="max_lr, lr or fraction", title=title)


def _styles(findings: Sequence[Finding]) -> dict[str, Style]:
    """Each optimizer looks as in every other figure."""
    names = {each.label: each.runs[0].optimizer_name if each.runs else "" for each in findings}
    known = styles(names.values())
    return {label: known[name] for label, name in names.items()}


def _mean(curves: Sequence[Sequence[float]]) -> list[float]:
    """The mean over seeds, up to the end of the shortest."""
    return [fmean(values) for values in zip(*curves, strict=False)]


def _line(runs: Sequence[RunResult], curve: list[float], first: int = 0) -> Line:
    """A curve over epochs; that of a run that diverged ends in a value that is not finite."""
    if any(run.outcome is Outcome.DIVERGED for run in runs):
        curve = [*curve, math.inf]
    return Line(range(first, first + len(curve)), curve)
