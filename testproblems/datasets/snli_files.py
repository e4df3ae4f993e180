"""The files of SNLI: one JSON object a line, with two sentences and a label."""

from __future__ import annotations

import functools
import hashlib
import io
import json
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alig_deepobs.archives import read_members
from alig_deepobs.errors import DataError
from alig_deepobs.foreign import brief, parse_json
from alig_deepobs.testproblems.datasets.records import LARGEST, read_file
from alig_deepobs.testproblems.datasets.sources import Source
from alig_deepobs.testproblems.datasets.treebank import tokenize

LABELS = {"entailment": 0, "neutral": 1, "contradiction": 2}
NO_LABEL = "-"
FILES = {"train": "train", "valid": "dev", "test": "test"}
"""The parts of a data set, and what SNLI's files call them."""
LONGEST_LINE = 1 << 16
"""Bytes of the longest line that is read: two sentences and their parse trees."""


@dataclass
class RawPairs:
    """The pairs of a file, with words as numbers of a vocabulary.

    Attributes:
        labels: 0 entailment, 1 neutral, 2 contradiction.
        ids: the words of all premises, one after the other, and of all hypotheses.
        offsets: where each sentence starts.
        skipped: pairs without a gold label, which are left out.
    """

    labels: list[int] = field(default_factory=list)
    ids: tuple[array[int], array[int]] = field(default_factory=lambda: (array("i"), array("i")))
    offsets: tuple[array[int], array[int]] = field(
        default_factory=lambda: (array("q", [0]), array("q", [0]))
    )
    skipped: int = 0


def read_contents(source: Source, paths: list[Path], hint: str) -> dict[str, tuple[str, bytes]]:
    """The files of a corpus: part -> what to call the file in error messages, and its content.

    Args:
        source: SNLI, or a corpus in its format.
        paths: what `fetch.require` found: the official archive, the folder that it was unpacked
            to, or the files.
        hint: how to get good files, the end of every error message.
    """
    files = source.files[0].members or source.files
    names = {part: next(f.name for f in files if f.name.endswith(f"_{kind}.jsonl"))
             for part, kind in FILES.items()}  # fmt: skip
    if paths[0].suffix == ".zip":
        sizes = {file.name: file.size for file in files if file.name in names.values()}
        members = read_members(paths[0], sizes, hint)
        return {part: (f"{paths[0]}, {name}", members[name]) for part, name in names.items()}
    if paths[0].is_dir():
        found = {name: paths[0] / name for name in names.values()}
    else:
        found = {path.name: path for path in paths}
    most = {file.name: file.size or LARGEST for file in files}
    return {part: (str(found[n]), read_file(found[n], hint, most[n])) for part, n in names.items()}


def is_official(source: Source, contents: Mapping[str, tuple[str, bytes]]) -> bool:
    """Whether all files have the official digests, or the corpus has none."""
    digests = {file.sha256 for file in source.files[0].members}
    return source.own or digests == {
        hashlib.sha256(content).hexdigest() for _, content in contents.values()
    }


def read_pairs(content: bytes, where: str, hint: str, vocabulary: dict[str, int]) -> RawPairs:
    """Reads and tokenizes the pairs of a file.

    Args:
        content: the file.
        where: its name in error messages.
        hint: how to get a good file, the end of every error message.
        vocabulary: word -> number; new words are added.

    Raises:
        DataError: a line is no JSON object or lacks a field, a label is unknown, or there is no
            pair with a label.
    """
    pairs = RawPairs()

    # The premises of consecutive pairs are often the same.
    @functools.lru_cache(maxsize=1024)
    def numbers(sentence: str) -> list[int]:
        return [vocabulary.setdefault(word, len(vocabulary)) for word in tokenize(sentence)]

    lines = iter(functools.partial(io.BytesIO(content).readline, LONGEST_LINE + 1), b"")
    for number, line in enumerate(lines, 1):
        record = _record(line, f"{where}, line {number}", hint)
        if record["gold_label"] == NO_LABEL:
            pairs.skipped += 1
            continue
        pairs.labels.append(LABELS[record["gold_label"]])
        for side, name in enumerate(("sentence1", "sentence2")):
            pairs.ids[side].extend(numbers(record[name]))
            pairs.offsets[side].append(len(pairs.ids[side]))
    if not pairs.labels:
        raise DataError(f"{where}: no pair with a gold label; {hint}")
    return pairs


def _record(line: bytes, where: str, hint: str) -> dict[str, Any]:
    if len(line) > LONGEST_LINE:
        raise DataError(f"{where}: more than {LONGEST_LINE} bytes; {hint}")
    try:
        record = parse_json(line)
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at character {error.pos}"
        raise DataError(f"{where}: no JSON ({reason}); {hint}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: no UTF-8 ({error.reason}); {hint}") from error
    except ValueError as error:
        raise DataError(f"{where}: no usable JSON ({error}); {hint}") from error
    if not isinstance(record, dict):
        raise DataError(f"{where}: no JSON object; {hint}")
    for name in ("gold_label", "sentence1", "sentence2"):
        if name not in record:
            raise DataError(f"{where}: no field {name!r}; {hint}")
        if not isinstance(record[name], str):
            raise DataError(f"{where}: {name} is {brief(record[name])}; expected a text; {hint}")
    if record["gold_label"] not in (*LABELS, NO_LABEL):
        raise DataError(
            f"{where}: gold_label {brief(record['gold_label'])}; expected {', '.join(LABELS)} or "
            f"{NO_LABEL!r} (no label); {hint}"
        )
    return record
