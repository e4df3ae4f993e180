"""Figure 3: the final objective for each value of the rate, and how wide the good ranges are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle

from alig_deepobs.reproduce.carry_out import Outcomes
from alig_deepobs.reproduce.pictures import new_figure, save
from alig_deepobs.reproduce.plan import Plan
from alig_deepobs.reproduce.summary import Line, Summary, line
from alig_deepobs.run import Outcome, RunResult

LEARNED = 0.01
"""A value has learned the task if its objective is at most this part of that before training."""

NEAR = 10.0
"""A value is near the best if, beyond that, it is within this factor of the best of all methods."""


def summarize(plan: Plan, outcomes: Sequence[Outcomes]) -> Summary:
    """The best final objective of each method, and its ranges of good values."""
    runs = [run for outcome in outcomes for run in outcome.runs]
    best = min(map(objective, runs), default=math.inf)
    untrained = max((run.train_losses[0] for run in runs if run.train_losses), default=0.0)
    limits = {
        "learned": LEARNED * untrained,
        "near the best": min(NEAR * best, LEARNED * untrained),
    }
    lines: list[Line] = []
    ranges: dict[str, dict[str, GoodRange]] = {name: {} for name in limits}
    for outcome in outcomes:
        cells = cells_of(outcome)
        if not cells:
            lines.append(line(outcome, [], ""))
            continue
        value, lowest = min(cells, key=lambda cell: cell[1])
        for name, limit in limits.items():
            ranges[name][outcome.row.method.label] = good_range(cells, limit)
        lines.append(
            line(
                outcome,
                [lowest] if math.isfinite(lowest) else [],
                f"{next(iter(outcome.row.method.grid))} {value:g}, best of {len(cells)}",
                *(f"{name}: {found[outcome.row.method.label]}" for name, found in ranges.items()),
            )
        )
    return Summary("best final objective", lines, _statements(ranges, limits, best, untrained))


def _statements(
    ranges: dict[str, dict[str, GoodRange]],
    limits: dict[str, float],
    best: float,
    untrained: float,
) -> list[str]:
    if not math.isfinite(best):
        return ["Every run diverged."]
    if best > limits["learned"]:
        return [
            f"No value has learned the task: the best objective is {best:.3g}, and the loss before "
            f"training {untrained:.3g}."
        ]
    statements = [
        f"Learned the task (objective at most {limits['learned']:.3g}, {LEARNED:.0%} of the loss "
        f"before training): {_widest(ranges['learned'])}",
        f"Near the best (at most {limits['near the best']:.3g}, a factor {NEAR:g} from the best "
        f"objective {best:.3g}): {_widest(ranges['near the best'])}",
    ]
    if any(found.open_ends for of in ranges.values() for found in of.values()):
        statements.append("A range is open where the last value that was tried is good.")
    return statements


def _widest(ranges: dict[str, GoodRange]) -> str:
    """Who has the widest range, and the ranges of the others in their order."""
    ordered = sorted(ranges.items(), key=lambda pair: pair[1].rank, reverse=True)
    widest = ordered[0][1]
    first = [label for label, found in ordered if found.rank == widest.rank]
    others = [f"{label} {found}" for label, found in ordered if label not in first]
    text = f"the widest range has {' and '.join(first)}, {widest}."
    return f"{text} The others: {'; '.join(others)}." if others else text


def objective(run: RunResult) -> float:
    """Mean loss of the last epoch (100 iterations); infinity for a run that did not get there."""
    if run.outcome is not Outcome.DONE or not run.epoch_mean_losses:
        return math.inf
    return run.epoch_mean_losses[-1]


def cells_of(outcome: Outcomes) -> list[tuple[float, float]]:
    """The values of the main hyper-parameter and the objectives, sorted by value."""
    knob = next(iter(outcome.row.method.grid))
    pairs = ((float(run.hyperparams[knob]), objective(run)) for run in outcome.runs)
    return sorted(pairs)


def cells_csv(outcomes: Sequence[Outcomes]) -> str:
    """Every cell as a line of a CSV file; the objective of a run that did not end is empty."""
    rows = ["method,knob,value,objective,seed,outcome"]
    for outcome in outcomes:
        knob = next(iter(outcome.row.method.grid))
        for run in outcome.runs:
            value, result = run.hyperparams[knob], objective(run)
            shown = f"{result:.6g}" if math.isfinite(result) else ""
            label = outcome.row.method.label
            rows.append(f"{label},{knob},{value:g},{shown},{run.random_seed},{run.outcome.value}")
    return "\n".join(rows) + "\n"


@dataclass(frozen=True)
class GoodRange:
    """The longest unbroken row of good values among those that were tried.

    Attributes:
        values: the good values of that row, sorted; infinity stands for no cap.
        good: number of good values anywhere.
        tried: number of values that were tried.
        open_ends: at how many ends the row reaches the last value that was tried, so that the
            range may be wider than it shows.
    """

    values: tuple[float, ...]
    good: int
    tried: int
    open_ends: int = 0

    @property
    def decades(self) -> float:
        """From the lowest to the highest finite value, as a number of powers of ten."""
        finite = [value for value in self.values if math.isfinite(value)]
        return math.log10(finite[-1] / finite[0]) if finite else 0.0

    @property
    def rank(self) -> tuple[float, float, int]:
        """What ranges are compared by: decades, then the end without a cap, then good values."""
        return round(self.decades, 6), math.inf in self.values, self.good

    def __str__(self) -> str:
        if not self.values:
            return f"none of {self.tried} values"
        finite = [value for value in self.values if math.isfinite(value)]
        if not finite:
            return f"only without a cap ({self.good} of {self.tried} values)"
        text = f"{finite[0]:g}" if len(finite) == 1 else f"{finite[0]:g} to {finite[-1]:g}"
        without = " and without a cap" if math.inf in self.values else ""
        ends = ("", ", open at one end", ", open at both ends")
        decades = f"{self.decades:.2g} decade{'' if self.decades == 1 else 's'}"
        return (
            f"{text}{without} ({decades}, {self.good} of {self.tried} values{ends[self.open_ends]})"
        )


def good_range(cells: Sequence[tuple[float, float]], limit: float) -> GoodRange:
    """The longest unbroken range of values whose objective is at most ``limit``.

    Args:
        cells: values and objectives, sorted by value.
        limit: the highest objective that is good.

    Example:
        >>> found = good_range([(0.1, 9.0), (1.0, 0.2), (10.0, 0.3), (100.0, math.inf)], 1.0)
        >>> str(found)
        '1 to 10 (1 decade, 2 of 4 values)'
    """
    rows: list[GoodRange] = []
    good = sum(value <= limit < math.inf for _, value in cells)
    for is_good, group in groupby(cells, key=lambda cell: cell[1] <= limit < math.inf):
        if is_good:
            values = tuple(value for value, _ in group)
            # No cap is the end of all caps: nothing lies beyond it.
            ends = (values[0] == cells[0][0]) + (values[-1] == cells[-1][0] < math.inf)
            rows.append(GoodRange(values, good, len(cells), ends))
    return max(rows, key=lambda row: row.rank, default=GoodRange((), good, len(cells)))


def draw(plan: Plan, summary: Summary, outcomes: Sequence[Outcomes], path: Path) -> Path:
    """One row of cells for each method, shaded by the logarithm of the final objective."""
    shown = [outcome for outcome in outcomes if outcome.runs]
    finite = [x for outcome in shown for _, x in cells_of(outcome) if math.isfinite(x)]
    untrained = max((o.runs[0].train_losses[0] for o in shown if o.runs[0].train_losses), default=1)
    # Far above the loss before training, all is equally bad; and one run must not eat the scale.
    highest = min(max(finite, default=untrained), 10 * untrained)
    norm = LogNorm(min([*finite, highest / 10]), highest, clip=True)
    columns = max(len(outcome.runs) for outcome in shown)
    figure = new_figure(max(7.5, 2.4 + 0.62 * columns), 1.7 + 0.62 * len(shown))
    axes = figure.subplots()
    for number, outcome in enumerate(shown):
        _draw_row(axes, len(shown) - 1 - number, cells_of(outcome), columns, norm)
    axes.set_yticks(range(len(shown)), labels=[o.row.method.label for o in reversed(shown)])
    axes.set_xticks([])
    axes.set_xlim(0, columns)
    axes.set_ylim(-0.55, len(shown) - 0.45)
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    bar = figure.colorbar(ScalarMappable(norm, colormaps["cividis_r"]), ax=axes, pad=0.02)
    bar.set_label("final objective", fontsize=9)
    run = shown[0].runs[0]
    figure.suptitle(
        f"Final objective of each method and value ({run.num_epochs * 100:,} iterations, "
        f"{run.data_label})\nin each cell: its value (max_lr, lr or fraction) over the objective",
        fontsize=10,
    )
    return save(figure, path)


def _draw_row(
    axes: Axes, height: int, cells: Sequence[tuple[float, float]], columns: int, norm: LogNorm
) -> None:
    width = columns / len(cells)
    colors = colormaps["cividis_r"]
    for position, (value, result) in enumerate(cells):
        ended = math.isfinite(result)
        shade = float(norm(result)) if ended else 1.0
        axes.add_patch(
            Rectangle((position * width, height - 0.42), width, 0.84, facecolor=colors(shade),
                      edgecolor="white", hatch=None if ended else "xx", linewidth=1.5)
        )  # fmt: skip
        below = f"{result:.1e}" if ended else "diverged"
        axes.text((position + 0.5) * width, height, f"{value:g}\n{below}", ha="center", va="center",
                  fontsize=6.5 if columns <= 10 else 5.5,
                  color="white" if shade > 0.5 else "black")  # fmt: skip
