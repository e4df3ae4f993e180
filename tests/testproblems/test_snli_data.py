"""SNLI's files: reading, the cache, and one line for what is wrong."""

import json
import logging
import zipfile

import numpy as np
import pytest
import torch

from alig_deepobs.errors import DataError, UsageError
from alig_deepobs.registry import find_testproblem
from alig_deepobs.testproblems.datasets import fetch, snli_corpus
from alig_deepobs.testproblems.datasets.embeddings import HINT
from alig_deepobs.testproblems.datasets.identity import data_identity
from alig_deepobs.testproblems.datasets.sentences import Sentences, renumber
from alig_deepobs.testproblems.datasets.snli import snli
from alig_deepobs.testproblems.datasets.snli_corpus import load_corpus
from alig_deepobs.testproblems.datasets.snli_files import read_pairs
from alig_deepobs.testproblems.datasets.sources import SNLI, SNLI_MINI
from alig_deepobs.testproblems.datasets.verify import FileState

GLOVE = "<s> 1 0\n</s> 0 1\nA 1 1\ndog 2 1\nruns 3 1\n. 4 1\na 5 1\n"
PAIRS = [
    ("entailment", "A dog runs.", "A zyx runs."),  # there is no vector of "zyx"
    ("-", "A dog runs.", "Runs?"),
    ("neutral", "A dog.", "a a a a"),
    ("contradiction", "zyx", "A dog"),
]


def lines(pairs):
    return "".join(
        json.dumps({"gold_label": label, "sentence1": one, "sentence2": two, "pairID": "7r1n"})
        + "\n"
        for label, one, two in pairs
    ).encode()


def write_corpus(folder, name="snli_mini_1.0", pairs=PAIRS):
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "dev", "test"):
        (folder / f"{name}_{part}.jsonl").write_bytes(lines(pairs))
    return folder


@pytest.fixture
def data_dir(tmp_path):
    write_corpus(tmp_path / "data" / "snli_mini_1.0")
    (tmp_path / "data" / "vectors.txt").write_text(GLOVE)
    return tmp_path / "data"


def load(data_dir, corpus="snli_mini", embeddings="vectors.txt", **settings):
    return load_corpus(corpus, embeddings, data_dir=str(data_dir), **settings)


def words(corpus, sentences, number):
    ids = sentences.ids[sentences.offsets[number] : sentences.offsets[number + 1]]
    return corpus.vectors[ids].tolist()


def test_sentences_become_vectors_between_markers(data_dir):
    corpus = load(data_dir)
    assert corpus.label == "SNLI-mini with vectors.txt"
    assert corpus.vectors[0].tolist() == [0, 0]
    train = corpus.parts["train"]
    assert train.labels.tolist() == [0, 1, 2]
    start, end = [1, 0], [0, 1]
    assert words(corpus, train.premises, 0) == [start, [1, 1], [2, 1], [3, 1], [4, 1], end]
    assert words(corpus, train.hypotheses, 0) == [start, [1, 1], [3, 1], [4, 1], end]
    assert words(corpus, train.hypotheses, 1) == [start, *[[5, 1]] * 4, end]
    assert words(corpus, train.premises, 2) == [start, end]  # none of its words has a vector
    # Three rows of their own, and those of the five words that occur.
    assert corpus.vectors.shape == (3 + 5, 2)


def test_a_table_in_lower_case(data_dir):
    (data_dir / "lower.txt").write_text("a 5 1\ndog 2 1\n")
    corpus = load(data_dir, embeddings="lower.txt")
    # The markers have no vectors, so they are zero.
    assert words(corpus, corpus.parts["test"].premises, 0) == [[0, 0], [5, 1], [2, 1], [0, 0]]


def test_pairs_without_a_label_are_counted_and_reported(data_dir, caplog):
    load(data_dir)
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        f"SNLI-mini: 1 of 4 {part} pairs have no gold label and are skipped"
        for part in ("train", "valid", "test")
    ]


def test_padding():
    sentences = Sentences(np.array([1, 5, 2, 1, 2], np.int32), np.array([0, 3, 5]))
    ids, lengths = sentences.padded(np.array([1, 0, 1]))
    assert ids.tolist() == [[1, 2, 0], [1, 5, 2], [1, 2, 0]]
    assert lengths.tolist() == [2, 3, 2]


def test_renumbering_against_a_loop():
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 6, 200)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    ids = rng.integers(0, 50, offsets[-1]).astype(np.int32)
    rows = np.where(rng.random(50) < 0.3, -1, 3 + np.arange(50)).astype(np.int32)
    found = renumber(ids, offsets, rows)
    for i in range(200):
        expected = [1, *(r for r in rows[ids[offsets[i] : offsets[i + 1]]] if r >= 0), 2]
        assert found.ids[found.offsets[i] : found.offsets[i + 1]].tolist() == expected


