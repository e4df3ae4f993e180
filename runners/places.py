"""Where the runs of a study happen: a table of executors, which are imported when they start."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alig_deepobs.errors import UsageError
from alig_deepobs.runners.vectorized import MODES

if TYPE_CHECKING:
    from alig_deepobs.runners.cells import Cell
    from alig_deepobs.runners.executors import Executor

EXECUTORS: Mapping[str, str] = {
    **dict.fromkeys(MODES, "alig_deepobs.runners.executors:start"),
    "ray": "alig_deepobs.runners.ray_cluster:RayCluster",
    "slurm": "alig_deepobs.runners.slurm:SlurmJobs",
    "ddp": "alig_deepobs.runners.replicas:Replicas",
}
"""Name -> ``package.module:function`` that starts it, called with a `Place`."""


@dataclass(frozen=True)
class Place:
    """Where runs happen, and what each of them gets.

    Attributes:
        executor: name in `EXECUTORS`.
        jobs: runs at the same time; None: one, or as many as the cluster has room for.
        address: of a Ray cluster; ``auto`` for the one that this machine belongs to; None: a
            cluster is started on this machine.
        cpus, gpus: of each run on a cluster; a part of a GPU may be shared.
        retries: how often a run whose process died is tried again, from its checkpoint.
        processes: of one run, each with its part of the mini-batch (``ddp``).
        slurm: further options of the batch system, by their names there.
        folder: of the results, where the batch system puts its own files.
        log: loggers (`alig_deepobs.runners.loggers`) that hear of every run.
    """

    executor: str = "auto"
    jobs: int | None = None
    address: str | None = None
    cpus: int = 1
    gpus: float = 0.0
    retries: int = 3
    processes: int = 1
    slurm: Mapping[str, str | int] = field(default_factory=dict)
    folder: str = "results"
    log: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks the share of GPUs.

        Raises:
            UsageError: it is no finite number.
        """
        if not math.isfinite(self.gpus):
            raise UsageError(f"--gpus {self.gpus}: give a number such as 1")

    def start(self) -> Executor:
        """Starts the executor.

        Raises:
            UsageError: what it needs is not installed.
        """
        module, _, name = EXECUTORS[self.executor].partition(":")
        started: Callable[[Place], Executor] = getattr(importlib.import_module(module), name)
        return started(self)


def check_checkpoints(executor: str, cells: Iterable[Cell]) -> None:
    """Finds out whether the checkpoints that a plan asks for can be written.

    Raises:
        UsageError: they cannot.
    """
    specs = [spec for cell in cells for spec in cell.candidates]
    if executor == "vectorized" and any(s.checkpoint_interval is not None for s in specs):
        raise UsageError(
            "runs that are trained as one computation have no checkpoints: take "
            "the executor auto, or leave checkpoint_interval out"
        )


def under_torchrun() -> bool:
    """Whether torchrun has started this process, and others with it."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1
