"""``alig-deepobs compare``: every optimizer tuned on equal terms, then run over several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from alig_deepobs.cli.options import (
    MOST_SEEDS,
    optimizers_option,
    option,
    protocol_options,
    reference_option,
    run_options,
    study_options,
)
from alig_deepobs.cli.output import say, say_table
from alig_deepobs.cli.study_file import study_file_options

if TYPE_CHECKING:
    from alig_deepobs.analysis import Table
    from alig_deepobs.comparison import Comparison
    from alig_deepobs.protocols import Protocol


@click.command()
@click.argument("testproblems", nargs=-1, required=True, metavar="PROBLEM...")
@study_file_options
@optimizers_option
@option("--seeds", type=click.IntRange(1, MOST_SEEDS), default=3, show_default=True,
        help="Runs of each optimizer, with seeds counting up from --random_seed.")  # fmt: skip
@protocol_options()
@reference_option
@study_options()
@run_options("split", "keep_best")
def compare(
    testproblems: tuple[str, ...],
    optimizers: str,
    seeds: int,
    protocol: Protocol,
    reference: str | None,
    output_dir: str,
    how: dict[str, Any],
    random_seed: int,
    **options: Any,
) -> int:
    """Compare optimizers on test problems.

    Each optimizer gets its setting as the protocol says: by default all are tuned alike, on
    held-out training data, at the epochs of this comparison. Then every optimizer is run with the
    same seeds. Runs whose results are in the folder are not run again, so seeds, optimizers and
    problems can be added later. Prints a leaderboard for each problem, of all runs in the folder
    that can be compared, and writes two tables (CSV) and a picture of the learning curves.

    \b
    Examples:
      alig-deepobs compare digits_mlp
      alig-deepobs compare digits_mlp --seeds 10 --jobs 2
      alig-deepobs compare mnist_2c2d -N 2 --protocol equal:5 --tuning_seeds 1 --data_dir data
      alig-deepobs compare quadratic_deep --optimizers 'alig[max_lr=0.01],sgd,adam'
      alig-deepobs compare digits_mlp --optimizers alig,my:Opt --grid 'my:Opt:lr=1e-4..1'
    """  # noqa: D301 - click looks for the character itself
    from alig_deepobs.cli.progress import carry_out
    from alig_deepobs.cli.tuned import tuning_table
    from alig_deepobs.comparison import check_reference, comparison, plan_comparison
    from alig_deepobs.runners.store import Store

    reported = tuple(range(random_seed, random_seed + seeds))
    cells = plan_comparison(testproblems, optimizers, reported, protocol, options)
    store = Store(Path(output_dir))
    check_reference(reference, cells, store)
    done = carry_out(cells, output_dir=output_dir, **how)
    if done is None:
        return 0
    found = comparison(done[0], store, reference)
    # Everything is written before anything is printed: the output may be closed.
    boards = {name: found.leaderboard_of(name).table for name in found.testproblems}
    written = [_write(found, name, boards[name], Path(output_dir)) for name in boards]
    tuned = tuning_table(done[0], protocol)
    if tuned.rows:
        say_table(tuned)
    for table, paths in zip(boards.values(), written, strict=True):
        say_table(table)
        names = ", ".join(path.name for path in paths)
        say(f"Results are in {output_dir}; written: {names}")
    done[1].check_failures()
    return 0


def _write(found: Comparison, testproblem: str, board: Table[Any], folder: Path) -> list[Path]:
    """Writes the tables and the picture of a problem.

    They go into the root of the results, where DeepOBS's own tools do not look.
    """
    from alig_deepobs.analysis import write_csv, write_table

    return [
        write_table(board, folder, "csv"),
        write_csv(found.results_of(testproblem), folder / f"runs_{testproblem}.csv"),
        *_picture(found, testproblem, folder),
    ]


def _picture(found: Comparison, testproblem: str, folder: Path) -> list[Path]:
    """Draws the learning curves; empty, with a line that says why, where that fails."""
    picture = folder / f"curves_{testproblem}.png"
    try:
        if not _is_current(picture, folder / testproblem):
            found.plot(picture, testproblem)
    except Exception as error:  # noqa: BLE001 - a broken plot must not take the tables with it
        say(f"{picture} is not drawn: {type(error).__name__}: {error}", err=True)
        return []
    return [picture]


def _is_current(picture: Path, results: Path) -> bool:
    """Whether a picture is later than all results: drawing it takes longer than all the rest."""
    if not picture.exists():
        return False
    drawn = picture.stat().st_mtime_ns
    return all(path.stat().st_mtime_ns < drawn for path in results.rglob("*.json"))
