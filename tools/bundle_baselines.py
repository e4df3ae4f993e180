"""Makes the committed baselines: results in folders and archives to one bundle a test problem.

    python tools/bundle_baselines.py RESULTS... -o baselines/measured --note "..."
    python tools/bundle_baselines.py DeepOBS_Baselines.tar.gz -o baselines/published

Curves keep a few significant digits, but for the first, the best and the last value. Mini-batch
losses and evaluation times are left out. Of runs that only served to choose a setting the ends of
the curves are kept; in the official repository these are the settings with one seed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from alig_deepobs.baselines.archive import result_members
from alig_deepobs.baselines.imports import ImportReport, parsed
from alig_deepobs.bundles import SUFFIX, write_bundle
from alig_deepobs.record_checks import CURVES
from alig_deepobs.registry import testproblems
from alig_deepobs.run import RunResult

ENDS = "only the ends of the curves were kept"
OFFICIAL = "DeepOBS 1.1 on TensorFlow 1 (recorded in 2019)"
OFFICIAL_SOURCE = "DeepOBS baselines (36 rates, best final test result of one seed)"

# Lists that vary from run to run on the same machine, and those that are only looked at.
_ROUGH = ("training_seconds", "epoch_mean_losses", "step_sizes")


def bundled(results: Iterable[RunResult], digits: int = 6, note: str = "") -> list[RunResult]:
    """The results of one problem as they are committed: results first, then the tuning runs.

    Args:
        results: the runs.
        digits: significant digits of the curves.
        note: what a reader must know about all runs; goes into their environment.
    """
    runs = [_official(run) if run.numbers_version == 0 else run for run in results]
    # One run that lies in two folders is one run.
    runs = list({(run.identity(), run.started or id(run)): run for run in runs}.values())
    seeds: dict[str, int] = {}
    for run in runs:
        seeds[run.setting()] = seeds.get(run.setting(), 0) + 1
    several = max(seeds.values(), default=0) > 1
    for run in runs:
        if run.numbers_version == 0 and several and seeds[run.setting()] == 1:
            run.purpose, run.setting_source = "tuning", ""
    runs = [_shortened(run, digits, note) for run in runs]
    runs.sort(key=lambda r: (r.purpose, r.optimizer_name, str(r.hyperparams), r.random_seed))
    return runs


def _official(run: RunResult) -> RunResult:
    """A run of the official repository, with what is known of all of them."""
    factor = testproblems()[run.testproblem].weight_decay
    return dataclasses.replace(
        run,
        setting_source=OFFICIAL_SOURCE,
        regularization="l2" if factor else "none",
        effective_weight_decay=factor or 0.0,
        environment={"framework": OFFICIAL},
        started="",
    )


def _shortened(run: RunResult, digits: int, note: str) -> RunResult:
    if "note" in run.environment:  # it comes from a bundle: rounded again, its best value would go
        return run
    tuning = run.purpose == "tuning"
    notes = "; ".join(filter(None, (note, ENDS if tuning else "")))
    changes: dict[str, Any] = {
        "minibatch_train_losses": [],
        "evaluation_seconds": [],
        "environment": {**run.environment, **({"note": notes} if notes else {})},
    }
    for name in CURVES:
        curve = getattr(run, name)
        changes[name] = _ends(curve) if tuning else _rounded_curve(curve, digits)
    for name in _ROUGH:
        changes[name] = [] if tuning else rounded(getattr(run, name), 3)
    return dataclasses.replace(run, **changes)


def _ends(curve: list[float]) -> list[float]:
    return [curve[0], curve[-1]] if len(curve) > 1 else curve


def _rounded_curve(curve: list[float], digits: int) -> list[float]:
    exact = {0, len(curve) - 1}
    if curve:
        exact |= {curve.index(min(curve)), curve.index(max(curve))}
    return [value if at in exact else rounded(value, digits) for at, value in enumerate(curve)]


def rounded(value: Any, digits: int) -> Any:
    """The value with all floats in it rounded to significant digits."""
    if isinstance(value, list):
        return [rounded(item, digits) for item in value]
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True))
@click.option("-o", "--output", type=click.Path(file_okay=False), required=True)
@click.option("--digits", default=6, help="Significant digits of the curves.")
@click.option("--note", default="", help="What a reader must know about all runs.")
def main(sources: tuple[str, ...], output: str, digits: int, note: str) -> None:
    """Write the results in SOURCES as one bundle per test problem."""
    found: dict[str, list[RunResult]] = {}
    for source in sources:
        report = ImportReport(source)
        for result in parsed(result_members(source), report):
            found.setdefault(result.testproblem, []).append(result)
        for name, reason in report.problems.items():
            click.echo(f"left out: {name}: {reason}", err=True)
    for problem, results in found.items():
        path = Path(output) / f"{problem}{SUFFIX}"
        runs = bundled(results, digits, note)
        write_bundle(runs, path)
        click.echo(f"{path}: {len(runs)} runs, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
