"""``alig-deepobs report``: what results folders say, as text, tables, figures and one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from alig_deepobs.cli.options import option, reference_option
from alig_deepobs.cli.output import say, say_skipped, say_table, say_wrapped

if TYPE_CHECKING:
    from alig_deepobs.analysis.report import Report

BASELINES = ("deepobs", "measured", "none")


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="DIR...",
                type=click.Path(file_okay=False))  # fmt: skip
@option("--baselines", multiple=True, type=click.Choice(BASELINES),
        help="What stands beside your runs: published figures of DeepOBS, results that this "
        "project measured, or nothing; repeatable. By default both.")  # fmt: skip
@reference_option
@option("--html", type=click.Path(dir_okay=False), metavar="FILE",
        help="Write one page that needs no network and no other file.")  # fmt: skip
@option("--markdown", type=click.Path(dir_okay=False), metavar="FILE",
        help="Write the tables as one Markdown document.")  # fmt: skip
@option("--latex", type=click.Path(file_okay=False), metavar="DIR",
        help="Write each table as LaTeX (booktabs).")  # fmt: skip
@option("--csv", type=click.Path(file_okay=False), metavar="DIR",
        help="Write each table as CSV, numbers in full precision.")  # fmt: skip
@option("--figures", type=click.Path(file_okay=False), metavar="DIR",
        help="Write the figures as PDF and PNG.")  # fmt: skip
def report(
    folders: tuple[str, ...],
    baselines: tuple[str, ...],
    reference: str | None,
    html: str | None,
    **files: str | None,
) -> int:
    """Say what results folders show: leaderboards, statistics, sensitivity, environments.

    Reads results of this package and of DeepOBS 1.1 and 1.2. Without a flag for a file, the
    report is printed. Exit code 1 if a file was skipped; its name and the reason are shown.

    \b
    Examples:
      alig-deepobs report results
      alig-deepobs report results --html report.html
      alig-deepobs report mine theirs --baselines none --latex tables --figures figures
    """  # noqa: D301 - click looks for the character itself
    from alig_deepobs.analysis.report import build_report
    from alig_deepobs.errors import UsageError

    if "none" in baselines and len(set(baselines)) > 1:
        raise UsageError("--baselines none cannot be combined with others")
    wanted = tuple(dict.fromkeys(name for name in baselines or BASELINES if name != "none"))
    if html is not None:
        from alig_deepobs.analysis.report.page import check_extra

        check_extra()  # before the work, not after it
    found = build_report(folders, () if "none" in baselines else wanted, reference)
    written = _write(found, html, **files)
    if not written:
        _print(found)
    for path in written:
        say(f"written: {path}")
    return say_skipped(found.skipped)


def _write(
    found: Report,
    html: str | None,
    markdown: str | None,
    latex: str | None,
    csv: str | None,
    figures: str | None,
) -> list[Path]:
    from alig_deepobs.analysis.render import write_table
    from alig_deepobs.analysis.report.tables import all_tables, markdown_report
    from alig_deepobs.files import write_text_atomically

    written: list[Path] = []
    if html is not None:
        from alig_deepobs.analysis.report.page import write_page

        written.append(write_page(found, html))
    if markdown is not None:
        write_text_atomically(Path(markdown), markdown_report(found))
        written.append(Path(markdown))
    for folder, kind in ((latex, "tex"), (csv, "csv")):
        if folder is not None:
            written += [write_table(table, folder, kind) for table in all_tables(found)]
    if figures is not None:
        from alig_deepobs.analysis.report.charts import write_figures

        written += write_figures(found, figures)
    return written


def _print(found: Report) -> None:
    from alig_deepobs.analysis.report.tables import all_tables

    say_wrapped(found.about())
    for table in all_tables(found):
        if table.name != "skipped":  # it is said on the stream for errors
            say_table(table)
