"""Comparing optimizers on test problems: the same for the command line and for Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alig_deepobs.analysis import leaderboard, load_results, runs_frame
from alig_deepobs.baselines import grid_for, known_setting
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import expand_names, find_optimizer, find_testproblem
from alig_deepobs.run import Outcome, RunResult, RunSpec
from alig_deepobs.runners.selection import Rule, tuning_seeds
from alig_deepobs.runners.store import Store
from alig_deepobs.runners.study import Cell, CellOutcome, Study, local
from alig_deepobs.runners.vectorized import Mode
from alig_deepobs.settings import parse_setting, split_settings

if TYPE_CHECKING:
    import pandas as pd

    from alig_deepobs.analysis import Leaderboard

DEFAULT_OPTIMIZERS = ("alig", "sgd", "momentum", "adam")


@dataclass(frozen=True)
class Comparison:
    """What a comparison has found.

    Attributes:
        outcomes: what came of each optimizer on each problem, tuning included.
        results: the reported runs, and all other runs of the folder that are comparable with them.
    """

    outcomes: Sequence[CellOutcome]
    results: Sequence[RunResult]

    @property
    def testproblems(self) -> list[str]:
        """The problems, in the order in which they were asked for."""
        return list(dict.fromkeys(o.cell.candidates[0].testproblem for o in self.outcomes))

    def results_of(self, testproblem: str | None = None) -> list[RunResult]:
        """The runs of a problem; None: of the only one.

        Raises:
            UsageError: there are several problems and none is named, or it is another one.
        """
        names = self.testproblems
        if testproblem is None and len(names) == 1:
            testproblem = names[0]
        if testproblem not in names:
            raise UsageError(f"name one of the problems of this comparison: {', '.join(names)}")
        return [result for result in self.results if result.testproblem == testproblem]

    @property
    def frame(self) -> pd.DataFrame:
        """One row per run (`alig_deepobs.analysis.runs_frame`)."""
        return runs_frame(self.results)

    @property
    def leaderboard(self) -> Leaderboard:
        """The leaderboard of the only problem; `leaderboard_of` has those of several."""
        return self.leaderboard_of()

    def leaderboard_of(self, testproblem: str | None = None) -> Leaderboard:
        """The leaderboard of a problem; None: of the only one."""
        results = self.results_of(testproblem)
        return leaderboard(results, find_testproblem(results[0].testproblem))

    def plot(self, path: str | Path, testproblem: str | None = None) -> Path:
        """Draws the learning curves of a problem; returns the path of the picture."""
        from alig_deepobs.analysis import plot_curves  # with matplotlib, which takes a while

        results = self.results_of(testproblem)
        return plot_curves(results, find_testproblem(results[0].testproblem), path)


def compare(
    testproblems: str | Iterable[str],
    optimizers: str | Iterable[str] = DEFAULT_OPTIMIZERS,
    *,
    seeds: int = 3,
    random_seed: int = 42,
    jobs: int = 1,
    executor: Mode = "auto",
    output_dir: str | Path | None = "results",
    no_tuning: bool = False,
    force: bool = False,
    **options: Any,
) -> Comparison:
    """Compares optimizers on test problems.

    Each optimizer gets its best known setting: the one given in brackets, else one that is known
    for this problem, else the best of a small grid, chosen on held-out training data. Then every
    optimizer is run with the same seeds. Runs that are in the folder are not run again.

    Args:
        testproblems: names of problems or of sets of problems.
        optimizers: names, or settings such as ``"alig[max_lr=0.1]"``.
        seeds: runs of each optimizer, with seeds counting up from ``random_seed``.
        random_seed: the first seed.
        jobs: runs at the same time, in processes of their own. A script that uses more than one
            must guard its main program with ``if __name__ == "__main__":``.
        executor: ``"auto"``: runs that differ in numbers alone are trained as one computation,
            where that is faster; ``"vectorized"``: wherever that can be done; ``"processes"``:
            never.
        output_dir: folder for the results; None: write none.
        no_tuning: where no setting is known, take the defaults instead of a grid.
        force: run again what is in the folder.
        **options: further fields of `RunSpec`, such as ``num_epochs``.

    Raises:
        UsageError: a name or an option is wrong.
        DataError: data is missing.

    Example:
        >>> found = compare("two_d_beale", "alig,sgd", seeds=2, num_epochs=1, output_dir=None)
        >>> len(found.frame), found.leaderboard.rows[0].rank
        (4, 1)
    """
    store = None if output_dir is None else Store(Path(output_dir))
    chosen = tuple(range(random_seed, random_seed + seeds))
    cells = plan_comparison(testproblems, optimizers, chosen, options, no_tuning)
    outcomes = Study(cells, store, force=force).carry_out(local(jobs, executor))
    return comparison(outcomes, store)


def plan_comparison(
    testproblems: str | Iterable[str],
    optimizers: str | Iterable[str],
    seeds: tuple[int, ...],
    options: Mapping[str, Any],
    no_tuning: bool = False,
) -> list[Cell]:
    """The cells of a comparison: every optimizer on every problem; see `compare`.

    Args:
        testproblems: names of problems or of sets of problems.
        optimizers: names or settings.
        seeds: to report.
        options: further fields of `RunSpec`.
        no_tuning: where no setting is known, take the defaults instead of a grid.
    """
    problems = [testproblems] if isinstance(testproblems, str) else list(testproblems)
    given = [optimizers] if isinstance(optimizers, str) else list(optimizers)
    settings = [parse_setting(text) for texts in given for text in split_settings(texts)]
    if not settings:
        raise UsageError("--optimizers names no optimizer")
    rule = Rule(tuning_seeds(seeds))
    cells = []
    for problem in map(parse_setting, expand_names(problems)):
        for setting in settings:
            spec = RunSpec(problem.name, setting.name, **options)
            spec = replace(spec, problem_options={**spec.problem_options, **problem.params})
            cells.append(Cell(tuple(candidates(spec, setting.params, no_tuning)), seeds, rule))
    return cells


def plan_tuning(
    testproblems: Iterable[str],
    optimizers: str,
    seeds: int,
    options: Mapping[str, Any],
) -> list[Cell]:
    """Cells that choose a setting and report nothing.

    Args:
        testproblems: names of problems or of sets of problems.
        optimizers: names, with commas.
        seeds: runs of each setting.
        options: further fields of `RunSpec`.

    Raises:
        UsageError: an optimizer has nothing to choose from.
    """
    cells = []
    for problem in map(parse_setting, expand_names(testproblems)):
        for setting in map(parse_setting, split_settings(optimizers)):
            spec = RunSpec(problem.name, setting.name, **options)
            spec = replace(spec, problem_options={**spec.problem_options, **problem.params})
            found = candidates(spec, setting.params, known=False)
            if len(found) < 2:
                raise UsageError(f"{setting.name} has no grid to tune over on {problem.name}")
            cells.append(Cell(tuple(found), (), Rule(tuning_seeds((), seeds))))
    return cells


def candidates(
    spec: RunSpec, params: Mapping[str, Any], no_tuning: bool = False, known: bool = True
) -> list[RunSpec]:
    """The settings of an optimizer to choose from; a single one where there is no choice.

    Args:
        spec: a run of the optimizer.
        params: hyper-parameters that were given with it.
        no_tuning: take the defaults instead of a grid.
        known: take a setting that is known for this problem, where there is one.
    """
    problem = find_testproblem(spec.testproblem)
    entry = find_optimizer(spec.optimizer, spec.framework)
    if params:
        return [replace(spec, hyperparams=dict(params), setting_source="given on the command line")]
    setting = known_setting(problem.name, entry.name) if known else None
    if setting is not None:
        return [replace(spec, hyperparams=dict(setting.params), setting_source=setting.source)]
    grid = [] if no_tuning else grid_for(problem.name, entry)
    if len(grid) < 2:  # nothing to choose from
        own = entry.name in problem.optimizer_defaults
        source = "the problem's defaults" if own else "defaults, not tuned on this problem"
        return [replace(spec, setting_source=source)]
    return [replace(spec, hyperparams=dict(values)) for values in grid]


def comparison(outcomes: Sequence[CellOutcome], store: Store | None) -> Comparison:
    """The comparison of the reported runs with all runs of the folder that they compare with.

    Args:
        outcomes: what came of the cells.
        store: the folder.
    """
    own = [result for outcome in outcomes for result in outcome.runs]
    keys = [result.comparison() for result in own]
    mine = {result.identity() for result in own}
    there = [] if store is None or not own else load_results(store.folder).results
    others = [
        result
        for result in there
        if result.identity() not in mine
        and result.outcome is not Outcome.INTERRUPTED
        and result.comparison() in keys
    ]
    return Comparison(outcomes, [*own, *others])
