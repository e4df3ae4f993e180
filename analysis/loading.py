"""Finding and reading result files, of any dialect, one after the other.

A file that cannot be used never stops the rest: it is reported with its name and its reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from alig_deepobs.analysis.frames import (
    epochs_finished,
    headline_curve,
    params_text,
    setting_params,
)
from alig_deepobs.errors import ResultError, UsageError
from alig_deepobs.registry import testproblems
from alig_deepobs.results import parse_result
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
        results: the runs, in the order of their paths (so of time, for one seed of one setting).
        problems: what was skipped; empty if everything was used.
    """

    results: list[RunResult]
    problems: list[LoadProblem]


def load_results(
    folders: str | Path | Sequence[str | Path], with_tuning: bool = False, light: bool = False
) -> Loaded:
    """Reads every result in folders: ours and those of DeepOBS 1.1 and 1.2.

    Of several runs of the same seed and setting the last one counts; the others are reported as
    problems, with the name of the file that counts.

    Args:
        folders: one or several; see `iter_results`.
        with_tuning: also the runs that only served to choose a setting, which are no results.
        light: without the mini-batch losses, for large folders.

    Raises:
        UsageError: there is no such folder.
    """
    runs: dict[tuple[object, ...], Found] = {}
    problems = []
    for found in iter_results(folders, with_tuning, light):
        if isinstance(found, LoadProblem):
            problems.append(found)
            continue
        key = _identity(found.result)
        # Taken out first, so that the later run also takes the later place.
        earlier = runs.pop(key, None)
        if earlier is not None:
            reason = f"another run of this setting with seed {found.result.random_seed} is later"
            problems.append(LoadProblem(earlier.path, f"{reason}: {found.path} counts"))
        runs[key] = found
    return Loaded([found.result for found in runs.values()], problems)


def iter_results(
    folders: str | Path | Sequence[str | Path], with_tuning: bool = False, light: bool = False
) -> Iterator[Found | LoadProblem]:
    """Reads results one after the other; only one is held at a time.

    A folder may be a results folder or any folder below it. Files outside setting folders (whose
    names start with ``num_epochs``) are not results and are left alone. A file whose content was
    read before, under another name, is a problem; the same file in two of the folders is not.

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
    paths: set[Path] = set()
    digests: dict[bytes, Path] = {}
    for root in roots:
        here = sorted(filter(_is_result, root.resolve().rglob("*.json")))
        if not here:
            yield LoadProblem(root, "there is no result in this folder")
        for path in here:
            if path in paths:
                continue
            paths.add(path)
            found = _read(path, digests, light)
            if isinstance(found, LoadProblem) or with_tuning or found.result.purpose != "tuning":
                yield found


def _is_result(path: Path) -> bool:
    return path.parent.name.startswith("num_epochs") and not path.name.startswith(".")


def _read(path: Path, digests: dict[bytes, Path], light: bool) -> Found | LoadProblem:
    try:
        raw = path.read_bytes()
        first = digests.setdefault(hashlib.blake2b(raw, digest_size=16).digest(), path)
        result = parse_result(raw, path)
    except ResultError as error:
        return LoadProblem(path, str(error))
    except OSError as error:
        return LoadProblem(path, f"cannot read {path}: {error.strerror or error}")
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # The right keys with values of a wrong kind; strangers' files may hold anything.
        return LoadProblem(path, f"not a usable result: {error!r}")
    if first != path:
        return LoadProblem(path, f"the same run as {first}")
    lack = _lack(result)
    if lack:
        return LoadProblem(path, f"{path} {lack}")
    return Found(path, replace(result, minibatch_train_losses=[]) if light else result)


def _lack(result: RunResult) -> str:
    """What a finished run lacks to be judged; empty if nothing."""
    if result.outcome is not Outcome.DONE:
        return ""
    entry = testproblems().get(result.testproblem)
    if entry is not None and not headline_curve(result, entry):
        # The beta of DeepOBS 1.2 drops all accuracies where one of them is exactly 0.
        return f"has no test {entry.metric}, by which {result.testproblem} is judged"
    finished = epochs_finished(result)
    if result.schema_version == 0 and finished < result.num_epochs:
        return f"ends after {finished} of {result.num_epochs} epochs"
    return ""


def _identity(result: RunResult) -> tuple[object, ...]:
    """What makes two runs the same run, tried twice."""
    return (
        result.testproblem,
        result.optimizer_name,
        result.optimizer,
        params_text(setting_params(result)),
        params_text(result.problem_options),
        result.batch_size,
        result.num_epochs,
        result.random_seed,
        result.data_label,
        result.split,
        result.purpose,
        result.framework,
    )
