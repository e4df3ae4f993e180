"""SNLI as arrays: read, tokenized and numbered once, then kept in the cache.

The cache holds one ``.npz`` file for each pair of a corpus and a table of vectors, under a digest
of the content of their files. Since hashing gigabytes takes a while, a small ``.json`` file
remembers the digest for paths, sizes and times of change.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alig_deepobs.errors import DataError, ResultError, UsageError
from alig_deepobs.files import clear_leftovers, write_bytes_atomically
from alig_deepobs.testproblems.datasets.base import content_digest
from alig_deepobs.testproblems.datasets.embeddings import HINT, VectorTable, find_table
from alig_deepobs.testproblems.datasets.fetch import (
    Stamps,
    cache_dir,
    how_to_get,
    require,
    stamp_of,
    stamps_of,
)
from alig_deepobs.testproblems.datasets.sentences import (
    END,
    START,
    Corpus,
    Pairs,
    Sentences,
    renumber,
)
from alig_deepobs.testproblems.datasets.snli_files import (
    RawPairs,
    is_official,
    read_contents,
    read_pairs,
)
from alig_deepobs.testproblems.datasets.sources import SNLI, SNLI_MINI, Source, label_of

logger = logging.getLogger(__name__)

CORPORA = {source.name: source for source in (SNLI, SNLI_MINI)}
MARKERS = {START: "<s>", END: "</s>"}
FORMAT = 1
"""Part of the cache's keys: changes whenever the same files would give other arrays."""

Prepared = tuple[dict[str, NDArray[Any]], dict[str, Any]]
"""The arrays of a corpus by name, and what else is known of it."""


def find_corpus(name: str) -> Source:
    """The corpus of a name.

    Raises:
        UsageError: there is none.
    """
    if name not in CORPORA:
        raise UsageError(f"corpus must be {' or '.join(CORPORA)}, not {name!r}")
    return CORPORA[name]


def load_corpus(
    corpus: str,
    embeddings: str,
    embedding_dim: int | None = None,
    *,
    data_dir: str | None = None,
    offline: bool = False,
) -> Corpus:
    """A corpus with the vectors of its words.

    Args:
        corpus: ``"snli"`` or ``"snli_mini"``.
        embeddings: name or path of a table of word vectors; see `embeddings.find_table`.
        embedding_dim: the length that the vectors must have; None for any.
        data_dir: folder with the files; None for the cache.
        offline: never touch the network.

    Raises:
        UsageError: there is no such corpus.
        DataError: a file is missing or broken, the vectors have another length, or no word of the
            corpus has one.
    """
    source = find_corpus(corpus)
    paths = find_files(corpus, data_dir, offline)
    table = find_table(embeddings, data_dir)
    stamps = (*stamps_of(source, paths), *map(stamp_of, table.paths))
    arrays, facts = _prepared(source.name, paths, table, stamps, how_to_get(source, data_dir))
    dim = arrays["vectors"].shape[1]
    if embedding_dim is not None and dim != embedding_dim:
        raise DataError(
            f"{table.paths[0]}: vectors of {dim} numbers; embedding_dim asks for {embedding_dim}; "
            f"{HINT}"
        )
    label = source.label if facts["official"] else label_of(source.label, "unverified")
    return Corpus(
        label=f"{label} with {table.name}",
        version=facts["version"],
        # Of a corpus of one's own nothing is known.
        source="official" if facts["official"] and not source.own else "unverified",
        vectors=arrays["vectors"],
        parts=_parts(arrays),
    )


def find_files(corpus: str, data_dir: str | None, offline: bool) -> tuple[Path, ...]:
    """The files of a corpus; what is missing in the cache is downloaded.

    Raises:
        DataError: one is missing; the message names the other corpus if that is there.
    """
    source = find_corpus(corpus)
    try:
        return tuple(require(source, data_dir, offline))
    except DataError as error:
        raise DataError(f"{error}{_other_corpus(source, data_dir)}") from None


def _other_corpus(source: Source, data_dir: str | None) -> str:
    """A hint for those who have the files of another corpus."""
    for other in CORPORA.values():
        if other is not source:
            try:
                require(other, data_dir, offline=True)
            except DataError:
                continue
            return f"; the files of --corpus {other.name} are there"
    return ""


# Cached, with the stamps in the key, as the images are.
@lru_cache(maxsize=2)
def _prepared(
    corpus: str, paths: tuple[Path, ...], table: VectorTable, stamps: Stamps, hint: str
) -> Prepared:
    source = CORPORA[corpus]
    folder = cache_dir() / "prepared" / source.name
    stamp = hashlib.sha256(repr((FORMAT, stamps)).encode()).hexdigest()
    index = folder / f"{stamp[:32]}.json"
    prepared = _load(folder, index)
    if prepared is None:
        contents = read_contents(source, list(paths), hint)
        digest = hashlib.sha256(f"{FORMAT} {table.digest()} ".encode())
        for _, content in contents.values():
            digest.update(hashlib.sha256(content).digest())
        key = digest.hexdigest()[:32]
        _write(index, json.dumps({"key": key}).encode())
        prepared = _load(folder, index)  # the same content may have come from other paths
    if prepared is None:
        prepared = arrays, facts = _prepare(source, contents, table, hint)
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, facts=np.array(json.dumps(facts)), **arrays)
        _write(folder / f"{key}.npz", stream.getvalue())
    _report(source, table, prepared[1])
    return prepared


