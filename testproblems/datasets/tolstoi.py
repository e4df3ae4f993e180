"""Tolstoi's "War and Peace", character by character."""

from __future__ import annotations

import hashlib
import logging
import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from alig_deepobs.errors import DataError
from alig_deepobs.seeds import derive_seed
from alig_deepobs.testproblems.datasets.base import Batch, DataSet, content_digest
from alig_deepobs.testproblems.datasets.fetch import how_to_get, require, stamps_of
from alig_deepobs.testproblems.datasets.records import read_file
from alig_deepobs.testproblems.datasets.sources import TOLSTOI

logger = logging.getLogger(__name__)

VOCABULARY = 83
STEPS = 50
TEST_SHARE = 0.2
# What DeepOBS deletes, licence, contents and index: first and last line, counted from 1 after the
# deletion before.
DELETED = ((1, 29), (5, 775), (63_850, 64_207))
ACCENTED = "àäéê"

Ids = NDArray[np.int64]


def tolstoi(
    *, synthetic: bool = False, data_dir: str | None = None, offline: bool = False
) -> DataSet:
    """The text as pieces of 50 characters, of which each is predicted from those before it.

    An example is a pair of int64 tensors of shape ``(50,)``: characters, and those that follow
    them. The pieces stand in the order of the text. 2,612,948 characters are for training,
    653,237 for testing. The last tenth of the pieces can be held out.

    Args:
        synthetic: make up a small text instead.
        data_dir: folder with the official text, or with the ``train.npy`` and ``test.npy`` that
            DeepOBS makes of it; None for the cache.
        offline: never touch the network.

    Raises:
        DataError: a file is missing or broken.
    """
    if synthetic:
        return _data_set("Tolstoi (synthetic twin)", *_synthetic_text())
    (path,) = require(TOLSTOI, data_dir, offline)
    hint = how_to_get(TOLSTOI, data_dir)
    data, verified = _read(path, stamps_of(TOLSTOI.files[0], path), hint)
    if not verified:
        logger.warning("%s is not the official text of Tolstoi", path)
    return data


@lru_cache(maxsize=2)
def _read(path: Path, stamps: tuple[tuple[int, int], ...], hint: str) -> tuple[DataSet, bool]:
    # Cached, with the times of last change in the key, as the images are.
    file = TOLSTOI.files[0]
    if path.is_dir():
        files = [path / part.name for part in file.parts]
        contents = [read_file(part, hint) for part in files]
        train, test = (_read_ids(part, hint) for part in files)
        digests = [hashlib.sha256(content).hexdigest() for content in contents]
        verified = digests == [part.sha256 for part in file.parts]
    else:
        content = read_file(path, hint)
        train, test = tokenize(content, str(path), hint)
        verified = hashlib.sha256(content).hexdigest() == file.sha256
    label = TOLSTOI.label if verified else f"{TOLSTOI.label} (unverified files)"
    for name, ids in (("training", train), ("test", test)):
        if len(ids) <= STEPS:
            raise DataError(
                f"{path}: {len(ids)} characters in the {name} text; expected more than {STEPS}; "
                f"{hint}"
            )
    return _data_set(label, train, test), verified


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


def _read_ids(path: Path, hint: str) -> Ids:
    try:
        with path.open("rb") as stream:
            ids = np.lib.format.read_array(stream, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
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


def _synthetic_text() -> tuple[Ids, Ids]:
    """A random walk over the characters, so that each one says something about the next."""
    rng = np.random.default_rng(derive_seed("synthetic twin", TOLSTOI.name))
    walk = np.cumsum(rng.integers(-2, 4, 75_001 + 25_601)) % VOCABULARY
    return walk[:75_001], walk[75_001:]


def _data_set(label: str, train: Ids, test: Ids) -> DataSet:
    parts = {"train": _pieces(train), "test": _pieces(test)}
    size = len(parts["train"][0])
    return DataSet(
        name=TOLSTOI.name,
        label=label,
        version=content_digest((train, test)),
        parts=parts,
        # DeepOBS asks for more than there is, so it evaluates on the whole training text.
        train_eval_size=None,
        held_out=torch.arange(size - size // 10, size),
    )


def _pieces(ids: Ids) -> Batch:
    text = torch.from_numpy(ids.copy())
    used = (len(text) - 1) // STEPS * STEPS
    return text[:used].view(-1, STEPS), text[1 : used + 1].view(-1, STEPS)
