"""``deepobs.tuner`` of DeepOBS 1.2: grid and random search."""

from __future__ import annotations

import abc
import itertools
import logging
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from alig_deepobs.errors import UsageError, unknown_choice
from alig_deepobs.results import plain_scalar, read_result
from alig_deepobs.run import Outcome, ResolvedRun, RunResult
from alig_deepobs.runners.callbacks import Callback, Several
from alig_deepobs.runners.deepobs.runners import Asked
from alig_deepobs.runners.selection import Rule
from alig_deepobs.runners.study import Cell, Silent, Study, local

logger = logging.getLogger(__name__)

RERUN_SEEDS = range(43, 52)
"""Seeds with which the best setting is run again, as in DeepOBS."""


class Tuner(abc.ABC):
    """Runs an optimizer with several settings and runs the best one again with more seeds.

    Args:
        optimizer_class: the optimizer.
        hyperparam_names: its hyper-parameters, as for a runner.
        ressources: the most settings that may be tried (DeepOBS's spelling).
        runner: a runner class.
    """

    search_name = "search"

    def __init__(
        self,
        optimizer_class: Any,
        hyperparam_names: Mapping[str, Mapping[str, Any]],
        ressources: int,
        runner: Any,
    ) -> None:
        self._optimizer_class = optimizer_class
        self._hyperparam_names = hyperparam_names
        self._ressources = ressources
        self._runner = runner

    @abc.abstractmethod
    def sample(self, random_seed: int) -> list[dict[str, Any]]:
        """The settings to try."""

    def tune(
        self,
        testproblem: str,
        output_dir: str = "./results",
        random_seed: int = 42,
        rerun_best_setting: bool = True,
        jobs: int = 1,
        **run_arguments: Any,
    ) -> dict[str, Any]:
        """Tries every setting on a problem; runs that are in the folder are not run again.

        Args:
            testproblem: the problem.
            output_dir: where results go.
            random_seed: seed of the search and of its runs.
            rerun_best_setting: run the best setting with seeds 43 to 51 too.
            jobs: runs at the same time; a runner that trains in its own way has one at a time.
            **run_arguments: further arguments of the runner's ``run``.

        Returns:
            The best setting, by `Rule`.

        Raises:
            UsageError: no setting came to its end.
        """
        runner = self._runner(self._optimizer_class, self._hyperparam_names)
        arguments = {"testproblem": testproblem, "output_dir": output_dir, **run_arguments}
        asked = [
            runner.ask(hyperparams=hyperparams, random_seed=random_seed, **arguments)
            for hyperparams in self.sample(random_seed)
        ]
        results = _carry_out(runner, asked, jobs)
        best = results[Rule().choose([[result] for result in results])]
        if best.outcome is not Outcome.DONE:
            raise UsageError(
                f"no setting of {best.optimizer_name} on {testproblem} came to its end"
            )
        if rerun_best_setting:
            _carry_out(
                runner, [_again(runner, best, seed, arguments) for seed in RERUN_SEEDS], jobs
            )
        return best.hyperparams

    def tune_on_testset(
        self, testset: Iterable[str], **arguments: Any
    ) -> dict[str, dict[str, Any]]:
        """Tunes on several problems; returns problem -> best setting."""
        return {problem: self.tune(problem, **arguments) for problem in testset}

    def generate_commands_script(
        self,
        testproblem: str,
        run_script: str,
        output_dir: str = "./results",
        random_seed: int = 42,
        generation_dir: str = "./command_scripts",
        **run_arguments: Any,
    ) -> str:
        """Writes the commands of the search into a text file, one run a line.

        Args:
            testproblem: the problem.
            run_script: the script that each command calls.
            output_dir: passed on to the script.
            random_seed: passed on to the script.
            generation_dir: folder of the text file.
            **run_arguments: further flags; a flag that is True is written without a value, one
                that is False or None not at all.

        Returns:
            The path of the file.
        """
        fixed = {"random_seed": random_seed, "output_dir": output_dir, **run_arguments}
        lines = []
        for hyperparams in self.sample(random_seed):
            words = ["python3", run_script, testproblem]
            for name, value in hyperparams.items():
                # A default of True must be switched off by name.
                words += [f"--no-{name}"] if value is False else _flag(name, value)
            for name, value in fixed.items():
                words += _flag(name, value)
            lines.append(shlex.join(words))
        name = f"jobs_{self._optimizer_class.__name__}_{self.search_name}_{testproblem}.txt"
        path = Path(generation_dir) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)


