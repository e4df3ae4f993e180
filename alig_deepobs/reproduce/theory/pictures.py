"""Pictures of Figures 1 and 2, drawn without pyplot: nothing global changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from alig_deepobs.analysis.plots.look import own_look
from alig_deepobs.analysis.plots.style import (
    BLACK,
    BLUE,
    GREY,
    VERMILLION,
    add_legend,
    new_figure,
    save_figure,
    tidy,
)
from alig_deepobs.reproduce.theory.figure1 import CURVES, Curve
from alig_deepobs.reproduce.theory.figure2 import (
    THRESHOLD,
    Oscillation,
    cycling_share,
    valley,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@own_look()
def draw_figure1(walks: Sequence[list[float]], path: Path) -> Path:
    """The curves, with the tangents that lead from each point to the next.

    Args:
        walks: the points on each of `CURVES`.
        path: the PNG file.
    """
    figure = new_figure(4.0 * len(CURVES), 3.6)
    panels = figure.subplots(1, len(CURVES), squeeze=False)[0]
    for axes, curve, walk in zip(panels, CURVES, walks, strict=True):
        _tangents(axes, curve, walk)
    panels[0].set_ylabel("f(w)")
    figure.suptitle("Polyak step with minimum 0: the tangent's root is the next point", fontsize=11)
    add_legend(figure, panels[0].get_legend_handles_labels()[0])
    return save_figure(figure, path)


def _tangents(axes: Axes, curve: Curve, walk: list[float]) -> None:
    low, high = curve.view
    grid = [low + (high - low) * k / 400 for k in range(401)]
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    axes.plot(grid, [curve.function(w)[0] for w in grid], color=BLUE, label="f")
    for number, (w, following) in enumerate(pairwise(walk)):
        value, _ = curve.function(w)
        label = "tangent" if number == 0 else None
        axes.plot([w, following], [value, 0.0], color=VERMILLION, linewidth=1.2, label=label)
        height = curve.function(following)[0]
        axes.plot([following] * 2, [0.0, height], color=GREY, linestyle=":", linewidth=1.0)
    axes.plot(walk, [curve.function(w)[0] for w in walk], "o", color=BLACK, markersize=4.5,
              label="points")  # fmt: skip
    top = max(curve.function(w)[0] for w in walk)
    for number, w in enumerate(walk[:3]):
        axes.annotate(f"w{'₀₁₂'[number]}", (w, 0.0), textcoords="offset points",
                      xytext=(0, -12), ha="center", fontsize=9)  # fmt: skip
    axes.set_ylim(-0.13 * top, 1.1 * top)
    tidy(axes, f"f(w) = {curve.label}", "w")


@own_look()
def draw_figure2(shown: Oscillation, path: Path) -> Path:
    """The function with both walks on it, their distances, and the threshold of the cap.

    Args:
        shown: what `figure2` computed.
        path: the PNG file.
    """
    figure = new_figure(12.6, 3.9)
    on_curve, over_time, thresholds = figure.subplots(1, 3)
    walks = (
        ("Polyak step (no cap)", shown.polyak, VERMILLION, "s"),
        ("ALI-G, cap 5", shown.capped, BLUE, "o"),
    )

    grid = [-4.6 + 9.2 * k / 600 for k in range(601)]
    on_curve.plot(grid, [valley(w)[0] for w in grid], color=BLACK, linewidth=1.3)
    # Each walk a little off the curve, so that neither hides the other.
    for label, walk, color, marker in walks:
        lift = 0.025 if color == VERMILLION else -0.025
        points = walk[:12]
        heights = [valley(w)[0] + lift for w in points]
        on_curve.plot(points, heights, color=color, marker=marker, markersize=5, linewidth=1.1,
                      linestyle="--" if color == VERMILLION else "-", label=label)  # fmt: skip
    tidy(on_curve, "The function, and two walks from w = 2", "w", "f(w)")

    for label, walk, color, marker in walks:
        times = range(len(walk[:26]))
        over_time.semilogy(times, [max(abs(w), 1e-5) for w in walk[:26]], color=color,
                           marker=marker, markersize=4, label=label)  # fmt: skip
    tidy(over_time, "Distance from the minimum", "step", "|w|")

    caps = list(shown.shares)
    thresholds.semilogx(caps, [100 * share for share in shown.shares.values()], color=BLUE,
                        marker="o", markersize=4.5, label="measured")  # fmt: skip
    fine = [5 * 20 ** (k / 200) for k in range(201)]
    thresholds.semilogx(fine, [100 * cycling_share(cap) for cap in fine], color=GREY,
                        linestyle="--", label="cycle from the first step on")  # fmt: skip
    thresholds.axvline(THRESHOLD, color=BLACK, linestyle=":", linewidth=1.2)
    thresholds.annotate("cap 10", (THRESHOLD, 88), textcoords="offset points", xytext=(-5, 0),
                        ha="right", fontsize=9)  # fmt: skip
    thresholds.set_xticks([5, 10, 20, 50, 100], labels=["5", "10", "20", "50", "100"])
    thresholds.set_xticks([], minor=True)
    tidy(thresholds, "Starts in [1, 4] that never converge, in %", "cap max_lr")
    for axes in (on_curve, over_time, thresholds):
        axes.legend(fontsize=8.5, frameon=False, loc="best")
    return save_figure(figure, path)
