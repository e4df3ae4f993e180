"""Settings of the processes of this package."""

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not glibc")

FAULTS = """
import ctypes
import resource
import torch
from alig_deepobs.runners.startup import keep_memory, return_memory

def faults():
    start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        held = [torch.ones(6 << 20) for _ in range(3)]  # 24 MiB each
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start

ctypes.CDLL(None).mallopt(-3, 1 << 20)  # larger ones go back at once, as large ones do anyway
faults()
before = faults()
keep_memory()
faults()
after = faults()
return_memory()
print(before, after, faults() - after)
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


def test_memory_stays_for_the_next_tensors():
    before, after, returned = _faults()
    assert before > 1000
    assert after < before / 10
    assert returned > 1000


def test_the_environment_decides_about_memory():
    before, after, _ = _faults(MALLOC_TOP_PAD_="0")
    assert after > before / 2


@pytest.mark.parametrize(("optimizer", "imported"), [("sgd", True), ("alig", False)])
def test_the_clock_of_the_first_epoch_holds_no_import(optimizer, imported):
    program = f"""
import sys
from alig_deepobs.run import RunSpec
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.runners.startup import prepare_process
from alig_deepobs.runners.training import Callback, execute

class Look(Callback):
    def started(self, result, steps_per_epoch):
        print("torch._dynamo" in sys.modules)

prepare_process()
execute(resolve(RunSpec("two_d_branin", "{optimizer}", num_epochs=1)), Look())
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == [str(imported)] * 2, done.stderr
