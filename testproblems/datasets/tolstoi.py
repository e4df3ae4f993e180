"""Tolstoi's "War and Peace", character by character."""

from __future__ import annotations

import hashlib
import logging
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from alig_deepobs.errors import DataError
from alig_deepobs.seeds import derive_seed
from alig_deepobs.testproblems.datasets.base import Batch, DataSet, content_digest
from alig_deepobs.testproblems.datasets.fetch import Stamps, how_to_get, require, stamps_of
from alig_deepobs.testproblems.datasets.records import read_file
from alig_deepobs.testproblems.datasets.sources import TOLSTOI, DataSource, label_of
from alig_deepobs.testproblems.datasets.tolstoi_files import VOCABULARY, Ids, read_ids, tokenize

logger = logging.getLogger(__name__)

STEPS = 50


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
        return _data_set("synthetic", *_synthetic_text())
    paths = require(TOLSTOI, data_dir, offline)
    data = _read(paths[0], stamps_of(TOLSTOI, paths), how_to_get(TOLSTOI, data_dir))
    if data.source == "unverified":
        logger.warning("%s is not the official text of Tolstoi", paths[0])
    return data


@lru_cache(maxsize=2)
def _read(path: Path, stamps: Stamps, hint: str) -> DataSet:
    # Cached, with the stamps in the key, as the images are.
    file = TOLSTOI.files[0]
    if path.is_dir():
        files = [path / member.name for member in file.members]
        contents = [read_file(member, hint) for member in files]
        train, test = (read_ids(member, hint) for member in files)
        digests = [hashlib.sha256(content).hexdigest() for content in contents]
        official = digests == [member.sha256 for member in file.members]
    else:
        content = read_file(path, hint, 10 * file.size)
        train, test = tokenize(content, str(path), hint)
        official = hashlib.sha256(content).hexdigest() == file.sha256
    for name, ids in (("training", train), ("test", test)):
        if len(ids) <= STEPS:
            raise DataError(
                f"{path}: {len(ids)} characters in the {name} text; expected more than {STEPS}; "
                f"{hint}"
            )
    return _data_set("official" if official else "unverified", train, test)


def _synthetic_text() -> tuple[Ids, Ids]:
    """A random walk over the characters, so that each one says something about the next."""
    rng = np.random.default_rng(derive_seed("synthetic twin", TOLSTOI.name))
    walk = np.cumsum(rng.integers(-2, 4, 75_001 + 25_601)) % VOCABULARY
    return walk[:75_001], walk[75_001:]


def _data_set(source: DataSource, train: Ids, test: Ids) -> DataSet:
    parts = {"train": _pieces(train), "test": _pieces(test)}
    size = len(parts["train"][0])
    return DataSet(
        name=TOLSTOI.name,
        label=label_of(TOLSTOI.label, source),
        version=content_digest((train, test)),
        source=source,
        parts=parts,
        # DeepOBS asks for more than there is, so it evaluates on the whole training text.
        train_eval_size=None,
        held_out=torch.arange(size - size // 10, size),
    )


def _pieces(ids: Ids) -> Batch:
    text = torch.from_numpy(ids.copy())
    used = (len(text) - 1) // STEPS * STEPS
    return text[:used].view(-1, STEPS), text[1 : used + 1].view(-1, STEPS)
