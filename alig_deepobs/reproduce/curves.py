"""Figures 4 and 5: the training objective over epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogFormatter, MaxNLocator

from alig_deepobs.analysis.plots.style import Style, new_figure, save_figure, styles, tidy
from alig_deepobs.reproduce.carry_out import Outcomes
from alig_deepobs.reproduce.declare import Part
from alig_deepobs.reproduce.plan import Plan
from alig_deepobs.reproduce.summary import Line, Summary, line, setting_text
from alig_deepobs.run import Outcome, RunResult

SMOOTHED_OVER = 5
"""Epochs of the moving average that is drawn, as in the paper."""

TOP_5_PROBLEM = "imagenet_resnet18_alig"
TOP_5 = 0.99
"""The training accuracy of the paper's claim about ImageNet, whose accuracy is the top-5 one."""


def summarize(plan: Plan, outcomes: Sequence[Outcomes]) -> Summary:
    """The final training objective: the running mean of the last epoch's mini-batch losses."""
    lines = [
        line(outcome, [run.epoch_mean_losses[-1] for run in outcome.runs if _ended(run)],
             setting_text(outcome))
        for outcome in outcomes
    ]  # fmt: skip
    statements = []
    for part in plan.experiment.parts:
        statements += _against_alig(part, lines)
    statements += _epochs_to_accuracy(outcomes)
    return Summary("final training objective", lines, statements)


def _ended(run: RunResult) -> bool:
    return run.outcome is Outcome.DONE and bool(run.epoch_mean_losses)


def _against_alig(part: Part, lines: Sequence[Line]) -> list[str]:
    """How far ALI-G's final objective is from that of the best other method."""
    rows = [row for row in lines if row.part == part.label and row.measured.n]
    others = [row for row in rows if row.method != "ALI-G"]
    mine = [row for row in rows if row.method == "ALI-G"]
    if not mine or not others:
        return []
    best = min(others, key=lambda row: row.measured.mean)
    ratio = best.measured.mean / mine[0].measured.mean
    return [
        f"{part.label}: ALI-G's final objective is {mine[0].measured.mean:.4g}, that of the best "
        f"other method ({best.method}) is {best.measured.mean:.4g}: {ratio:.3g} times as high."
    ]


def _epochs_to_accuracy(outcomes: Sequence[Outcomes]) -> list[str]:
    """When 99 % of the training examples are right, where the experiment is about that."""
    sentences = []
    for outcome in outcomes:
        if outcome.row.part.problem != TOP_5_PROBLEM:
            continue
        for run in outcome.runs:
            reached = [e for e, value in enumerate(run.train_accuracies) if value >= TOP_5]
            last = f"{run.train_accuracies[-1]:.1%}" if run.train_accuracies else "unknown"
            text = f"after {reached[0]} epochs" if reached else f"never (at the end {last})"
            sentences.append(
                f"{outcome.row.method.label}: a top-5 training accuracy of {TOP_5:.0%} {text}."
            )  # fmt: skip
    return sentences


def smoothed(curve: Sequence[float], width: int = SMOOTHED_OVER) -> list[float]:
    """Moving average over the last ``width`` values; over fewer at the start.

    Example:
        >>> smoothed([4.0, 2.0, 0.0], width=2)
        [4.0, 3.0, 1.0]
    """
    windows = (curve[max(0, end - width) : end] for end in range(1, len(curve) + 1))
    return [sum(window) / len(window) for window in windows]


def draw(plan: Plan, summary: Summary, outcomes: Sequence[Outcomes], path: Path) -> Path:
    """The objective on a log scale, one panel for each part; for ImageNet the accuracy, too."""
    parts = [part for part in plan.experiment.parts if plan.of(part)]
    with_accuracy = any(part.problem == TOP_5_PROBLEM for part in parts)
    figure = new_figure(11.0, 4.4)
    panels = figure.subplots(1, len(parts) + with_accuracy, squeeze=False)[0]
    # The benchmark's colours; the paper's spelling of ALI-G is not that of its class.
    labels = {o.row.method.label: o.row.method.label.replace("ALI-G", "AliG") for o in outcomes}
    style = styles(labels.values())
    of_method = {label: style[known] for label, known in labels.items()}
    for axes, part in zip(panels, parts, strict=False):
        _draw_part(axes, [o for o in outcomes if o.row.part is part], of_method, "objective")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.5)))
        width = min(SMOOTHED_OVER, max(run.num_epochs for o in outcomes for run in o.runs))
        tidy(axes, part.label, "epoch", f"training objective (mean of {width} epochs)")
    if with_accuracy:
        _draw_part(panels[-1], outcomes, of_method, "accuracy")
        panels[-1].axhline(100 * TOP_5, color="0.4", linestyle=":", linewidth=1.0)
        tidy(panels[-1], "dotted: 99 %", "epoch", "top-5 training accuracy in %")
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    data = {run.data_label for outcome in outcomes for run in outcome.runs}
    figure.suptitle(f"{plan.experiment.title}\n({'; '.join(sorted(data))})", fontsize=10.5)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=6, fontsize=9, frameon=False,
                  handlelength=3.2)  # fmt: skip
    return save_figure(figure, path)


def _draw_part(
    axes: Axes, outcomes: Sequence[Outcomes], style: Mapping[str, Style], quantity: str
) -> None:
    for outcome in outcomes:
        label = outcome.row.method.label
        color, dashes = style[label].color, style[label].line
        width = 2.2 if label == "ALI-G" else 1.6
        for position, run in enumerate(outcome.runs):
            if quantity == "accuracy":
                curve = [100 * value for value in run.train_accuracies]
                epochs = range(len(curve))
            else:
                curve = smoothed(run.epoch_mean_losses)
                epochs = range(1, len(curve) + 1)
            diverged = run.outcome is Outcome.DIVERGED
            name = f"{label} (diverged)" if diverged else label
            axes.plot(epochs, curve, color=color, linestyle=dashes, linewidth=width,
                      marker="o" if len(curve) <= 5 else "", markersize=4,
                      label=name if position == 0 else None)  # fmt: skip
            if diverged and curve:
                axes.plot([epochs[-1]], [curve[-1]], "x", color=color, markersize=8,
                          markeredgewidth=2)  # fmt: skip
