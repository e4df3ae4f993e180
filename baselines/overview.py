"""What is known of a test problem: published, measured and imported results, one line each."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from alig_deepobs.baselines.measured import measured_problems, measured_results
from alig_deepobs.baselines.published import (
    about_published,
    published_facts,
    published_grid,
    published_problems,
    published_result,
    published_rows,
    tuples_for_lists,
)
from alig_deepobs.baselines.store import stored_results
from alig_deepobs.baselines.summary import summarize
from alig_deepobs.errors import unknown_name
from alig_deepobs.registry import optimizers, testproblems
from alig_deepobs.run import Outcome, RunResult

OPTIMIZERS = {"sgd": "SGD", "momentum": "Momentum", "adam": "Adam"}

COLUMNS = (
    ("Source", False), ("Optimizer", False), ("Setting", False), ("Seeds", True), ("Epochs", True),
    ("Mean ± std", True), ("Median", True), ("To target", True), ("Note", False),
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One optimizer at one setting.

    Attributes:
        source: ``published``, ``measured`` or the name of an import.
        optimizer: its label.
        optimizer_key: its name in the registry, empty if not recorded.
        setting: hyper-parameters.
        setting_source: where the setting comes from.
        metric: ``test_accuracy`` (a fraction) or ``test_loss`` (data term where it is known).
        seeds: of all runs.
        num_epochs: of the runs.
        finals: metric after the last epoch of the runs that finished.
        n_reached: runs that met the problem's target; None where there is none.
        median_epochs: median epoch at which they did, "never" last; None if the median is never.
        note: what a reader must know.
        data_label: what the data was; empty if not recorded.
        device: of the runs; empty if not recorded.
    """

    source: str
    optimizer: str
    optimizer_key: str
    setting: dict[str, Any]
    setting_source: str
    metric: str
    seeds: tuple[int, ...]
    num_epochs: int
    finals: tuple[float, ...]
    n_reached: int | None
    median_epochs: float | None
    note: str
    data_label: str
    device: str


def known_problems() -> list[str]:
    """Every problem with a published or measured baseline, then those of imports."""
    names = [*published_problems(), *measured_problems()]
    names += sorted({run.testproblem for _, run in stored_results()})
    return list(dict.fromkeys(names))


def check_names(names: Iterable[str]) -> None:
    """Finds a misspelt problem.

    Raises:
        UsageError: a name is neither a test problem nor in the store.
    """
    known = {*testproblems(), *known_problems()}
    for name in names:
        if name not in known:
            raise unknown_name("test problem", name, known)


def lines_of(problem: str) -> list[Line]:
    """The lines of a problem: published first, then measured, then imports."""
    lines = [line for name in OPTIMIZERS if (line := _published_line(problem, name))]
    lines += _run_lines("measured", measured_results(problem))
    imported: dict[str, list[RunResult]] = {}
    for name, run in stored_results(problem):
        imported.setdefault(name, []).append(run)
    for name, runs in imported.items():
        lines += _run_lines(name, runs)
    return lines


def cells(line: Line) -> tuple[str, ...]:
    """A line as texts, in the order of `COLUMNS`."""
    percent = line.metric == "test_accuracy"
    spread = statistics.pstdev(line.finals) if len(line.finals) > 1 else math.nan
    mean = statistics.fmean(line.finals) if line.finals else math.nan
    median = statistics.median(line.finals) if line.finals else math.nan
    reached = "–"
    if line.n_reached is not None:
        when = "never" if line.median_epochs is None else f"{line.median_epochs:g}"
        reached = f"{when} ({line.n_reached} of {len(line.seeds)})"
    return (
        line.source,
        line.optimizer,
        ", ".join(f"{key}={_short(value)}" for key, value in _telling(line).items()),
        str(len(line.seeds)),
        str(line.num_epochs),
        _with_spread(mean, spread, percent),
        _number(median, percent, spread),
        reached,
        line.note,
    )


def as_plain_data(problem: str, lines: list[Line], with_grid: bool) -> dict[str, Any]:
    """The same for JSON; numbers that are not finite are None."""
    found: dict[str, Any] = {"results": [_finite(dataclasses.asdict(line)) for line in lines]}
    if with_grid and problem in published_problems():
        facts = published_facts(problem)
        found["published"] = {
            name: summarize(published_rows(problem, name), facts) for name in OPTIMIZERS
        }
    return found


def grid_rows(problem: str) -> tuple[list[str], list[list[str]]]:
    """The published grids of a problem: a header, and one row per learning rate."""
    grids = {name: published_grid(problem, name) for name in OPTIMIZERS}
    if not any(grids.values()):
        return [], []
    percent = published_facts(problem)["metric"] == "test_accuracy"
    header = ["Learning rate", *OPTIMIZERS.values()]
    rows = [
        [
            f"{points[0].learning_rate:.3g}",
            *(
                point.outcome if math.isnan(point.final) else _number(point.final, percent)
                for point in points
            ),
        ]
        for points in zip(*grids.values(), strict=True)
    ]
    return header, rows


def about() -> dict[str, str]:
    """Where the published figures come from."""
    return about_published()


