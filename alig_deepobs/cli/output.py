"""What the commands print."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from alig_deepobs.foreign import shown

if TYPE_CHECKING:
    from alig_deepobs.analysis import Table


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


def show(table: Table[Any]) -> None:
    """Prints a table after a blank line: as wide as the terminal, or as plain text in a pipe."""
    from rich.console import Console

    from alig_deepobs.analysis import to_rich, to_text

    console = Console()
    console.print()
    if console.is_terminal:
        console.print(to_rich(table, console.width))
    else:
        say(to_text(table))


def in_columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of texts as lines, each column as wide as its longest text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


class ShownFormatter(logging.Formatter):
    """Log lines of which nothing acts on the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; see `logging.Formatter.format`."""
        return shown(super().format(record), lines=True)
