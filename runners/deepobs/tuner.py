"""``deepobs.tuner`` of DeepOBS 1.2: grid and random search."""

from __future__ import annotations

import abc
import itertools
import logging
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alig_deepobs.errors import UsageError
from alig_deepobs.registry import find_testproblem
from alig_deepobs.results import read_result
from alig_deepobs.run import Outcome, RunResult

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
        **run_arguments: Any,
    ) -> dict[str, Any]:
        """Tries every setting on a problem.

        Args:
            testproblem: the problem.
            output_dir: where results go.
            random_seed: seed of the search and of its runs.
            rerun_best_setting: run the best setting with seeds 43 to 51 too.
            **run_arguments: passed on to the runner's ``run``.

        Returns:
            The best setting.
        """
        for hyperparams in self.sample(random_seed):
            logger.info("tuning %s on %s: %s", self._optimizer_class, testproblem, hyperparams)
            self._run(testproblem, hyperparams, random_seed, output_dir, run_arguments)
        optimizer_path = Path(output_dir) / testproblem / self._optimizer_class.__name__
        best = rank_settings(optimizer_path)[0].hyperparams
        if rerun_best_setting:
            rerun_setting(
                self._runner,
                self._optimizer_class,
                self._hyperparam_names,
                str(optimizer_path),
                **run_arguments,
            )
        return best

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

    def _run(
        self,
        testproblem: str,
        hyperparams: Mapping[str, Any],
        random_seed: int,
        output_dir: str,
        run_arguments: Mapping[str, Any],
    ) -> None:
        runner = self._runner(self._optimizer_class, self._hyperparam_names)
        runner.run(
            testproblem=testproblem,
            hyperparams=hyperparams,
            random_seed=random_seed,
            output_dir=output_dir,
            **run_arguments,
        )


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
            {name: _scalar(d.rvs(random_state=state)) for name, d in self._distributions.items()}
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


def rank_settings(optimizer_path: str | Path, metric: str | None = None) -> list[RunResult]:
    """The runs below an optimizer's folder, best final value first.

    Args:
        optimizer_path: ``<output_dir>/<test problem>/<optimizer>``.
        metric: ``valid_accuracies`` or any other list of a result; None: the validation accuracy,
            or loss, if there is one, else that of the test set.

    Raises:
        UsageError: there is no finished run.
    """
    runs = [read_result(path) for path in sorted(Path(optimizer_path).glob("*/*.json"))]
    runs = [run for run in runs if run.outcome is Outcome.DONE]
    if not runs:
        raise UsageError(f"there is no finished run below {optimizer_path}")
    chosen = metric or _best_metric(runs)
    sign = -1.0 if chosen.endswith("accuracies") else 1.0
    return sorted(runs, key=lambda run: sign * getattr(run, chosen)[-1])


def rerun_setting(
    runner: Any,
    optimizer_class: Any,
    hyperparam_names: Mapping[str, Mapping[str, Any]],
    optimizer_path: str,
    seeds: Iterable[int] = RERUN_SEEDS,
    rank: int = 1,
    metric: str | None = None,
    **run_arguments: Any,
) -> None:
    """Runs the setting of a rank again with other seeds.

    Args:
        runner: a runner class.
        optimizer_class: the optimizer.
        hyperparam_names: its hyper-parameters.
        optimizer_path: ``<output_dir>/<test problem>/<optimizer>``.
        seeds: the seeds.
        rank: 1 is the best setting.
        metric: see `rank_settings`.
        **run_arguments: passed on to ``run``.
    """
    path = Path(optimizer_path)
    chosen = rank_settings(path, metric)[rank - 1]
    fixed = {
        "batch_size": chosen.batch_size,
        "num_epochs": chosen.num_epochs,
        "weight_decay": chosen.weight_decay,
        **chosen.training_params,
        **run_arguments,
    }
    for seed in seeds:
        runner(optimizer_class, hyperparam_names).run(
            testproblem=chosen.testproblem,
            hyperparams=chosen.hyperparams,
            random_seed=seed,
            output_dir=str(path.parents[1]),
            **fixed,
        )


def _best_metric(runs: Sequence[RunResult]) -> str:
    part = "valid" if all(run.valid_losses for run in runs) else "test"
    kind = find_testproblem(runs[0].testproblem).metric
    return f"{part}_accuracies" if kind == "accuracy" else f"{part}_losses"


def _flag(name: str, value: Any) -> list[str]:
    if value is None or value is False:
        return []
    if value is True:
        return [f"--{name}"]
    values = value if isinstance(value, (list, tuple)) else [value]
    return [f"--{name}", *map(str, values)]


def _scalar(value: Any) -> Any:
    return value.item() if isinstance(value, (np.generic, np.ndarray)) else value