class GridSearch(Tuner):
    """Tries every combination of a grid, ``{"lr": [0.1, 0.01], ...}``.

    Raises:
        UsageError: the grid is larger than ``ressources``.
    """

    search_name = "grid_search"

    def __init__(
        self,
        optimizer_class: Any,
        hyperparam_names: Mapping[str, Mapping[str, Any]],
        grid: Mapping[str, Sequence[Any]],
        ressources: int,
        runner: Any,
    ) -> None:
        super().__init__(optimizer_class, hyperparam_names, ressources, runner)
        size = math.prod(len(values) for values in grid.values())
        if size > ressources:
            raise UsageError(f"the grid has {size} settings, but ressources allows {ressources}")
        self._grid = grid

    def sample(self, random_seed: int) -> list[dict[str, Any]]:
        """All combinations, the last hyper-parameter changing fastest."""
        values = itertools.product(*self._grid.values())
        return [dict(zip(self._grid, combination, strict=True)) for combination in values]


class RandomSearch(Tuner):
    """Tries ``ressources`` random settings.

    ``distributions`` has an object with ``rvs(random_state=...)`` for each hyper-parameter, such as
    scipy's distributions or `log_uniform`.
    """

    search_name = "random_search"

    def __init__(
        self,
        optimizer_class: Any,
        hyperparam_names: Mapping[str, Mapping[str, Any]],
        distributions: Mapping[str, Any],
        ressources: int,
        runner: Any,
    ) -> None:
        super().__init__(optimizer_class, hyperparam_names, ressources, runner)
        self._distributions = distributions

    def sample(self, random_seed: int) -> list[dict[str, Any]]:
        """Draws the settings."""
        state = np.random.RandomState(random_seed)
        return [
            {
                name: plain_scalar(d.rvs(random_state=state))
                for name, d in self._distributions.items()
            }
            for _ in range(self._ressources)
        ]


class log_uniform:  # noqa: N801 - DeepOBS's name
    """``base ** u`` with ``u`` uniform in [a, b]."""

    def __init__(self, a: float, b: float, base: float = 10) -> None:
        self.a, self.b, self.base = a, b, base

    def rvs(self, size: int | None = None, random_state: Any = None) -> Any:
        """Draws from the distribution."""
        if not isinstance(random_state, np.random.RandomState):
            random_state = np.random.RandomState(random_state)
        return np.power(float(self.base), random_state.uniform(self.a, self.b, size))


def rank_settings(
    optimizer_path: str | Path, metric: str = "", mode: str = "final"
) -> list[list[RunResult]]:
    """The settings below an optimizer's folder, each as its finished runs, the best one first.

    Args:
        optimizer_path: ``<output_dir>/<test problem>/<optimizer>``.
        metric: ``valid_accuracies`` or any other list of a result; empty, or where the runs have no
            such list: as everywhere in this package (`Rule`).
        mode: DeepOBS's: ``final`` epoch, ``best`` epoch, or settings with the ``most`` runs first.

    Raises:
        UsageError: there is no finished run, or no such metric or mode.
    """
    if metric and metric not in _METRICS:
        raise unknown_choice("metric", metric, _METRICS)
    if mode not in ("final", "best", "most"):
        raise unknown_choice("mode", mode, ("final", "best", "most"))
    settings: dict[str, list[RunResult]] = {}
    for path in sorted(Path(optimizer_path).glob("*/*.json")):
        run = read_result(path)
        if run.outcome is Outcome.DONE:
            settings.setdefault(run.setting(), []).append(run)
    if not settings:
        raise UsageError(f"there is no finished run below {optimizer_path}")
    found = list(settings.values())
    rule = Rule(epoch="best" if mode == "best" else "last", metric=metric)
    ranked = [found[number] for number in rule.ranked(found)]
    return sorted(ranked, key=len, reverse=True) if mode == "most" else ranked


