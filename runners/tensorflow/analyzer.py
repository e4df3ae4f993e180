"""What DeepOBS 1.1.2's analyzer needs on today's NumPy, pandas and matplotlib."""

from __future__ import annotations

import functools
import importlib
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

CURVES = ("train_losses", "test_losses", "train_accuracies", "test_accuracies")


class Frame(pd.DataFrame):
    """A data frame that still has ``applymap``, which pandas 3 calls ``map``."""

    @property
    def _constructor(self) -> type[Frame]:
        return Frame

    def applymap(self, function: Callable[[Any], Any]) -> Frame:
        """Applies a function to each entry."""
        return Frame(self.map(function))


def provide_matplotlib2tikz() -> None:
    """Makes ``import matplotlib2tikz`` work where the package is missing or cannot be imported.

    It is not maintained any more, so a new matplotlib may break it, and DeepOBS with it.
    """
    try:
        importlib.import_module("matplotlib2tikz")
    except Exception:  # noqa: BLE001 - it may break in any way; nothing of it is used
        stand_in: Any = ModuleType("matplotlib2tikz", "Stands in for the package of this name")
        stand_in.get_tikz_code = picture_as_tex
        stand_in.save = save_picture
        sys.modules["matplotlib2tikz"] = stand_in


def picture_as_tex(filepath: str, **_: Any) -> str:
    """Saves the current figure as PDF next to a ``.tex`` file; returns the code that shows it.

    matplotlib2tikz would return the figure as TikZ code, but does not work any more.
    """
    import matplotlib.pyplot as plt

    picture = Path(filepath).with_suffix(".pdf")
    plt.savefig(picture, bbox_inches="tight")
    return f"\\includegraphics{{{picture.name}}}\n"


def save_picture(filepath: str, **options: Any) -> None:
    """Saves the current figure as PDF, and a ``.tex`` file that shows it."""
    Path(filepath).write_text(picture_as_tex(filepath, **options), encoding="utf-8")


def mend(analyzer: Any, style: Any) -> None:
    """Mends the package ``deepobs.analyzer`` in place.

    Args:
        analyzer: the package.
        style: a dict of matplotlib's settings for its plots.
    """
    utils = analyzer.analyze_utils
    utils.pd = SimpleNamespace(DataFrame=Frame, set_option=_set_option)
    utils.get_tikz_code = picture_as_tex
    utils.tikz_save = save_picture
    utils.rescale_ax = rescale
    _mend_input(utils)
    for name in ("plot_lr_sensitivity", "plot_performance"):
        setattr(analyzer.analyze, name, _in_style(getattr(analyzer.analyze, name), style))


def _set_option(name: str, value: Any) -> None:
    # What was -1, no limit, is None now.
    unlimited = name == "display.max_colwidth" and value == -1
    pd.set_option(name, None if unlimited else value)


def _in_style(plot: Callable[..., None], style: Any) -> Callable[..., None]:
    @functools.wraps(plot)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        import matplotlib as mpl

        with mpl.rc_context(style):
            plot(*args, **kwargs)

    return wrapper


def rescale(axis: Any) -> None:
    """Scales an axis as DeepOBS does, also for curves of different lengths (epochs), or with gaps.

    DeepOBS makes one array of the curves, which today's NumPy refuses; and the limits of an axis
    must not be nan, which is what a diverged run has.
    """
    curves, marks = [], []
    for line in axis.lines:
        values = np.asarray(line.get_ydata(), dtype=float)
        if line.get_label() == "convergence_performance":
            marks.append(values[0])
        elif (finite := values[np.isfinite(values)]).size:
            curves.append(finite)
    if not curves:
        axis.set_ylim(1.0, 2.0)
        return
    # The middle 60 % of all values, all final values and the marks.
    inner = np.percentile(np.concatenate(curves), (20, 80))
    shown = [*inner, *(values[-1] for values in curves), *marks]
    low, high = 0.9 * min(shown), 1.1 * max(shown)
    if low != high:
        axis.set_ylim(max(1e-10, low), high)
    axis.margins(x=0)


def _mend_input(utils: Any) -> None:
    """Lets it read folders that are not exactly as DeepOBS's own runner leaves them.

    It stumbles over a problem without an accuracy that it does not know by name, over runs that end
    early (its own go on with nan), over a setting without a learning rate, and over every file and
    folder that is not a run.
    """
    problem, optimizer, run = utils.TestProblemAnalyzer, utils.OptimizerAnalyzer, utils.AggregateRun

    def read_testproblems(self: Any) -> dict[str, Any]:
        return {name: problem(self.path, name) for name in _folders(self.path, "*/*/*.json")}

    def read_optimizers(self: Any) -> dict[str, Any]:
        # DeepOBS knows three problems without accuracy by their names.
        runs = Path(self._path).glob("*/*/*.json")
        if not any('"test_accuracies"' in run.read_text(encoding="utf-8") for run in runs):
            self.metric = "test_losses"
        facts = (self.metric, self.name, self.conv_perf)
        return {n: optimizer(self._path, n, *facts) for n in _folders(self._path, "*/*.json")}

    def read_settings(self: Any) -> dict[str, Any]:
        facts, setting = (self.metric, self.testproblem, self.conv_perf), utils.SettingAnalyzer
        return {n: setting(self._path, n, *facts) for n in _folders(self._path, "*.json")}

    utils.Analyzer._read_testproblems = read_testproblems
    problem._read_optimizer = read_optimizers
    optimizer._read_settings = read_settings
    # The published file of convergence performances knows eight problems only.
    problem._get_conv_perf = _or(problem._get_conv_perf, KeyError, lambda self: 0.0)
    for name in ("get_best_setting_final", "get_best_setting_best"):
        # There is no best one where all of them diverged.
        choose = _or(
            getattr(optimizer, name),
            UnboundLocalError,
            lambda self: next(iter(self.settings.values())),
        )
        setattr(optimizer, name, choose)
    run._load_json = _completed(run._load_json)


def _folders(path: Any, pattern: str) -> list[str]:
    """Names of the folders in which there are runs."""
    return sorted(f.name for f in Path(path).iterdir() if f.is_dir() and any(f.glob(pattern)))


def _or(
    method: Callable[[Any], Any], error: type[Exception], otherwise: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    """A method, and what it returns where it raises an error."""

    @functools.wraps(method)
    def wrapper(self: Any) -> Any:
        try:
            return method(self)
        except error:
            return otherwise(self)

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
        for name in CURVES:
            if name in record:
                curve = record[name]
                gap = [math.nan] * (record["num_epochs"] + 1 - len(curve))
                # Of a run that came to its end, the last value was kept: it belongs there.
                kept = len(curve) - (record["outcome"] == "done")
                record[name] = curve[:kept] + gap + curve[kept:]
        if record.get("learning_rate") is None:
            record["learning_rate"] = math.nan
        return record

    return wrapper
