"""``alig-deepobs compare``: every optimizer with its best known setting, over several seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from alig_deepobs.cli.options import option, run_options

if TYPE_CHECKING:
    from rich.console import Console

    from alig_deepobs.cli.progress import Session
    from alig_deepobs.results import RunResult
    from alig_deepobs.runners.spec import RunSpec

DEFAULT_OPTIMIZERS = "alig,sgd,momentum,adam"


@click.command()
@click.argument("testproblems", nargs=-1, required=True, metavar="PROBLEM...")
@option("--optimizers", default=DEFAULT_OPTIMIZERS, show_default=True, metavar="LIST",
        help="Names or settings, with commas; a setting with [...] is used as given.")  # fmt: skip
@option("--seeds", type=click.IntRange(min=1), default=3, show_default=True,
        help="Runs of each optimizer, with seeds counting up from --random_seed.")  # fmt: skip
@option("--no_tuning", is_flag=True,
        help="Where no setting is known, take the defaults instead of a grid.")  # fmt: skip
@run_options
def compare(
    testproblems: tuple[str, ...],
    optimizers: str,
    seeds: int,
    no_tuning: bool,
    output_dir: str,
    random_seed: int,
    **options: Any,
) -> int:
    """Compare optimizers on test problems.

    Each optimizer gets its best known setting: the one given in brackets, else one that is known
    for this problem (DeepOBS's tuned baselines), else the best of a small grid, chosen on held-out
    training data. Then every optimizer is run with the same seeds. Prints a leaderboard for each
    problem and writes the results, two tables (CSV) and a picture of the learning curves.

    \b
    Examples:
      alig-deepobs compare digits_mlp
      alig-deepobs compare mnist_2c2d -N 2 --seeds 2 --data_dir data
      alig-deepobs compare quadratic_deep --optimizers 'alig[max_lr=0.01],sgd,adam'
    """  # noqa: D301 - click looks for the character itself
    from rich.console import Console

    from alig_deepobs.cli.progress import Session, check_failures
    from alig_deepobs.registry import expand_names
    from alig_deepobs.results import check_writable
    from alig_deepobs.runners.spec import RunSpec
    from alig_deepobs.settings import parse_setting

    base = RunSpec(testproblem="", optimizer="", random_seed=random_seed, **options)
    plans = [
        _Plan(
            replace(
                base,
                testproblem=problem.name,
                problem_options={**base.problem_options, **problem.params},
            ),
            optimizers,
            seeds,
            no_tuning,
        )
        for problem in map(parse_setting, expand_names(testproblems))
    ]
    check_writable(output_dir)
    console = Console()
    session = Session(sum(plan.total for plan in plans), output_dir, console)
    for plan in plans:
        with session.shown():
            runs = plan.carry_out(session)
        _report(runs, Path(output_dir), console)
    check_failures(session)
    return 0


class _Plan:
    """The runs of one problem: for each optimizer a known setting, or a grid to choose from.

    Everything is checked here, before the first run starts.
    """

    def __init__(self, base: RunSpec, optimizers: str, seeds: int, no_tuning: bool) -> None:
        from alig_deepobs.errors import UsageError
        from alig_deepobs.runners.checks import check
        from alig_deepobs.settings import parse_setting, split_settings

        self.base = base
        self.seeds = seeds
        self.known: list[RunSpec] = []
        self.grids: list[list[dict[str, Any]]] = []
        settings = [parse_setting(text) for text in split_settings(optimizers)]
        if not settings:
            raise UsageError("--optimizers names no optimizer")
        for setting in settings:
            spec, grid = _choose(base, setting.name, setting.params, no_tuning)
            check(spec)
            self.known.append(spec)
            self.grids.append(grid)

    @property
    def total(self) -> int:
        """Number of runs, tuning included."""
        return sum(len(grid) for grid in self.grids) + len(self.known) * self.seeds

    def carry_out(self, session: Session) -> list[RunResult]:
        """Tunes what has to be tuned, then runs every optimizer with every seed."""
        specs = [self._tuned(*pair, session) for pair in zip(self.known, self.grids, strict=True)]
        # Seeds outside, optimizers inside: a machine that gets slower does so for all alike.
        return [session.run(spec) for spec in _repeated(specs, self.seeds)]

    def _tuned(self, spec: RunSpec, grid: list[dict[str, Any]], session: Session) -> RunSpec:
        from alig_deepobs.runners.tuning import TUNING_SEED, tune

        if not grid:
            return spec
        # Tuning runs are no results: they are shown, but go into a folder of their own.
        folder = session.output_dir
        session.output_dir = None if folder is None else str(Path(folder) / "tuning")
        reported = range(spec.random_seed, spec.random_seed + self.seeds)
        seed = TUNING_SEED if TUNING_SEED not in reported else reported.stop
        tuned = tune(spec, grid, lambda run: session.run(run, "tuning"), seed)
        session.output_dir = folder
        return replace(spec, hyperparams=tuned.params, setting_source=tuned.source)


def _choose(
    base: RunSpec, optimizer: str, params: dict[str, Any], no_tuning: bool
) -> tuple[RunSpec, list[dict[str, Any]]]:
    """The setting of an optimizer, or the grid to choose it from (empty where it is known)."""
    from alig_deepobs.baselines import grid_for, known_setting
    from alig_deepobs.registry import find_optimizer, find_testproblem

    problem = find_testproblem(base.testproblem)
    entry = find_optimizer(optimizer, base.framework)
    spec = replace(base, optimizer=optimizer)
    if params:
        return replace(spec, hyperparams=params, setting_source="given on the command line"), []
    known = known_setting(problem.name, entry.name)
    if known is not None:
        return replace(spec, hyperparams=dict(known.params), setting_source=known.source), []
    grid = [] if no_tuning else grid_for(problem.name, entry)
    if len(grid) < 2:  # nothing to choose from
        own = entry.name in problem.optimizer_defaults
        source = "the problem's defaults" if own else "defaults, not tuned on this problem"
        return replace(spec, setting_source=source), []
    return spec, grid


def _repeated(specs: list[RunSpec], seeds: int) -> Iterator[RunSpec]:
    for repetition in range(seeds):
        for spec in specs:
            yield replace(spec, random_seed=spec.random_seed + repetition)


def _report(runs: list[RunResult], folder: Path, console: Console) -> None:
    """Prints the leaderboard of a problem and writes its tables and picture.

    They go into the root of the results, where DeepOBS's own tools do not look.
    """
    from alig_deepobs.analysis import leaderboard, plot_curves, render_rich, render_text, write_csv
    from alig_deepobs.registry import find_testproblem
    from alig_deepobs.results import write_text_atomically

    entry = find_testproblem(runs[0].testproblem)
    board = leaderboard(runs, entry)
    console.print()
    if console.is_terminal:
        console.print(render_rich(board, console.width))
    else:
        click.echo(render_text(board))
    table = folder / f"leaderboard_{entry.name}.csv"
    write_text_atomically(table, board.to_frame().to_csv(index=False))
    written = [
        table,
        write_csv(runs, folder / f"runs_{entry.name}.csv"),
        plot_curves(runs, entry, folder / f"curves_{entry.name}.png"),
    ]
    click.echo(f"Results are in {folder}; written: {', '.join(path.name for path in written)}")
