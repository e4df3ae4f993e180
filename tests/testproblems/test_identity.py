"""What a run will be trained on, known before it starts."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import torch

import alig_deepobs
from alig_deepobs import registry
from alig_deepobs.entries import ProblemEntry
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import find_testproblem
from alig_deepobs.testproblems.datasets import digits as digits_module
from alig_deepobs.testproblems.datasets import identity as identity_module
from alig_deepobs.testproblems.datasets.digits import digits
from alig_deepobs.testproblems.datasets.identity import data_identity
from alig_deepobs.testproblems.datasets.sources import SOURCES

# What committed results hold.
DIGITS = "6c1302fcc9a00669a4c1338e735f1115f71413e83b8f72812b47a811aea66055"
QUADRATIC = "11f8f84f8197aeb8fd25c14c594e904677eb3845e2a055e47d07baa5ba283354"
TWO_D = "874ccb974fd0680ced9aa254495ce5dab3a8b5a6216ddc52506fe613e4819ff8"


def identify(name, **changes):
    arguments = {
        "problem_options": {}, "split": "full", "synthetic": False, "data_dir": None,
        "offline": True, **changes,
    }  # fmt: skip
    return data_identity(find_testproblem(name), **arguments)


@pytest.fixture
def loads(monkeypatch):
    """The problems whose data were loaded, one entry for each time."""
    names = []
    original = identity_module._loaded

    def counted(problem, *arguments):
        names.append(problem.name)
        return original(problem, *arguments)

    monkeypatch.setattr(identity_module, "_loaded", counted)
    return names


@pytest.mark.parametrize(
    ("name", "version", "source"),
    [
        ("digits_mlp", DIGITS, "bundled"),
        ("quadratic_deep", QUADRATIC, "generated"),
        ("two_d_beale", TWO_D, "generated"),
    ],
)
def test_versions_of_the_full_split_stay(name, version, source):
    assert identify(name).version == version
    assert identify(name).source == source


# Raise `alig_deepobs.run.NUMBERS_VERSION` with it: runs that choose by the validation set change.
DIGITS_VALIDATION = "6b7cfb760de7a59d15e78b1603a47338dd6ce1214a79ab584bdd98a68af798e4"


def test_other_held_out_examples_are_another_version():
    data = digits()
    assert data.version_for("validation") == DIGITS_VALIDATION
    another = dataclasses.replace(data, held_out=torch.arange(256))
    assert another.for_split("full").version == data.for_split("full").version == data.version
    one, other = data.for_split("validation"), another.for_split("validation")
    assert len({one.version, other.version, data.version}) == 3
    in_other_order = dataclasses.replace(data, held_out=data.held_out.flip(0))
    assert in_other_order.for_split("validation").version == one.version


@pytest.mark.parametrize("name", sorted(registry.testproblems()))
def test_what_is_said_before_is_what_the_problem_has(name, loads):
    entry = find_testproblem(name)
    said = identify(name, split=entry.default_split, synthetic=True)
    problem = entry.load()(2, synthetic=True, device="cpu", split=entry.default_split)
    data = problem.load_data().for_split(problem.split)
    facts = (data.name, data.label, "synthetic", data.version)
    assert (said.data_set, said.label, said.source, said.version) == facts
    if problem.drops_incomplete:
        assert said.smallest_size == min(data.size(part) for part in data.parts)
    assert data.source == "synthetic"
    assert identify(name, split=entry.default_split, synthetic=True) == said
    assert loads == [name]


def test_runs_that_differ_in_their_data_do_not_share_an_identity():
    found = [
        identify("digits_mlp", split=split, synthetic=synthetic)
        for split in ("full", "validation")
        for synthetic in (False, True)
    ]
    assert len({data.version for data in found}) == 4


def test_remembered_data_need_neither_torch_nor_scikit_learn(tmp_path, cache):
    code = (
        "import sys, time\n"
        "from alig_deepobs.registry import find_testproblem\n"
        "from alig_deepobs.testproblems.datasets.identity import data_identity\n"
        "start = time.perf_counter()\n"
        "data = data_identity(find_testproblem('digits_mlp'), problem_options={}, split='full',\n"
        "                     synthetic=False, data_dir=None, offline=True)\n"
        "print(data.version, 'torch' in sys.modules, 'sklearn' in sys.modules)\n"
        "print(time.perf_counter() - start)\n"
    )
    folder = str(Path(alig_deepobs.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": folder}

    def call():
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        facts, seconds = done.stdout.splitlines()
        return facts, float(seconds)

    assert call()[0] == f"{DIGITS} True False"  # not even when they are read
    facts, seconds = call()
    assert facts == f"{DIGITS} False False"
    assert seconds < 2.0  # it takes 10 ms; on a machine under load, longer


def test_an_edited_file_is_another_version(mnist_folder, write_idx, mnist_arrays, loads):
    def ask():
        return identify("mnist_mlp", data_dir=str(mnist_folder), split="validation")

    before = ask()
    assert before.label == "MNIST (unverified files)"
    assert before.source == "unverified"
    assert ask() == before
    assert loads == ["mnist_mlp"]
    name = "t10k-labels-idx1-ubyte.gz"
    write_idx(mnist_folder / "mnist" / name, (mnist_arrays[name] + np.uint8(1)) % 10)
    assert ask().version != before.version
    write_idx(mnist_folder / "mnist" / name, mnist_arrays[name])
    assert ask() == before
    assert loads == ["mnist_mlp"] * 3


def test_official_files(official, mnist_folder, monkeypatch):
    from alig_deepobs.testproblems.datasets import images

    monkeypatch.setattr(images, "MNIST", official)
    monkeypatch.setitem(SOURCES, "mnist", official)
    found = identify("mnist_logreg", data_dir=str(mnist_folder))
    assert (found.source, found.label) == ("official", "MNIST")


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"state": 1}', "\0", None])
def test_a_damaged_cache_is_made_anew(damage, cache, loads):
    said = identify("digits_logreg")
    (place,) = (cache / "identities").iterdir()
    good = json.loads(place.read_text())
    if damage is None:
        place.write_text(json.dumps({**good, "source": "somewhere"}))
    else:
        place.write_text(damage)
    assert identify("digits_logreg") == said
    assert json.loads(place.read_text()) == good
    assert loads == ["digits_logreg"] * 2


def test_without_a_cache_that_can_be_written(cache, loads):
    cache.write_text("a file where the folder should be")
    assert identify("digits_logreg") == identify("digits_logreg")
    assert loads == ["digits_logreg"] * 2


def test_other_code_and_other_packages_are_asked_again(loads, monkeypatch):
    identify("digits_logreg")
    monkeypatch.setattr(identity_module, "_versions", lambda: ("0.1.0", "3.0", "1.0"))
    identify("digits_logreg")
    code = Path(digits_module.__file__).resolve()
    stamps = {Path(path).resolve(): (size, changed) for path, size, changed in
              identity_module._code()}  # fmt: skip
    assert stamps[code] == (code.stat().st_size, code.stat().st_mtime_ns)
    monkeypatch.setattr(identity_module, "_code", lambda: (("digits.py", 1, time.time_ns()),))
    identify("digits_logreg")
    assert loads == ["digits_logreg"] * 3


def test_tensorflow_reads_the_same_data_but_for_one_mistake():
    for name, other in (("fmnist_mlp", "mnist_mlp"), ("fmnist_2c2d", "fmnist_2c2d"),
                        ("dnc_copy", "dnc_copy")):  # fmt: skip
        said = identify(name, synthetic=True, framework="tensorflow")
        assert said == identify(other, synthetic=True)
    assert identify("fmnist_mlp", synthetic=True).data_set == "fmnist"


def test_problems_of_others_are_never_remembered(loads, monkeypatch):
    # Nobody knows what their code depends on.
    module = types.ModuleType("their_problems")
    module.theirs = find_testproblem("digits_mlp").load()
    monkeypatch.setitem(sys.modules, "their_problems", module)
    theirs = ProblemEntry("theirs", "Theirs", "their_problems:theirs", "digits", 8, 1)
    said = [
        data_identity(
            theirs, problem_options={}, split="full", synthetic=True, data_dir=None, offline=True
        )
        for _ in range(2)
    ]
    assert said[0] == said[1] == identify("digits_mlp", synthetic=True)
    assert loads == ["theirs", "theirs", "digits_mlp"]


def test_nothing_to_hold_out_is_found_before_the_run():
    with pytest.raises(UsageError, match="two_d has no validation set"):
        identify("two_d_beale", split="validation")
