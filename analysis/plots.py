"""Learning curves of a comparison as one PNG.

The figure is drawn without pyplot, so nothing global changes and no display is needed. Optimizers
differ by colour (Okabe and Ito's palette, safe for colour-blind readers) and by line style and
marker, so the picture also reads in black and white.
"""

from __future__ import annotations

import hashlib
import io
import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.typing import LineStyleType

from alig_deepobs.analysis.frames import accuracy_curve, loss_curve
from alig_deepobs.analysis.groups import Group, group_runs, seeds_text
from alig_deepobs.errors import ResultError
from alig_deepobs.registry import ProblemEntry
from alig_deepobs.results import Outcome, RunResult

DPI = 150
INCHES_PER_PANEL = 4.0
HEIGHT_INCHES = 4.2

# Okabe and Ito's colours without yellow, which is hard to see on white.
_COLORS = {
    "AliG": "#D55E00",  # vermillion
    "SGD": "#0072B2",  # blue
    "Momentum": "#009E73",  # bluish green
    "Adam": "#CC79A7",  # reddish purple
}
_OTHER_COLORS = ("#000000", "#56B4E9", "#E69F00")

# Line style and marker, in the order of the rows of the legend.
_LINE_STYLES: tuple[LineStyleType, ...] = (
    "-",
    "--",
    "-.",
    (0, (1, 1.2)),
    (0, (6, 1.5, 1, 1.5, 1, 1.5)),
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class _Style:
    color: str
    line: LineStyleType
    marker: str


@dataclass(frozen=True)
class _Panel:
    """One quantity, drawn times ``scale``; the target belongs into the headline panel."""

    title: str
    curve: Callable[[RunResult], list[float]]
    headline: bool
    scale: float = 1.0


def plot_curves(results: Sequence[RunResult], entry: ProblemEntry, path: str | Path) -> Path:
    """Draws training loss, test loss and (where there is one) test accuracy over epochs.

    A line is the mean over seeds, a band reaches from the lowest to the highest seed. Both end
    where the first run of an optimizer ends, since a mean over survivors would flatter; the
    remaining runs go on as thin single lines. A diverged run ends in an ``x``.

    Args:
        results: runs that a leaderboard could hold (see `alig_deepobs.analysis.leaderboard`).
        entry: the problem.
        path: the PNG file to write.

    Returns:
        The path.

    Raises:
        UsageError: there is no run, or the runs cannot be compared.
        ResultError: the file cannot be written.
    """
    groups = group_runs(results, entry)
    path = Path(path)
    stream = io.BytesIO()
    figure = _draw(groups, entry)
    figure.savefig(stream, format="png", dpi=DPI)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stream.getvalue())
    except OSError as error:
        raise ResultError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def optimizer_color(name: str) -> str:
    """The colour of an optimizer: always the same one for one label.

    Example:
        >>> optimizer_color("AliG"), optimizer_color("Mine") == optimizer_color("Mine")
        ('#D55E00', True)
    """
    digest = hashlib.sha256(name.encode()).digest()
    return _COLORS.get(name) or _OTHER_COLORS[digest[0] % len(_OTHER_COLORS)]


def _draw(groups: Sequence[Group], entry: ProblemEntry) -> Figure:
    runs = [run for group in groups for run in group.runs]
    panels = _panels(runs, entry)
    figure = Figure(figsize=(INCHES_PER_PANEL * len(panels), HEIGHT_INCHES), layout="constrained")
    FigureCanvasAgg(figure)
    styles = [_style(index, group) for index, group in enumerate(groups)]
    target_drawn = False
    for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        for group, style in zip(groups, styles, strict=True):
            _draw_group(axes, group, style, panel)
        if panel.headline and entry.target is not None:
            axes.axhline(entry.target * panel.scale, color="0.35", linestyle=(0, (4, 3)), lw=0.9)
            target_drawn = True
        _finish_axes(axes, panel, runs, entry)
    data = runs[0].data_label or "data not recorded"
    title = f"{entry.label} – {data}, {seeds_text(run.random_seed for run in runs)}"
    figure.suptitle("\n".join(textwrap.wrap(_literal(title), 42 * len(panels))), fontsize=11)
    _add_legend(figure, groups, styles, target_drawn)
    return figure


def _panels(runs: Sequence[RunResult], entry: ProblemEntry) -> list[_Panel]:
    kind = "" if any(run.schema_version == 0 for run in runs) else " (data term)"
    panels = [
        _Panel(f"Train loss{kind}", lambda run: loss_curve(run, "train"), headline=False),
        _Panel(
            f"Test loss{kind}",
            lambda run: loss_curve(run, "test"),
            headline=not entry.higher_is_better,
        ),
    ]
    if any(run.test_accuracies for run in runs):
        panels.append(
            _Panel(
                "Test accuracy in %",
                lambda run: accuracy_curve(run, "test"),
                headline=entry.higher_is_better,
                scale=100.0,
            )
        )
    return panels


def _style(index: int, group: Group) -> _Style:
    return _Style(
        color=optimizer_color(group.optimizer_name),
        line=_LINE_STYLES[index % len(_LINE_STYLES)],
        marker=_MARKERS[index % len(_MARKERS)],
    )


