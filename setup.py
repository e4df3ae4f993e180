"""Maps the rooms of the repository into the package; all metadata is in pyproject.toml.

``runners/``, ``testproblems/``, ``baselines/`` and ``analysis/`` stand at the top of the
repository, where people look for them, and are installed as sub-packages of ``alig_deepobs``,
so that nothing called ``runners`` ever lands at the top level of somebody's environment. In a
checkout, symbolic links show the same tree to tools that only read files.
"""

from setuptools import find_packages, setup

ROOMS = ("runners", "testproblems", "baselines", "analysis")

links = [f"alig_deepobs.{room}*" for room in ROOMS]
packages = find_packages(include=["alig_deepobs", "alig_deepobs.*"], exclude=links)
for room in ROOMS:
    packages.append(f"alig_deepobs.{room}")
    packages += [f"alig_deepobs.{room}.{name}" for name in find_packages(room)]

setup(
    packages=packages,
    package_dir={f"alig_deepobs.{room}": room for room in ROOMS},
)
