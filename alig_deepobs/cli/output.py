"""What the commands print."""

from __future__ import annotations

import logging
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from alig_deepobs.foreign import shown
from alig_deepobs.words import counted

if TYPE_CHECKING:
    from alig_deepobs.analysis import Table
    from alig_deepobs.analysis.loading import LoadProblem


INDENT = " " * 4

CLOSED = "code that is no part of alig-deepobs has closed it"


def say(text: object = "", err: bool = False) -> None:
    """Prints text, which may have come from a file: nothing of it acts on the terminal.

    Args:
        text: one or several lines.
        err: whether it goes to the stream for errors.
    """
    try:
        click.echo(shown(text, lines=True), err=err)
    except (AttributeError, ValueError):
        if not err or is_open(sys.stderr):
            raise


def is_open(stream: Any) -> bool:
    """Whether a stream can be written to: code of other people may close or replace it."""
    return callable(getattr(stream, "write", None)) and not getattr(stream, "closed", False)


def say_table(table: Table[Any]) -> None:
    """Prints a table after a blank line: as wide as the terminal, or in a pipe with all columns."""
    from rich.console import Console

    from alig_deepobs.analysis import to_rich, to_text

    console = Console(highlight=False)
    console.print()
    if console.is_terminal:
        console.print(to_rich(table, console.width))
    else:
        say(to_text(table).removesuffix("\n"))


def say_skipped(files: Sequence[LoadProblem]) -> int:
    """Says which files were skipped, and why; returns the exit code: 1 if there are any."""
    from alig_deepobs.analysis.report.tables import reason_without_path

    for item in files:
        say(f"skipped: {shown(f'{item.path}: {reason_without_path(item)}')}", err=True)
    if files:
        say(f"{counted(len(files), 'file')} skipped", err=True)
    return 1 if files else 0


def say_wrapped(paragraphs: Sequence[str]) -> None:
    """Prints paragraphs in lines as wide as the terminal; in a pipe, of 120 characters."""
    from alig_deepobs.analysis.formats import wrapped
    from alig_deepobs.analysis.render import PARAGRAPH

    width = terminal_width() or PARAGRAPH
    for paragraph in paragraphs:
        say(wrapped(paragraph, width))


def terminal_width() -> int | None:
    """The characters in a line of the terminal; None in a pipe."""
    if is_open(sys.stdout) and sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return None


def in_columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of texts as lines, each column as wide as its longest text.

    In a terminal that is too narrow for them the widest columns stand below the others.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    beside = list(range(len(widths)))
    room = terminal_width()
    while room and len(beside) > 1 and sum(widths[c] + 2 for c in beside) - 2 > room:
        beside.remove(max(beside[1:], key=lambda c: widths[c]))
    lines = []
    for row in rows:
        lines.append("  ".join(row[c].ljust(widths[c]) for c in beside).rstrip())
        for c in set(range(len(widths))).difference(beside):
            lines += textwrap.wrap(
                row[c], room or 0, initial_indent=INDENT, subsequent_indent=INDENT,
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip
    return "\n".join(lines)


class ShownFormatter(logging.Formatter):
    """Log lines of which nothing acts on the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; see `logging.Formatter.format`."""
        return shown(super().format(record), lines=True)
