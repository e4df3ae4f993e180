"""Calls the command line in this process."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from alig_deepobs.cli.main import main


@dataclass
class Called:
    """What a call printed and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Runs ``alig-deepobs ...`` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        return Called(caught.value.code or 0, printed.out, printed.err)

    return run
