"""A leaderboard as text: for terminals, for pipes and for Markdown pages.

No mean is ever shown without its interval or the words that there is none.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from alig_deepobs.analysis.groups import seeds_text
from alig_deepobs.analysis.leaderboard import Leaderboard, Row
from alig_deepobs.analysis.paired import WIN_LEVEL
from alig_deepobs.analysis.statistics import Interval

_SURVIVORS = "†"
_LONGEST_LABEL = 30


@dataclass(frozen=True)
class _Column:
    """A column: ``keep`` says how long it stays when the space is short (highest longest)."""

    title: str
    text: Callable[[Row], str]
    keep: int
    right: bool = False


def format_interval(interval: Interval, percent: bool = False) -> str:
    """A mean with its interval, rounded to what the interval can carry.

    Args:
        interval: the numbers.
        percent: whether they are fractions to be shown in percent.

    Example:
        >>> format_interval(Interval(0.97311, 0.97019, 0.97603, 3), percent=True)
        '97.31 % [97.02, 97.60]'
        >>> format_interval(Interval(0.97311, math.nan, math.nan, 1), percent=True)
        '97.31 % (n=1, no interval)'
        >>> format_interval(Interval(0.0912345, 0.0871, 0.0953, 3))
        '0.0912 [0.0871, 0.0953]'
        >>> format_interval(Interval(math.nan, math.nan, math.nan, 0))
        '–'
    """
    if interval.n == 0:
        return "–"
    scale, unit = (100, " %") if percent else (1, "")
    form = ".2f" if percent else _number_form(interval)
    mean = f"{interval.mean * scale:{form}}{unit}"
    if not interval.known:
        return f"{mean} (n=1, no interval)"
    return f"{mean} [{interval.low * scale:{form}}, {interval.high * scale:{form}}]"


def format_spread(interval: Interval) -> str:
    """A mean with half the width of its interval, for the columns beside the headline.

    Example:
        >>> format_spread(Interval(0.0912345, 0.0871, 0.0953, 3))
        '0.0912 ± 0.0041'
        >>> format_spread(Interval(12.0, math.nan, math.nan, 1))
        '12.00 (n=1)'
    """
    if interval.n == 0:
        return "–"
    form = _number_form(interval)
    if not interval.known:
        return f"{interval.mean:{form}} (n=1)"
    return f"{interval.mean:{form}} ± {(interval.high - interval.low) / 2:{form}}"


def header_line(board: Leaderboard) -> str:
    """What all rows share: problem, data, epochs, batch size, seeds, device, split."""
    problem = board.entry
    sizes = " / ".join(map(str, board.batch_sizes))
    parts = [
        board.data_label or "data not recorded",
        f"{board.num_epochs} epoch{'' if board.num_epochs == 1 else 's'}",
        f"batch size {sizes}",
        seeds_text(board.seeds),
        " / ".join(board.devices) or "device not recorded",
        f"{board.split} split",
    ]
    if board.framework != "pytorch":
        parts.append(f"in {board.framework}")
    return f"{problem.label} ({problem.name}): {', '.join(parts)}"


def rich_table(board: Leaderboard, width: int | None = None) -> Table:
    """The rows as a table, without header line and footnotes.

    Args:
        board: the leaderboard.
        width: columns of the terminal. Where they are too few, the least important columns go:
            losses that are not ranked by, then the target, then the time. None: all stay.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in _fitting(board, width):
        table.add_column(column.title, justify="right" if column.right else "left", overflow="fold")
    for row in board.rows:
        style = "bold" if row.rank == 1 or row.tied else None
        # Text keeps brackets as they are; a plain string would be read as markup.
        table.add_row(*(Text(c.text(row)) for c in _fitting(board, width)), style=style)
    return table


def render_rich(board: Leaderboard, width: int = 80) -> Group:
    """Header line, table and footnotes for a rich console of that width."""
    paragraphs = [*setting_notes(board), "", *footnotes(board, width)]
    notes = Text("\n".join(wrapped(paragraph, width) for paragraph in paragraphs), style="dim")
    return Group(Text(header_line(board), style="bold"), rich_table(board, width), notes)


def render_text(board: Leaderboard, width: int = 120) -> str:
    """The same as plain text, for pipes and files; no line is longer than the width."""
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, color_system=None, force_terminal=False, legacy_windows=False
    )
    console.print(render_rich(board, width), soft_wrap=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().rstrip().splitlines()) + "\n"


def render_markdown(board: Leaderboard) -> str:
    """The same as Markdown, with all columns."""
    columns = _columns(board)
    lines = [
        f"**{escape_markdown(header_line(board))}**",
        "",
        "| " + " | ".join(escape_markdown(column.title) for column in columns) + " |",
        "|" + "|".join("---:" if column.right else "---" for column in columns) + "|",
    ]
    for row in board.rows:
        lines.append(
            "| " + " | ".join(escape_markdown(column.text(row)) for column in columns) + " |"
        )
    lines.append("")
    lines += [f"- {escape_markdown(note)}" for note in (*setting_notes(board), *footnotes(board))]
    return "\n".join(lines) + "\n"


def leaderboard_cells(
    board: Leaderboard,
) -> tuple[list[str], list[bool], list[list[str]], list[str]]:
    """Titles of all columns, whether they are numbers, the cells of every row, and the notes."""
    columns = _columns(board)
    return (
        [column.title for column in columns],
        [column.right for column in columns],
        [[column.text(row).replace("\n", " ") for column in columns] for row in board.rows],
        [*setting_notes(board), *footnotes(board)],
    )


