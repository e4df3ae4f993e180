"""``alig-deepobs baselines``: published, measured and imported results of the usual optimizers."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from alig_deepobs.cli.options import option
from alig_deepobs.cli.output import say, say_table, say_wrapped
from alig_deepobs.foreign import shown
from alig_deepobs.words import counted

if TYPE_CHECKING:
    from alig_deepobs.analysis.table import Table
    from alig_deepobs.baselines import ImportReport
    from alig_deepobs.run import RunResult

SHOWN_PROBLEMS = 20


@click.group()
def baselines() -> None:
    """Show, download and import baselines.

    Published figures of DeepOBS and results that this project measured come with the package.
    Anything else is imported as a results folder, in the folder that also caches data sets.
    """


@baselines.command()
@click.argument("problems", metavar="[PROBLEM...]", nargs=-1)
@click.option("--grid", is_flag=True, help="Also the published learning-rate grids.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def show(problems: tuple[str, ...], grid: bool, as_json: bool) -> None:
    """Show the baselines of test problems, or what there is of all."""
    from alig_deepobs.analysis import known
    from alig_deepobs.baselines import about_published, stored_imports

    names = list(dict.fromkeys(problems)) or known.known_problems()
    tables = {name: known.known_table(name) for name in names}
    grids = {name: found for name in names if grid and (found := known.grid_table(name))}
    imports = stored_imports()
    if as_json:
        document = {
            "about": about_published(),
            "imports": [{"name": of.name, "source": of.source, "runs": of.runs} for of in imports],
            "problems": {name: _records(table) for name, table in tables.items()},
            "grids": {name: _records(table) for name, table in grids.items()},
        }
        say(json_module.dumps(document, indent=2, allow_nan=False))
        return
    for name, table in tables.items():
        say_table(table)
        if name in grids:
            say_table(grids[name])
    say_wrapped(known.notes(list(tables.values())))
    for of in imports:
        say(f"Imported: {of.name}, {counted(of.runs, 'run')}, from {of.source}")


@baselines.command("import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@option("--name", help="What to call the import; by default the name of the source.")
def import_(source: Path, name: str | None) -> int:
    """Import a results folder, or a .zip or .tar.gz of one, into the cache.

    SOURCE may be a clone or an archive of the official repository DeepOBS_Baselines, a results
    folder of DeepOBS 1.1 or 1.2, or one of ours. What is there already stays as it is.
    """
    from alig_deepobs.baselines import import_results

    return _report(import_results(source, name))


@baselines.command()
@option("--url", help="Another address of the archive (.tar.gz or .zip).")
def fetch(url: str | None) -> int:
    """Download DeepOBS's official baselines, import them, and compare them with ours.

    The runs are those that the published figures come from; imported, they add the curves of the
    whole learning-rate grid. The archive is several hundred MB.
    """
    from alig_deepobs.baselines import fetch as fetching
    from alig_deepobs.baselines import import_results
    from alig_deepobs.errors import DataError

    address = url or fetching.URL
    say(f"Downloading {address}")
    archive = fetching.download(address)

    def check(results: list[RunResult]) -> None:
        found = fetching.verify(results)
        say(f"{found.agreeing} runs agree with those of this package; {archive}")
        for key in found.differing[:SHOWN_PROBLEMS]:
            say(f"differs: {key}", err=True)
        if found.differing or found.missing:
            raise DataError(
                f"{address} is not the official archive: {len(found.differing)} runs differ from "
                f"those of this package and {found.missing} are missing; nothing of it was kept"
            )

    try:
        return _report(import_results(archive, "DeepOBS_Baselines", check))
    except DataError:
        archive.unlink(missing_ok=True)  # the next call starts afresh
        raise


@baselines.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove an import."""
    from alig_deepobs.baselines import remove_import

    say(f"{name}: {counted(remove_import(name), 'run')} removed")


def _report(report: ImportReport) -> int:
    """Says what was imported; 1 if something was left out."""
    from alig_deepobs.baselines.imports import imports_folder
    from alig_deepobs.errors import ResultError

    for name, reason in list(report.problems.items())[:SHOWN_PROBLEMS]:
        text = reason if name in reason else f"{name}: {reason}"
        say(shown(f"left out: {text}"), err=True)
    if len(report.problems) > SHOWN_PROBLEMS:
        say(f"left out: {counted(len(report.problems) - SHOWN_PROBLEMS, 'more file')}", err=True)
    if not report.added and not report.known:
        raise ResultError(
            f"{report.name} holds no result: result files end in .json and lie in folders whose "
            f"names start with num_epochs ({counted(len(report.problems), 'file')} left out)"
        )
    known = f", {report.known} were already there" if report.known else ""
    skipped = f", {len(report.problems)} left out" if report.problems else ""
    say(
        f"{report.name}: {counted(report.added, 'run')} imported{known}{skipped}; "
        f"test problems: {', '.join(report.testproblems)}; in {imports_folder() / report.name}"
    )
    return 1 if report.problems else 0


def _records(table: Table[Any]) -> Any:
    """The rows for JSON; numbers that are not finite are null."""
    return json_module.loads(table.frame.to_json(orient="records", double_precision=15))
