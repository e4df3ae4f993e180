"""``alig-deepobs doctor``: what is installed, what works, and how to mend what does not."""

from __future__ import annotations

import json as json_module
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata

import click
from packaging.requirements import Requirement

from alig_deepobs.cli.output import say

OURS = "alig-deepobs"
FOR_DEVELOPERS = frozenset({"test", "mutate", "browser"})
"""Extras that serve the tests of this package."""


@dataclass(frozen=True)
class Check:
    """One line of the report; ``state`` is ok, missing (optional) or broken."""

    name: str
    state: str
    detail: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def doctor(as_json: bool) -> int:
    """Check this installation; exit code 1 if something that is needed is broken."""
    checks = [
        Check("python", "ok", f"{platform.python_version()} ({sys.executable})"),
        *_packages(),
        _guarded("device", _device),
        _guarded("one ALI-G step", _step),
        _guarded("data cache", _cache),
    ]
    if as_json:
        say(json_module.dumps([asdict(check) for check in checks], indent=2))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            say(f"{check.state:7s}  {check.name:{width}s}  {check.detail}")
    return 1 if any(check.state == "broken" for check in checks) else 0


def _packages() -> Iterator[Check]:
    """The packages that this one needs, then those of its extras, each once."""
    try:
        ours = metadata.metadata(OURS)
    except metadata.PackageNotFoundError:
        yield Check(OURS, "broken", "not installed: pip install . in its folder")
        return
    extras = [name for name in ours.get_all("Provides-Extra") or () if name not in FOR_DEVELOPERS]
    needed = [Requirement(text) for text in ours.get_all("Requires-Dist") or ()]
    seen: set[str] = set()
    for extra in ("", *extras):
        for requirement in needed:
            marker = requirement.marker
            if requirement.name not in seen and (not marker or marker.evaluate({"extra": extra})):
                seen.add(requirement.name)
                yield _package(requirement, extra)


def _package(requirement: Requirement, extra: str) -> Check:
    name, wanted = requirement.name, requirement.specifier
    remedy = f"pip install '{OURS}[{extra}]'" if extra else f"pip install '{name}{wanted}'"
    state, optional = ("missing", "optional, ") if extra else ("broken", "")
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, state, f"{optional}not installed: {remedy}")
    if not wanted.contains(version, prereleases=True):
        return Check(name, state, f"{optional}{version}, but {wanted} is needed: {remedy}")
    return Check(name, "ok", version)


def _guarded(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", check())
    except Exception as error:  # noqa: BLE001 - whatever is broken, the report goes on
        return Check(name, "broken", f"{type(error).__name__}: {error}")


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"cuda: {torch.cuda.get_device_name()}"
    return f"cpu, {torch.get_num_threads()} threads (no GPU found)"


def _step() -> str:
    import torch

    from alig_deepobs import AliG

    w = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    optimizer = AliG([w], max_lr=1.0, eps=0.0)
    loss = w.square().sum() / 2
    loss.backward()
    optimizer.step(loss=loss)
    # loss / |g|^2 = 12.5 / 25
    if abs(optimizer.step_size - 0.5) > 1e-6:
        raise RuntimeError(f"step size {optimizer.step_size} instead of 0.5")
    return "step size 0.5, as it must be"


def _cache() -> str:
    from alig_deepobs.files import check_writable
    from alig_deepobs.testproblems.datasets.fetch import cache_dir

    folder = cache_dir()
    check_writable(folder)
    return f"{folder} is writable"