def notes(lines: Mapping[str, list[Line]]) -> list[str]:
    """What a reader must know about the lines."""
    found = [
        "Mean ± std: after the last epoch, over the runs that finished; population standard "
        "deviation. To target: median epoch at which the problem's target was first met.",
    ]
    sources = {line.source for of in lines.values() for line in of}
    if "published" in sources:
        facts = about_published()
        found.append(f"Published: {facts['source']} ({facts['licence']}); {facts['framework']}; "
                     f"{facts['selection']}.")  # fmt: skip
    if "measured" in sources:
        found.append(
            "Measured: by this project, with alig-deepobs on PyTorch; --json has the rest."
        )
    return found


def _published_line(problem: str, optimizer: str) -> Line | None:
    found = published_result(problem, optimizer)
    if found is None:
        return None
    reached = [epoch for epoch in found.epochs_to_target.values() if epoch is not None]
    trivial, total = len(found.trivial_seeds), len(found.per_seed)
    return Line(
        source="published",
        optimizer=OPTIMIZERS[optimizer],
        optimizer_key=optimizer,
        setting=found.params,
        setting_source=about_published()["selection"],
        metric=found.metric,
        seeds=tuple(found.per_seed),
        num_epochs=found.num_epochs,
        finals=tuple(found.per_seed.values()),
        n_reached=len(reached),
        median_epochs=_median_epoch(list(found.epochs_to_target.values())),
        note=f"{trivial} of {total} collapsed to a constant prediction" if trivial else "",
        data_label="",
        device="",
    )


def _run_lines(source: str, runs: Iterable[RunResult]) -> list[Line]:
    groups: dict[tuple[str, ...], list[RunResult]] = {}
    for run in runs:
        key = (run.optimizer_name, str(run.hyperparams), str(run.training_params),
               str(run.num_epochs), str(run.batch_size), run.data_label,
               str(run.problem_options))  # fmt: skip
        groups.setdefault(key, []).append(run)
    return [_run_line(source, group) for group in groups.values()]


def _run_line(source: str, runs: list[RunResult]) -> Line:
    first = runs[0]
    entry = testproblems().get(first.testproblem)
    accuracy = entry.metric == "accuracy" if entry else bool(first.test_accuracies)
    curves = {run.random_seed: _headline(run, accuracy) for run in runs}
    done = [run for run in runs if run.outcome is Outcome.DONE]
    failed = len(runs) - len(done)
    target = entry.target if entry else None
    epochs = [_first(curve, target, accuracy) for curve in curves.values()]
    return Line(
        source=source,
        optimizer=first.optimizer_name,
        optimizer_key=first.optimizer,
        setting=tuples_for_lists(first.hyperparams),
        setting_source=first.setting_source,
        metric="test_accuracy" if accuracy else "test_loss",
        seeds=tuple(sorted(run.random_seed for run in runs)),
        num_epochs=first.num_epochs,
        finals=tuple(curve[-1] for run in done if (curve := _headline(run, accuracy))),
        n_reached=None if target is None else sum(epoch is not None for epoch in epochs),
        median_epochs=None if target is None else _median_epoch(epochs),
        note=f"{failed} of {len(runs)} did not finish" if failed else "",
        data_label=first.data_label,
        device=str(first.environment.get("device_name") or ""),
    )


def _headline(run: RunResult, accuracy: bool) -> list[float]:
    return run.test_accuracies if accuracy else run.test_data_losses or run.test_losses


def _first(curve: list[float], target: float | None, accuracy: bool) -> int | None:
    if target is None:
        return None
    return next(
        (e for e, v in enumerate(curve) if (v >= target if accuracy else v <= target)), None
    )


def _median_epoch(epochs: list[int | None]) -> float | None:
    median = statistics.median(math.inf if epoch is None else epoch for epoch in epochs)
    return float(median) if math.isfinite(median) else None


def _finite(value: Any) -> Any:
    """The same with texts for infinite numbers, such as the cap of an uncapped step."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _telling(line: Line) -> dict[str, Any]:
    """The hyper-parameters without those that only repeat a default."""
    entry = optimizers().get(line.optimizer_key)
    if entry is None:
        return line.setting
    always = (entry.main_hyperparameter, "momentum")
    declared = entry.hyperparameters
    return {
        key: line.setting[key]
        for key in dict.fromkeys([*declared, *line.setting])
        if key in line.setting
        and (key in always or key not in declared or line.setting[key] != declared[key].default)
    }


def _with_spread(mean: float, spread: float, percent: bool) -> str:
    if math.isnan(spread):
        return _number(mean, percent)
    width = f"{100 * spread:.2f}" if percent else f"{spread:.2g}"
    return f"{_number(mean, percent, spread)} ± {width}"


def _number(value: float, percent: bool, spread: float = math.nan) -> str:
    """A loss with as many digits as its spread has, two of which count."""
    if math.isnan(value):
        return "–"
    if percent:
        return f"{100 * value:.2f} %"
    if spread > 0 and abs(value) >= 1e-3:
        return f"{value:.{min(6, max(0, 1 - math.floor(math.log10(spread))))}f}"
    return f"{value:.4g}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