def record(**changes):
    fields = {"gold_label": "neutral", "sentence1": "A dog.", "sentence2": "A cat."} | changes
    return json.dumps({key: value for key, value in fields.items() if value is not None})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"gold_label": "neutral"', "no JSON (Expecting ',' delimiter at character 25)"),
        ("", "no JSON (Expecting value at character 1)"),
        ("[1, 2]", "no JSON object"),
        (record(gold_label=None), "no field 'gold_label'"),
        (record(sentence2=None), "no field 'sentence2'"),
        (record(sentence1=3), "sentence1 is 3; expected a text"),
        (record(gold_label="hidden"),
         "gold_label 'hidden'; expected entailment, neutral, contradiction or '-' (no label)"),
    ],
)  # fmt: skip
def test_malformed_lines(line, message):
    content = f"{record()}\n{line}\n{record()}\n".encode()
    with pytest.raises(DataError) as caught:
        read_pairs(content, "train.jsonl", "get another", {})
    assert str(caught.value) == f"train.jsonl, line 2: {message}; get another"


def test_bytes_that_are_no_utf8():
    with pytest.raises(DataError, match=r"^f, line 1: no UTF-8 \(invalid start byte\); hint$"):
        read_pairs(b'{"gold_label": "\xff"}\n', "f", "hint", {})


def test_no_pair_at_all():
    for content in (b"", lines([("-", "a", "b")])):
        with pytest.raises(DataError) as caught:
            read_pairs(content, "f", "hint", {})
        assert str(caught.value) == "f: no pair with a gold label; hint"


def test_a_malformed_file_is_named(data_dir):
    path = data_dir / "snli_mini_1.0" / "snli_mini_1.0_dev.jsonl"
    path.write_bytes(lines(PAIRS) + b"oops\n")
    with pytest.raises(DataError) as caught:
        load(data_dir)
    assert str(caught.value).startswith(f"{path}, line 5: no JSON (")
    assert "\n" not in str(caught.value)


def test_a_vocabulary_without_vectors(data_dir):
    (data_dir / "other.txt").write_text("<s> 1 0\n</s> 0 1\nperro 1 1\nA 1 2\n".replace("A", "Ä"))
    with pytest.raises(DataError) as caught:
        load(data_dir, embeddings="other.txt")
    # A dog runs . zyx a - the words of pairs with a label
    assert str(caught.value) == (
        f"{data_dir / 'other.txt'}: none of the 6 words of SNLI-mini has a vector; {HINT}"
    )


def test_vectors_of_another_length(data_dir):
    assert load(data_dir, embedding_dim=2).vectors.shape[1] == 2
    with pytest.raises(DataError) as caught:
        load(data_dir, embedding_dim=300)
    assert str(caught.value) == (
        f"{data_dir / 'vectors.txt'}: vectors of 2 numbers; embedding_dim asks for 300; {HINT}"
    )


def test_an_unknown_corpus():
    with pytest.raises(UsageError) as caught:
        snli("multinli")
    assert str(caught.value) == "corpus must be snli or snli_mini, not 'multinli'"


def test_missing_files_name_the_corpus_that_is_there(data_dir):
    with pytest.raises(DataError) as caught:
        load(data_dir, corpus="snli")
    message = str(caught.value)
    assert message.startswith(f"SNLI: snli_1.0.zip missing in {data_dir / 'snli'} or {data_dir}; ")
    assert message.endswith("; the files of --corpus snli_mini are there")


def test_missing_files_of_the_small_corpus(tmp_path):
    (tmp_path / "v.txt").write_text(GLOVE)
    with pytest.raises(DataError) as caught:
        load(tmp_path, embeddings="v.txt")
    assert str(caught.value).startswith("SNLI-mini: snli_mini_1.0_train.jsonl, ")
    assert "bring your own copy: snli_mini_1.0_train.jsonl and " in str(caught.value)


def test_the_data_of_a_run_are_known_before_it(data_dir, monkeypatch):
    def identify(vectors="vectors.txt"):
        return data_identity(
            find_testproblem("snli_bilstm"), split="validation", synthetic=False, offline=True,
            problem_options={"corpus": "snli_mini", "embeddings": vectors}, data_dir=str(data_dir),
        )  # fmt: skip

    first = identify()
    assert (first.data_set, first.label) == ("snli_mini", "SNLI-mini with vectors.txt")
    assert first.source == "unverified"
    assert first.version == load(data_dir).version
    with monkeypatch.context() as patch:
        patch.setattr(snli_corpus, "_prepared", None)  # it is not read again
        assert identify() == first
    (data_dir / "vectors.txt").write_text(GLOVE.replace("dog 2 1", "dog 2 2"))
    assert identify().version != first.version
    (data_dir / "other.txt").write_text(GLOVE)
    other = identify("other.txt")
    assert other.version == first.version
    assert other.label == "SNLI-mini with other.txt"


