"""The charts about the main hyper-parameter: sensitivity, budget, heat map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from alig_deepobs.analysis.budget import BudgetCurve, budget_curve
from alig_deepobs.analysis.plots.heat_map import draw_heat_map
from alig_deepobs.analysis.plots.lines import Axis, Line
from alig_deepobs.analysis.plots.style import Style
from alig_deepobs.analysis.report.chart import Chart, line_chart
from alig_deepobs.analysis.report.sections import Grid, Section
from alig_deepobs.errors import UsageError


def sensitivity_charts(section: Section, looks: Mapping[str, Style]) -> list[Chart]:
    """The charts of the grids of a problem; none where there is no grid."""
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
        line_chart(
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
            line_chart(
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
