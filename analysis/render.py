"""Writes a table for a terminal, a pipe, a Markdown page, a paper and a program.

A page in HTML takes `Table.headings`, `Table.cells` and `Table.all_notes`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from alig_deepobs.analysis.formats import escape_latex, escape_markdown, wrapped
from alig_deepobs.analysis.frames import csv_text
from alig_deepobs.analysis.table import Cell, Table
from alig_deepobs.files import write_text_atomically
from alig_deepobs.foreign import shown

PARAGRAPH = 120
"""Characters in a line of text where no terminal gives a width."""

_ENDLESS = 100_000
_ARROWS = {1: r" $\uparrow$", -1: r" $\downarrow$", 0: ""}


def to_rich(table: Table[Any], width: int | None = 80) -> Group:
    """The table for a rich console of that width, without the columns that do not fit.

    None: with all columns, for a console that is wide enough.
    """
    table = table if width is None else table.narrowed(width)
    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in table.headings:
        justify = "right" if heading.right else "left"
        drawn.add_column(_text(heading.text), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for cells in table.cells:
        # Text keeps brackets as they are; a plain string would be read as markup.
        drawn.add_row(*(_text(cell.text, "bold" if cell.strong else "") for cell in cells))
    parts: list[RenderableType] = [_text(table.title, "bold"), drawn]
    if table.all_notes:
        notes = "\n".join(wrapped(note, width or PARAGRAPH) for note in table.all_notes)
        parts.append(_text(notes, "dim"))
    return Group(*parts)


def _text(text: str, style: str = "") -> Text:
    """Text of which nothing acts on the terminal."""
    return Text(shown(text, lines=True), style=style)


def to_text(table: Table[Any], width: int | None = None) -> str:
    """The same as plain text, for pipes and files; no line is longer than the width, if given."""
    stream = io.StringIO()
    console = Console(
        file=stream, width=width or _ENDLESS, color_system=None, force_terminal=False,
        legacy_windows=False,
    )  # fmt: skip
    console.print(to_rich(table, width), soft_wrap=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().rstrip().splitlines()) + "\n"


def to_markdown(table: Table[Any]) -> str:
    """The table as GitHub's Markdown, with all columns for readers."""
    headings = table.headings
    lines = [
        f"**{escape_markdown(table.title)}**",
        "",
        _markdown_row([escape_markdown(heading.text) for heading in headings]),
        "|" + "|".join("---:" if heading.right else "---" for heading in headings) + "|",
    ]
    for cells in table.cells:
        texts = [escape_markdown(cell.text) for cell in cells]
        lines.append(_markdown_row(_set_off(texts, cells, "**{}**")))
    notes = [f"- {escape_markdown(note)}" for note in table.all_notes if note]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def to_latex(table: Table[Any]) -> str:
    r"""A ``table`` environment with caption, label, booktabs rules and the notes below.

    The document needs ``\usepackage{booktabs}``, nothing else; characters that plain LaTeX does
    not know are written as commands. Rows that are set off are bold, and arrows say whether a
    column's higher or lower values are better. The ``tabular`` is shrunk by ``\small``, not
    scaled, so that it keeps the document's font.
    """
    headings = table.headings
    titles = [escape_latex(heading.text) + _ARROWS[heading.direction] for heading in headings]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escape_latex(table.title)}}}",
        rf"  \label{{tab:{re.sub('[^A-Za-z0-9-]+', '-', table.name)}}}",
        r"  \small",
        rf"  \begin{{tabular}}{{{''.join('r' if h.right else 'l' for h in headings)}}}",
        r"    \toprule",
        _latex_row(titles),
        r"    \midrule",
    ]
    for cells in table.cells:
        texts = [escape_latex(cell.text) for cell in cells]
        lines.append(_latex_row(_set_off(texts, cells, r"\textbf{{{}}}")))
    lines += [r"    \bottomrule", r"  \end{tabular}"]
    notes = [note for note in table.all_notes if note]
    if notes:
        lines += [r"  \par\medskip", r"  \begin{minipage}{\linewidth}\footnotesize"]
        lines += [rf"    {escape_latex(note)}\par" for note in notes]
        lines.append(r"  \end{minipage}")
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def to_csv(table: Table[Any]) -> str:
    """All columns as CSV, numbers in full precision."""
    return csv_text(table.frame)


def write_table(table: Table[Any], folder: str | Path, kind: str) -> Path:
    """Writes a table into a folder, under its name.

    Args:
        table: the table.
        folder: made if it is missing.
        kind: ``csv`` or ``tex``.

    Returns:
        The path of the file.

    Raises:
        ResultError: the file cannot be written.
    """
    render = {"csv": to_csv, "tex": to_latex}[kind]
    path = Path(folder) / f"{table.name}.{kind}"
    write_text_atomically(path, render(table))
    return path


def _set_off(texts: Sequence[str], cells: Sequence[Cell], how: str) -> list[str]:
    """The texts of a row, bold where their cells are set off."""
    return [
        how.format(text) if cell.strong and text else text
        for text, cell in zip(texts, cells, strict=True)
    ]


def _markdown_row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _latex_row(texts: Sequence[str]) -> str:
    line = " & ".join(texts)
    # A star or a bracket here would be read as an argument of the line break before it.
    guard = "{}" if line.lstrip().startswith(("[", "*")) else ""
    return f"    {guard}{line} \\\\"
