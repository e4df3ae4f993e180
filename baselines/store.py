"""One store for baselines from anywhere: official ones, other people's and own results.

An SQLite file in the user's cache folder. A run is known by a digest of its content, so importing
it again, from a clone or from an archive, changes nothing. An import is one transaction: it is
there whole, or not at all. Mini-batch losses, most of the official 1.4 GB, are not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from alig_deepobs.baselines.archive import Member, result_members
from alig_deepobs.baselines.compact import decode, encode
from alig_deepobs.errors import ResultError, UsageError
from alig_deepobs.results import parse_result
from alig_deepobs.run import RunResult

_TABLES = """
CREATE TABLE IF NOT EXISTS imports (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, source TEXT NOT NULL, time TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS runs (
    digest TEXT PRIMARY KEY, import INTEGER NOT NULL REFERENCES imports(id),
    testproblem TEXT NOT NULL, optimizer_name TEXT NOT NULL, purpose TEXT NOT NULL,
    record BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_of_problem ON runs (testproblem, optimizer_name);
"""


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        name: of the import.
        added: runs that are new.
        known: runs that were already there.
        problems: file name -> why it was left out.
        testproblems: of the runs, sorted.
    """

    name: str
    added: int = 0
    known: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    testproblems: tuple[str, ...] = ()


class StoredImport(NamedTuple):
    """An import in the store."""

    name: str
    source: str
    time: str
    runs: int


def store_path() -> Path:
    """The file of the store: ``baselines.sqlite3`` in the cache folder (`cache_dir`)."""
    from alig_deepobs.testproblems.datasets.fetch import cache_dir

    return cache_dir() / "baselines.sqlite3"


def import_results(
    source: str | Path, name: str | None = None, store: Path | None = None
) -> ImportReport:
    """Imports all results of a folder or an archive, of any dialect.

    A file that is no result is left out and reported; the rest is imported.

    Args:
        source: a results folder, or a ``.zip`` or ``.tar.gz`` of one.
        name: what to call the import; by default the name of the source.
        store: file of the store; by default the user's.

    Raises:
        UsageError: there is nothing at that path.
        DataError: the archive is corrupt.
        ResultError: the store cannot be written, or is none.
    """
    source = Path(source)
    problems = set()
    with _opened(store or store_path()) as connection, connection:  # one transaction
        called = name or _free_name(connection, source)
        report = ImportReport(called)
        connection.execute(
            "INSERT INTO imports (name, source, time) VALUES (?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET source = excluded.source, time = excluded.time",
            (called, str(source.resolve()), time.strftime("%Y-%m-%dT%H:%M:%S%z")),
        )
        (number,) = connection.execute(
            "SELECT id FROM imports WHERE name = ?", (called,)
        ).fetchone()
        for result in _parsed(result_members(source), report):
            problems.add(result.testproblem)
            if _add(connection, number, result):
                report.added += 1
            else:
                report.known += 1
        if not report.added:
            # Nothing new: an import without runs would only confuse.
            connection.execute(
                "DELETE FROM imports WHERE id = ? "
                "AND NOT EXISTS (SELECT 1 FROM runs WHERE import = ?)",
                (number, number),
            )
    report.testproblems = tuple(sorted(problems))
    return report


def stored_results(
    testproblem: str | None = None, with_tuning: bool = False, store: Path | None = None
) -> Iterator[tuple[str, RunResult]]:
    """The imported runs, one after the other, in the order of import.

    Args:
        testproblem: name; None for all.
        with_tuning: also runs that only served to choose a setting.
        store: file of the store; by default the user's.

    Yields:
        Name of the import and run; nothing where there is no store.

    Raises:
        ResultError: the file is no store.
    """
    path = store or store_path()
    if not path.exists():
        return
    with _opened(path) as connection:
        rows = connection.execute(
            "SELECT imports.name, record FROM runs JOIN imports ON imports.id = import "
            "WHERE (? IS NULL OR testproblem = ?) AND (? OR purpose != 'tuning') "
            "ORDER BY import, runs.rowid",
            (testproblem, testproblem, with_tuning),
        )
        for name, record in rows:
            yield name, decode(json.loads(zlib.decompress(record)))


def stored_imports(store: Path | None = None) -> list[StoredImport]:
    """The imports, in their order.

    Raises:
        ResultError: the file is no store.
    """
    path = store or store_path()
    if not path.exists():
        return []
    with _opened(path) as connection:
        rows = connection.execute(
            "SELECT name, source, time, count(digest) FROM imports "
            "LEFT JOIN runs ON imports.id = import GROUP BY imports.id ORDER BY imports.id"
        ).fetchall()
    return [StoredImport(*row) for row in rows]


def remove_import(name: str, store: Path | None = None) -> int:
    """Removes an import and its runs.

    Returns:
        How many runs it had.

    Raises:
        UsageError: there is no import of that name.
    """
    path = store or store_path()
    if name not in {known.name for known in stored_imports(path)}:
        raise UsageError(f"there is no import {name!r}; `alig-deepobs baselines show` lists them")
    with _opened(path) as connection, connection:
        (number,) = connection.execute("SELECT id FROM imports WHERE name = ?", (name,)).fetchone()
        removed = connection.execute("DELETE FROM runs WHERE import = ?", (number,)).rowcount
        connection.execute("DELETE FROM imports WHERE id = ?", (number,))
    return removed


def _free_name(connection: sqlite3.Connection, source: Path) -> str:
    """The name of the source, or its whole path where another source has that name."""
    path = str(source.resolve())
    others = connection.execute(
        "SELECT 1 FROM imports WHERE name = ? AND source != ?", (source.resolve().name, path)
    ).fetchone()
    return path if others else source.resolve().name


def _parsed(members: Iterable[Member], report: ImportReport) -> Iterator[RunResult]:
    for member in members:
        if member.problem:
            report.problems[member.name] = member.problem
            continue
        try:
            yield parse_result(member.raw, Path(member.name))
        except ResultError as error:
            report.problems[member.name] = str(error)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            report.problems[member.name] = f"not a usable result: {error!r}"


def _add(connection: sqlite3.Connection, number: int, result: RunResult) -> bool:
    """Adds a run; False if it was there already."""
    text = json.dumps(encode(result), sort_keys=True, separators=(",", ":")).encode()
    cursor = connection.execute(
        "INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?, ?)",
        (
            hashlib.sha256(text).hexdigest(),
            number,
            result.testproblem,
            result.optimizer_name,
            result.purpose,
            zlib.compress(text),
        ),
    )
    return cursor.rowcount > 0


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as connection:
            connection.executescript(_TABLES)
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise ResultError(
            f"the store of baselines {path} cannot be used: {error}; "
            "delete it and import again, or set ALIG_DEEPOBS_CACHE to another folder"
        ) from error
