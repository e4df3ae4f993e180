"""Result files in folders and archives; nothing is unpacked."""

import io
import tarfile
import zipfile

import pytest

from alig_deepobs.baselines.archive import result_members
from alig_deepobs.errors import DataError, UsageError


def tar_of(files, path, prefix="DeepOBS_Baselines-3da285a/"):
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def zip_of(files, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"x/{name}", text)
    return path


def test_archives_give_the_same(tmp_path, official_folder, official_files):
    expected = sorted(member.raw for member in result_members(official_folder))
    assert expected == sorted(text.encode() for text in official_files.values())
    for path in (
        tar_of(official_files, tmp_path / "a.tar.gz"),
        zip_of(official_files, tmp_path / "a.zip"),
    ):
        assert sorted(member.raw for member in result_members(path)) == expected


def test_nothing_is_unpacked(tmp_path, official_files):
    text = next(iter(official_files.values()))
    evil = {"../../num_epochs__1/random_seed__1.json": text}
    path = tar_of(evil, tmp_path / "evil.tar.gz", prefix="")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match="points outside the folder"):
        list(result_members(path))
    assert sorted(tmp_path.rglob("*")) == before


def test_bad_archives(tmp_path, official_files):
    whole = tar_of(official_files, tmp_path / "a.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.tar.gz").write_text("no archive")
    for name in ("cut.tar.gz", "text.tar.gz"):
        with pytest.raises(DataError, match="truncated"):
            list(result_members(tmp_path / name))
    zipped = zip_of(official_files, tmp_path / "a.zip").read_bytes()
    damaged = bytearray(zipped)
    damaged[200:260] = bytes(60)
    (tmp_path / "bad.zip").write_bytes(damaged)
    with pytest.raises(DataError, match="corrupt"):
        list(result_members(tmp_path / "bad.zip"))
    with pytest.raises(UsageError, match="no folder or archive"):
        list(result_members(tmp_path / "nowhere"))
