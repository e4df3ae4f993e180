"""``deepobs.analyzer`` of DeepOBS 1.2: tables and plots of folders of results.

A path is that of an optimizer, ``<output_dir>/<test problem>/<optimizer>``, of a test problem above
it (all of its optimizers), or of a whole folder of results, as each function says. ``mode`` and
``metric`` are those of `rank_settings`. The functions that plot return figure and axes.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alig_deepobs.errors import ResultError, UsageError, unknown_choice
from alig_deepobs.foreign import parse_json, read_regular
from alig_deepobs.results import read_result
from alig_deepobs.run import Outcome, RunResult
from alig_deepobs.runners.deepobs.shared_utils import epochs_until
from alig_deepobs.runners.deepobs.tuner_utils import available_metric, rank_settings

__all__ = [
    "check_output", "estimate_runtime", "get_performance_dictionary",
    "plot_final_metric_vs_tuning_rank", "plot_hyperparameter_sensitivity",
    "plot_hyperparameter_sensitivity_2d", "plot_optimizer_performance", "plot_results_table",
    "plot_testset_performances",
]  # fmt: skip

PANELS = ("test_losses", "train_losses", "test_accuracies", "train_accuracies")
BANDS = ("mean_and_std", "median_and_quartiles")


def check_output(results_path: str | Path) -> list[str]:
    """Reads every result below a folder and prints what is there, and what is wrong.

    Args:
        results_path: a folder of results.

    Returns:
        What is wrong, a line each; empty if everything is complete.

    Raises:
        UsageError: there is no such folder.
    """
    problems = []
    for path in _optimizer_paths(results_path):
        runs: dict[Path, int] = {}
        for file in sorted(path.glob("*/*.json")):
            runs[file.parent] = runs.get(file.parent, 0) + 1
            try:
                run = read_result(file)
            except ResultError as error:
                problems.append(str(error))
                continue
            if run.outcome is not Outcome.DONE:
                problems.append(f"{file}: the run is not complete ({run.outcome.value})")
        for seeds, settings in Counter(runs.values()).items():  # the lines that tools parse
            print(  # noqa: T201 - asked for
                f"{path.parent.name} | {path.name}: {settings} setting(s) with {seeds} seed(s)."
            )
    for line in problems:
        print(line)  # noqa: T201 - asked for
    return problems


def get_performance_dictionary(
    optimizer_path: str | Path,
    mode: str = "most",
    metric: str = "valid_accuracies",
    conv_perf_file: str | Path | None = None,
) -> dict[str, Any]:
    """What the best setting of an optimizer reaches on the test set.

    Args:
        optimizer_path: of an optimizer.
        mode: see `rank_settings`.
        metric: see `rank_settings`; decides which setting is the best one.
        conv_perf_file: a JSON file of DeepOBS's, test problem -> value that counts as converged.

    Returns:
        ``Performance`` (test accuracy, or test loss, at the end or at its best, as ``mode`` says),
        ``Speed`` (epochs until the value of
        the file is reached, or ``N.A.``), ``Hyperparameters`` and ``Training Parameters``.
    """
    best = rank_settings(optimizer_path, metric, mode)[0]
    name = "test_accuracies" if all(run.test_accuracies for run in best) else "test_losses"
    speed: Any = "N.A."
    if conv_perf_file is not None:
        wanted = parse_json(read_regular(Path(conv_perf_file)))
        value = wanted.get(best[0].testproblem)
        if value is not None:
            speed = statistics.fmean(epochs_until(getattr(r, name), value, name) for r in best)
    return {
        "Performance": _performance(best, name, mode),
        "Speed": speed,
        "Hyperparameters": best[0].hyperparams,
        "Training Parameters": best[0].training_params,
    }


def plot_results_table(
    results_path: str | Path,
    mode: str = "most",
    metric: str = "valid_accuracies",
    conv_perf_file: str | Path | None = None,
) -> pd.DataFrame:
    """The `get_performance_dictionary` of every optimizer on every problem; printed, too.

    Args:
        results_path: a folder of results.
        mode: see `rank_settings`.
        metric: see `rank_settings`.
        conv_perf_file: see `get_performance_dictionary`.

    Returns:
        A frame with a row per problem and quantity, and a column per optimizer.
    """
    columns: dict[str, dict[tuple[str, str], Any]] = {}
    for path in _optimizer_paths(results_path):
        found = get_performance_dictionary(path, mode, metric, conv_perf_file)
        column = columns.setdefault(path.name, {})
        column.update({(path.parent.name, key): value for key, value in found.items()})
    rows = sorted({key for column in columns.values() for key in column})
    table = pd.DataFrame(
        {name: [column.get(row) for row in rows] for name, column in columns.items()},
        index=pd.MultiIndex.from_tuples(rows),
    )
    print(table.to_string())  # noqa: T201 - asked for
    return table


def plot_optimizer_performance(
    path: str | Path,
    fig: Any = None,
    ax: Any = None,
    mode: str = "most",
    metric: str = "valid_accuracies",
    reference_path: str | Path | None = None,
    show: bool = True,
    which: str = "mean_and_std",
) -> tuple[Any, Any]:
    """Curves of the best setting: losses and accuracies on test and training data.

    Args:
        path: of an optimizer, or of a test problem.
        fig: the figure to draw in; None for a new one.
        ax: its four axes.
        mode: see `rank_settings`.
        metric: see `rank_settings`.
        reference_path: further results to draw beside it.
        show: show the figure.
        which: ``mean_and_std`` or ``median_and_quartiles`` over the seeds.
    """
    fig, ax = _axes(fig, ax, len(PANELS), 1)
    paths = _optimizer_paths(path, reference_path)
    for one in paths:
        _draw_curves(ax, rank_settings(one, metric, mode)[0], one, which)
    _finish(ax, paths[0].parent.name, "epoch", show)
    return fig, ax


def plot_testset_performances(
    results_path: str | Path,
    mode: str = "most",
    metric: str = "valid_accuracies",
    reference_path: str | Path | None = None,
    show: bool = True,
    which: str = "mean_and_std",
) -> tuple[Any, Any]:
    """`plot_optimizer_performance` of every problem, one column each.

    Args:
        results_path: a folder of results.
        mode: see `rank_settings`.
        metric: see `rank_settings`.
        reference_path: a folder of further results to draw beside them.
        show: show the figure.
        which: see `plot_optimizer_performance`.
    """
    names = list(dict.fromkeys(path.parent for path in _optimizer_paths(results_path)))
    fig, axes = _axes(None, None, len(PANELS), len(names))
    axes = np.asarray(axes).reshape(len(PANELS), len(names))
    for column, problem in enumerate(names):
        reference = None if reference_path is None else Path(reference_path) / problem.name
        has_reference = reference is not None and reference.is_dir()
        plot_optimizer_performance(
            problem, fig, axes[:, column], mode, metric, reference if has_reference else None,
            show=False, which=which,
        )  # fmt: skip
    _show(show)
    return fig, axes


def plot_hyperparameter_sensitivity(
    path: str | Path,
    hyperparam: str,
    mode: str = "final",
    metric: str = "valid_accuracies",
    xscale: str = "linear",
    plot_std: bool = True,
    reference_path: str | Path | None = None,
    show: bool = True,
) -> tuple[Any, Any]:
    """The final metric against a hyper-parameter.

    Args:
        path: of an optimizer, or of a test problem.
        hyperparam: the hyper-parameter.
        mode: see `rank_settings`.
        metric: see `rank_settings`.
        xscale: of matplotlib, such as ``log``.
        plot_std: draw the standard deviation over seeds.
        reference_path: further results to draw beside it.
        show: show the figure.

    Raises:
        UsageError: an optimizer has no such hyper-parameter.
    """
    fig, ax = _axes(None, None, 1, 1)
    paths = _optimizer_paths(path, reference_path)
    for one in paths:
        points = sorted(
            (_value(runs[0], hyperparam), *_score(runs, name, mode))
            for name, settings in [_ranked(one, metric, mode)]
            for runs in settings
        )
        x, means, deviations = (np.array(column) for column in zip(*points, strict=True))
        (line,) = ax.plot(x, means, marker="o", label=one.name)
        if plot_std:
            ax.fill_between(
                x, means - deviations, means + deviations, color=line.get_color(), alpha=0.2
            )
    ax.set_xscale(xscale)
    ax.set_ylabel(metric)
    _finish([ax], paths[0].parent.name, hyperparam, show)
    return fig, ax


def plot_hyperparameter_sensitivity_2d(
    optimizer_path: str | Path,
    hyperparams: Sequence[str],
    mode: str = "final",
    metric: str = "valid_accuracies",
    xscale: str = "linear",
    yscale: str = "linear",
    show: bool = True,
) -> tuple[Any, Any]:
    """The final metric against two hyper-parameters, as colours.

    Args:
        optimizer_path: of an optimizer.
        hyperparams: the two hyper-parameters.
        mode: see `rank_settings`.
        metric: see `rank_settings`.
        xscale: of matplotlib.
        yscale: of matplotlib.
        show: show the figure.

    Raises:
        UsageError: these are not two hyper-parameters of the optimizer.
    """
    if len(hyperparams) != 2:
        raise UsageError(f"give two hyper-parameters, not {list(hyperparams)}")
    fig, ax = _axes(None, None, 1, 1)
    name, settings = _ranked(Path(optimizer_path), metric, mode)
    points = [
        (*(_value(runs[0], p) for p in hyperparams), _score(runs, name, mode)[0])
        for runs in settings
    ]
    x, y, colours = zip(*points, strict=True)
    drawn = ax.scatter(x, y, c=colours, s=120)
    fig.colorbar(drawn, ax=ax, label=name)
    ax.set(xscale=xscale, yscale=yscale, xlabel=hyperparams[0], ylabel=hyperparams[1])
    _show(show)
    return fig, ax


def plot_final_metric_vs_tuning_rank(
    optimizer_path: str | Path, metric: str = "valid_accuracies", show: bool = True
) -> tuple[Any, Any]:
    """The final metric of all settings in the order of their rank.

    Args:
        optimizer_path: of an optimizer.
        metric: see `rank_settings`.
        show: show the figure.
    """
    fig, ax = _axes(None, None, 1, 1)
    name, settings = _ranked(Path(optimizer_path), metric, "final")
    scores = [_score(runs, name, "final")[0] for runs in settings]
    ax.plot(range(1, len(scores) + 1), scores, marker="o")
    ax.set_ylabel(name)
    _finish([ax], Path(optimizer_path).name, "rank", show)
    return fig, ax


def estimate_runtime(
    framework: str,
    runner_cls: Any,
    optimizer_cls: Any,
    optimizer_hp: Mapping[str, Mapping[str, Any]],
    optimizer_hyperparams: Mapping[str, Any],
    n_runs: int = 5,
    sgd_lr: float = 0.01,
    testproblem: str = "mnist_mlp",
    num_epochs: int = 5,
    batch_size: int = 128,
    **run_arguments: Any,
) -> dict[str, Any]:
    """How much longer a run takes with an optimizer than with SGD, in this process.

    Args:
        framework: ``pytorch``.
        runner_cls: a runner class.
        optimizer_cls: the optimizer.
        optimizer_hp: its hyper-parameters, as for a runner.
        optimizer_hyperparams: their values.
        n_runs: runs of each of the two, in turn.
        sgd_lr: the learning rate of SGD.
        testproblem: the problem.
        num_epochs: of each run.
        batch_size: of each run.
        **run_arguments: further arguments of ``run``.

    Returns:
        ``sgd`` and ``optimizer``, seconds of each run, and ``ratio`` of their medians.

    Raises:
        UsageError: the framework is another one.
    """
    if framework != "pytorch":
        raise unknown_choice("framework", framework, ["pytorch"])
    from torch.optim import SGD

    contenders = {
        "sgd": (runner_cls(SGD, {"lr": {"type": float}}), {"lr": sgd_lr}),
        "optimizer": (runner_cls(optimizer_cls, optimizer_hp), dict(optimizer_hyperparams)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(n_runs + 1):
        for name, (runner, hyperparams) in contenders.items():
            start = time.perf_counter()
            runner.run(
                testproblem, hyperparams=hyperparams, batch_size=batch_size,
                num_epochs=num_epochs if number else 0, no_logs=True, **run_arguments,
            )  # fmt: skip
            if number:  # the first run, of no epoch, reads the data and warms everything up
                seconds[name].append(time.perf_counter() - start)
    ratio = statistics.median(seconds["optimizer"]) / statistics.median(seconds["sgd"])
    print(f"{optimizer_cls.__name__} takes {ratio:.2f} times as long as SGD")  # noqa: T201
    return {**seconds, "ratio": ratio}


def _optimizer_paths(*paths: str | Path | None) -> list[Path]:
    """The folders of optimizers that paths mean.

    Raises:
        UsageError: there are none.
    """
    folders: list[Path] = []
    for path in (path for path in paths if path is not None):
        for pattern in ("*/*.json", "*/*/*.json", "*/*/*/*.json"):
            files = (f for f in Path(path).glob(pattern) if "num_epochs" in f.parent.name)
            if found := sorted({file.parents[1] for file in files}):
                folders += found
                break
        else:
            raise UsageError(f"there are no results below {path}")
    return folders


def _ranked(path: Path, metric: str, mode: str) -> tuple[str, list[list[RunResult]]]:
    settings = rank_settings(path, metric, mode)
    return available_metric(settings, metric), settings


def _value(run: RunResult, hyperparam: str) -> Any:
    if hyperparam not in run.hyperparams:
        raise unknown_choice("hyper-parameter", hyperparam, run.hyperparams)
    return run.hyperparams[hyperparam]


def _performance(runs: Sequence[RunResult], name: str, mode: str) -> float:
    """The mean over the runs at the end, or after the epoch where it is best."""
    curves = [getattr(run, name) for run in runs]
    if mode != "best":
        return statistics.fmean(curve[-1] for curve in curves)
    choose = max if name.endswith("accuracies") else min
    return choose(map(statistics.fmean, zip(*curves, strict=False)))


def _score(runs: Sequence[RunResult], name: str, mode: str) -> tuple[float, float]:
    """Mean and standard deviation over the runs of a setting."""
    choose = max if name.endswith("accuracies") else min
    curves = [getattr(run, name) for run in runs]
    values = [choose(curve) if mode == "best" else curve[-1] for curve in curves]
    return statistics.fmean(values), statistics.pstdev(values)


def _draw_curves(ax: Any, runs: Sequence[RunResult], path: Path, which: str) -> None:
    if which not in BANDS:
        raise unknown_choice("which", which, BANDS)
    for axis, name in zip(ax, PANELS, strict=True):
        axis.set_ylabel(name.replace("_", " "))
        curves = [getattr(run, name) for run in runs]
        if not all(curves):
            continue
        values = np.array([curve[: min(map(len, curves))] for curve in curves])
        low, middle, high = _band(values, which)
        (line,) = axis.plot(middle, label=path.name)
        axis.fill_between(range(len(middle)), low, high, color=line.get_color(), alpha=0.2)


def _band(values: Any, which: str) -> Iterator[Any]:
    if which == "median_and_quartiles":
        return iter(np.percentile(values, (25, 50, 75), axis=0))
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    return iter((mean - deviation, mean, mean + deviation))


def _axes(fig: Any, ax: Any, rows: int, columns: int) -> tuple[Any, Any]:
    if ax is not None:
        return fig, ax
    import matplotlib.pyplot as plt

    return plt.subplots(
        rows, columns, sharex="col", figsize=(max(5, 4 * columns), 3 * rows), squeeze=True
    )


def _finish(axes: Any, title: str, x_label: str, show: bool) -> None:
    axes[0].set_title(title)
    axes[-1].set_xlabel(x_label)
    axes[0].legend(*axes[0].get_legend_handles_labels())
    _show(show)


def _show(show: bool) -> None:
    if not show:
        return
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    if mpl.get_backend().lower() != "agg":  # without a screen there is nothing to show
        plt.show()


def __dir__() -> list[str]:
    return __all__
