"""What the commands print."""

from __future__ import annotations

import logging

import click

from alig_deepobs.foreign import shown


def say(text: object = "", err: bool = False) -> None:
    """Prints text, which may have come from a file: nothing of it acts on the terminal.

    Args:
        text: one or several lines.
        err: whether it goes to the stream for errors.
    """
    click.echo(shown(text, lines=True), err=err)


class ShownFormatter(logging.Formatter):
    """Log lines of which nothing acts on the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; see `logging.Formatter.format`."""
        return shown(super().format(record), lines=True)
