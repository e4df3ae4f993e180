"""What a run was carried out with: versions and hardware, for its record."""

from __future__ import annotations

import functools
import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from alig_deepobs import __version__


def host() -> dict[str, Any]:
    """What does not depend on the framework."""
    return dict(_host())


@functools.cache  # finding a version reads files, as much as a small run takes in an epoch
def _host() -> dict[str, Any]:
    return {
        "alig_deepobs": __version__,
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cpu_count": os.cpu_count(),
    }


def environment(device: torch.device) -> dict[str, Any]:
    """Versions, hardware and threads, as plain data for the result record."""
    info = host()
    info |= {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": device.type,
        # Kernels differ in the last digits, which can decide a close comparison.
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "math_library": _math_library(),
    }
    if device.type == "cuda":
        info["device_name"] = torch.cuda.get_device_name(device)
        info["cuda"] = torch.version.cuda
    else:
        info["device_name"] = info["cpu"]
    return info


@functools.cache
def _math_library() -> str:
    """The library of PyTorch's matrix products, such as ``mkl`` or ``openblas``."""
    found = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return found[1] if found else ""


def _cpu_name() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
