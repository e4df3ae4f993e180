"""What tests of DeepOBS's API share."""

from __future__ import annotations

import sys

import pytest

from alig_deepobs.runners.deepobs import pytorch_config


@pytest.fixture
def script(monkeypatch, tmp_path):
    """A script without arguments, in an empty folder."""
    monkeypatch.setattr(sys, "argv", ["script.py"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pytorch_config, "get_default_device", lambda: "cpu")