def test_the_official_archive(data_dir, tmp_path):
    unpacked = write_corpus(tmp_path / "unpacked" / "snli_1.0", "snli_1.0")
    folder = data_dir / "snli"
    folder.mkdir()
    with zipfile.ZipFile(folder / "snli_1.0.zip", "w") as archive:
        archive.writestr("__MACOSX/snli_1.0/._snli_1.0_dev.jsonl", b"rubbish")
        for path in unpacked.iterdir():
            archive.write(path, f"snli_1.0/{path.name}")
    packed = load(data_dir, corpus="snli")
    assert packed.label == "SNLI (unverified files) with vectors.txt"
    assert packed.source == "unverified"
    plain = load(unpacked.parent, corpus="snli", embeddings=str(data_dir / "vectors.txt"))
    assert packed.version == plain.version == load(data_dir).version
    [file] = SNLI.files
    assert fetch.check_file(SNLI, file, str(data_dir))[1] is FileState.UNVERIFIED
    content = (folder / "snli_1.0.zip").read_bytes()
    (folder / "snli_1.0.zip").write_bytes(content[:-30])
    assert fetch.check_file(SNLI, file, str(data_dir))[1] is FileState.CORRUPT
    with pytest.raises(DataError, match=r"truncated or corrupt; expected a \.zip file"):
        load(data_dir, corpus="snli")


def test_an_archive_without_a_file(data_dir):
    with zipfile.ZipFile(data_dir / "snli_1.0.zip", "w") as archive:
        archive.writestr("snli_1.0/snli_1.0_dev.jsonl", lines(PAIRS))
    with pytest.raises(DataError, match=r"snli_1\.0_train\.jsonl, snli_1\.0_test\.jsonl not in it"):
        load(data_dir, corpus="snli")


def test_files_with_the_official_digests(data_dir, monkeypatch):
    monkeypatch.setattr(snli_corpus, "is_official", lambda source, contents: True)
    write_corpus(data_dir / "snli_1.0", "snli_1.0")
    assert load(data_dir, corpus="snli").label == "SNLI with vectors.txt"


def test_the_cache(data_dir, cache, monkeypatch):
    first = load(data_dir)
    folder = cache / "prepared" / "snli_mini"
    [stored], [index] = folder.glob("*.npz"), folder.glob("*.json")
    assert len(list(folder.iterdir())) == 2  # no temporary files
    monkeypatch.setattr(snli_corpus, "read_pairs", None)  # would break if it were used
    snli_corpus._prepared.cache_clear()
    again = load(data_dir)
    assert again.version == first.version
    np.testing.assert_array_equal(again.vectors, first.vectors)
    for part, pairs in first.parts.items():
        for name, values in pairs.arrays().items():
            np.testing.assert_array_equal(again.parts[part].arrays()[name], values)
    # The same content in another place is recognized, too.
    moved = data_dir.rename(data_dir.with_name("moved"))
    assert load(moved).version == first.version
    moved.rename(data_dir)
    monkeypatch.undo()
    monkeypatch.setenv(fetch.CACHE_VARIABLE, str(cache))
    for damaged, content in ((stored, b"PK"), (index, b"{"), (stored, stored.read_bytes()[:-99])):
        damaged.write_bytes(content)
        snli_corpus._prepared.cache_clear()
        assert load(data_dir).version == first.version


def test_other_content_is_prepared_anew(data_dir):
    first = load(data_dir)
    (data_dir / "vectors.txt").write_text(GLOVE.replace("dog 2 1", "dog 2 2"))
    second = load(data_dir)
    assert second.version != first.version
    path = data_dir / "snli_mini_1.0" / "snli_mini_1.0_train.jsonl"
    path.write_bytes(lines([*PAIRS, ("neutral", "A dog.", "A dog runs.")]))
    assert len(load(data_dir).parts["train"].labels) == 4


def test_a_cache_that_cannot_be_written(data_dir, cache, caplog):
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("a file where the folder should be")
    assert load(data_dir).label == "SNLI-mini with vectors.txt"
    assert "preparing will take as long again" in caplog.text


def test_batches_are_as_long_as_their_longest_sentence(data_dir):
    data = snli("snli_mini", "vectors.txt", data_dir=str(data_dir))
    assert data.name == "snli_mini"
    assert data.train_eval_size == 3
    batch = data.take("train", torch.tensor([2, 0]))
    assert batch.premises.shape == (2, 6, 2)
    assert batch.hypotheses.shape == (2, 5, 2)
    assert batch.premise_lengths.tolist() == [2, 6]
    assert not batch.premises[0, 2:].any()
    assert batch.labels.tolist() == [2, 0]
    [one] = data.slices("test", 2)
    assert one.labels.tolist() == [0, 1]
    assert [len(b.labels) for b in data.slices("test", 2, False)] == [2, 1]


def test_the_twin_is_the_same_every_time():
    one, two = snli(synthetic=True), snli(synthetic=True)
    assert one.version == two.version
    assert one.label == "SNLI (synthetic twin)"
    assert one.vectors.shape[1] == 300
    assert {part: one.size(part) for part in one.parts} == {"train": 256, "valid": 64, "test": 64}


def test_the_files_are_known_to_the_data_verb(data_dir):
    assert all(fetch.find_file(SNLI_MINI, file, str(data_dir)) for file in SNLI_MINI.files)
    assert fetch.find_file(SNLI, SNLI.files[0], str(data_dir)) is None
    write_corpus(data_dir / "snli_1.0", "snli_1.0")
    assert fetch.find_file(SNLI, SNLI.files[0], str(data_dir)) == data_dir / "snli_1.0"
