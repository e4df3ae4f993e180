"""Baselines from anywhere else: official ones, other people's and own results.

An import is a results folder like any other, in the user's cache folder, so that everything which
reads results reads it. Mini-batch losses, most of the official 1.4 GB, are not kept.
"""

from __future__ import annotations

import contextlib
import math
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from alig_deepobs.baselines.archive import Member, result_members
from alig_deepobs.errors import DataError, ResultError, UsageError
from alig_deepobs.files import write_text_atomically
from alig_deepobs.foreign import count_items, most_kept, shown
from alig_deepobs.registry import optimizers
from alig_deepobs.results import (
    check_folder_name,
    parse_result,
    read_result,
    result_text,
    run_folder,
    write_result,
)
from alig_deepobs.run import RunResult

_SOURCE = "source.txt"


class Import(NamedTuple):
    """An import: its name, where it came from, and its results folder."""

    name: str
    source: str
    folder: Path

    @property
    def runs(self) -> int:
        """How many runs it has, those included that served to choose a setting."""
        return sum(1 for _ in self.folder.rglob("random_seed__*.json"))


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        name: of the import.
        added: runs that are new.
        known: runs that were already there, in this import or another.
        problems: file name -> why it was left out.
        results: all runs of the source.
        items: what their lists have together.
    """

    name: str
    added: int = 0
    known: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    results: list[RunResult] = field(default_factory=list)
    items: int = 0

    @property
    def testproblems(self) -> list[str]:
        """The problems of the runs, sorted."""
        return sorted({result.testproblem for result in self.results})


def imports_folder() -> Path:
    """The folder of the imports: ``baselines`` in the cache folder (`cache_dir`)."""
    from alig_deepobs.testproblems.datasets.fetch import cache_dir

    return cache_dir() / "baselines"


def stored_imports() -> list[Import]:
    """The imports, by name."""
    return [
        Import(
            path.parent.name,
            path.read_text(encoding="utf-8", errors="replace").strip(),
            path.parent,
        )
        for path in sorted(imports_folder().glob(f"*/{_SOURCE}"))
    ]


def import_results(
    source: str | Path,
    name: str | None = None,
    check: Callable[[list[RunResult]], None] | None = None,
) -> ImportReport:
    """Imports all results of a folder or an archive, of any dialect.

    Everything is read before anything is written. A file that is no result is left out and
    reported. A run that is in an import already stays as it is.

    Args:
        source: a results folder, or a ``.zip`` or ``.tar.gz`` of one.
        name: what to call the import, or the import to add to; by default the name of the source.
        check: looks at the results before any of them is kept, and raises an error to keep none.

    Raises:
        UsageError: there is nothing at that path, or another source has that name.
        DataError: the archive is corrupt, or its results are far larger than it is.
        ResultError: the results cannot be written.
    """
    source = Path(source).resolve()
    report = ImportReport(check_folder_name(name or source.name, "the import"))
    there = stored_imports()
    other = next((of for of in there if of.name == report.name), None)
    if name is None and other is not None and other.source != shown(source):
        raise UsageError(
            f"the import {report.name} is from {other.source}; give this one another --name"
        )
    most = most_kept(source.stat().st_size) if source.is_file() else math.inf
    for result in parsed(result_members(source), report):
        report.results.append(result)
        if report.items > most:
            raise DataError(f"{source}: more in its results than a file of its size has")
    if check is not None:
        check(report.results)
    folders = [of.folder for of in there]
    folder = imports_folder() / report.name
    for result in report.results:
        if any(_holds(of, result) for of in {*folders, folder}):
            report.known += 1
        else:
            write_result(result, _root(folder, result))
            report.added += 1
    if report.added:
        write_text_atomically(folder / _SOURCE, f"{shown(source)}\n")
    return report


def remove_import(name: str) -> int:
    """Removes an import.

    Returns:
        How many runs it had.

    Raises:
        UsageError: there is no import of that name.
    """
    found = next((of for of in stored_imports() if of.name == name), None)
    if found is None:
        raise UsageError(f"there is no import {name!r}; `alig-deepobs baselines show` lists them")
    runs = found.runs
    try:
        shutil.rmtree(found.folder)
    except OSError as error:
        raise ResultError(f"cannot remove {found.folder}: {error.strerror or error}") from error
    return runs


def under_our_names(result: RunResult, folder: str) -> RunResult:
    """A run of DeepOBS 1.1 with the optimizer and hyper-parameters that the registry knows.

    Args:
        result: the run; of any other kind it is returned as it is.
        folder: name of its setting's folder. Files of seeds of one setting hold learning rates
            that are rounded differently; the folder's name is what they share.
    """
    names = {re.split("[.:]", e.tensorflow_factory)[-1]: e for e in optimizers().values()}
    entry = names.get(result.optimizer_name)
    if entry is None or result.numbers_version or result.framework != "tensorflow":
        return result
    given = dict(result.hyperparams)
    rate = re.search(r"__lr__([^_]+)", folder)
    given[str(entry.main_hyperparameter)] = float(rate[1]) if rate else given["learning_rate"]
    params = {}
    for name in entry.hyperparameters:
        values = tuple(given[key] for key in entry.tensorflow_names.get(name, (name,)))
        params[name] = values if len(values) > 1 else values[0]
    return replace(result, optimizer=entry.name, optimizer_name=entry.label, hyperparams=params)


def parsed(members: Iterator[Member], report: ImportReport) -> Iterator[RunResult]:
    """The results of files, without mini-batch losses; what is none goes into the report."""
    for member in members:
        if member.problem:
            report.problems[member.name] = member.problem
            continue
        try:
            path = PurePosixPath(member.name)
            result = under_our_names(parse_result(member.raw, Path(path)), path.parent.name)
            check_folder_name(result.testproblem, "the test problem")
            check_folder_name(result.optimizer_name, "the optimizer's label")
            report.items += count_items(member.raw) - len(result.minibatch_train_losses)
            result = replace(result, minibatch_train_losses=[])
            result_text(result)  # what cannot be written must not stop the others halfway
            yield result
        except ResultError as error:
            report.problems[member.name] = str(error)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            report.problems[member.name] = f"not a usable result: {error!r}"


def _root(folder: Path, result: RunResult) -> Path:
    return folder / result.purpose if result.purpose else folder


def _holds(folder: Path, result: RunResult) -> bool:
    """Whether an import has a run with the same results; another try of it counts as new."""
    files = run_folder(result, _root(folder, result)).glob(
        f"random_seed__{result.random_seed}__*.json"
    )
    return any(
        found.identity() == result.identity()
        and (found.test_losses, found.started) == (result.test_losses, result.started)
        for found in _readable(files)
    )


def _readable(files: Iterable[Path]) -> Iterator[RunResult]:
    """The results in files; one that has been damaged since does not stop the others."""
    for path in files:
        with contextlib.suppress(ResultError):
            yield read_result(path)
