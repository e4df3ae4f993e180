"""``alig-deepobs data``: list, fetch and verify the data sets."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from alig_deepobs.cli.output import in_columns, say

if TYPE_CHECKING:
    from alig_deepobs.testproblems.datasets.sources import Source

_data_dir = click.option(
    "--data_dir", "--data-dir", "data_dir", type=click.Path(file_okay=False),
    help="Folder with the files; by default the cache of the user.",
)  # fmt: skip


@click.group()
def data() -> None:
    """List, fetch and verify the data sets."""


@data.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@_data_dir
def list_data(as_json: bool, data_dir: str | None) -> None:
    """List all data sets, and whether their files are there."""
    from alig_deepobs import registry
    from alig_deepobs.testproblems.datasets.fetch import find_file, folder_of, places
    from alig_deepobs.testproblems.datasets.sources import MNIST, SOURCES

    found = {
        source.name: [find_file(source, file, data_dir) for file in source.files]
        for source in SOURCES.values()
    }
    rows = [
        {
            "name": source.name,
            "label": source.label,
            "files": len(source.files),
            "present": sum(path is not None for path in found[source.name]),
            "bytes": source.size,
            "folder": _folder(source, found[source.name], folder_of(source, data_dir)),
            "names": [source.name, *source.folders] if source.files else [],
            "testproblems": [
                problem.name
                for problem in registry.testproblems().values()
                if problem.data_set == source.name
            ],
            "citation": source.citation,
        }
        for source in SOURCES.values()
    ]
    if as_json:
        say(json_module.dumps(rows, indent=2))
        return
    table: list[tuple[str, ...]] = [("name", "label", "files", "size", "folder", "its other names")]
    for row in rows:
        source = SOURCES[str(row["name"])]
        if row["folder"] is None:
            table.append((source.name, source.label, "built in", "", "", ""))
        else:
            label = f"{source.label} (bring your own)" if source.own else source.label
            files = f"{row['present']} of {row['files']}"
            size = f"{source.size / 1e6:.1f} MB"
            names = ", ".join(source.folders)
            table.append((source.name, label, files, size, str(row["folder"]), names))
    say(in_columns(table))
    say("\nThese folders are looked for in:")
    users, *shared = places(MNIST, data_dir)
    where = "the cache" if data_dir is None else "--data_dir"
    looked = [(f"  {users}", f"{where}: any well-formed files count")]
    looked += [(f"  {place}", "official files count") for place in shared]
    say(in_columns(looked))


def _folder(source: Source, found: list[Path | None], otherwise: Path) -> str | None:
    """Where the files of a data set are, or belong; None where it has none."""
    for file, path in zip(source.files, found, strict=True):
        if path is not None:
            return str(path if path.is_dir() and not file.is_folder else path.parent)
    return str(otherwise) if source.files else None


@data.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@_data_dir
@click.option("--offline", is_flag=True, help="Only look; never touch the network.")
def fetch(names: tuple[str, ...], data_dir: str | None, offline: bool) -> None:
    """Download the files of data sets, unless they are there already."""
    from alig_deepobs.testproblems.datasets import fetch as fetching

    for source in _sources(names):
        if not source.files:
            say(f"{source.name}: built in, nothing to fetch")
            continue
        for path in fetching.fetch(source, data_dir, offline):
            say(f"{source.name}: {path}")


@data.command()
@click.argument("names", metavar="[NAME...]", nargs=-1)
@_data_dir
def verify(names: tuple[str, ...], data_dir: str | None) -> None:
    """Compare the SHA-256 digests of files, or of their content, with the official ones.

    Without names, all data sets are verified. The exit code is 1 unless every file is ok.
    """
    from alig_deepobs.errors import DataError
    from alig_deepobs.testproblems.datasets.fetch import check_file
    from alig_deepobs.testproblems.datasets.sources import SOURCES

    table: list[tuple[str, ...]] = [("name", "file", "state", "path")]
    bad = []
    for source in _sources(names or tuple(SOURCES)):
        if not source.files:
            table.append((source.name, "-", "built in", ""))
        for file in source.files:
            path, state = check_file(source, file, data_dir)
            table.append((source.name, file.name, str(state), str(path or "")))
            if not state.good:
                bad.append(source.name)
    say(in_columns(table))
    if bad:
        count = f"{len(bad)} file is" if len(bad) == 1 else f"{len(bad)} files are"
        where = "" if data_dir is None else f" --data_dir {data_dir}"
        raise DataError(
            f"{count} not ok; `alig-deepobs data fetch {' '.join(dict.fromkeys(bad))}{where}` "
            "downloads what is missing or corrupt"
        )


def _sources(names: tuple[str, ...]) -> list[Source]:
    from alig_deepobs.testproblems.datasets.sources import find_source

    # All names are looked up before anything is done for the first.
    return [find_source(name) for name in dict.fromkeys(names)]
