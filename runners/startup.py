"""Settings of processes of our own: a quick start, and memory that stays."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from typing import Any

import torch

_MALLOPT = {-1: 2**31 - 1, -2: 64 << 20, -3: 32 << 20}
"""M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD of glibc -> bytes (mallopt(3)); the largest that
it takes, but for the second: by how much memory grows at a time."""


def prepare_process() -> None:
    """Prepares a process in which nothing but our own runs happens."""
    skip_compiler()
    keep_memory()


def keep_memory() -> None:
    """Keeps freed memory for the next tensors, where the C library is glibc: the last 2 GiB of it.

    By itself it gives the memory of large tensors back to the system after every step, and gets it
    again page by page. Does nothing where the environment says how memory is to be managed.
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    if (mallopt := _c_function("mallopt")) is not None:
        for option, size in _MALLOPT.items():
            mallopt(option, size)


def return_memory() -> None:
    """Gives memory that is kept, and not in use, back to the system."""
    if (trim := _c_function("malloc_trim")) is not None:
        trim(0)


def _c_function(name: str) -> Any:
    """A function of the C library; None where it has none of that name."""
    return getattr(ctypes.CDLL(None), name, None) if os.name == "posix" else None


def import_for_step(optimizer: torch.optim.Optimizer) -> None:
    """Imports what the first step of torch's own optimizers imports, before any clock runs.

    That is torch's compiler, whatever is compiled. It takes seconds, once in a process: an
    optimizer that happens to come first would look slower than the others.
    """
    own = torch.optim.Optimizer
    if any(c.__module__.startswith("torch.optim") and c is not own for c in type(optimizer).mro()):
        importlib.import_module("torch._dynamo")


def skip_compiler() -> None:
    """Lets optimizers be built without importing torch's compiler, which doubles the start.

    torch.optim declares some methods as not to be compiled, and imports the compiler to say so when
    they are first called. In a process that has not compiled anything that can be left out. Does
    nothing where the compiler is imported already, or where torch works in another way.
    """
    if "torch._dynamo" in sys.modules:
        return
    for method in vars(torch.optim.Optimizer).values():
        wrapped = getattr(method, "__wrapped__", None)
        source = getattr(getattr(method, "__code__", None), "co_filename", "")
        if wrapped is not None and source.endswith("_compile.py"):
            # What torch itself would store there after the import.
            wrapped.__dict__.setdefault("__dynamo_disable", wrapped)
