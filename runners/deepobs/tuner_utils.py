"""``deepobs.tuner.tuner_utils``: settings in their order, and what is done with the best ones."""

from __future__ import annotations

import json
import logging
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from alig_deepobs.errors import UsageError, unknown_choice
from alig_deepobs.files import write_text_atomically
from alig_deepobs.results import read_result
from alig_deepobs.run import Outcome, ResolvedRun, RunResult
from alig_deepobs.runners.callbacks import Callback, Several
from alig_deepobs.runners.cells import Cell
from alig_deepobs.runners.deepobs.runners import Asked, is_own
from alig_deepobs.runners.deepobs.shared_utils import METRICS, create_setting_analyzer_ranking
from alig_deepobs.runners.selection import Rule
from alig_deepobs.runners.study import Silent, Study, local

__all__ = [
    "create_setting_analyzer_ranking", "generate_tuning_summary", "log_uniform", "rank_settings",
    "rerun_setting", "write_tuning_summary",
]  # fmt: skip

logger = logging.getLogger(__name__)

RERUN_SEEDS = range(43, 52)
"""Seeds with which the best setting is run again, as in DeepOBS."""


class log_uniform:  # noqa: N801 - DeepOBS's name
    """``base ** u`` with ``u`` uniform in [a, b]."""

    def __init__(self, a: float, b: float, base: float = 10) -> None:
        self.a, self.b, self.base = a, b, base

    def rvs(self, size: int | None = None, random_state: Any = None) -> Any:
        """Draws from the distribution; NumPy's global generator is the default."""
        if random_state is None:
            random_state = np.random
        elif not isinstance(random_state, np.random.RandomState):
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
    if metric and metric not in METRICS:
        raise unknown_choice("metric", metric, METRICS)
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
    carry_out(trainer, [again(trainer, ranked[rank - 1][0], s, arguments) for s in seeds], jobs)


def again(runner: Any, result: RunResult, seed: int, arguments: Mapping[str, Any]) -> Asked:
    """The setting of a result, asked for with another seed.

    Args:
        runner: that will run it.
        result: of the setting.
        seed: the other seed.
        arguments: of the runner's ``run``; they win.
    """
    asked: Asked = runner.ask(**{
        **{name: getattr(result, name) for name in (
            "testproblem", "hyperparams", "batch_size", "num_epochs", "weight_decay",
            "training_params", "problem_options", "synthetic",
        )},
        "split": "validation" if result.valid_losses else result.split,
        **arguments,
        "random_seed": int(seed),
    })  # fmt: skip
    return replace(asked, spec=replace(asked.spec, reshuffle=result.reshuffle))


def carry_out(runner: Any, asked: Sequence[Asked], jobs: int) -> list[RunResult]:
    """Runs what is not in the store, as a study where any process could do it.

    Args:
        runner: that runs it.
        asked: what it was asked for.
        jobs: runs at the same time.
    """
    alone = runner.has_own_hooks or not runner.is_importable
    if alone or any(is_own(one.spec.testproblem) for one in asked):
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


def generate_tuning_summary(
    optimizer_path: str | Path, mode: str = "final", metric: str = "valid_accuracies"
) -> list[dict[str, Any]]:
    """The settings of a search, the best one first, with mean and deviation of the metric.

    Args:
        optimizer_path: ``<output_dir>/<test problem>/<optimizer>``.
        mode: see `rank_settings`; ``best`` takes the best epoch of the mean curve.
        metric: see `rank_settings`.

    Returns:
        For each setting ``params``, ``<metric>_mean`` and ``<metric>_std``.

    Raises:
        UsageError: as `rank_settings`.
    """
    ranked = rank_settings(optimizer_path, metric, mode)
    name = available_metric(ranked, metric)
    summary = []
    for runs in ranked:
        columns = list(zip(*(getattr(run, name) for run in runs), strict=False))
        means = [statistics.fmean(column) for column in columns]
        choose = max if name.endswith("accuracies") else min
        at = means.index(choose(means)) if mode == "best" else -1
        values = columns[at]
        params = {**runs[0].hyperparams, **runs[0].training_params}
        summary.append({
            "params": params, f"{name}_mean": means[at], f"{name}_std": statistics.pstdev(values),
        })  # fmt: skip
    return summary


def write_tuning_summary(
    optimizer_path: str | Path, mode: str = "final", metric: str = "valid_accuracies"
) -> None:
    """Writes `generate_tuning_summary` into ``tuning_log.json``, a setting a line.

    Args:
        optimizer_path: ``<output_dir>/<test problem>/<optimizer>``.
        mode: see `rank_settings`.
        metric: see `rank_settings`.
    """
    lines = [json.dumps(line) for line in generate_tuning_summary(optimizer_path, mode, metric)]
    write_text_atomically(Path(optimizer_path) / "tuning_log.json", "\n".join(lines) + "\n")


def available_metric(settings: Sequence[Sequence[RunResult]], metric: str) -> str:
    """The metric, or, where the runs have no such list, what DeepOBS takes then.

    Args:
        settings: the runs of each setting.
        metric: name of a list of a result, or empty.
    """
    runs = [run for setting in settings for run in setting]
    names = (metric or "valid_accuracies", "valid_losses", "test_losses")
    return next(name for name in names if all(getattr(run, name) for run in runs))