def setting_notes(board: Leaderboard) -> list[str]:
    """The setting of every row and where it comes from, one paragraph each."""
    return [
        f"{row.label}: {row.setting or 'no hyper-parameters'}"
        f" ({row.setting_source or 'source of the setting not given'})"
        for row in board.rows
    ]


def footnotes(board: Leaderboard, width: int | None = None) -> list[str]:
    """What the marks mean and what a reader must know, one paragraph each."""
    notes = [f"{row.label}: {row.note}." for row in board.rows if row.note]
    notes.append(
        f"Ranked by the mean final {board.metric} over seeds. Brackets and ±: 95 % Student t "
        "interval of the mean, which assumes a roughly normal mean and is rough for few seeds."
    )
    if any(row.tied for row in board.rows):
        notes.append(
            "= : the seeds do not tell it from rank 1 (paired t test over common seeds, with "
            f"Holm's correction over all pairs of rows: p above {WIN_LEVEL:g})."
        )
    if any(row.n_diverged for row in board.rows):
        notes.append(
            f"{_SURVIVORS} : over the runs that did not diverge. A row with a diverged run ranks "
            "below all rows without one."
        )
    if any(row.at_best_valid.n for row in board.rows):
        notes.append(
            f"At best valid.: {board.metric} after the epoch with the best validation result; not "
            "ranked by."
        )
    if board.entry.target is not None:
        notes.append(
            f"To target: median epoch at which runs first reached {_target_text(board)} (a run "
            "that never did is later than all others), and how many did."
        )
    if "as recorded" in board.loss_kinds:
        notes.append("Losses from files of DeepOBS include the L2 term where the run had one.")
    if board.entry.interpolates is False:
        notes.append(
            "This problem does not interpolate: its smallest training loss is not 0, so the "
            "assumption behind ALI-G's step size does not hold here."
        )
    fitting = {column.title for column in _fitting(board, width)}
    missing = [column.title for column in _columns(board) if column.title not in fitting]
    if missing:
        notes.append(f"Left out for lack of width: {', '.join(missing)}.")
    return notes


def _columns(board: Leaderboard) -> list[_Column]:
    percent = board.entry.metric == "accuracy"
    columns = [
        _Column("#", lambda row: f"{row.rank}{'=' if row.tied else ''}", 9),
        _Column("Optimizer", lambda row: _clipped(row.label), 9),
        _Column(board.metric.capitalize(), lambda row: _headline(row, percent), 9),
        _Column("Seeds", _seeds, 9, right=True),
    ]
    if any(row.at_best_valid.n for row in board.rows):
        columns.append(
            _Column("At best valid.", lambda row: format_interval(row.at_best_valid, percent), 5)
        )
    if percent:
        columns.append(_Column("Test loss", lambda row: format_spread(row.test_loss), 2))
    columns.append(_Column("Train loss", lambda row: format_spread(row.train_loss), 1))
    if board.entry.target is not None:
        columns.append(_Column("To target", _reached, 3))
    columns.append(_Column("s / epoch", lambda row: format_spread(row.seconds_per_epoch), 4))
    return columns


def _fitting(board: Leaderboard, width: int | None) -> list[_Column]:
    columns = _columns(board)

    def needed() -> int:
        cells = ([column.title, *map(column.text, board.rows)] for column in columns)
        # Every column has one blank of padding and one between columns.
        return sum(max(len(line) for t in texts for line in t.split("\n")) + 2 for texts in cells)

    while width is not None and needed() > width and min(c.keep for c in columns) < 9:
        columns.remove(min(columns, key=lambda column: column.keep))
    return columns


def _headline(row: Row, percent: bool) -> str:
    mark = f" {_SURVIVORS}" if row.n_diverged and row.n_done else ""
    return format_interval(row.headline, percent) + mark


def _seeds(row: Row) -> str:
    if row.n_done == row.n_seeds:
        return str(row.n_done)
    if row.n_diverged:
        return f"{row.n_diverged} of {row.n_seeds}\ndiverged"
    return f"{row.n_done} of {row.n_seeds}\ndone"


def _reached(row: Row) -> str:
    median = "–" if row.median_epochs is None else f"{row.median_epochs:g}"
    return f"{median} ({row.n_reached} of {row.n_seeds})"


def _target_text(board: Leaderboard) -> str:
    target = board.entry.target or 0.0
    return f"{board.metric} " + (
        f"{100 * target:.2f} %" if board.entry.metric == "accuracy" else f"{target:.4g}"
    )


def _number_form(interval: Interval) -> str:
    """Two digits of the interval's half width, four of the mean where there is no interval."""
    size = max(abs(interval.mean), abs(interval.high) if interval.known else 0.0)
    if size and not 1e-3 <= size < 1e5:
        return ".1e"
    half_width = (interval.high - interval.low) / 2 if interval.known else 0.0
    if half_width > 0:
        digits = 1 - math.floor(math.log10(half_width))
        # A tiny spread does not make more than four digits of the mean worth reading.
        return f".{max(0, min(digits, 3 - _magnitude(size)))}f"
    return f".{max(0, 3 - _magnitude(size))}f"


def _magnitude(size: float) -> int:
    return math.floor(math.log10(size)) if size else 0


def _clipped(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"


def wrapped(note: str, width: int) -> str:
    """A paragraph in lines of that width, the later ones indented."""
    return textwrap.fill(note, width, subsequent_indent="  ", break_on_hyphens=False)


def escape_markdown(text: str) -> str:
    """Text in which nothing is markup, in one line."""
    text = text.replace("\n", " ").replace("<", "&lt;")
    for character in ("|", "*", "_"):
        text = text.replace(character, f"\\{character}")
    return text
