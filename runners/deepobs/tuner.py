"""``deepobs.tuner`` of DeepOBS 1.2: grid and random search; GP is in `bayesian`."""

from __future__ import annotations

import abc
import importlib
import itertools
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alig_deepobs.errors import UsageError, unknown_choice
from alig_deepobs.foreign import plain_scalar
from alig_deepobs.run import Outcome
from alig_deepobs.runners.deepobs import tuner_utils
from alig_deepobs.runners.deepobs.tuner_utils import RERUN_SEEDS, again, carry_out
from alig_deepobs.runners.selection import Rule
from alig_deepobs.words import counted

__all__ = ["GridSearch", "ParallelizedTuner", "RandomSearch", "Tuner", "tuner_utils"]


def __getattr__(name: str) -> Any:
    if name in ("GP", "bayesian"):  # the only one with a package of its own
        bayesian = importlib.import_module("alig_deepobs.runners.deepobs.bayesian")
        return bayesian if name == "bayesian" else bayesian.GP
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(str(unknown_choice("name in deepobs.tuner", name, [*__all__, "GP"])))


def __dir__() -> list[str]:
    return sorted([*__all__, "GP"])


class Tuner(abc.ABC):
    """Runs an optimizer with several settings and runs the best one again with more seeds.

    Args:
        optimizer_class: the optimizer.
        hyperparam_names: its hyper-parameters, as for a runner.
        ressources: the most settings that may be tried (DeepOBS's spelling).
        runner: a runner class.
    """

    _search_name = "search"

    def __init__(
        self,
        optimizer_class: Any,
        hyperparam_names: Mapping[str, Mapping[str, Any]],
        ressources: int,
        runner: Any,
    ) -> None:
        self._optimizer_class = optimizer_class
        self._optimizer_name = getattr(optimizer_class, "__name__", str(optimizer_class))
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
        results = carry_out(runner, asked, jobs)
        best = results[Rule().choose([[result] for result in results])]
        if best.outcome is not Outcome.DONE:
            raise UsageError(
                f"no setting of {best.optimizer_name} on {testproblem} came to its end"
            )
        if rerun_best_setting:
            carry_out(runner, [again(runner, best, seed, arguments) for seed in RERUN_SEEDS], jobs)
        return best.hyperparams

    def tune_on_testset(
        self, testset: Iterable[str], **arguments: Any
    ) -> dict[str, dict[str, Any]]:
        """Tunes on several problems; returns problem -> best setting."""
        return {problem: self.tune(problem, **arguments) for problem in testset}


class ParallelizedTuner(Tuner):
    """A tuner whose settings are known before the first run: `sample`, or DeepOBS's ``_sample``."""

    def sample(self, random_seed: int) -> list[dict[str, Any]]:
        """The settings to try, by ``_sample`` under NumPy's global seed."""
        np.random.seed(random_seed)  # what DeepOBS's samplers draw from
        return self._sample()

    def _sample(self) -> list[dict[str, Any]]:
        raise NotImplementedError(f"{type(self).__name__} needs a method _sample(self)")

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
        name = f"jobs_{self._optimizer_name}_{self._search_name}_{testproblem}.txt"
        path = Path(generation_dir) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)

    def generate_commands_script_for_testset(
        self, testset: Iterable[str], *args: Any, **arguments: Any
    ) -> list[str]:
        """`generate_commands_script` for several problems; returns the paths of the files."""
        return [self.generate_commands_script(name, *args, **arguments) for name in testset]


class GridSearch(ParallelizedTuner):
    """Tries every combination of a grid, ``{"lr": [0.1, 0.01], ...}``.

    Raises:
        UsageError: the grid is larger than ``ressources``.
    """

    _search_name = "grid_search"

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
            raise UsageError(
                f"the grid has {counted(size, 'setting')}, but ressources allows {ressources}"
            )
        self._grid = grid

    def _sample(self) -> list[dict[str, Any]]:
        """All combinations, the last hyper-parameter changing fastest."""
        values = itertools.product(*self._grid.values())
        return [dict(zip(self._grid, combination, strict=True)) for combination in values]


class RandomSearch(ParallelizedTuner):
    """Tries ``ressources`` random settings.

    ``distributions`` has an object with ``rvs()`` for each hyper-parameter, such as scipy's
    distributions or `log_uniform`; it draws from NumPy's global generator.
    """

    _search_name = "random_search"

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

    def _sample(self) -> list[dict[str, Any]]:
        """Draws the settings."""
        return [
            {name: plain_scalar(d.rvs()) for name, d in self._distributions.items()}
            for _ in range(self._ressources)
        ]


def _flag(name: str, value: Any) -> list[str]:
    if value is None or value is False:
        return []
    if value is True:
        return [f"--{name}"]
    values = value if isinstance(value, (list, tuple)) else [value]
    return [f"--{name}", *map(str, values)]
