"""``deepobs.tuner.bayesian``: tuning by a Gaussian process, of scikit-optimize."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from alig_deepobs.errors import UsageError, unknown_choice
from alig_deepobs.files import write_text_atomically
from alig_deepobs.foreign import plain_scalar
from alig_deepobs.run import Outcome, RunResult
from alig_deepobs.runners.deepobs.tuner import Tuner
from alig_deepobs.runners.deepobs.tuner_utils import RERUN_SEEDS, again, carry_out

__all__ = ["GP"]

INSTALL = 'pip install "alig-deepobs[gp]"'


class GP(Tuner):
    """Tries settings where a Gaussian process expects the best result.

    Args:
        optimizer_class: the optimizer.
        hyperparam_names: its hyper-parameters, as for a runner.
        bounds: hyper-parameter -> lower and upper bound of what the process sees.
        ressources: runs in all (DeepOBS's spelling).
        runner: a runner class.
        transformations: hyper-parameter -> function that makes a value of what the process sees,
            for example ``{"lr": lambda exponent: 10.0**exponent}``.
    """

    _search_name = "gp"

    def __init__(
        self,
        optimizer_class: Any,
        hyperparam_names: Mapping[str, Mapping[str, Any]],
        bounds: Mapping[str, Sequence[float]],
        ressources: int,
        runner: Any,
        transformations: Mapping[str, Callable[[float], Any]] | None = None,
    ) -> None:
        super().__init__(optimizer_class, hyperparam_names, ressources, runner)
        self._bounds = dict(bounds)
        self._transformations = dict(transformations or {})

    def sample(self, random_seed: int) -> list[dict[str, Any]]:
        """Nothing: each setting depends on the results of those before.

        Raises:
            UsageError: always.
        """
        raise UsageError("the settings of GP are not known before its runs")

    def tune(
        self,
        testproblem: str,
        output_dir: str = "./results",
        random_seed: int = 42,
        rerun_best_setting: bool = False,
        jobs: int = 1,
        *,
        n_init_samples: int = 5,
        tuning_summary: bool = True,
        plotting_summary: bool = False,
        kernel: Any = None,
        acq_type: str = "ucb",
        acq_kappa: float = 2.576,
        acq_xi: float = 0.0,
        mode: str = "final",
        **run_arguments: Any,
    ) -> dict[str, Any]:
        """Tunes on a problem; runs that are in the folder are not run again.

        Args:
            testproblem: the problem.
            output_dir: where results go.
            random_seed: seed of the search and of its runs.
            rerun_best_setting: run the best setting with seeds 43 to 51 too.
            jobs: runs at the same time, of those seeds; the search itself goes step by step.
            n_init_samples: settings that are drawn at random at first.
            tuning_summary: write each step, with the process's expectation, into
                ``bo_tuning_log.json``.
            plotting_summary: accepted for DeepOBS's sake; nothing is pickled.
            kernel: of scikit-learn, for the process; None for scikit-optimize's.
            acq_type: ``ucb``, ``ei`` or ``poi``.
            acq_kappa: how much ``ucb`` explores.
            acq_xi: what ``ei`` and ``poi`` want to win at least.
            mode: ``final`` or ``best`` epoch.
            **run_arguments: further arguments of the runner's ``run``.

        Returns:
            The best setting.

        Raises:
            UsageError: scikit-optimize is missing, an argument makes no sense, or no run came to
                its end.
        """
        if acq_type not in _ACQUISITIONS:
            raise unknown_choice("acq_type", acq_type, _ACQUISITIONS)
        if mode not in ("final", "best"):
            raise unknown_choice("mode", mode, ("final", "best"))
        if not 1 <= n_init_samples <= self._ressources:
            raise UsageError(
                f"n_init_samples must be from 1 to ressources, {self._ressources}, "
                f"not {n_init_samples}"
            )
        search = self._search(random_seed, n_init_samples, acq_type, acq_kappa, acq_xi, kernel)
        runner = self._runner(self._optimizer_class, self._hyperparam_names)
        arguments = {"testproblem": testproblem, "output_dir": output_dir, **run_arguments}
        results: list[RunResult] = []
        costs: list[float] = []
        lines: list[dict[str, Any]] = []
        for _ in range(self._ressources):
            point = search.ask()
            params = self._setting(point)
            asked = runner.ask(hyperparams=params, random_seed=random_seed, **arguments)
            (result,) = carry_out(runner, [asked], 1)
            results.append(result)
            cost = _cost(result, mode)
            costs.append(cost)
            lines.append({"params": params, "target": -cost, **self._expectation(search, point)})
            # A run that diverged is as bad as the worst that did not: infinity fits no process.
            finite = [c for c in costs if math.isfinite(c)]
            search.tell(point, cost if math.isfinite(cost) else max(finite, default=1e3))
        best = results[min(range(len(costs)), key=costs.__getitem__)]
        if best.outcome is not Outcome.DONE:
            raise UsageError(
                f"no setting of {best.optimizer_name} on {testproblem} came to its end"
            )
        if tuning_summary:
            folder = Path(output_dir) / testproblem / best.optimizer_name
            text = "\n".join(json.dumps(line) for line in lines)
            write_text_atomically(folder / "bo_tuning_log.json", text + "\n")
        if rerun_best_setting:
            carry_out(runner, [again(runner, best, s, arguments) for s in RERUN_SEEDS], jobs)
        return best.hyperparams

    def _search(
        self, seed: int, initial: int, acquisition: str, kappa: float, xi: float, kernel: Any
    ) -> Any:
        try:
            from skopt import Optimizer
            from skopt.learning import GaussianProcessRegressor
        except ImportError as error:
            raise UsageError(f"GP needs scikit-optimize: {INSTALL}") from error
        process: Any = "GP"
        if kernel is not None:
            process = GaussianProcessRegressor(kernel=kernel, normalize_y=True, random_state=seed)
        return Optimizer(
            [tuple(map(float, self._bounds[name])) for name in self._bounds],
            base_estimator=process,
            n_initial_points=initial,
            acq_func=_ACQUISITIONS[acquisition],
            acq_func_kwargs={"kappa": kappa, "xi": xi},
            # Kernels of scikit-learn, unlike scikit-optimize's, know no gradient.
            acq_optimizer="auto" if kernel is None else "sampling",
            random_state=seed,
        )

    def _setting(self, point: Sequence[Any]) -> dict[str, Any]:
        values = dict(zip(self._bounds, map(plain_scalar, point), strict=True))
        transformed = {
            name: self._transformations[name](value) if name in self._transformations else value
            for name, value in values.items()
        }
        kinds = {n: self._hyperparam_names.get(n, {}).get("type", float) for n in transformed}
        return {
            name: round(value) if kinds[name] is int else plain_scalar(value)
            for name, value in transformed.items()
        }

    def _expectation(self, search: Any, point: Sequence[Any]) -> dict[str, Any]:
        """What the process expected of a point before it was tried; nothing at first."""
        if not search.models:
            return {}
        mean, deviation = search.models[-1].predict(
            search.space.transform([list(point)]), return_std=True
        )
        return {"mean": -float(mean[0]), "std": float(deviation[0])}


_ACQUISITIONS = {"ucb": "LCB", "ei": "EI", "poi": "PI"}
"""DeepOBS's name, which maximizes -> scikit-optimize's, which minimizes."""


def _cost(result: RunResult, mode: str) -> float:
    """What is minimized: validation loss, or minus the accuracy; infinity if the run diverged."""
    if result.outcome is not Outcome.DONE:
        return math.inf
    accuracies = result.valid_accuracies or result.test_accuracies
    values = [-a for a in accuracies] or result.valid_losses or result.test_losses
    return min(values) if mode == "best" else values[-1]
