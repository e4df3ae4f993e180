"""Makes the section on the paper's Figure 3 from the committed runs (`tools/results_page.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alig_deepobs.analysis import to_markdown, widest_range
from alig_deepobs.analysis.plots import save_figure
from alig_deepobs.bundles import SUFFIX, read_bundle
from alig_deepobs.reproduce.experiments.dnc import FIGURE_3
from alig_deepobs.reproduce.findings import Finding, limits
from alig_deepobs.reproduce.pictures import pictures
from alig_deepobs.reproduce.plan import Plan, make_plan
from alig_deepobs.reproduce.report import as_table
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners.cells import CellOutcome
from alig_deepobs.runners.resolve import resolve

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "baselines" / "paper" / f"dnc_copy{SUFFIX}"
SEEDS = (42, 43, 44)
PICTURE = ROOT / "docs" / "images" / "fig3.png"

INTRODUCTION = """## Figure 3 of the paper, in full

The paper's 10,000 iterations. The thresholds of "learned the task" and "near the best" were fixed
before these runs ([reproducing the paper](reproduce.md)). Again:

    alig-deepobs reproduce fig3 --compile

One seed; with others below it. The last digits of the arithmetic decide where a run ends:
with seed 42 and a cap of 10,000 ALI-G came to 5.1e-8 alone ([dnc_copy](dnc.md)), and far less close
in the runs below, which were trained together. So the ranges say more than the best values.

![Figure 3: the darker, the better](images/fig3.png)
"""


def figure_3() -> str:
    """The section; empty as long as nothing is measured."""
    if not RUNS.exists():
        return ""
    plan, findings = _measured()
    table = to_markdown(as_table(plan, findings)).split("\n\n", 1)[1]
    return f"{INTRODUCTION}\n{table}\n{_seed_by_seed()}"


def is_measured(seed: int, methods: Sequence[str] = ()) -> bool:
    """Whether every method, or each of some, is with a seed."""
    measured = [
        bool(finding.outcomes)
        for finding in (_measured(seed)[1] if RUNS.exists() else [])
        if not methods or finding.planned.method.key in methods
    ]
    return bool(measured) and all(measured)


def _seed_by_seed() -> str:
    """The methods with more than one seed: the best objective, and the values that learned."""
    of = {seed: [f for f in _measured(seed)[1] if f.outcomes] for seed in SEEDS}
    seeds = [seed for seed in SEEDS if of[seed]]
    columns = [f"best, seed {seed} | learned the task, seed {seed}" for seed in seeds]
    lines = [f"| Method | {' | '.join(columns)} |", "|---" * (1 + 2 * len(seeds)) + "|"]
    for first in of[seeds[0]]:
        cells = [first.label]
        for seed in seeds:
            finding = next((f for f in of[seed] if f.label == first.label), None)
            if finding is None:
                cells += ["not measured"] * 2
                continue
            limit = next(iter(limits(of[seed]).values()))
            best = f"{min(finding.objectives.values()):.1e}"
            cells += [best, str(widest_range(finding.objectives, limit))]
        if cells.count("not measured") < 2 * (len(seeds) - 1):
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        ["**Seed by seed** (a new seed is another start and other sequences)\n", *lines]
    )


def draw() -> Path:
    """Draws the heat map."""
    ((_, figure),) = pictures(*_measured())
    return save_figure(figure, PICTURE)


def _measured(seed: int = SEEDS[0]) -> tuple[Plan, list[Finding]]:
    """The plan of the paper's budget, and what came of the methods that are measured."""
    spec = RunSpec("", "", device="cpu", random_seed=seed)
    plan = make_plan(FIGURE_3, FIGURE_3.budgets["full"], spec)
    ended = (run for run in read_bundle(RUNS) if run.outcome is not Outcome.INTERRUPTED)
    runs = {run.identity(): run for run in ended}
    findings = []
    for planned in plan.methods:
        outcomes = []
        for cell in planned.cells:
            (spec,) = cell.reported(cell.candidates, 0)
            run = runs.get(resolve(spec).identity())
            outcomes += [] if run is None else [CellOutcome(cell, runs=[run])]
        # A method of which values are missing has no range yet.
        complete = len(outcomes) == len(planned.cells)
        findings.append(Finding(FIGURE_3.kind, planned, outcomes if complete else []))
    return plan, findings