def rerun_setting(
    runner: Any,
    optimizer_class: Any,
    hyperparam_names: Mapping[str, Mapping[str, Any]],
    optimizer_path: str,
    seeds: Iterable[int] = RERUN_SEEDS,
    rank: int = 1,
    mode: str = "final",
    metric: str = "",
    jobs: int = 1,
    **run_arguments: Any,
) -> None:
    """Runs the setting of a rank with other seeds; those that are there are not run again.

    Args:
        runner: a runner class.
        optimizer_class: the optimizer.
        hyperparam_names: its hyper-parameters.
        optimizer_path: ``<output_dir>/<test problem>/<optimizer>``.
        seeds: the seeds.
        rank: 1 is the best setting.
        mode: see `rank_settings`.
        metric: see `rank_settings`.
        jobs: runs at the same time; see `Tuner.tune`.
        **run_arguments: further arguments of ``run``.

    Raises:
        UsageError: there is no setting of that rank.
    """
    ranked = rank_settings(optimizer_path, metric, mode)
    if not 1 <= rank <= len(ranked):
        raise UsageError(f"rank must be from 1 to {len(ranked)}, not {rank}")
    trainer = runner(optimizer_class, hyperparam_names)
    arguments = {"output_dir": str(Path(optimizer_path).parents[1]), **run_arguments}
    _carry_out(trainer, [_again(trainer, ranked[rank - 1][0], s, arguments) for s in seeds], jobs)


_METRICS = [
    f"{of}_{kind}" for kind in ("accuracies", "losses") for of in ("valid", "test", "train")
]


def _again(runner: Any, result: RunResult, seed: int, arguments: Mapping[str, Any]) -> Asked:
    """The setting of a result, asked for with another seed."""
    asked: Asked = runner.ask(**{
        **{name: getattr(result, name) for name in (
            "testproblem", "hyperparams", "batch_size", "num_epochs", "weight_decay",
            "training_params", "problem_options", "synthetic",
        )},
        "split": "validation" if result.valid_losses else "full",
        **arguments,
        "random_seed": int(seed),
    })  # fmt: skip
    return replace(asked, spec=replace(asked.spec, reshuffle=result.reshuffle))


def _carry_out(runner: Any, asked: Sequence[Asked], jobs: int) -> list[RunResult]:
    """Runs what is not in the store, as a study where any process could do it."""
    if runner.trains_itself or not runner.is_importable:
        if jobs > 1:
            logger.warning("%s: runs go one after the other", type(runner).__name__)
        return [runner.carry_out(one, skip_if_exists=True) for one in asked]
    cells = [Cell((one.spec,), (one.spec.random_seed,)) for one in asked]
    outcomes = Study(cells, asked[0].store).carry_out(local(jobs), _Telling(runner, asked[0]))
    return [outcome.runs[0] for outcome in outcomes]


class _Telling(Silent):
    """Shows the progress of each run as its runner would."""

    def __init__(self, runner: Any, asked: Asked) -> None:
        self.runner = runner
        self.asked = asked

    def callback(self, run: ResolvedRun) -> Callback:
        """See `Progress.callback`."""
        folder = self.asked.tensorboard_dir(run) if self.asked.tb_log else None
        return Several(self.runner.callbacks(self.asked.print_train_iter, folder))


def _flag(name: str, value: Any) -> list[str]:
    if value is None or value is False:
        return []
    if value is True:
        return [f"--{name}"]
    values = value if isinstance(value, (list, tuple)) else [value]
    return [f"--{name}", *map(str, values)]
