"""Comparing optimizers on test problems: the same for the command line and for Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alig_deepobs.analysis import leaderboard, load_results, runs_frame
from alig_deepobs.entries import HyperParameter
from alig_deepobs.errors import UsageError, check_text, unknown_choice
from alig_deepobs.foreign import plain_scalar
from alig_deepobs.protocols import DEFAULT, Protocol
from alig_deepobs.registry import expand_names, find_optimizer, find_testproblem
from alig_deepobs.run import Outcome, RunResult, RunSpec
from alig_deepobs.runners.cells import Cell, CellOutcome
from alig_deepobs.runners.loggers import Logged
from alig_deepobs.runners.places import check_checkpoints
from alig_deepobs.runners.store import Store
from alig_deepobs.runners.study import Silent, Study, local, without_repeats
from alig_deepobs.runners.vectorized import MODES, Mode
from alig_deepobs.settings import parse_setting, split_settings

if TYPE_CHECKING:
    import pandas as pd

    from alig_deepobs.analysis import Leaderboard

DEFAULT_OPTIMIZERS = ("alig", "sgd", "momentum", "adam")


@dataclass(frozen=True, repr=False)
class Comparison:
    """What a comparison has found; `print` shows the leaderboards.

    Attributes:
        outcomes: what came of each optimizer on each problem, tuning included.
        results: the reported runs, and all other runs of the folder that are comparable with them.
        reference: optimizer with which leaderboards compare every other; None: ALI-G.
    """

    outcomes: Sequence[CellOutcome]
    results: Sequence[RunResult]
    reference: str | None = None

    def __repr__(self) -> str:
        return f"<Comparison on {', '.join(self.testproblems)}: {len(self.results)} runs>"

    def __str__(self) -> str:
        return "\n\n".join(str(self.leaderboard_of(name)) for name in self.testproblems)

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
        entry = find_testproblem(results[0].testproblem)
        return leaderboard(results, entry, reference=self.reference)

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
    protocol: str = DEFAULT,
    grids: str | Sequence[str] = (),
    tuning_seeds: int | None = None,
    force_known: bool = False,
    force: bool = False,
    reference: str | None = None,
    log: Iterable[str] = (),
    **options: Any,
) -> Comparison:
    """Compares optimizers on test problems.

    Each optimizer gets its setting as the protocol says (`alig_deepobs.protocols`); by default all
    are tuned alike, over the range that each declares, at the epochs of this comparison. What is
    given in brackets is fixed. Then every optimizer is run with the same seeds. Runs that are in
    the folder are not run again.

    Args:
        testproblems: names of problems or of sets of problems.
        optimizers: names, or settings such as ``"alig[max_lr=0.1]"``.
        seeds: runs of each optimizer, with seeds counting up from ``random_seed``.
        random_seed: the first seed.
        jobs: runs at the same time, in processes of their own. A script that uses more than one
            must guard its main program with ``if __name__ == "__main__":``.
        executor: ``"auto"``: runs that differ in numbers alone are trained as one computation,
            where that is faster; ``"vectorized"``: wherever that can be done, which excludes a
            ``checkpoint_interval``; ``"processes"``: never.
        output_dir: folder for the results; None: write none.
        protocol: how settings are chosen: ``equal``, ``budget:12``, ``grid``, ``deepobs``,
            ``known`` or ``defaults``.
        grids: values to choose from, such as ``"alig:max_lr=1e-3..10/9,momentum=0|0.9"``.
        tuning_seeds: runs of each setting that serve to choose, none of which is reported.
        force_known: with ``known``, take settings also where they were tuned for another problem
            or another number of epochs.
        force: run again what is in the folder.
        reference: optimizer with which every other is compared; see `check_reference`.
        log: loggers that hear of every run: ``tensorboard``, ``wandb``, ``mlflow``, ``csv``.
        **options: further fields of `RunSpec`, such as ``num_epochs``.

    Raises:
        UsageError: a name or an option is wrong.
        DataError: data is missing.

    Example:
        >>> found = compare("two_d_beale", "alig,sgd", seeds=2, num_epochs=1, output_dir=None,
        ...                 protocol="defaults")
        >>> len(found.frame), found.leaderboard.rows[0].rank
        (4, 1)
    """
    seeds, jobs = _checked(int, seeds=seeds, jobs=jobs)
    for name, count in (("seeds", seeds), ("jobs", jobs)):
        if count < 1:
            raise UsageError(f"{name} must be a number from 1 on, not {count}")
    (random_seed,) = _checked(int, random_seed=random_seed)
    force, force_known = _checked(bool, force=force, force_known=force_known)
    (protocol,) = _checked(str, protocol=protocol)
    if executor not in MODES:
        raise unknown_choice("executor", str(executor), MODES)
    named = ("testproblem", "optimizer", "hyperparams")
    known = [item.name for item in fields(RunSpec) if item.name not in named]
    for name in options:
        if name not in known:
            raise unknown_choice("option", name, known)
    grids, log = _names("grid", grids), _names("logger", log)
    store = None if output_dir is None else Store(Path(output_dir))
    chosen = tuple(range(random_seed, random_seed + seeds))
    parsed = Protocol.parse(protocol, grids, tuning_seeds, force_known)
    cells = plan_comparison(testproblems, optimizers, chosen, parsed, options)
    check_reference(reference, cells, store)
    check_checkpoints(executor, cells)
    progress = Logged(Silent(), log, output_dir or "results")
    outcomes = Study(cells, store, force=force).carry_out(local(jobs, executor), progress)
    return comparison(outcomes, store, reference)


def plan_comparison(
    testproblems: str | Iterable[str],
    optimizers: str | Iterable[str],
    seeds: tuple[int, ...],
    protocol: Protocol,
    options: Mapping[str, Any],
) -> list[Cell]:
    """The cells of a comparison: every optimizer on every problem; see `compare`.

    Args:
        testproblems: names of problems or of sets of problems.
        optimizers: names or settings.
        seeds: to report; empty: only choose the settings.
        protocol: how settings are chosen.
        options: further fields of `RunSpec`.

    Raises:
        UsageError: a name or an option is wrong.
    """
    problems = _names("test problem", testproblems)
    given = _names("optimizer", optimizers)
    texts = dict.fromkeys(text for several in given for text in split_settings(several))
    settings = [parse_setting(text) for text in texts]
    if not settings:
        raise UsageError("--optimizers names no optimizer")
    named = [setting.name for setting in settings]
    for name in protocol.grids:
        if name not in named:
            raise unknown_choice("optimizer of a grid", name, named)
    cells = []
    for problem in map(parse_setting, expand_names(problems)):
        for setting in settings:
            spec = RunSpec(problem.name, setting.name, setting.params, **options)
            spec = replace(spec, problem_options={**spec.problem_options, **problem.params})
            cells.append(protocol.cell(spec, seeds))
    return without_repeats(cells)


def _checked(kind: type[Any], **given: Any) -> list[Any]:
    """The values, which are to be of one type; those of NumPy are taken, too."""
    return [
        HyperParameter(kind).check(name, plain_scalar(value), "compare")
        for name, value in given.items()
    ]


def _names(kind: str, given: Any) -> list[str]:
    """One name or several, as a list."""
    if isinstance(given, Mapping):
        raise UsageError(f"give each {kind} as a text such as 'alig[max_lr=0.1]', not {given!r}")
    alone = isinstance(given, (str, type)) or not isinstance(given, Iterable)
    names = [given] if alone else list(given)
    for name in names:
        check_text(kind, name)
    return names


def check_reference(reference: str | None, cells: Sequence[Cell], store: Store | None) -> None:
    """Refuses a reference that no leaderboard will have.

    Args:
        reference: name or label of an optimizer; None: the default.
        cells: the plan.
        store: the folder, which may hold other optimizers.

    Raises:
        UsageError: the reference is neither in the plan nor in the folder.
    """
    if reference is None:
        return
    names = {spec.optimizer for cell in cells for spec in cell.candidates}
    names |= {find_optimizer(s.optimizer, s.framework).label for c in cells for s in c.candidates}
    if reference.lower() in map(str.lower, names):
        return
    is_there = store is not None and store.folder.is_dir()
    there = load_results(store.folder, light=True).results if store and is_there else []
    names |= {name for run in there for name in (run.optimizer, run.optimizer_name) if name}
    if reference.lower() not in map(str.lower, names):
        raise unknown_choice("reference", reference, sorted(names))


def comparison(
    outcomes: Sequence[CellOutcome], store: Store | None, reference: str | None = None
) -> Comparison:
    """The comparison of the reported runs with all runs of the folder that they compare with.

    Args:
        outcomes: what came of the cells.
        store: the folder.
        reference: see `Comparison.reference`.
    """
    own = [result for outcome in outcomes for result in outcome.runs]
    keys = [result.comparison() for result in own]
    mine = {result.identity() for result in own}
    there = [] if store is None or not own else load_results(store.folder, light=True).results
    others = [
        result
        for result in there
        if result.identity() not in mine
        and result.outcome is not Outcome.INTERRUPTED
        and result.comparison() in keys
    ]
    return Comparison(outcomes, [*own, *others], reference)
