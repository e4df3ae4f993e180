"""DeepOBS 1.1.2's folder of data, made of what this package's readers find or download."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from alig_deepobs.errors import DataError, unknown_name
from alig_deepobs.testproblems.datasets.base import DataSet
from alig_deepobs.testproblems.datasets.cifar import cifar10, cifar100
from alig_deepobs.testproblems.datasets.deepobs_files import (
    FILES,
    missing_for_deepobs,
    write_for_deepobs,
)
from alig_deepobs.testproblems.datasets.fetch import find_file
from alig_deepobs.testproblems.datasets.images import fmnist, mnist
from alig_deepobs.testproblems.datasets.sources import SOURCES
from alig_deepobs.testproblems.datasets.svhn import svhn
from alig_deepobs.testproblems.datasets.tolstoi import tolstoi

_READERS: dict[str, Callable[..., DataSet]] = {
    "mnist": mnist, "fmnist": fmnist, "cifar10": cifar10, "cifar100": cifar100, "svhn": svhn,
    "tolstoi": tolstoi,
}  # fmt: skip


def prepared(only: Sequence[str], skip: Sequence[str]) -> list[str]:
    """The data sets to prepare: ``only`` these, or all but ImageNet, without those to ``skip``.

    Raises:
        UsageError: there is none of such a name.
    """
    for name in (*only, *skip):
        if name not in FILES:
            raise unknown_name("data set of DeepOBS", name, FILES)
    return [name for name in only or _READERS if name not in skip]


def prepare(name: str, data_dir: Path, offline: bool = False) -> str:
    """Writes a data set as the files that DeepOBS reads, unless they are there.

    Args:
        name: of the data set.
        data_dir: DeepOBS's folder. It may hold the official files, too; else they are taken from
            the cache, or downloaded.
        offline: never touch the network.

    Returns:
        What was done.

    Raises:
        DataError: there are no files, or broken ones.
    """
    folder = data_dir / FILES[name][0]
    if not missing_for_deepobs(name, data_dir):
        return f"is in {folder}"
    if name not in _READERS:
        raise DataError(
            f"{name}: bring your own copy as TFRecords, {' and '.join(FILES[name][1])}, in {folder}"
        )
    source = SOURCES[name]
    is_here = all(find_file(source, file, str(data_dir)) for file in source.files)
    data = _READERS[name](data_dir=str(data_dir) if is_here else None, offline=offline)
    data_dir.mkdir(parents=True, exist_ok=True)
    write_for_deepobs(data, data_dir)
    return f"{data.label} written to {folder}"
