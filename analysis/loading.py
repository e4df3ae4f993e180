"""Finding and reading result files, of any dialect, one after the other.

A file that cannot be used never stops the rest: it is reported with its name and its reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from alig_deepobs.analysis.frames import headline_curve
from alig_deepobs.bundles import SUFFIX, read_bundle
from alig_deepobs.errors import ResultError, UsageError
from alig_deepobs.files import files_below, is_regular
from alig_deepobs.registry import testproblems
from alig_deepobs.results import newest, read_result
from alig_deepobs.run import Outcome, RunResult


class LoadProblem(NamedTuple):
    """A file that was skipped, or a folder without any, and why."""

    path: Path
    reason: str


class Found(NamedTuple):
    """A run and its file."""

    path: Path
    result: RunResult


class Loaded(NamedTuple):
    """What was found in results folders.

    Attributes:
        results: the runs, in the order of their paths.
        problems: what was skipped; empty if every file could be used.
        repeated: further results of the same runs, and copies of files, which do not count.
    """

    results: list[RunResult]
    problems: list[LoadProblem]
    repeated: int = 0


def load_results(
    folders: str | Path | Sequence[str | Path], with_tuning: bool = False, light: bool = False
) -> Loaded:
    """Reads every result in folders: ours and those of DeepOBS 1.1 and 1.2.

    Of several results of the same run (`Run.identity`) one counts, which
    `alig_deepobs.results.newest` chooses: one that came to its end, and of these the latest.

    Args:
        folders: one or several; see `iter_results`.
        with_tuning: also the runs that only served to choose a setting, which are no results.
        light: without the mini-batch losses, for large folders.

    Raises:
        UsageError: there is no such folder.
    """
    runs: dict[tuple[str, str], RunResult] = {}
    problems, repeated = [], 0
    for found in iter_results(folders, with_tuning, light):
        if isinstance(found, LoadProblem):
            problems.append(found)
            continue
        key = (found.result.purpose, found.result.identity())
        repeated += key in runs
        runs[key] = newest(runs[key], found.result) if key in runs else found.result
    return Loaded(list(runs.values()), problems, repeated)


def iter_results(
    folders: str | Path | Sequence[str | Path], with_tuning: bool = False, light: bool = False
) -> Iterator[Found | LoadProblem]:
    """Reads results one after the other; only one is held at a time.

    A folder may be a results folder or any folder below it. Files outside setting folders (whose
    names start with ``num_epochs``) are not results and are left alone, but for bundles
    (`alig_deepobs.bundles`). A file that is in two of the folders is read once; of a run that was
    repeated, every result is given.

    Args:
        folders: one or several.
        with_tuning: also the runs that only served to choose a setting, which are no results.
        light: without the mini-batch losses, for large folders.

    Yields:
        Each run with its path, in the order of folders and paths, or what was wrong with a file
        or a folder.

    Raises:
        UsageError: there is no such folder.
    """
    roots = [Path(f) for f in ([folders] if isinstance(folders, (str, Path)) else folders)]
    for root in roots:
        if not root.is_dir():
            raise UsageError(f"there is no results folder {root}")
    seen: set[str] = set()
    for root in roots:
        here = sorted(filter(_is_result, files_below(root.resolve())))
        if not here:
            yield LoadProblem(root, "there is no result in this folder")
        for path in here:
            place = os.path.realpath(path)  # of a link to itself, too, there is one
            if place in seen:
                continue
            seen.add(place)
            for found in _read(path, light):
                tuning = isinstance(found, Found) and found.result.purpose == "tuning"
                if with_tuning or not tuning:
                    yield found


def _is_result(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    in_setting = path.suffix == ".json" and path.parent.name.startswith("num_epochs")
    return in_setting or path.name.endswith(SUFFIX)


def _read(path: Path, light: bool) -> list[Found | LoadProblem]:
    if path.exists() and not is_regular(path):
        return [LoadProblem(path, f"{path} is not a regular file")]
    try:
        is_bundle = path.name.endswith(SUFFIX)
        results = read_bundle(path) if is_bundle else [read_result(path)]
    except ResultError as error:
        return [LoadProblem(path, str(error))]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # The right keys with values of a wrong kind; strangers' files may hold anything.
        return [LoadProblem(path, f"not a usable result: {error!r}")]
    return [
        LoadProblem(path, f"{path} {lack}")
        if (lack := _lack(result))
        else Found(path, replace(result, minibatch_train_losses=[]) if light else result)
        for result in results
    ]


def _lack(result: RunResult) -> str:
    """What a finished run lacks to be judged; empty if nothing."""
    if result.outcome is not Outcome.DONE:
        return ""
    entry = testproblems().get(result.testproblem)
    if entry is not None and not headline_curve(result, entry):
        # The beta of DeepOBS 1.2 drops all accuracies where one of them is exactly 0.
        return f"has no test {entry.metric}, by which {result.testproblem} is judged"
    return ""
