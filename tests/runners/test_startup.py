"""Settings of the processes of this package."""

import ctypes
import os
import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from alig_deepobs.runners.startup import keep_memory

def faults():
    start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        held = [torch.ones(6 << 20) for _ in range(3)]  # 24 MiB each
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start

faults()
before = faults()
keep_memory()
faults()
print(before, faults())
"""


def _faults(**variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return map(int, done.stdout.split())


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="not glibc")
def test_memory_stays_for_the_next_tensors():
    before, after = _faults()
    assert before > 1000
    assert after < before / 10


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="not glibc")
def test_the_environment_decides_about_memory():
    before, after = _faults(MALLOC_TOP_PAD_="0")
    assert after > before / 2
