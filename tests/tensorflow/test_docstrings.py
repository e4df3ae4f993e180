"""The examples in the docstrings of modules that import TensorFlow run."""

import json

CODE = """
import doctest, importlib, inspect, json, pkgutil, re, sys
from pathlib import Path

found = {}
for package in (
    "alig_deepobs.tensorflow",
    "alig_deepobs.runners.tensorflow",
    "alig_deepobs.testproblems.tensorflow",
):
    try:
        folder = importlib.import_module(package).__path__
    except ModuleNotFoundError:
        continue
    for item in pkgutil.iter_modules(folder, package + "."):
        source = Path(item.module_finder.find_spec(item.name).origin).read_text()
        if not re.search(r"^import tensorflow|^tf: Any = require\\(", source, re.MULTILINE):
            continue
        module = importlib.import_module(item.name)
        silent = [
            name for name, value in vars(module).items()
            if getattr(value, "__module__", None) == item.name and not name.startswith("_")
            and callable(value) and not inspect.getdoc(value)
        ]
        result = doctest.testmod(module)
        found[item.name] = [result.attempted, result.failed, silent]
print(json.dumps(found))
"""


def test_examples_and_docstrings(python):
    printed = python("-c", CODE)
    found = json.loads(printed.splitlines()[-1])
    assert "alig_deepobs.runners.tensorflow.recording" in found
    for name in ("alig", "keras", "tf_keras", "_step"):
        assert f"alig_deepobs.tensorflow.{name}" in found
    for name, (_, failed, silent) in found.items():
        assert not failed, printed
        assert not silent, name
    assert found["alig_deepobs.tensorflow.alig"][0] > 0
