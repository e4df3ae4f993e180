"""Where the official files of the data sets are, and what is in them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

from alig_deepobs.errors import unknown_name

DataSource = Literal["official", "unverified", "bundled", "generated", "synthetic"]
"""Where data come from: official files for certain; files that are others, or that cannot be
compared with official ones; an installed package; drawn numbers; the synthetic twin."""


def label_of(label: str, source: DataSource) -> str:
    """The label of data that may not be the official ones.

    Example:
        >>> label_of("MNIST", "official"), label_of("MNIST", "synthetic")
        ('MNIST', 'MNIST (synthetic twin)')
    """
    notes = {"unverified": " (unverified files)", "synthetic": " (synthetic twin)"}
    return label + notes.get(source, "")


@dataclass(frozen=True)
class RemoteFile:
    """An official file.

    Attributes:
        name: its name, the same on every mirror.
        size: its length in bytes; 0 where it is not known.
        sha256: digest of the file, where it is known.
        content_sha256: digest of what it holds when it is decompressed, where it is known. It
            recognizes copies that were compressed again.
        members: files with the same content, which all together are as good as this one: the
            members of an archive that was unpacked, or the files that a converter made of it.
        unit: its length is a multiple of this many bytes.
        is_folder: whether it is a folder of files.
    """

    name: str
    size: int = 0
    sha256: str | None = None
    content_sha256: str | None = None
    members: tuple[RemoteFile, ...] = ()
    unit: int = 1
    is_folder: bool = False


@dataclass(frozen=True)
class Source:
    """A data set and its files.

    Attributes:
        name: the name on the command line, and of the folder.
        label: the name in reports.
        files: the files; none where the data come with the package.
        mirrors: addresses that the name of a file is appended to, tried in this order.
        citation: where the data come from.
        folders: further names that the folder may have: of unpacked archives, of torchvision's and
            of Debian's copies.
        pickled: the folder of a version in pickles, which is not read.
        own: whether there is nothing to download or to compare with: the user brings the files.
        home: where the user gets them, for data of this kind.
    """

    name: str
    label: str
    files: tuple[RemoteFile, ...] = ()
    mirrors: tuple[str, ...] = ()
    citation: str = ""
    folders: tuple[str, ...] = ()
    pickled: str = ""
    own: bool = False
    home: str = ""

    @property
    def size(self) -> int:
        """The length of all files in bytes."""
        return sum(file.size for file in self.files)


def _file(fields: Mapping[str, Any]) -> RemoteFile:
    return RemoteFile(**{**fields, "members": tuple(map(_file, fields.get("members", ())))})


def _source(name: str, fields: Mapping[str, Any]) -> Source:
    lists = {key: tuple(fields.get(key, ())) for key in ("mirrors", "folders")}
    return Source(name, **{**fields, **lists, "files": tuple(map(_file, fields.get("files", ())))})


_TABLE = resources.files(__package__).joinpath("sources.toml").read_text(encoding="utf-8")
SOURCES = {name: _source(name, fields) for name, fields in tomllib.loads(_TABLE).items()}

MNIST = SOURCES["mnist"]
FMNIST = SOURCES["fmnist"]
CIFAR10 = SOURCES["cifar10"]
CIFAR100 = SOURCES["cifar100"]
SVHN = SOURCES["svhn"]
SVHN_EXTRA = SOURCES["svhn_extra"]
TOLSTOI = SOURCES["tolstoi"]
IMAGENET = SOURCES["imagenet"]
SNLI = SOURCES["snli"]
SNLI_MINI = SOURCES["snli_mini"]
GLOVE = SOURCES["glove"]


def find_source(name: str) -> Source:
    """The data set of a name.

    Raises:
        UsageError: there is none; the message has the nearest names.
    """
    if name not in SOURCES:
        raise unknown_name("data set", name, SOURCES)
    return SOURCES[name]
