"""Tables: test accuracy of the setting, and at the epoch, that validation data chose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.artist import Artist

from alig_deepobs.analysis import mean_interval
from alig_deepobs.analysis.plots.style import (
    BLUE,
    GREY,
    VERMILLION,
    new_figure,
    open_frame,
    save_figure,
)
from alig_deepobs.reproduce.carry_out import Outcomes
from alig_deepobs.reproduce.plan import Plan
from alig_deepobs.reproduce.summary import Line, Summary, line, setting_text
from alig_deepobs.run import RunResult
from alig_deepobs.runners.selection import select


def summarize(plan: Plan, outcomes: Sequence[Outcomes]) -> Summary:
    """Published and measured test accuracies in percent."""
    lines: list[Line] = []
    for part in plan.experiment.parts:
        rows = [outcome for outcome in outcomes if outcome.row.part is part]
        for outcome in rows:
            found = [accuracy(run) for run in outcome.runs]
            values = [100 * value for value in found if value is not None]
            lines.append(line(outcome, values, setting_text(outcome)))
        lines += [
            Line(part.label, label, figure, mean_interval([]), note="not run here")
            for label, figure in part.also_published.items()
            if rows
        ]
    return Summary("test accuracy in %", lines, _ranking(plan, lines), in_percent=True)


def accuracy(run: RunResult) -> float | None:
    """Test accuracy after the epoch with the best validation accuracy, as a fraction.

    That is what the weights of that epoch would give. None if no epoch was finished.
    """
    best = select(run)
    return None if best is None else best.test_accuracy


def _ranking(plan: Plan, lines: Sequence[Line]) -> list[str]:
    """For each part the best method of those that were run, here and in the paper."""
    sentences = []
    for part in plan.experiment.parts:
        rows = [row for row in lines if row.part == part.label and row.measured.n]
        if not rows:
            continue
        highest = max(row.measured.mean for row in rows)
        best = [row.method for row in rows if row.measured.mean == highest]
        text = f"{part.label}: best here {' and '.join(best)} ({highest:.2f} %)"
        figures = [row.published for row in rows if row.published is not None]
        if figures:
            first = [row.method for row in rows if row.published == max(figures)]
            text += f", of the same methods in the paper {' and '.join(first)} ({max(figures):g} %)"
        sentences.append(f"{text}.")
    return sentences


def draw(plan: Plan, summary: Summary, outcomes: Sequence[Outcomes], path: Path) -> Path:
    """Published and measured accuracies as points, one panel for each part."""
    parts = [part for part in plan.experiment.parts if plan.of(part)]
    rows = max(len(plan.of(part)) for part in parts)
    figure = new_figure(max(6.0, 3.8 * len(parts)), 1.9 + 0.34 * rows)
    panels = figure.subplots(1, len(parts), squeeze=False)[0]
    for axes, part in zip(panels, parts, strict=True):
        shown = [
            row for row in summary.lines if row.part == part.label and row.method not in
            part.also_published
        ]  # fmt: skip
        for height, row in enumerate(reversed(shown)):
            color = VERMILLION if row.method.startswith("ALI-G") else BLUE
            axes.axhline(height, color="0.92", linewidth=0.8, zorder=0)
            if row.published is not None:
                axes.plot([row.published], [height], "D", markersize=6.5, markerfacecolor="none",
                          markeredgecolor=GREY, markeredgewidth=1.6, label="published")  # fmt: skip
            if row.measured.n:
                mean = row.measured.mean
                if row.measured.known:
                    axes.plot([row.measured.low, row.measured.high], [height] * 2, color=color,
                              linewidth=1.4)  # fmt: skip
                axes.plot([mean], [height], "o", color=color, markersize=6, label="measured here")
            else:
                axes.annotate("no figure", (0.02, height), xycoords=("axes fraction", "data"),
                              fontsize=7.5, color="0.4", va="center")  # fmt: skip
        axes.set_yticks(range(len(shown)), labels=[row.method for row in reversed(shown)])
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.set_title(part.label, fontsize=10)
        axes.set_xlabel(summary.quantity, fontsize=9)
        open_frame(axes)
    named: dict[str, Artist] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=2,
                  fontsize=9, frameon=False)  # fmt: skip
    figure.suptitle(f"{plan.experiment.title}\n({_data(outcomes)})", fontsize=10.5)
    return save_figure(figure, path)


def _data(outcomes: Sequence[Outcomes]) -> str:
    labels = dict.fromkeys(run.data_label for outcome in outcomes for run in outcome.runs)
    return "; ".join(labels) or "no runs"
