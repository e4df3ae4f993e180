"""A table is a list of columns over rows of any kind; `alig_deepobs.analysis.render` writes it.

What people read are texts, rounded to what is known; what programs read (CSV) are the values
behind them, in full precision. Both come from the same column.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Generic, NamedTuple, TypeVar

import pandas as pd

from alig_deepobs.analysis.formats import format_value
from alig_deepobs.analysis.statistics import Interval

T = TypeVar("T")
V = TypeVar("V", str, int)


def never(_: Any) -> bool:
    """`Column.shown` of a column for CSV files alone."""
    return False


ALWAYS = 9
"""`Column.keep` of a column that never goes."""


@dataclass(frozen=True)
class Column(Generic[T]):
    """One column of a table with rows of the type ``T``.

    Attributes:
        name: in CSV files, and for programs.
        heading: what stands above it, or a function of a row where it depends on the table; by
            default the name in words.
        value: row -> value in full precision: a number, a text, an `Interval`, None; by default the
            row's attribute or item of the column's name.
        text: row, value -> what is read; by default `format_value` of the value.
        right: whether it is set flush right, as numbers are.
        direction: 1 if the higher values are better, -1 if the lower ones are, 0 if neither; or a
            function of a row.
        keep: how long it stays where the space is short; `ALWAYS`: whatever happens.
        strong: whether a row's cell is set off, beside whole rows (`Table.strong`).
        shown: whether a row has something to show there. A column of which no row has is for CSV
            files only.
        note: what a reader must know of the column, if it is shown; or a function of a row.
    """

    name: str
    heading: str | Callable[[T], str] = ""
    value: Callable[[T], Any] | None = None
    text: Callable[[T, Any], str] | None = None
    right: bool = False
    direction: int | Callable[[T], int] = 0
    keep: int = ALWAYS
    strong: Callable[[T], bool] | None = None
    shown: Callable[[T], bool] | None = None
    note: str | Callable[[T], str] = ""

    def value_of(self, row: T) -> Any:
        """The value of a row."""
        if self.value is not None:
            return self.value(row)
        return row[self.name] if isinstance(row, Mapping) else getattr(row, self.name)

    def text_of(self, row: T) -> str:
        """What is read of a row."""
        value = self.value_of(row)
        return format_value(value) if self.text is None else self.text(row, value)

    def is_shown(self, rows: Sequence[T]) -> bool:
        """Whether one of the rows has something to show."""
        return self.shown is None or any(map(self.shown, rows))


class Heading(NamedTuple):
    """What stands above a column; see `Column`."""

    name: str
    text: str
    right: bool
    direction: int


class Cell(NamedTuple):
    """What is read, what to sort by (None: missing, always last), and whether it is set off."""

    text: str
    key: float | str | None
    strong: bool = False


@dataclass(frozen=True)
class Table(Generic[T]):
    """Rows under columns, with a title and notes.

    Attributes:
        name: of the file that it is written to, without ending.
        title: one line.
        columns: from left to right.
        rows: from top to bottom; dictionaries, dataclasses, whatever the columns read.
        notes: what a reader must know, one paragraph each; an empty one is a blank line.
        strong: which rows to set off (the best, and what cannot be told from it).
        common: what all rows share: further columns of CSV files, in front.

    Example:
        >>> from alig_deepobs.analysis.render import to_csv, to_markdown
        >>> table = Table(
        ...     "ranks", "Ranks",
        ...     [Column("name", "Who"), Column("loss", text=lambda row, value: f"{value:.2f}",
        ...                                    right=True, direction=-1)],
        ...     [{"name": "A", "loss": 0.123456}, {"name": "B", "loss": 0.2}],
        ...     strong=lambda row: row["loss"] < 0.15,
        ... )
        >>> print(to_markdown(table))
        **Ranks**
        <BLANKLINE>
        | Who | Loss |
        |---|---:|
        | **A** | **0.12** |
        | B | 0.20 |
        <BLANKLINE>
        >>> print(to_csv(table), end="")
        name,loss
        A,0.123456
        B,0.2
    """

    name: str
    title: str
    columns: Sequence[Column[T]]
    rows: Sequence[T]
    notes: Sequence[str] = ()
    strong: Callable[[T], bool] | None = None
    common: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> list[Column[T]]:
        """The columns for readers."""
        return [column for column in self.columns if column.is_shown(self.rows)]

    @property
    def headings(self) -> list[Heading]:
        """What stands above the columns for readers."""
        return [self._heading(column) for column in self.shown]

    @property
    def cells(self) -> list[list[Cell]]:
        """The cells of every row, under the columns for readers."""
        shown = self.shown
        return [
            [
                Cell(
                    column.text_of(row),
                    _key(column.value_of(row)),
                    self.is_strong(row) or (column.strong is not None and column.strong(row)),
                )
                for column in shown
            ]
            for row in self.rows
        ]

    @property
    def column_notes(self) -> list[str]:
        """The notes of the columns for readers."""
        return [note for column in self.shown if (note := self._at_rows(column.note))]

    @property
    def all_notes(self) -> list[str]:
        """The notes of the table, then those of its columns."""
        return [*self.notes, *self.column_notes]

    @property
    def frame(self) -> pd.DataFrame:
        """All columns in full precision; an interval is ``_mean``, ``_low``, ``_high``, ``_n``."""
        records = []
        for row in self.rows:
            record = dict(self.common)
            for column in self.columns:
                value = column.value_of(row)
                if isinstance(value, Interval):
                    record |= {f"{column.name}_{end}": of for end, of in asdict(value).items()}
                else:
                    record[column.name] = value
            records.append(record)
        names = [*self.common, *(column.name for column in self.columns)]
        return pd.DataFrame(records, columns=None if records else names)

    def is_strong(self, row: T) -> bool:
        """Whether a row is set off."""
        return self.strong is not None and self.strong(row)

    def narrowed(self, width: int) -> Table[T]:
        """The table with as many columns as fit, those that may go first left out first."""
        shown = self.shown
        lines = [
            max(len(line) for text in texts for line in text.split("\n"))
            for column in shown
            for texts in ([self._heading(column).text, *map(column.text_of, self.rows)],)
        ]
        space = dict(zip((column.name for column in shown), lines, strict=True))
        kept = list(shown)
        # Every column has one blank of padding and one between columns.
        while sum(space[c.name] + 2 for c in kept) > width and min(c.keep for c in kept) < ALWAYS:
            kept.remove(min(kept, key=lambda column: column.keep))
        if len(kept) == len(shown):
            return self
        left_out = ", ".join(self._heading(column).text for column in shown if column not in kept)
        notes = [*self.notes, f"Left out for lack of width: {left_out}."]
        return replace(self, columns=kept, notes=notes)

    def _heading(self, column: Column[T]) -> Heading:
        words = self._at_rows(column.heading) or column.name.replace("_", " ").capitalize()
        return Heading(column.name, words, column.right, self._at_rows(column.direction) or 0)

    def _at_rows(self, value: V | Callable[[T], V]) -> V | None:
        """What a column says, where that may depend on the rows."""
        if not callable(value):
            return value
        return value(self.rows[0]) if self.rows else None


def _key(value: Any) -> float | str | None:
    if isinstance(value, Interval):
        value = value.mean
    if isinstance(value, (int, float)):
        return None if math.isnan(value) else float(value)
    return value if isinstance(value, str) and value else None
