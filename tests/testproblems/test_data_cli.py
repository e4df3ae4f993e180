"""``alig-deepobs data``."""

import json

import pytest
from click.testing import CliRunner

from alig_deepobs.cli.main import cli
from alig_deepobs.errors import DataError, UsageError
from alig_deepobs.testproblems.datasets.sources import SOURCES


def run(*args):
    # Through the group: a command of click keeps the help option of its first call for good.
    return CliRunner().invoke(cli, ["data", *map(str, args)])


@pytest.fixture
def patched(monkeypatch, official):
    monkeypatch.setitem(SOURCES, "mnist", official)


def test_list(mnist_folder):
    result = run("list", "--data-dir", mnist_folder)
    assert result.exit_code == 0
    table, _, places = result.output.partition("\n\n")
    place = places.splitlines()[1]
    assert place == f"  {mnist_folder}  --data_dir: any well-formed files count"
    lines = {line.split()[0]: line for line in table.splitlines()}
    assert set(lines) == {"name", *SOURCES}
    assert "4 of 4" in lines["mnist"]
    assert "0 of 4" in lines["fmnist"]
    assert "FashionMNIST/raw" in lines["fmnist"]
    assert "built in" in lines["digits"]
    rows = json.loads(run("list", "--json").output)
    assert [row["name"] for row in rows] == list(SOURCES)
    assert rows[0]["testproblems"] == ["mnist_logreg", "mnist_mlp", "mnist_2c2d", "mnist_vae"]
    assert rows[0]["present"] == 0


def test_verify_good_files(patched, mnist_folder):
    result = run("verify", "mnist", "digits", "--data_dir", mnist_folder)
    assert result.exit_code == 0
    assert result.output.count("  ok  ") == 4
    assert "built in" in result.output


def test_verify_bad_files(patched, mnist_folder):
    (mnist_folder / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    (mnist_folder / "mnist" / "t10k-images-idx3-ubyte.gz").write_bytes(b"junk")
    result = run("verify", "mnist", "--data_dir", mnist_folder)
    assert result.exit_code == 1
    assert "missing" in result.output
    assert "corrupt" in result.output
    assert isinstance(result.exception, DataError)
    assert "2 files are not ok; `alig-deepobs data fetch mnist" in str(result.exception)
    assert isinstance(run("verify").exception, DataError)


def test_fetch(patched, mnist_folder):
    result = run("fetch", "mnist", "two_d", "--data_dir", mnist_folder, "--offline")
    assert result.exit_code == 0
    assert "two_d: built in" in result.output
    assert result.output.count("ubyte.gz") == 4
    assert isinstance(run("fetch", "mnist", "--offline").exception, DataError)
    assert isinstance(run("fetch", "mnits").exception, UsageError)
    assert run("fetch").exit_code == 2
