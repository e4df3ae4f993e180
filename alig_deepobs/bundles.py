"""Many results in one small file: their JSON, one a line, compressed with gzip.

The committed baselines have this form. Any results can be given away in it: `load_results` and
``alig-deepobs report`` read it like a results folder.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from json import dumps
from pathlib import Path

from alig_deepobs.errors import ResultError
from alig_deepobs.files import write_bytes_atomically
from alig_deepobs.foreign import count_items, gzip_lines, most_kept
from alig_deepobs.results import parse_result, to_json
from alig_deepobs.run import RunResult

SUFFIX = ".jsonl.gz"
"""How the names of bundles end."""
LARGEST = 256 * 1024 * 1024
"""Bytes of the largest bundle that is read, decompressed; the largest one here has 1.1 MB."""

MOST_ITEMS = 20_000_000
"""Items of all lists of the results in a bundle."""


def read_bundle(path: Path) -> list[RunResult]:
    """The results in a bundle, in their order.

    Raises:
        ResultError: the file cannot be read, is cut off, is larger than `LARGEST` or has more than
            `MOST_ITEMS`, or more beside mini-batch losses than `most_kept`, or a line is no result.
    """
    results, items, logged = [], 0, 0
    try:
        for line in gzip_lines(path, LARGEST):
            items += count_items(line)
            if items > MOST_ITEMS:
                raise OSError(f"more than {MOST_ITEMS:,} items in its lists")
            results.append(parse_result(line, path))
            logged += len(results[-1].minibatch_train_losses)
            if items - logged > most_kept(path.stat().st_size):
                raise OSError("more items in its lists than a file of its size has")
        return results
    except (OSError, EOFError, zlib.error) as error:
        raise ResultError(f"cannot read {path}: {error}; get it anew") from error


def write_bundle(results: Iterable[RunResult], path: Path) -> None:
    """Writes results as a bundle, in one step; the same results give the same bytes.

    Raises:
        ResultError: the file cannot be written, or a result holds what JSON cannot.
    """
    try:
        lines = [
            dumps(to_json(result), separators=(",", ":"), allow_nan=False) for result in results
        ]
    except (TypeError, ValueError) as error:
        raise ResultError(f"{path} cannot be written: {error}") from error
    write_bytes_atomically(path, gzip.compress("\n".join(lines).encode(), mtime=0))
