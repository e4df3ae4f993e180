"""Fixtures for all tests."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest
import torch
from hypothesis import HealthCheck, settings

from alig_deepobs.cli.main import main

# On a busy machine the first draws can take a second, which says nothing about a test.
settings.register_profile("busy", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

_AT_THE_START = {
    name: os.environ.get(name) for name in ("PYTHONSAFEPATH", "ALIG_DEEPOBS_PLUGIN_FOLDER")
}


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


@pytest.fixture(autouse=True)
def _own_environment():
    """What the command line sets for its own processes does not reach those of other tests."""
    yield
    for name, value in _AT_THE_START.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """No test reads or fills the cache of the user, and none reaches the network by accident."""
    monkeypatch.setenv("ALIG_DEEPOBS_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr("alig_deepobs.testproblems.datasets.fetch.SHARED_FOLDERS", ())


def pytest_configure(config):
    # The networks of the tests are so small that a second thread costs more than it brings, and
    # with parallel test workers the threads would fight for the cores.
    torch.set_num_threads(1)


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist there is nothing to schedule
def pytest_xdist_make_scheduler(config, log):
    """Gives the tests of a file that share a process of TensorFlow to one worker, others singly."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return file if file.startswith("tests/tensorflow/") else nodeid

    return Scheduling(config, log)
