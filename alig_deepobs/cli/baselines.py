"""``alig-deepobs baselines``: published, measured and imported results of the usual optimizers."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from alig_deepobs.cli.options import option

if TYPE_CHECKING:
    from alig_deepobs.baselines.overview import Line
    from alig_deepobs.baselines.store import ImportReport

SHOWN_PROBLEMS = 20


@click.group()
def baselines() -> None:
    """Show, download and import baselines.

    Published figures of DeepOBS and results that this project measured come with the package.
    Anything else is imported into one store, in the folder that also caches data sets.
    """


@baselines.command()
@click.argument("problems", metavar="[PROBLEM...]", nargs=-1)
@click.option("--grid", is_flag=True, help="Also the published learning-rate grids.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def show(problems: tuple[str, ...], grid: bool, as_json: bool) -> None:
    """Show the baselines of test problems, or what there is of all."""
    from rich.console import Console

    from alig_deepobs.baselines import overview
    from alig_deepobs.baselines.store import stored_imports

    names = list(dict.fromkeys(problems)) or overview.known_problems()
    overview.check_names(names)
    lines = {name: overview.lines_of(name) for name in names}
    imports = stored_imports()
    if as_json:
        document = {
            "about": overview.about(),
            "imports": [item._asdict() for item in imports],
            "problems": {
                name: overview.as_plain_data(name, of, with_grid=grid) for name, of in lines.items()
            },
        }
        click.echo(json_module.dumps(document, indent=2, allow_nan=False))
        return
    console = Console()
    width = console.width if console.is_terminal else 140
    out = Console(width=width, highlight=False)
    for name, of in lines.items():
        out.print(_title(name, of), style="bold", soft_wrap=True)
        out.print(_table(of))
        if grid:
            out.print(_grid(name))
    for note in overview.notes(lines):
        out.print(note, style="dim", highlight=False)
    for item in imports:
        out.print(f"Imported: {item.name}, {item.runs} runs, from {item.source}", markup=False)


@baselines.command("import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@option("--name", help="What to call the import; by default the name of the source.")
def import_(source: Path, name: str | None) -> int:
    """Import a results folder, or a .zip or .tar.gz of one, into the store.

    SOURCE may be a clone or an archive of the official repository DeepOBS_Baselines, a results
    folder of DeepOBS 1.1 or 1.2, or one of ours. What is in the store already stays as it is.
    """
    from alig_deepobs.baselines.store import import_results

    return _report(import_results(source, name))


@baselines.command()
@option("--url", help="Another address of the archive (.tar.gz or .zip).")
def fetch(url: str | None) -> int:
    """Download DeepOBS's official baselines, compare them with our tables, and import them.

    The runs are those that the published figures come from; imported, they add the curves of the
    whole learning-rate grid. The archive is several hundred MB.
    """
    from alig_deepobs.baselines import fetch as fetching
    from alig_deepobs.baselines.store import import_results
    from alig_deepobs.errors import DataError

    address = url or fetching.URL
    click.echo(f"Downloading {address}")
    archive = fetching.download(address)
    try:
        found = fetching.verify(archive)
    except DataError:
        archive.unlink(missing_ok=True)  # the next call starts afresh
        raise
    click.echo(f"{found.agreeing} runs agree with the tables of this package; {archive}")
    for key in found.differing[:SHOWN_PROBLEMS]:
        click.echo(f"differs: {key}", err=True)
    code = _report(import_results(archive, "DeepOBS_Baselines"))
    if found.differing or found.missing:
        raise DataError(
            f"{archive} is not the official archive: {len(found.differing)} runs differ from the "
            f"tables of this package and {found.missing} are missing"
        )
    return code


@baselines.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove an import from the store."""
    from alig_deepobs.baselines.store import remove_import

    click.echo(f"{name}: {remove_import(name)} runs removed")


def _report(report: ImportReport) -> int:
    """Says what was imported; 1 if something was left out."""
    from alig_deepobs.baselines.store import store_path
    from alig_deepobs.errors import ResultError

    for name, reason in list(report.problems.items())[:SHOWN_PROBLEMS]:
        text = reason if name in reason else f"{name}: {reason}"
        click.echo(f"left out: {text}", err=True)
    if len(report.problems) > SHOWN_PROBLEMS:
        click.echo(f"left out: {len(report.problems) - SHOWN_PROBLEMS} more files", err=True)
    if not report.added and not report.known:
        raise ResultError(
            f"{report.name} holds no result: result files end in .json and lie in folders whose "
            f"names start with num_epochs ({len(report.problems)} files left out)"
        )
    known = f", {report.known} were already there" if report.known else ""
    skipped = f", {len(report.problems)} left out" if report.problems else ""
    click.echo(
        f"{report.name}: {report.added} runs imported{known}{skipped}; "
        f"test problems: {', '.join(report.testproblems)}; store: {store_path()}"
    )
    return 1 if report.problems else 0


def _title(name: str, lines: list[Line]) -> str:
    from alig_deepobs.registry import testproblems

    entry = testproblems().get(name)
    label = f"{entry.label} ({name})" if entry else name
    return f"{label}: {lines[0].metric if lines else 'no baselines'}"


def _table(lines: list[Line]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from alig_deepobs.baselines.overview import COLUMNS, cells

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title, right in COLUMNS:
        table.add_column(title, justify="right" if right else "left", overflow="fold")
    for line in lines:
        table.add_row(*map(Text, cells(line)))
    return table


def _grid(name: str) -> Any:
    from rich import box
    from rich.table import Table

    from alig_deepobs.baselines.overview import grid_rows

    header, rows = grid_rows(name)
    if not rows:
        return "no published grid"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in header:
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(*row)
    return table
