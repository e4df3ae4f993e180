"""The rooms at the top of the repository are installed as sub-packages of alig_deepobs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

IMPORT_ALL = """
import importlib, pathlib, sys
folder = pathlib.Path(sys.argv[1])
for room in ("", ".runners", ".testproblems", ".baselines", ".analysis", ".cli.main"):
    module = importlib.import_module("alig_deepobs" + room)
    assert pathlib.Path(module.__file__).is_relative_to(folder), module.__file__
from alig_deepobs.baselines import known_setting
from alig_deepobs.testproblems.datasets.sources import MNIST
from alig_deepobs import AliG, StandardRunner
assert known_setting("quadratic_deep", "sgd") is not None  # the tables came along
from alig_deepobs.baselines import measured_problems, published_runs
assert "quadratic_deep" in measured_problems()
assert len(published_runs("quadratic_deep", "sgd")[9].test_losses) == 101
from alig_deepobs.testproblems.epoch_seconds import seconds_per_epoch
assert seconds_per_epoch("digits_mlp", 32) > 0
assert importlib.util.find_spec("runners") is None
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # A copy, so that the build leaves nothing behind in the checkout.
    subprocess.run(
        ["git", "-C", str(REPOSITORY), "checkout-index", "-a", f"--prefix={source}/"], check=True
    )
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(source)],
        check=True,
    )
    return next(folder.glob("alig_deepobs-*.whl"))


@pytest.mark.slow
def test_wheel_outside_the_checkout(wheel, tmp_path):
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(site)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"alig_deepobs"}
    # -I would hide PYTHONPATH; -P keeps the current folder off the path.
    subprocess.run(
        [sys.executable, "-P", "-c", IMPORT_ALL, str(site)],
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(site), "PATH": ""},
    )
    licences = [name for name in names if "LICENSE" in name]
    assert any("DeepOBS_Baselines" in name for name in licences)


def test_editable_install_has_every_room():
    code = "import alig_deepobs.runners, alig_deepobs.analysis, alig_deepobs.baselines"
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")
