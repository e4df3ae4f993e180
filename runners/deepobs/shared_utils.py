"""``deepobs.analyzer.shared_utils``: settings as objects, for analyses of one's own."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np

from alig_deepobs.errors import UsageError, unknown_choice
from alig_deepobs.foreign import parse_json, read_regular
from alig_deepobs.results import read_result
from alig_deepobs.run import Outcome, RunResult

__all__ = [
    "METRICS", "SettingAnalyzer", "aggregate_runs", "create_setting_analyzer_ranking",
    "epochs_until", "finished_runs",
]  # fmt: skip

METRICS = [f"{of}_{kind}" for kind in ("accuracies", "losses") for of in ("valid", "test", "train")]


class SettingAnalyzer:
    """A setting with the runs of all its seeds that came to their end.

    Args:
        path: the folder of the setting.

    Attributes:
        path: the folder.
        n_runs: the number of runs.
        aggregate: for each list that all runs have (``test_losses``, ...) ``mean``, ``std``,
            ``median``, ``lower_quartile`` and ``upper_quartile`` by epoch, and
            ``all_final_values``; ``optimizer_hyperparams``, ``training_params``, ``testproblem``,
            ``num_epochs``, ``batch_size``.

    Raises:
        UsageError: there is no run that came to its end.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._runs = finished_runs(path)
        if not self._runs:
            raise UsageError(f"there is no finished run in {path}")
        self.n_runs = len(self._runs)
        first = self._runs[0]
        self.aggregate: dict[str, Any] = {
            name: _over_seeds([getattr(run, name) for run in self._runs])
            for name in METRICS
            if all(getattr(run, name) for run in self._runs)
        }
        self.aggregate |= {
            "optimizer_hyperparams": first.hyperparams, "training_params": first.training_params,
            "testproblem": first.testproblem, "num_epochs": first.num_epochs,
            "batch_size": first.batch_size,
        }  # fmt: skip

    def get_final_value(self, metric: str) -> float:
        """The mean over the seeds after the last epoch."""
        return float(self._of(metric)["mean"][-1])

    def get_best_value(self, metric: str) -> float:
        """The mean over the seeds after the epoch where it is best."""
        mean = self._of(metric)["mean"]
        return float(max(mean) if metric.endswith("accuracies") else min(mean))

    def get_all_final_values(self, metric: str) -> list[float]:
        """The value of each seed after the last epoch."""
        values: list[float] = self._of(metric)["all_final_values"]
        return values

    def calculate_speed(self, conv_perf_file: str | Path) -> float:
        """The mean number of epochs until the value in a file of DeepOBS's is reached.

        Args:
            conv_perf_file: JSON, test problem -> accuracy, or loss, that counts as converged.
        """
        wanted = parse_json(read_regular(Path(conv_perf_file)))[self.aggregate["testproblem"]]
        metric = "test_accuracies" if "test_accuracies" in self.aggregate else "test_losses"
        curves = [getattr(run, metric) for run in self._runs]
        return statistics.fmean(epochs_until(curve, wanted, metric) for curve in curves)

    def _of(self, metric: str) -> Any:
        if metric not in self.aggregate or metric not in METRICS:
            raise unknown_choice("metric", metric, [m for m in METRICS if m in self.aggregate])
        return self.aggregate[metric]


def aggregate_runs(setting_folder: str | Path) -> dict[str, Any]:
    """What `SettingAnalyzer` has as its ``aggregate``."""
    return SettingAnalyzer(setting_folder).aggregate


def create_setting_analyzer_ranking(
    optimizer_path: str | Path, mode: str = "final", metric: str = "valid_accuracies"
) -> list[SettingAnalyzer]:
    """The settings of an optimizer, the best one first.

    Args:
        optimizer_path: ``<output_dir>/<test problem>/<optimizer>``.
        mode: ``final`` epoch, ``best`` epoch, or settings with the ``most`` runs first.
        metric: a list of a result; where the runs have no such list, ``valid_losses``, and where
            there are none, ``test_losses``.

    Raises:
        UsageError: there is no finished run, or no such metric or mode.
    """
    if metric not in METRICS:
        raise unknown_choice("metric", metric, METRICS)
    if mode not in ("final", "best", "most"):
        raise unknown_choice("mode", mode, ("final", "best", "most"))
    folders = [path for path in sorted(Path(optimizer_path).glob("*num_epochs*")) if path.is_dir()]
    settings = [SettingAnalyzer(folder) for folder in folders if finished_runs(folder)]
    if not settings:
        raise UsageError(f"there is no finished run below {optimizer_path}")
    names = (metric, "valid_losses", "test_losses")
    name = next(name for name in names if all(name in s.aggregate for s in settings))
    sign = -1.0 if name.endswith("accuracies") else 1.0
    of = SettingAnalyzer.get_best_value if mode == "best" else SettingAnalyzer.get_final_value
    ranked = sorted(settings, key=lambda setting: sign * of(setting, name))
    return sorted(ranked, key=lambda s: s.n_runs, reverse=True) if mode == "most" else ranked


def finished_runs(setting_folder: str | Path) -> list[RunResult]:
    """The runs in the folder of a setting that came to their end."""
    runs = [read_result(path) for path in sorted(Path(setting_folder).glob("*.json"))]
    return [run for run in runs if run.outcome is Outcome.DONE]


def epochs_until(curve: list[float], value: float, name: str) -> int:
    """The first epoch at which a value is reached; the length of the curve if it never is."""
    sign = 1.0 if name.endswith("accuracies") else -1.0
    reached = (epoch for epoch, x in enumerate(curve) if sign * x >= sign * value)
    return next(reached, len(curve))


def _over_seeds(curves: list[list[float]]) -> dict[str, Any]:
    values = np.array([curve[: min(map(len, curves))] for curve in curves])
    low, middle, high = np.percentile(values, (25, 50, 75), axis=0)
    return {
        "mean": values.mean(axis=0), "std": values.std(axis=0), "median": middle,
        "lower_quartile": low, "upper_quartile": high,
        "all_final_values": [curve[-1] for curve in curves],
    }  # fmt: skip


def __dir__() -> list[str]:
    return ["SettingAnalyzer", "aggregate_runs", "create_setting_analyzer_ranking"]
