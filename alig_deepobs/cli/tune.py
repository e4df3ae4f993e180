"""``alig-deepobs tune``: finds the best of a grid of settings for each optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from alig_deepobs.cli.options import option, run_options, study_options

if TYPE_CHECKING:
    from alig_deepobs.runners.study import CellOutcome
    from alig_deepobs.runners.vectorized import Mode


@click.command()
@click.argument("testproblems", nargs=-1, required=True, metavar="PROBLEM...")
@option("--optimizers", default="alig,sgd,momentum,adam", show_default=True, metavar="LIST",
        help="Names, with commas; each is tuned over the values of its grid.")  # fmt: skip
@option("--tuning_seeds", type=click.IntRange(min=1), default=1, show_default=True,
        help="Runs of each setting; the best mean wins.")  # fmt: skip
@study_options()
@run_options("split", "keep_best", "random_seed")
def tune(
    testproblems: tuple[str, ...],
    optimizers: str,
    tuning_seeds: int,
    output_dir: str,
    jobs: int,
    executor: Mode,
    force: bool,
    dry_run: bool,
    **options: Any,
) -> int:
    """Find the best setting of optimizers on test problems.

    Every setting of an optimizer's grid is run, and the one with the best validation result after
    the last epoch is chosen (the lowest training loss, where a problem has nothing to hold out).
    The test set plays no part. Runs whose results are in the folder are not run again; `compare`
    with the same options goes on from them.

    \b
    Examples:
      alig-deepobs tune digits_mlp
      alig-deepobs tune mnist_mlp --optimizers alig,adam -N 5 --tuning_seeds 3 --jobs 2
    """  # noqa: D301 - click looks for the character itself
    from alig_deepobs.cli.progress import carry_out
    from alig_deepobs.comparison import plan_tuning

    cells = plan_tuning(testproblems, optimizers, tuning_seeds, options)
    done = carry_out(
        cells,
        output_dir=output_dir,
        jobs=jobs,
        executor=executor,
        force=force,
        dry_run=dry_run,
    )
    if done is None:
        return 0
    for outcome in done[0]:
        click.echo(f"\n{_text(outcome)}")
    done[1].check_failures()
    return 0


def _text(outcome: CellOutcome) -> str:
    """The settings of a cell with their scores, the chosen one marked."""
    from alig_deepobs.settings import Setting

    cell = outcome.cell
    spec = cell.candidates[outcome.chosen]
    lines = [f"{spec.testproblem} {spec.optimizer}, {cell.rule.source(cell.candidates)}"]
    for number, (candidate, runs) in enumerate(
        zip(cell.candidates, outcome.tuning, strict=True)
    ):  # fmt: skip
        mark = "*" if number == outcome.chosen else " "
        setting = Setting(candidate.optimizer, candidate.hyperparams)
        lines.append(f"{mark} {setting!s:40} {cell.rule.score_text(runs)}")
    if outcome.chosen in (0, len(cell.candidates) - 1):
        lines.append("  the chosen value is at the end of the grid: a wider one may be better")
    return "\n".join(lines)
