"""Members of archives: in their bounds, or refused."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import tarfile
import zipfile

import pytest

from alig_deepobs import archives
from alig_deepobs.archives import read_archive
from alig_deepobs.errors import DataError

GOOD = "folder/good.txt"


def read(path, largest=100, total=50_000):
    return list(read_archive(path, lambda name: largest if name == GOOD else None, total, "hint"))


def header(size: bytes = b"0", kind: bytes = tarfile.REGTYPE, name: bytes = b"x") -> bytes:
    """A header as no program would write it."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:124] = b"".join((b"0000644\x00", b"0000000\x00", b"0000000\x00"))
    block[124 : 124 + len(size)] = size
    block[136:148] = b"00000000000\x00"
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\x00 " % (sum(block) + 8 * 32)
    return bytes(block)


def tar_of(*members, **contents):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
        for name, content in contents.items():
            member = tarfile.TarInfo(GOOD if name == "good" else name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def member(name="x", kind=tarfile.REGTYPE, size=0, **values):
    found = tarfile.TarInfo(name)
    found.type, found.size = kind, size
    for key, value in values.items():
        setattr(found, key, value)
    return found


def zip_of(path, *entries, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar", "a.zip"])
def test_what_is_asked_for(tmp_path, name):
    path = tmp_path / name
    if name == "a.zip":
        zip_of(path, ("other", "xx"), (GOOD, "content"))
    else:
        content = tar_of(member("other", size=50), good=b"content")
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert read(path) == [(GOOD, b"content")]
    with pytest.raises(DataError, match=r"more than 6 bytes; expected at most that; hint"):
        read(path, largest=6)


NEGATIVE = b"\xff" + (256**11 - 512).to_bytes(11, "big")
HUGE = b"\x80" + (2**80).to_bytes(11, "big")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header(NEGATIVE), "claims -512 bytes"),
        (header(HUGE), "has more than"),  # 61 bytes when compressed; tarfile skips for ever
        (header(HUGE, tarfile.XHDTYPE), "claims 1208925819614629174706176 bytes"),
        (header(b"7777777777", tarfile.GNUTYPE_LONGNAME), "claims"),
        (header(HUGE, tarfile.GNUTYPE_SPARSE), "link or a device"),
        (tar_of(member("../x")), "points outside"),
        (tar_of(member("a/../../x")), "points outside"),
        (tar_of(member("/etc/passwd")), "points outside"),
        (tar_of(member("..\\x")), "points outside"),
        (tar_of(member("link", tarfile.SYMTYPE, linkname="/etc/passwd")), "is a link"),
        (tar_of(member("link", tarfile.LNKTYPE, linkname="../x")), "is a link"),
        (tar_of(member("pipe", tarfile.FIFOTYPE)), "is a link or a device"),
        (tar_of(member(GOOD, size=101)), "more than 100 bytes"),
        (tar_of(member("other", size=60_000)), "more"),
        (tar_of(*(member(f"x{i}", size=500) for i in range(60))), "more in it"),
        (tar_of(good=b"content")[:600], "truncated or corrupt"),
        (b"", "truncated or corrupt"),
    ],
)
def test_tar_archives_that_are_refused(tmp_path, content, words):
    path = tmp_path / "bad.tar.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match=words) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([("../x", "")], "points outside"),
        ([("/x", "")], "points outside"),
        ([("C:\\..\\x", "")], "points outside"),
        ([(GOOD, bytes(10_000_000))], "more than 100 bytes"),
        ([(GOOD, bytes(90))] * 3, "more than"),
    ],
)
def test_zip_archives_that_are_refused(tmp_path, entries, words):
    path = zip_of(tmp_path / "bad.zip", *entries)
    with pytest.raises(DataError, match=words):
        read(path, total=200)


def test_a_zip_file_that_lies_about_its_size(tmp_path):
    content = zip_of(tmp_path / "a.zip", (GOOD, bytes(1_000_000))).read_bytes()
    lie = content.replace((1_000_000).to_bytes(4, "little"), (50).to_bytes(4, "little"))
    assert lie != content
    (tmp_path / "a.zip").write_bytes(lie)
    with pytest.raises(DataError, match="truncated or corrupt"):
        read(tmp_path / "a.zip")


def test_unusual_ways_to_compress(tmp_path):
    # The dictionary of LZMA may have 4 GB.
    path = zip_of(tmp_path / "a.zip", (GOOD, b"x"), kind=zipfile.ZIP_LZMA)
    with pytest.raises(DataError, match="unusual way"):
        read(path)
    (tmp_path / "a.tar.bz2").write_bytes(bz2.compress(tar_of(good=b"x")))
    with pytest.raises(DataError, match="truncated or corrupt"):
        read(tmp_path / "a.tar.bz2")


def test_too_many_members(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 10)
    path = zip_of(tmp_path / "a.zip", *((f"x{i}", "") for i in range(11)))
    with pytest.raises(DataError, match="more than 10 members"):
        read(path)
    (tmp_path / "a.tar").write_bytes(tar_of(*(member(f"x{i}") for i in range(11))))
    with pytest.raises(DataError, match="more than 10 members"):
        read(tmp_path / "a.tar", total=1_000_000)


def test_no_file_and_no_ordinary_file(tmp_path):
    with pytest.raises(DataError, match="no such file; hint"):
        read(tmp_path / "nowhere.zip")
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(DataError, match="no ordinary file"):
        read(tmp_path / "pipe.zip")
