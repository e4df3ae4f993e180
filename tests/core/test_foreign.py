"""What others wrote: text that is shown, JSON and files that are read."""

from __future__ import annotations

import gzip
import io
import json
import os
import tracemalloc
import unicodedata

import pytest

from alig_deepobs.foreign import (
    MOST_ITEMS,
    MOST_NESTED,
    MOST_OBJECTS,
    bounded,
    gzip_lines,
    open_regular,
    parse_json,
    read_regular,
    shown,
)

# Clears a screen, writes the clipboard (OSC 52), C1, turns text around, hides it, ends a line.
HOSTILE = "\x1b[2J\x1b]52;c;cm0=\x07\x9b31m\x7f\r\n\u202e\u2066\u200b\ufeff\u2028\ud800\U000e0041"


def test_nothing_that_acts_unseen_is_shown():
    text = shown(f"a{HOSTILE}b")
    assert text.isascii()
    assert text.isprintable()
    assert text.startswith(r"a\x1b[2J\x1b]52;c;cm0=\x07\x9b31m\x7f\r\n\u202e")
    assert shown("a\nb\tc\rd", lines=True) == "a\nb\tc\\rd"


@pytest.mark.parametrize("text", ["Łukasz Müller", "学習率", "מודל", "α ≤ 1 · 50 %", "", "a\\nb"])
def test_ordinary_text_stays_what_it_is(text):
    assert shown(text) == text


def test_every_character_is_shown_or_escaped():
    text = shown("".join(map(chr, range(0x110000))))
    assert not set(map(unicodedata.category, text)) & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_json_with_bounds():
    assert parse_json(b'{"a": [1, 2.5, null, "x"]}') == {"a": [1, 2.5, None, "x"]}
    assert parse_json(b"[" * MOST_NESTED + b"]" * MOST_NESTED)
    assert parse_json(f"[{2**63 - 1}]".encode()) == [2**63 - 1]
    assert parse_json(b'["\\ud83d\\ude00"]') == ["\U0001f600"]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"{", "Expecting property name"),
        (b"[" * 17 + b"]" * 17, "16 levels"),
        (b"[" * 100_000, "16 levels"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "16 levels"),
        (b"[9223372036854775808]", "over 64 bits"),
        (b"[" + b"9" * 5000 + b"]", "over 64 bits"),
        (b'["\\ud800"]', "half a character"),
        (b'{"\\uDFFF": 1}', "half a character"),
        (b'["\xed\xa0\x80"]', "codec can't decode"),
        (json.dumps([1]).encode("utf-16"), "codec can't decode"),
    ],
)
def test_json_beyond_them(raw, words):
    with pytest.raises(ValueError, match=words):
        parse_json(raw)


def test_only_ordinary_files_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_regular(tmp_path / "file", 4)
    with pytest.raises(OSError, match="no ordinary file"):
        open_regular(tmp_path)
    os.mkfifo(tmp_path / "pipe")  # whoever opened it would wait for a writer
    with pytest.raises(OSError, match="no ordinary file"):
        read_regular(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="no ordinary file"):
        read_regular(tmp_path / "zeros")


def test_no_more_is_decompressed_than_there_may_be(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(1 << 24)))
    with pytest.raises(OSError, match="more than 1,000 bytes"):
        list(gzip_lines(path, 1 << 20, longest=1000))
    path.write_bytes(gzip.compress(b"line\n" * 1000))
    assert len(list(gzip_lines(path, 5000))) == 1000
    with pytest.raises(OSError, match="more than 4,999 bytes"):
        list(gzip_lines(path, 4999))
    stream = io.BytesIO(bytes(1 << 24))
    with pytest.raises(OSError, match="more than 100 bytes"):
        bounded(stream, 100)
    assert stream.tell() == 101


@pytest.mark.parametrize(
    "item", [b"[],", b"{},", b'{"a":0},', b"[[[]]],"], ids=["lists", "objects", "filled", "nested"]
)
def test_lists_of_few_bytes_take_no_memory(item):
    raw = b"[" + item * (MOST_OBJECTS + 1) + b"0]"
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="100,000 lists and objects"):
            parse_json(raw)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_numbers_are_counted_before_they_are_read():
    assert len(parse_json(b"[" + b"1," * 1000 + b"0]")) == 1001
    with pytest.raises(ValueError, match="more than 2,000,000 items"):
        parse_json(b"[" + b"0," * MOST_ITEMS + b"0]")
