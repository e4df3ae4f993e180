"""Kept weights of others: nothing is unpickled but tensors, and nothing is larger than its file."""

from __future__ import annotations

import io
import pickle
import zipfile

import pytest
import torch

from alig_deepobs.errors import ResultError
from alig_deepobs.runners.weights import load_weights


class Hostile:
    """Runs a program where it is unpickled."""

    def __reduce__(self):
        import os

        return os.system, ("touch ran",)


def saved(content, **options):
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def compressed(content, size):
    """The same with a first tensor of that many zeros, deflated."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for member in source.infolist():
            first = member.filename.endswith("data/0")
            target.writestr(member.filename, bytes(size) if first else source.read(member))
    return stream.getvalue()


GOOD = {"epoch": 3, "state_dict": {"a": torch.ones(3)}}


def test_good_weights(tmp_path):
    (tmp_path / "a.pt").write_bytes(saved(GOOD))
    assert torch.equal(load_weights(tmp_path / "a.pt")["a"], torch.ones(3))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no readable weights"),
        (saved(GOOD)[:-100], "no readable weights"),
        (pickle.dumps(Hostile()), "no readable weights"),
        (saved({"state_dict": Hostile()}), "no readable weights"),
        (saved({"state_dict": {"a": Hostile()}}), "no readable weights"),
        (saved(GOOD, _use_new_zipfile_serialization=False), "not a zip file"),
        (compressed(saved(GOOD), 1 << 28), "which torch never does"),
        (saved([1]), "expected the weights"),
        (saved({"state_dict": {"a": 3}}), "is no ordinary tensor"),
        (saved({"state_dict": {3: torch.ones(1)}}), "is no ordinary tensor"),
        (saved({"state_dict": {"a": torch.eye(3).to_sparse()}}), "_rebuild_sparse_tensor"),
    ],
)
def test_other_files(tmp_path, monkeypatch, content, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(ResultError, match=words) as caught:
        load_weights(tmp_path / "a.pt")
    assert "a.pt" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]
