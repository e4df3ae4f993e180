"""Who imports whom: no circles. The contract in pyproject.toml says which room may import which."""

from __future__ import annotations

import graphlib
from pathlib import Path

import grimp
import pytest

import alig_deepobs


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("alig_deepobs", cache_dir=None, exclude_type_checking_imports=True)


def test_every_module_is_seen(graph):
    # The rooms at the top are links in the package of a checkout; a tool that does not follow them
    # would find nothing to complain about.
    folder = Path(alig_deepobs.__file__).parent
    rooms = [path for path in folder.iterdir() if path.is_dir()]
    files = [
        *folder.glob("*.py"),
        *(file for room in rooms for file in room.resolve().rglob("*.py")),
    ]
    assert len(rooms) > 5
    assert len(graph.modules) == len(files)


def test_no_circle_of_imports(graph):
    order = graphlib.TopologicalSorter(
        {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    )
    try:
        order.prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))