def _load(folder: Path, index: Path) -> Prepared | None:
    """What an index file points to; None if it is not there, or damaged."""
    try:
        path = folder / f"{json.loads(index.read_text())['key']}.npz"
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        facts = json.loads(str(arrays.pop("facts")))
        if facts["version"] == content_digest(arrays[name] for name in sorted(arrays)):
            return arrays, facts
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        logger.info("%s is not used: %s", index, error)
    return None


def _write(path: Path, content: bytes) -> None:
    """Writes a file, if that is possible; without a cache, the next run takes longer."""
    clear_leftovers(path.parent)
    try:
        write_bytes_atomically(path, content)
    except ResultError as error:
        reason = error.__cause__
        logger.warning("%s cannot be written (%s): preparing will take as long again", path, reason)


def _prepare(
    source: Source, contents: Mapping[str, tuple[str, bytes]], table: VectorTable, hint: str
) -> Prepared:
    vocabulary: dict[str, int] = {}
    raw = {
        part: read_pairs(content, where, hint, vocabulary)
        for part, (where, content) in contents.items()
    }
    rows, vectors, counts = look_up(vocabulary, table, source.label)
    arrays: dict[str, NDArray[Any]] = {"vectors": vectors}
    for part, pairs in raw.items():
        numbered = _numbered(pairs, rows)
        arrays |= {f"{part}_{name}": values for name, values in numbered.arrays().items()}
    facts = {
        "official": is_official(source, contents),
        "skipped": {part: pairs.skipped for part, pairs in raw.items()},
        "pairs": {part: len(pairs.labels) for part, pairs in raw.items()},
        "version": content_digest(arrays[name] for name in sorted(arrays)),
        **counts,
    }
    return arrays, facts


def look_up(
    vocabulary: Mapping[str, int], table: VectorTable, label: str
) -> tuple[NDArray[np.int32], NDArray[np.float32], dict[str, int]]:
    """The vectors of a vocabulary.

    Where no word of the table has a capital letter, words are looked up in lower case. A marker
    without a vector gets the zero vector.

    Args:
        vocabulary: word -> number, from 0.
        table: the vectors.
        label: what the vocabulary is of, for error messages.

    Returns:
        The row of each word, or -1; the vectors, of which rows 0 to 2 are zero and the markers; and
        how many words and markers have a vector.

    Raises:
        DataError: the table is broken, or none of the words has a vector.
    """
    found = table.read({*vocabulary, *map(str.lower, vocabulary), *MARKERS.values()})
    rows = np.full(len(vocabulary), -1, np.int32)
    new_rows: dict[str, int] = {}
    for word, number in vocabulary.items():
        known = word if found.cased else word.lower()
        if known in found.rows:
            rows[number] = 3 + new_rows.setdefault(known, len(new_rows))
    if not new_rows:
        raise DataError(
            f"{table.paths[0]}: none of the {len(vocabulary)} words of {label} has a vector; {HINT}"
        )
    vectors = np.zeros((3 + len(new_rows), found.values.shape[1]), np.float32)
    vectors[3:] = found.values[[found.rows[word] for word in new_rows]]
    markers = 0
    for row, marker in MARKERS.items():
        if marker in found.rows:
            vectors[row] = found.values[found.rows[marker]]
            markers += 1
    known_words = int((rows >= 0).sum())
    counts = {"words": len(vocabulary), "known_words": known_words, "markers": markers}
    return rows, vectors, counts


def _numbered(pairs: RawPairs, rows: NDArray[np.int32]) -> Pairs:
    sides = [
        renumber(np.array(ids, np.int32), np.array(offsets, np.int64), rows)
        for ids, offsets in zip(pairs.ids, pairs.offsets, strict=True)
    ]
    return Pairs(np.array(pairs.labels, np.int64), *sides)


def _parts(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Pairs]:
    return {
        part: Pairs(
            arrays[f"{part}_labels"],
            Sentences(arrays[f"{part}_premise_ids"], arrays[f"{part}_premise_offsets"]),
            Sentences(arrays[f"{part}_hypothesis_ids"], arrays[f"{part}_hypothesis_offsets"]),
        )
        for part in ("train", "valid", "test")
    }


def _report(source: Source, table: VectorTable, facts: Mapping[str, Any]) -> None:
    for part, skipped in facts["skipped"].items():
        if skipped:
            logger.warning(
                "%s: %d of %d %s pairs have no gold label and are skipped",
                source.label, skipped, skipped + facts["pairs"][part], part,
            )  # fmt: skip
    logger.info(
        "%s: %d of %d different words have a vector in %s; the others are left out",
        source.label, facts["known_words"], facts["words"], table.name,
    )  # fmt: skip
    if facts["markers"] < len(MARKERS):
        logger.info("%s has no vectors for <s> and </s>; they are zero", table.name)
    if not facts["official"]:
        logger.warning("the files of %s are not the official ones", source.label)
