"""A table that can be written anywhere: terminal, Markdown, LaTeX, CSV.

What people read are the cells, rounded to what is known; what programs read (CSV) is the frame
behind them, in full precision.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from alig_deepobs.analysis.tables import escape_markdown, wrapped
from alig_deepobs.files import write_text_atomically


@dataclass(frozen=True)
class Column:
    """A column's heading, and whether its cells are numbers (set flush right)."""

    title: str
    right: bool = False


@dataclass(frozen=True)
class Table:
    """Cells as text, with heading and footnotes.

    Attributes:
        name: of the file it is written to, without ending.
        title: heading.
        columns: one for each cell of a row.
        rows: the cells.
        frame: the same in full precision, for CSV.
        notes: what a reader must know, one paragraph each.
        strong: indices of the rows to set off (the best, and what cannot be told from it).
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    frame: pd.DataFrame
    notes: Sequence[str] = ()
    strong: frozenset[int] = field(default_factory=frozenset)


def to_rich(table: Table, width: int = 80) -> Group:
    """The table for a rich console of that width."""
    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in table.columns:
        justify = "right" if column.right else "left"
        drawn.add_column(Text(column.title), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for index, row in enumerate(table.rows):
        # Text keeps brackets as they are; a plain string would be read as markup.
        drawn.add_row(*map(Text, row), style="bold" if index in table.strong else None)
    parts: list[RenderableType] = [Text(table.title, style="bold"), drawn]
    if table.notes:
        parts.append(Text("\n".join(wrapped(note, width) for note in table.notes), style="dim"))
    return Group(*parts)


def to_text(table: Table, width: int = 120) -> str:
    """The table as plain text; no line is longer than the width."""
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, color_system=None, force_terminal=False, legacy_windows=False
    )
    console.print(to_rich(table, width), soft_wrap=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().rstrip().splitlines()) + "\n"


def to_markdown(table: Table) -> str:
    r"""The table as GitHub's Markdown.

    Example:
        >>> table = Table("t", "Ranks", [Column("who"), Column("rank", True)], [["a|b", "1"]],
        ...               pd.DataFrame())
        >>> print(to_markdown(table))
        **Ranks**
        <BLANKLINE>
        | who | rank |
        |---|---:|
        | a\|b | 1 |
        <BLANKLINE>
    """
    lines = [
        f"**{escape_markdown(table.title)}**",
        "",
        "| " + " | ".join(escape_markdown(column.title) for column in table.columns) + " |",
        "|" + "|".join("---:" if column.right else "---" for column in table.columns) + "|",
    ]
    for index, row in enumerate(table.rows):
        cells = [escape_markdown(cell) for cell in row]
        if index in table.strong:
            cells = [f"**{cell}**" if cell else cell for cell in cells]
        lines.append("| " + " | ".join(cells) + " |")
    if table.notes:
        lines += ["", *(f"- {escape_markdown(note)}" for note in table.notes)]
    return "\n".join(lines) + "\n"


def to_csv(table: Table) -> str:
    """The frame behind the table as CSV, numbers in full precision."""
    return table.frame.to_csv(index=False)


def write_table(table: Table, folder: str | Path, kind: str) -> Path:
    """Writes a table into a folder, under its name.

    Args:
        table: the table.
        folder: made if it is missing.
        kind: ``csv``, ``md`` or ``tex``.

    Returns:
        The path of the file.

    Raises:
        ResultError: the file cannot be written.
    """
    from alig_deepobs.analysis.tables_latex import to_latex

    text = {"csv": to_csv, "md": to_markdown, "tex": to_latex}[kind](table)
    path = Path(folder) / f"{table.name}.{kind}"
    write_text_atomically(path, text)
    return path
