"""A quick start for processes of our own."""

from __future__ import annotations

import sys

import torch


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