def _draw_group(axes: Axes, group: Group, style: _Style, panel: _Panel) -> None:
    curves = [[panel.scale * value for value in panel.curve(run)] for run in group.runs]
    shared = min((len(curve) for curve in curves), default=0)
    epochs = range(shared)
    at_epoch = [[curve[epoch] for curve in curves] for epoch in epochs]
    if shared:
        if len(curves) > 1:
            low, high = [min(values) for values in at_epoch], [max(values) for values in at_epoch]
            axes.fill_between(epochs, low, high, color=style.color, alpha=0.18, linewidth=0)
        means = [math.fsum(values) / len(values) for values in at_epoch]
        axes.plot(
            epochs,
            means,
            color=style.color,
            linestyle=style.line,
            linewidth=1.6,
            marker=style.marker,
            markersize=4.5,
            # About eight markers a line; more would hide the line style.
            markevery=max(1, shared // 8),
        )
    for run, curve in zip(group.runs, curves, strict=True):
        if not curve:
            continue
        if len(curve) > shared:
            start = max(0, shared - 1)
            rest = range(start, len(curve))
            axes.plot(rest, curve[start:], color=style.color, linestyle=style.line, linewidth=0.7)
        if run.outcome is Outcome.DIVERGED:
            axes.plot(
                [len(curve) - 1], [curve[-1]], color=style.color,
                marker="x", markersize=9, markeredgewidth=2.2, zorder=5, clip_on=False,
            )  # fmt: skip


def _finish_axes(axes: Axes, panel: _Panel, runs: Sequence[RunResult], entry: ProblemEntry) -> None:
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel("epoch (0: before training)", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, which="major", color="0.9", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    curves = [[panel.scale * value for value in panel.curve(run)] for run in runs]
    values = [value for curve in curves for value in curve]
    if not values:
        return
    if panel.scale == 1.0 and min(values) > 0:
        _log_axis(axes, values)
    elif panel.scale != 1.0:
        target = entry.target if panel.headline else None
        _zoom(axes, curves, None if target is None else target * panel.scale)


def _log_axis(axes: Axes, values: Sequence[float]) -> None:
    low, high = min(values), max(values)
    if low == high:
        return
    axes.set_yscale("log")
    # Within two decades, powers of ten alone would leave one label or none.
    subs = (1.0, 2.0, 5.0) if high / low < 100 else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _zoom(axes: Axes, curves: Sequence[Sequence[float]], target: float | None) -> None:
    """Leaves out the climb from chance level, which would press all the rest into a line.

    The axis starts below nearly all later points (29 in 30) and below every end of a run.
    """
    # The first fifth of a run is the climb; runs of a few epochs keep all but epoch 0.
    later = sorted(value for curve in curves for value in curve[max(1, len(curve) // 5) :])
    if len(later) < 4:
        return
    ends = [curve[-1] for curve in curves if curve]
    low = min([later[len(later) // 30], *ends, *([target] if target is not None else [])])
    high = max([later[-1], *([target] if target is not None else [])])
    margin = 0.06 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)
    if min(min(curve) for curve in curves if curve) < low - margin:
        axes.set_title(f"{axes.get_title()} (axis cut below)", fontsize=10)


def _add_legend(
    figure: Figure, groups: Sequence[Group], styles: Sequence[_Style], target_drawn: bool
) -> None:
    handles = [
        Line2D(
            [], [], color=style.color, linestyle=style.line, linewidth=1.6,
            marker=style.marker, markersize=4.5, label=_legend_label(group),
        )
        for group, style in zip(groups, styles, strict=True)
    ]  # fmt: skip
    if target_drawn:
        handles.append(
            Line2D([], [], color="0.35", linestyle=(0, (4, 3)), lw=0.9, label="DeepOBS target")
        )
    if any(run.outcome is Outcome.DIVERGED for group in groups for run in group.runs):
        handles.append(
            Line2D([], [], color="0.2", linestyle="none", marker="x", markersize=8,
                   markeredgewidth=2, label="a run diverged here")
        )  # fmt: skip
    panels, longest = len(figure.axes), max(len(str(handle.get_label())) for handle in handles)
    several = max(len(group.runs) for group in groups) > 1
    figure.legend(
        handles=handles,
        loc="outside lower center",
        # About this many characters fit beside each other under a panel.
        ncols=max(1, min(len(handles), 70 * panels // (longest + 8))),
        fontsize=9,
        frameon=False,
        handlelength=3.6,
        title="line: mean over seeds; band: lowest to highest seed" if several else "one seed each",
        title_fontsize=8.5,
    )


def _legend_label(group: Group) -> str:
    total = len(group.runs)
    diverged = sum(run.outcome is Outcome.DIVERGED for run in group.runs)
    label = group.label if len(group.label) <= 40 else f"{group.label[:39]}…"
    return _literal(
        f"{label} ({diverged} of {total} diverged)" if diverged else f"{label} (n={total})"
    )


def _literal(text: str) -> str:
    """Keeps matplotlib from reading dollar signs as formulas."""
    return text.replace("$", r"\$")
