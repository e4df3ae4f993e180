"""Maps the rooms of the repository into the package; all metadata is in pyproject.toml.

``runners/``, ``testproblems/``, ``baselines/`` and ``analysis/`` stand at the top of the
repository, where people look for them, and are installed as sub-packages of ``alig_deepobs``,
so that nothing called ``runners`` ever lands at the top level of somebody's environment.
"""

from setuptools import find_packages, setup

ROOMS = ("runners", "testproblems", "baselines", "analysis")

packages = find_packages(include=["alig_deepobs", "alig_deepobs.*"])
for room in ROOMS:
    packages.append(f"alig_deepobs.{room}")
    packages += [f"alig_deepobs.{room}.{name}" for name in find_packages(room)]

setup(
    packages=packages,
    package_dir={f"alig_deepobs.{room}": room for room in ROOMS},
)
