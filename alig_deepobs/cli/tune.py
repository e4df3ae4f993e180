"""``alig-deepobs tune``: finds the best setting of each optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from alig_deepobs.cli.options import (
    optimizers_option,
    protocol_options,
    run_options,
    study_options,
)
from alig_deepobs.cli.output import say

if TYPE_CHECKING:
    from alig_deepobs.protocols import Protocol


@click.command()
@click.argument("testproblems", nargs=-1, required=True, metavar="PROBLEM...")
@optimizers_option
@protocol_options()
@study_options()
@run_options("split", "keep_best", "random_seed")
def tune(
    testproblems: tuple[str, ...],
    optimizers: str,
    protocol: Protocol,
    output_dir: str,
    how: dict[str, Any],
    **options: Any,
) -> int:
    """Find the best setting of optimizers on test problems.

    The protocol says which settings are tried; the one with the best mean validation result after
    the last epoch is chosen (the lowest training loss, where a problem has nothing to hold out).
    The test set plays no part. Runs whose results are in the folder are not run again; `compare`
    with the same options goes on from them.

    \b
    Examples:
      alig-deepobs tune digits_mlp
      alig-deepobs tune mnist_mlp --optimizers alig,adam -N 5 --tuning_seeds 3 --jobs 2
    """  # noqa: D301 - click looks for the character itself
    from alig_deepobs.cli.progress import carry_out
    from alig_deepobs.cli.tuned import trials_text
    from alig_deepobs.comparison import plan_comparison
    from alig_deepobs.errors import UsageError

    cells = plan_comparison(testproblems, optimizers, (), protocol, options)
    for cell in cells:
        if not cell.tuning(cell.candidates):
            spec = cell.candidates[0]
            raise UsageError(f"{spec.optimizer} has nothing to tune on {spec.testproblem}")
    done = carry_out(cells, output_dir=output_dir, **how)
    if done is None:
        return 0
    for outcome in done[0]:
        say(f"\n{trials_text(outcome)}")
    done[1].check_failures()
    return 0
