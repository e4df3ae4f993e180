"""Fixtures for all tests."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """No test reads or fills the cache of the user, and none reaches the network by accident."""
    monkeypatch.setenv("ALIG_DEEPOBS_CACHE", str(tmp_path_factory.mktemp("cache")))


def pytest_configure(config):
    # The networks of the tests are so small that a second thread costs more than it brings, and
    # with parallel test workers the threads would fight for the cores.
    torch.set_num_threads(1)
