"""What others wrote: text that is shown, JSON and files that are read.

Files, folders, archives and servers are not trusted (see SECURITY.md). Everything that reads them
does it with bounds, and everything of them that a person gets to see goes through `shown`.
"""

from __future__ import annotations

import gzip
import json
import os
import reprlib
import stat
import unicodedata
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, Protocol

LARGEST_RECORD = 32 * 1024 * 1024
"""Bytes of the largest JSON file that is read; a result of a long run has a tenth of it."""

MOST_NESTED = 16
"""Levels of lists and objects in a JSON file; a result has four."""

MOST_ITEMS = 2_000_000
"""Items of all lists and objects of a JSON file; each takes up to 100 bytes of memory."""
MOST_OBJECTS = 100_000
"""Lists and objects of a JSON file; a result has four for each epoch."""

_SHORT = reprlib.Repr()
_SHORT.maxstring, _SHORT.maxlong, _SHORT.maxother, _SHORT.maxlevel = 60, 40, 60, 2

# Control, format (the bidirectional ones, those of no width) and unassigned characters, surrogates,
# and the two separators that some programs take for the end of a line.
_INVISIBLE = {"Cc", "Cf", "Cn", "Cs", "Zl", "Zp"}


def shown(text: object, lines: bool = False) -> str:
    r"""Text that a terminal, a file or a page may show: what acts unseen is shown as an escape.

    Args:
        text: anything; `str` of it is shown.
        lines: whether line breaks and tabs stay what they are.

    Example:
        >>> print(shown("\x1b[2Jadam\u202e\n"))
        \x1b[2Jadam\u202e\n
        >>> shown("Łukasz · 50 % − 1")
        'Łukasz · 50 % − 1'
    """
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(
        repr(c)[1:-1] if unicodedata.category(c) in _INVISIBLE and c not in kept else c
        for c in text
    )


def brief(value: Any) -> str:
    """A value of whatever kind and size, for a message."""
    return _SHORT.repr(value)


def read_regular(path: Path, most: int = LARGEST_RECORD) -> bytes:
    """The content of an ordinary file of a bounded size; pipes and devices are refused.

    Raises:
        OSError: it cannot be read, is no ordinary file, or is larger.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        content = b"" if size > most else stream.read(most + 1)
    if max(size, len(content)) > most:
        raise OSError(f"more than {most:,} bytes")
    return content


def open_regular(path: Path) -> BufferedReader:
    """Opens an ordinary file for reading; a pipe, which would wait for a writer, is refused.

    Raises:
        OSError: it cannot be opened, or is no ordinary file.
    """
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError("no ordinary file")
    return os.fdopen(number, "rb")


def gzip_lines(path: Path, most: int, longest: int = LARGEST_RECORD) -> Iterator[bytes]:
    """The lines of a gzip file, decompressed one after the other.

    Args:
        path: the file.
        most: bytes that there may be.
        longest: bytes that a line may have.

    Raises:
        OSError, EOFError, zlib.error: it cannot be read, is truncated or corrupt, or has more.
    """
    total = 0
    with open_regular(path) as raw, gzip.open(raw) as stream:
        while line := stream.readline(longest + 1):
            total += len(line)
            if len(line) > longest or total > most:
                raise OSError(f"more than {min(most, longest):,} bytes when decompressed")
            yield line


def most_kept(size: int) -> int:
    """How many items of lists are kept of what a compressed file of so many bytes holds.

    An item takes 32 bytes of memory. Compressed, the numbers of a result take several bytes, and
    the same number over and over a thousandth of one.
    """
    return 20_000 + 8 * size


def count_items(raw: bytes) -> int:
    """How many items the lists and objects of JSON have, or more: as cheap as reading it."""
    return raw.count(b",") + count_objects(raw)


def count_objects(raw: bytes) -> int:
    """How many lists and objects JSON has, or more."""
    return raw.count(b"[") + raw.count(b"{")


def parse_json(raw: bytes) -> Any:
    """Reads JSON in UTF-8; numbers that are not finite may be among it, as DeepOBS writes them.

    Raises:
        ValueError: it is no JSON, too deeply nested, has more than `MOST_ITEMS`, an integer of
            more than 64 bits, or half a character (a lone surrogate).
    """
    # Before memory is taken: an empty list has two bytes here, and 64 there.
    if count_items(raw) > MOST_ITEMS or count_objects(raw) > MOST_OBJECTS:
        raise ValueError(f"more than {MOST_ITEMS:,} items or {MOST_OBJECTS:,} lists and objects")
    try:
        value = json.loads(raw.decode("utf-8-sig"), parse_int=_bounded_int)
    except RecursionError:
        raise ValueError(f"nested more than {MOST_NESTED} levels deep") from None
    _check_depth(value)
    if b"\\ud" in raw or b"\\uD" in raw:  # the only way that a surrogate gets in
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("half a character (a lone surrogate)") from error
    return value


def _bounded_int(digits: str) -> int:
    value = int(digits) if len(digits) <= 20 else 1 << 64
    if not is_short(value):
        raise ValueError(f"the integer {digits[:20]}{'…' * (len(digits) > 20)} has over 64 bits")
    return value


def is_short(value: int) -> bool:
    """Whether an integer has at most 64 bits, as all have in the files that are read."""
    return -(1 << 63) <= value < 1 << 63


def plain_scalar(value: Any) -> Any:
    """A Python number for one of NumPy or torch; anything else as it is."""
    is_scalar = getattr(value, "ndim", None) == 0 and hasattr(value, "item")
    return value.item() if is_scalar else value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MOST_NESTED + 1):
        inner = [item for item in level if isinstance(item, (list, dict))]
        if not inner:
            return
        level = []
        for item in inner:
            members = item if isinstance(item, list) else list(item.values())
            # Long lists of numbers are the rule.
            if not set(map(type, members)) <= {float, int}:
                level += members
    raise ValueError(f"nested more than {MOST_NESTED} levels deep")


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """The next bytes; none at the end."""


def bounded(stream: Readable, most: int) -> bytes:
    """What a stream holds; not one byte more than ``most + 1`` is read or decompressed.

    Raises:
        OSError: it holds more.
    """
    # In pieces: a stream that claims much and holds little must not cost the memory of much.
    pieces, left = [], most + 1
    while left and (piece := stream.read(min(left, 1 << 20))):
        pieces.append(piece)
        left -= len(piece)
    if not left:
        raise OSError(f"more than {most:,} bytes")
    return b"".join(pieces)
