"""Lets DeepOBS 1.1.2's analyzer read folders that are not exactly as its own runner leaves them.

It stumbles over a problem without an accuracy that it does not know by name, over runs that end
early (its own go on with nan), over a setting without a learning rate, and over every file and
folder that is not a run.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

CURVES = ("train_losses", "test_losses", "train_accuracies", "test_accuracies")


def mend(utils: Any) -> None:
    """Mends the module ``deepobs.analyzer.analyze_utils`` in place."""
    problem, optimizer, run = utils.TestProblemAnalyzer, utils.OptimizerAnalyzer, utils.AggregateRun
    utils.Analyzer._read_testproblems = _read_testproblems(utils)
    problem._read_optimizer = _read_optimizers(utils)
    problem._get_conv_perf = _or_zero(problem._get_conv_perf)
    optimizer._read_settings = _read_settings(utils)
    for name in ("get_best_setting_final", "get_best_setting_best"):
        setattr(optimizer, name, _or_any(getattr(optimizer, name)))
    run._load_json = _completed(run._load_json)


def _folders(path: Any, pattern: str) -> list[str]:
    """Names of the folders in which there are runs."""
    parent = Path(path)
    return sorted(f.name for f in parent.iterdir() if f.is_dir() and any(f.glob(pattern)))


def _read_testproblems(utils: Any) -> Callable[[Any], dict[str, Any]]:
    def read(self: Any) -> dict[str, Any]:
        names = _folders(self.path, "*/*/*.json")
        return {name: utils.TestProblemAnalyzer(self.path, name) for name in names}

    return read


def _read_optimizers(utils: Any) -> Callable[[Any], dict[str, Any]]:
    def read(self: Any) -> dict[str, Any]:
        # DeepOBS knows three problems without accuracy by their names.
        runs = Path(self._path).glob("*/*/*.json")
        if not any('"test_accuracies"' in run.read_text(encoding="utf-8") for run in runs):
            self.metric = "test_losses"
        return {
            name: utils.OptimizerAnalyzer(
                self._path, name, self.metric, self.name, self.conv_perf
            )
            for name in _folders(self._path, "*/*.json")
        }  # fmt: skip

    return read


def _read_settings(utils: Any) -> Callable[[Any], dict[str, Any]]:
    def read(self: Any) -> dict[str, Any]:
        return {
            name: utils.SettingAnalyzer(
                self._path, name, self.metric, self.testproblem, self.conv_perf
            )
            for name in _folders(self._path, "*.json")
        }  # fmt: skip

    return read


def _or_zero(read: Callable[[Any], float]) -> Callable[[Any], float]:
    """The published file of convergence performances knows eight problems only."""

    @functools.wraps(read)
    def wrapper(self: Any) -> float:
        try:
            return read(self)
        except KeyError:
            return 0.0

    return wrapper


def _or_any(choose: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The choice of the best setting, also where all of them diverged."""

    @functools.wraps(choose)
    def wrapper(self: Any) -> Any:
        try:
            return choose(self)
        except UnboundLocalError:
            return next(iter(self.settings.values()))

    return wrapper


def _completed(load: Callable[[Any, str], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """A record as DeepOBS would have written it: curves of full length, a numeric rate."""

    @functools.wraps(load)
    def wrapper(self: Any, path: str) -> dict[str, Any]:
        record = load(self, path)
        if "schema_version" not in record:
            return record
        if self.metric == "test_accuracies":
            for name in ("train_accuracies", "test_accuracies"):
                record.setdefault(name, [])
        length = record["num_epochs"] + 1
        for name in CURVES:
            if name in record:
                record[name] += [math.nan] * (length - len(record[name]))
        if record.get("learning_rate") is None:
            record["learning_rate"] = math.nan
        return record

    return wrapper
