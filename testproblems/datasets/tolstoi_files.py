"""The files of Tolstoi's text: the plain text, and DeepOBS's arrays of character numbers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alig_deepobs.errors import DataError
from alig_deepobs.foreign import open_regular
from alig_deepobs.testproblems.datasets.numbers import read_npy

VOCABULARY = 83
TEST_SHARE = 0.2
# What DeepOBS deletes, licence, contents and index: first and last line, counted from 1 after the
# deletion before.
DELETED = ((1, 29), (5, 775), (63_850, 64_207))
ACCENTED = "àäéê"

Ids = NDArray[np.int64]


def tokenize(content: bytes, where: str, hint: str) -> tuple[Ids, Ids]:
    """The training and the test text as numbers from 0 to 82, by falling frequency.

    Characters that are equally frequent are numbered in the order in which they first occur.

    Args:
        content: the text as it is downloaded.
        where: the name of the file in error messages.
        hint: how to get a good file, the end of every error message.

    Raises:
        DataError: the text is not the plain text that DeepOBS uses, has too few lines, or too
            many different characters.
    """
    text = decode(content, where, hint)
    lines = text.split("\n")
    count = len(lines)
    for first, last in DELETED:
        if len(lines) < last:
            raise DataError(
                f"{where}: {count} lines; the text is truncated, or another edition; {hint}"
            )
        del lines[first - 1 : last]
    codes = np.frombuffer("\n".join(lines).encode("latin-1"), np.uint8)
    characters, firsts, counts = np.unique(codes, return_index=True, return_counts=True)
    if len(characters) > VOCABULARY:
        raise DataError(
            f"{where}: {len(characters)} different characters; expected at most {VOCABULARY}; "
            f"{hint}"
        )
    table = np.zeros(256, np.int64)
    table[characters[np.lexsort((firsts, -counts))]] = np.arange(len(characters))
    ids = table[codes]
    size = math.ceil((1.0 - TEST_SHARE) * len(ids))
    return ids[:size], ids[size:]


def decode(content: bytes, where: str, hint: str) -> str:
    """The text of a file in UTF-8; of the letters beyond ASCII it may have those of the official.

    Raises:
        DataError: it has others; the message has the first one and its line.
    """
    try:
        text = content.decode("utf-8-sig")  # the official file starts with a byte order mark
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where}: byte {content[error.start]:#x} at position {error.start} is not UTF-8; "
            f"expected the plain text that DeepOBS uses; {hint}"
        ) from error
    wrong = next((x for x in text if not (x.isascii() or x in ACCENTED)), None)
    if wrong is not None:
        line = text[: text.index(wrong)].count("\n") + 1
        raise DataError(
            f"{where}: character {wrong!r} in line {line}; expected ASCII and {ACCENTED}, as "
            f"in the plain text that DeepOBS uses; {hint}"
        )
    return text


def read_ids(path: Path, hint: str) -> Ids:
    """The character numbers of a ``.npy`` file that DeepOBS made.

    Raises:
        DataError: the file is missing, truncated or holds something else.
    """
    try:
        with open_regular(path) as stream:
            ids = read_npy(stream, path.stat().st_size)
    except (ArithmeticError, ValueError, EOFError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"{path}: truncated or no .npy file of numbers ({reason}); {hint}"
        ) from error
    if ids.ndim != 1 or ids.dtype.kind not in "ui":
        raise DataError(
            f"{path}: type {ids.dtype} and shape {ids.shape}; expected a row of integers; {hint}"
        )
    if len(ids) and not (ids.min() >= 0 and ids.max() < VOCABULARY):
        raise DataError(
            f"{path}: character numbers from {ids.min()} to {ids.max()}; expected 0 to "
            f"{VOCABULARY - 1}; {hint}"
        )
    return ids.astype(np.int64)
