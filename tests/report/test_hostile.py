"""Text of strangers in a terminal and in files: a test reads the bytes."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from alig_deepobs.analysis import load_results
from alig_deepobs.analysis.frames import write_csv
from alig_deepobs.analysis.report import build_report
from alig_deepobs.analysis.report.page import write_page

from .hostile import ACTING, FREE, PIECES, SHORT, text_fields, write_hostile
from .test_page import Opened

# What the commands themselves send: colours and the cursor of a progress display.
OURS = re.compile(rb"\x1b\[[0-9;]*m|\r\n|\x1b\[\?25[hl]")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, run_maker):
    return write_hostile(tmp_path_factory.mktemp("hostile"), run_maker)


def environment():
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "TERM": "xterm-256color", "COLUMNS": "120"}


def in_a_terminal(*words):
    """What a command sends to a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "alig_deepobs", *map(str, words)],
        stdin=slave, stdout=slave, stderr=slave, env=environment(), close_fds=True,
    )  # fmt: skip
    os.close(slave)
    said = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(master)
    return process.wait(), said


def check(text):
    assert not set(text) & ACTING, sorted(set(text) & ACTING)


def test_no_text_field_was_forgotten():
    # The first three are checked values.
    checked = {"framework", "split", "precision", "testproblem", "purpose"}
    assert text_fields() == {*FREE, *SHORT, *checked}


def test_a_terminal_gets_no_commands(hostile):
    code, said = in_a_terminal("report", hostile)
    assert code == 1  # two files were skipped
    assert b"skipped" in said
    assert b"\\x1b[2J" in said  # it is shown
    assert b"\x1b[1m" in said  # and ours is there: this is a terminal
    check(OURS.sub(b"", said).decode())


@pytest.mark.parametrize(
    "words",
    [
        ("run", "\x1b[2Jx\u202e"),
        ("run", "digits_mlp", "--optimizer", "\x1b]52;c;cm0=\x07"),
        ("run", "digits_mlp", "--optimizer", "sgd[lr='\x1b[2J']"),
        ("run", "digits_mlp", "--optimizer", "\x1b[2J:X"),
        ("\x1b[2J",),
        ("report", "\x1b[2Jnowhere"),
        ("baselines", "show", "\x1b[2J"),
        ("baselines", "import", "\x1b[2J"),
        ("baselines", "remove", "\x1b[2J"),
        ("data", "verify", "\x1b[2J"),
    ],
)
def test_no_error_sends_commands(call, words):
    called = call(*words)
    assert called.code
    check(called.out + called.err)
    assert "\\x1b" in called.err


def test_imports_show_nothing_that_acts(call, hostile):
    verbs = (
        ["import", hostile, "--name", "it"],
        ["show"],
        ["show", "digits_mlp"],
        ["show", "--json"],
    )
    for words in verbs:
        called = call("baselines", *words)
        check(called.out + called.err)
        assert called.code == (1 if "import" in words else 0), called.err


def test_files_of_a_report(call, hostile, tmp_path):
    called = call("report", hostile, "--markdown", "r.md", "--latex", "t", "--csv", "c", "--html",
                  "r.html", "--figures", "f")  # fmt: skip
    assert called.code == 1
    check(called.out + called.err)
    texts = (".md", ".tex", ".csv", ".html")
    files = [path for path in tmp_path.rglob("*") if path.suffix in texts]
    assert len(files) > 8
    for path in files:
        check(path.read_text())
    assert {path.suffix for path in (tmp_path / "f").iterdir()} == {".pdf", ".png"}
    markdown = (tmp_path / "r.md").read_text()
    assert not re.search(r"(?<!\\)\]\(", markdown)
    for live in ("<script", "<img", "$x$", " `y`", "| *z*", "https://example"):
        assert live not in markdown
    for path in (tmp_path / "t").iterdir():
        text = path.read_text()
        assert "\\input{" not in text
        assert "\\write18" not in text
        assert not re.search(r"(?<!\\)[$&#_%](?!pm|uparrow|downarrow|infty|\\)", _cells(text))
    for path in (tmp_path / "c").iterdir():
        for line in path.read_text().splitlines():
            assert not re.search(r'(^|,)"?[=@]', line), line


def _cells(text):
    """The cells of the rows of a table of LaTeX, without what is ours between them."""
    rows = re.findall(r"^    (?!\\)(.*) \\\\$", text, re.MULTILINE)
    return " ".join(cell for row in rows for cell in row.split(" & "))


def test_the_frame_as_csv(hostile, tmp_path):
    path = write_csv(load_results(hostile).results, tmp_path / "runs.csv")
    check(path.read_text())


def test_the_page_is_written(hostile, tmp_path):
    page = write_page(build_report([hostile]), tmp_path / "page.html").read_text()
    check(page)
    assert page.count("<script>") == 2  # both are ours
    for piece in PIECES:
        if "<" in piece:
            assert piece not in page


def test_the_page_of_hostile_texts_in_a_browser(hostile, tmp_path, browser):
    path = write_page(build_report([hostile], ("measured",)), tmp_path / "page.html")
    found = Opened(browser, path)
    found.scroll_through()
    found.page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    for link in found.page.locator("a:visible").all()[:20]:
        assert (link.get_attribute("href") or "#").startswith("#")
    assert found.page.title().startswith("Optimizer report")
    assert found.requests == [path.as_uri()]
    assert found.complaints == []
    assert found.page.evaluate("document.querySelectorAll('script').length") == 2
    handlers = "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())"
    assert not [n for n in found.page.evaluate(handlers) if n.startswith("on")]
    found.context.close()


def test_paths_of_these_tests_are_unusual(hostile):
    assert any("\x1b" in path.name for path in Path(hostile).rglob("*.json"))


def test_log_lines_send_no_commands(tmp_path):
    """What torch says of a broken checkpoint, for example, has names out of the file."""
    code = (
        "import logging, sys, alig_deepobs.cli.main as m\n"
        "m.VERBS['list'] = ('test_log:verb', '')\n"
        "import types, click\n"
        "verb = click.command()(lambda: logging.getLogger('x').warning('%s', '\\x1b[2J\\u202e'))\n"
        "sys.modules['test_log'] = types.SimpleNamespace(verb=verb)\n"
        "m.main(['list'])\n"
    )
    ended = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, check=False,
                           env=environment(), cwd=tmp_path, text=True)  # fmt: skip
    assert "\\x1b[2J" in ended.stderr, ended.stderr
    check(ended.stderr)
