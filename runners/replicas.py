"""Several processes for one run: those that torchrun has started, or our own.

Rank 0 is the process of the command. It tells the others which run is next; all carry it out
together (`alig_deepobs.runners.ranks`).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from alig_deepobs.errors import RunError, UsageError
from alig_deepobs.optimizers.health import HealthWarning
from alig_deepobs.run import Outcome, ResolvedRun, RunResult
from alig_deepobs.runners.callbacks import Callback
from alig_deepobs.runners.executors import OneByOne, attempt, broken
from alig_deepobs.runners.places import Place, under_torchrun
from alig_deepobs.runners.ranks import Ranks
from alig_deepobs.runners.signals import Deferred, end_with, held, ignore_ending

_PATIENCE = timedelta(days=7)
"""How long a rank waits for the others: they may wait for the next run, or set up a large one."""


_LOST = re.compile(r"\bgloo\b|^Dist\w*Error|[Cc]onnection (closed|reset)")
"""What torch's backends say where another rank is gone."""


class Replicas(OneByOne):
    """An executor (`alig_deepobs.runners.executors.Executor`): one run at a time, on all ranks.

    Args:
        place: how many processes; ignored where torchrun has started them.
    """

    width = 1

    def __init__(self, place: Place) -> None:
        self.size = place.processes
        self.helpers: list[subprocess.Popen[bytes]] = []
        self.ranks: Ranks | None = None
        self.is_broken = False

    def start(self, run: ResolvedRun, callback: Callback) -> Future[RunResult]:
        """Carries the run out, together with the other ranks."""
        future: Future[RunResult] = Future()
        if run.framework != "pytorch":
            error: Exception = UsageError(f"--ddp is for runs in PyTorch, not in {run.framework}")
            future.set_result(broken(run, error))
            return future
        if self.is_broken:
            future.set_result(broken(run, RunError("a run before has broken the group of ranks")))
            return future
        self.ranks = self.ranks or self._start()
        self.ranks.from_first(run)
        result = attempt(_placed(run, 0), callback, self.ranks)
        if result.outcome in (Outcome.FAILED, Outcome.OUT_OF_MEMORY):
            if _LOST.search(result.outcome_reason):
                result.outcome_reason = "another process of the run died (out of memory?)"
            # The others may have ended elsewhere, and wait for this one.
            self.is_broken = under_torchrun()
            self._end()
        future.set_result(result)
        return future

    def interrupt(self) -> None:
        """Nothing is under way between two calls of `submit`."""

    def close(self) -> None:
        """Lets the other ranks go."""
        if self.ranks is not None and not self.helpers and not self.is_broken:
            self.ranks.from_first(None)
        self._end()

    def _start(self) -> Ranks:
        if under_torchrun():
            _join()
            return Ranks()
        store = dist.TCPStore(  # type: ignore[attr-defined]
            "127.0.0.1", 0, self.size, is_master=True, wait_for_workers=False
        )
        share = max(1, torch.get_num_threads() // self.size)
        command = [sys.executable, "-P", "-m", "alig_deepobs.runners.replicas"]
        paths = os.pathsep.join(path for path in sys.path if path)
        with Deferred(), held():
            self.helpers = [
                subprocess.Popen(
                    [*command, *map(str, (rank, self.size, store.port, os.getpid(), share))],
                    env={**os.environ, "PYTHONPATH": paths},
                )
                for rank in range(1, self.size)
            ]
        torch.set_num_threads(share)
        _join(store=store, rank=0, world_size=self.size)
        return Ranks()

    def _end(self) -> None:
        for helper in self.helpers:
            helper.kill()
            helper.wait()
        if self.ranks is not None:
            dist.destroy_process_group()
        self.helpers, self.ranks = [], None


def follow() -> None:
    """What every rank but the first does: carries out the runs that it is told of."""
    ignore_ending()
    warnings.simplefilter("ignore", HealthWarning)
    ranks = Ranks()
    while (run := ranks.from_first(None)) is not None:
        result = attempt(_placed(run, ranks.rank), Callback(), ranks)
        if result.outcome in (Outcome.FAILED, Outcome.OUT_OF_MEMORY):
            os._exit(1)
    dist.destroy_process_group()


def follow_torchrun() -> None:
    """`follow`, in a process that torchrun has started."""
    _join()
    follow()


def _join(**how: Any) -> None:
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=_PATIENCE, **how)


def _placed(run: ResolvedRun, rank: int) -> ResolvedRun:
    """The run on this rank's GPU, if it is for GPUs."""
    local = int(os.environ.get("LOCAL_RANK", rank))
    on_gpu = torch.cuda.is_available() and run.device in (None, "cuda")
    return replace(run, device=f"cuda:{local}") if on_gpu else run


def main() -> None:
    """One of our own processes."""
    rank, size, port, parent, threads = map(int, sys.argv[1:])
    torch.set_num_threads(threads)
    end_with(parent)
    store = dist.TCPStore(  # type: ignore[attr-defined]
        "127.0.0.1", port, size, is_master=False
    )
    _join(store=store, rank=rank, world_size=size)
    follow()


if __name__ == "__main__":
    main()
