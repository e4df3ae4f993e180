"""Figure 3: the final objective for each value of the rate, and how wide the good ranges are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from alig_deepobs.analysis.plots import draw_heat_map, save_figure
from alig_deepobs.analysis.sensitivity import GoodRange, widest_range
from alig_deepobs.reproduce.carry_out import Outcomes
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
            ranges[name][outcome.row.method.label] = widest_range(dict(cells), limit)
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
    if any(found.open_low or found.open_high for of in ranges.values() for found in of.values()):
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


def draw(plan: Plan, summary: Summary, outcomes: Sequence[Outcomes], path: Path) -> Path:
    """One row of cells for each method, shaded by the logarithm of the final objective."""
    shown = {o.row.method.label: dict(cells_of(o)) for o in outcomes if o.runs}
    runs = [run for outcome in outcomes for run in outcome.runs]
    untrained = max((run.train_losses[0] for run in runs if run.train_losses), default=1)
    figure = draw_heat_map(
        shown,
        label="final objective",
        axis_label="max_lr, lr or fraction",
        title=f"{plan.experiment.title}\n({runs[0].num_epochs * 100:,} iterations, "
        f"{runs[0].data_label})",
        # Far above the loss before training all is equally bad.
        worst=10 * untrained,
    )
    return save_figure(figure, path)
